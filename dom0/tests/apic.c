/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apic.c - a client whose guest has a task priority, which is also CR8: that
 * of its local APIC, or the client's in kvm_run. SDM "Task and Processor
 * Priorities".
 */
#include "client.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define COUNT 0x5010u /* interrupts */
#define VECTOR 0x40u

/*
 * Task priority 50h holds the vector 40h that the guest sends itself; what it
 * reads back goes to port 80h. Then 30h lets it through: port 81h.
 */
extern const uint8_t tpr_guest[], tpr_handler[], tpr_end[];
__asm__(".pushsection .rodata\n"
	".code16\n"
	"tpr_guest:\n"
	"	xor %edx, %edx\n"
	"	mov $0x1b, %ecx\n"	/* APIC_BASE: x2APIC */
	"	mov $0xfee00d00, %eax\n"
	"	wrmsr\n"
	"	mov $0x80f, %ecx\n"	/* SVR: on */
	"	mov $0x1ff, %eax\n"
	"	wrmsr\n"
	"	mov $0x808, %ecx\n"	/* TPR */
	"	mov $0x50, %eax\n"
	"	wrmsr\n"
	"	mov $0x83f, %ecx\n"	/* SELF IPI */
	"	mov $0x40, %eax\n"
	"	wrmsr\n"
	"	sti\n"
	"	nop\n"
	"	nop\n"
	"	mov $0x808, %ecx\n"
	"	rdmsr\n"
	"	out %eax, $0x80\n"
	"	mov $0x30, %eax\n"
	"	wrmsr\n"
	"	nop\n"
	"	nop\n"
	"	rdmsr\n"
	"	out %eax, $0x81\n"
	"tpr_handler:\n"
	"	incb 0x5010\n"
	"	push %eax\n"
	"	push %ecx\n"
	"	mov $0x80b, %ecx\n"	/* EOI */
	"	xor %eax, %eax\n"
	"	wrmsr\n"
	"	pop %ecx\n"
	"	pop %eax\n"
	"	iret\n"
	"tpr_end:\n"
	".code64\n"
	".popsection\n");

static void tpr_is(unsigned port, uint32_t want)
{
	uint32_t value;

	if (!runs(KVM_EXIT_IO, "task priority") || !is_io(true, port, 4))
		return;
	memcpy(&value, io_data(), 4);
	expect(value == want, "task priority %#x, not %#x", value, want);
	expect(run->cr8 == want >> 4, "CR8 %llu, not %u", run->cr8, want >> 4);
}

static void tpr(void)
{
	machine_with(true);
	((uint16_t *)ram)[VECTOR * 2] =
		(uint16_t)(LOAD + (tpr_handler - tpr_guest));
	((uint16_t *)ram)[VECTOR * 2 + 1] = 0;
	start(tpr_guest, (size_t)(tpr_end - tpr_guest));
	tpr_is(0x80, 0x50);
	expect(ram[COUNT] == 0, "%u interrupts below the task priority",
	       ram[COUNT]);
	tpr_is(0x81, 0x30);
	expect(ram[COUNT] == 1, "%u interrupts above it, not 1", ram[COUNT]);
}

/* A process that wants the same CPU: the guest's is preempted often. */
static pid_t compete(void)
{
	cpu_set_t set;
	pid_t child;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
	child = fork();
	if (child == 0)
		for (;;)
			;
	return child;
}

/* CR8 of kvm_run is given to the guest once, however long it then runs. */
static void given_once(void)
{
	static const uint8_t code[] = {
		0x66, 0xff, 0x06, 0x00, 0x20,		  /* incl 0x2000 */
		0x66, 0x43,				  /* inc %ebx */
		0x66, 0x81, 0xfb, 0x00, 0x00, 0x00, 0x01, /* cmp $1<<24 */
		0x75, 0xf0,				  /* jne */
		0xf4,					  /* hlt */
	};
	pid_t child = compete();
	struct kvm_regs regs;
	uint32_t count;

	machine();
	expect(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) == 1,
	       "KVM_CAP_IMMEDIATE_EXIT");
	start_with(code, sizeof(code), RFLAGS_1 | RFLAGS_IF);
	run->cr8 = 3;
	runs(KVM_EXIT_HLT, "hlt");
	ioctl(cpu, KVM_GET_REGS, &regs);
	memcpy(&count, ram + 0x2000, 4);
	expect(count == 1 << 24 && regs.rbx == count,
	       "counted to %#llx in a register, %#x in memory", regs.rbx,
	       count);
	expect(run->cr8 == 3, "CR8 %llu, not 3", run->cr8);
	kill(child, SIGKILL);
	wait(NULL);
}

/* --- 64-bit mode ----------------------------------------------------------- */

#define PML4	0x10000u
#define PDPT	0x11000u
#define CR0_ON	0x80000011u /* PG ET PE */
#define CR4_PAE 0x20u
#define EFER_ON 0x500u	    /* LMA LME */

static void start_64(const uint8_t *code, size_t len)
{
	struct kvm_segment data = { .limit = 0xffffffff, .selector = 0x10,
				    .type = 3, .present = 1, .db = 1, .s = 1,
				    .g = 1 };
	struct kvm_regs regs = { .rip = LOAD, .rflags = RFLAGS_1,
				 .rsp = 0x8000 };
	struct kvm_sregs s;

	ioctl(cpu, KVM_GET_SREGS, &s);
	s.ds = s.es = s.ss = s.fs = s.gs = data;
	s.cs = data;
	s.cs.selector = 8;
	s.cs.type = 11;
	s.cs.db = 0;
	s.cs.l = 1;
	s.cr0 = CR0_ON;
	s.cr3 = PML4;
	s.cr4 = CR4_PAE;
	s.efer = EFER_ON;
	*(uint64_t *)(void *)(ram + PML4) = PDPT | 3;
	*(uint64_t *)(void *)(ram + PDPT) = 0x83; /* 1 GiB */
	memcpy(ram + LOAD, code, len);
	expect(ioctl(cpu, KVM_SET_SREGS, &s) == 0 &&
	       ioctl(cpu, KVM_SET_REGS, &regs) == 0, "64-bit mode");
}

/* CR8 is written while the client waits for a window. */
static void cr8(void)
{
	static const uint8_t code[] = {
		0x6a, 0x05, 0x58,	/* push $5; pop %rax */
		0x44, 0x0f, 0x22, 0xc0, /* mov %rax, %cr8 */
		0x44, 0x0f, 0x20, 0xc3, /* mov %cr8, %rbx */
		0x6a, 0x09, 0x41, 0x59, /* push $9; pop %r9 */
		0x45, 0x0f, 0x22, 0xc1, /* mov %r9, %cr8 */
		0xe6, 0x80,		/* out %al, $0x80 */
		0xfb, 0x90, 0xeb, 0xfd, /* sti; 1: nop; jmp 1b */
	};
	struct kvm_regs regs;

	machine();
	start_64(code, sizeof(code));
	run->cr8 = 0;
	run->request_interrupt_window = 1;
	if (!runs(KVM_EXIT_IO, "out"))
		return;
	expect(run->cr8 == 9, "CR8 %llu, not 9", run->cr8);
	ioctl(cpu, KVM_GET_REGS, &regs);
	expect(regs.rbx == 5, "CR8 read as %llu, not 5", regs.rbx);
	runs(KVM_EXIT_IRQ_WINDOW_OPEN, "window");
}

int main(void)
{
	tpr();
	given_once();
	cr8();
	printf("apic: %u checks, %u failed.\n", checks, failures);
	return failures ? 1 : 0;
}
