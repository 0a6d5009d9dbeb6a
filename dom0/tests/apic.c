/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apic.c - a client whose guest has a task priority, which is also CR8: that
 * of its local APIC, or the client's in kvm_run; and one whose guest uses its
 * APIC in both modes, with and without a processor that virtualizes it. SDM
 * "Task and Processor Priorities", "APIC Virtualization and Virtual
 * Interrupts".
 */
#include "client.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define COUNT 0x5010u /* interrupts */
#define VECTOR 0x40u

/*
 * In each of the guests: pages that an interrupt touches are touched before,
 * for Bochs 2.7 tells a wrong event when the delivery of a virtual interrupt
 * makes an exit.
 *
 * Task priority 50h holds the vector 40h that the guest sends itself; what it
 * reads back goes to port 80h. Then 30h lets it through: port 81h.
 */
extern const uint8_t tpr_guest[], tpr_handler[], tpr_end[];
__asm__(".pushsection .rodata\n"
	".code16\n"
	"tpr_guest:\n"
	"	mov 0, %eax\n"
	"	push %eax\n"
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
#define GDT	0x12000u
#define IDT	0x13000u
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
	uint64_t *gdt = (void *)(ram + GDT);
	struct kvm_sregs s;

	ioctl(cpu, KVM_GET_SREGS, &s);
	s.ds = s.es = s.ss = s.fs = s.gs = data;
	s.cs = data;
	s.cs.selector = 8;
	s.cs.type = 11;
	s.cs.db = 0;
	s.cs.l = 1;
	gdt[1] = 0x00af9b000000ffff;
	gdt[2] = 0x00cf93000000ffff;
	s.gdt.base = GDT;
	s.gdt.limit = 23;
	s.idt.base = IDT;
	s.idt.limit = 0xfff;
	s.cr0 = CR0_ON;
	s.cr3 = PML4;
	s.cr4 = CR4_PAE;
	s.efer = EFER_ON;
	*(uint64_t *)(void *)(ram + PML4) = PDPT | 3;
	*(uint64_t *)(void *)(ram + PDPT) = 0x83; /* 1 GiB */
	*(uint64_t *)(void *)(ram + PDPT + 24) = 0xc0000083; /* the APICs' */
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

/* --- the APIC's registers --------------------------------------------------- */

#define IPIS	   1000u
#define LEVEL_GSI  20u /* none of the 8259s' */
#define LEVEL	   0x41u
#define REPORT	   0x5020u /* what the guest has read, a dword each */

/*
 * In xAPIC mode: interrupts itself IPIS times, and reads its registers. In
 * x2APIC mode: the same, and holds one vector off by its priority. Then takes
 * a level-triggered interrupt of the I/O APIC four times, and masks it.
 * rbx is the APIC, rdi the report; 5010h counts vector 40h, 5014h 41h.
 */
extern const uint8_t regs_guest[], regs_ipi[], regs_level[], regs_end[];
__asm__(".pushsection .rodata\n"
	"regs_guest:\n"
	"	mov 0x12000, %eax\n"
	"	mov 0x13000, %eax\n"
	"	push %rax\n"
	"	mov $0xfee00000, %ebx\n"
	"	mov $0x5020, %edi\n"
	"	mov $0xb0, %r8d\n"		/* EOI, for the handler */
	"	movl $0x1ff, 0xf0(%rbx)\n"	/* SVR: on */
	"	sti\n"
	"	mov $1000, %ebp\n"
	"1:	movl $0x44040, 0x300(%rbx)\n"	/* ICR: self */
	"	nop\n"
	"	dec %ebp\n"
	"	jnz 1b\n"
	"	movl $0x0f000000, 0x20(%rbx)\n" /* ID: read-only */
	"	mov 0x20(%rbx), %eax\n"
	"	stosl\n"
	"	movl $0x20031, 0x320(%rbx)\n"	/* LVTT: periodic */
	"	movl $0xb, 0x3e0(%rbx)\n"
	"	movl $0xffffffff, 0x380(%rbx)\n"
	"	mov 0x390(%rbx), %eax\n"	/* TMCCT: it counts */
	"	stosl\n"
	"	movl $0x40031, 0x320(%rbx)\n"	/* TSC deadline: it does not */
	"	mov 0x380(%rbx), %eax\n"
	"	stosl\n"
	"	movl $0x10031, 0x320(%rbx)\n"
	"	mov 0x320(%rbx), %eax\n"
	"	stosl\n"
	"	movl $0x12345678, 0xd0(%rbx)\n" /* LDR */
	"	mov 0xd0(%rbx), %eax\n"
	"	stosl\n"
	"	out %al, $0x80\n"
	"	mov $0x1b, %ecx\n"		/* APIC_BASE: x2APIC */
	"	xor %edx, %edx\n"
	"	mov $0xfee00d00, %eax\n"
	"	wrmsr\n"
	"	xor %ebx, %ebx\n"
	"	mov $1000, %ebp\n"
	"	mov $0x83f, %ecx\n"		/* SELF IPI */
	"2:	mov $0x40, %eax\n"
	"	wrmsr\n"
	"	nop\n"
	"	dec %ebp\n"
	"	jnz 2b\n"
	"	out %al, $0x81\n"
	"	mov $5, %eax\n"		/* CR8 is the priority */
	"	mov %rax, %cr8\n"
	"	mov $0x40, %eax\n"
	"	wrmsr\n"
	"	mov $0x808, %ecx\n"
	"	rdmsr\n"
	"	stosl\n"
	"	mov $0x822, %ecx\n"		/* IRR, vectors 40h to 5fh */
	"	rdmsr\n"
	"	stosl\n"
	"	mov 0x5010, %eax\n"
	"	stosl\n"
	"	xor %eax, %eax\n"
	"	mov %rax, %cr8\n"
	"	nop\n"
	"	mov 0x5010, %eax\n"
	"	stosl\n"
	"	mov $0x80d, %ecx\n"		/* LDR: the ID's */
	"	rdmsr\n"
	"	stosl\n"
	"	mov $0xfec00000, %esi\n"	/* I/O APIC, pin 20: 41h, level */
	"	movl $0x38, (%rsi)\n"
	"	movl $0x8041, 0x10(%rsi)\n"
	"	out %al, $0x82\n"
	"3:	cmpl $4, 0x5014\n"
	"	jb 3b\n"
	"	out %al, $0x83\n"
	"	hlt\n"
	"regs_ipi:\n"
	"	incl 0x5010\n"
	"	push %rax\n"
	"	push %rcx\n"
	"	push %rdx\n"
	"	test %ebx, %ebx\n"
	"	jz 4f\n"
	"	movl $0, 0xb0(%rbx)\n"
	"	jmp 5f\n"
	"4:	mov $0x80b, %ecx\n"
	"	xor %eax, %eax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"5:	pop %rdx\n"
	"	pop %rcx\n"
	"	pop %rax\n"
	"	iretq\n"
	"regs_level:\n"
	"	incl 0x5014\n"
	"	cmpl $4, 0x5014\n"
	"	jne 6f\n"
	"	movl $0x18041, 0x10(%rsi)\n"	/* masked */
	"6:\n"
	"	mov $0x80b, %ecx\n"
	"	xor %eax, %eax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"	iretq\n"
	"regs_end:\n"
	".popsection\n");

static void gate(unsigned vector, const uint8_t *handler)
{
	uint64_t at = LOAD + (uint64_t)(handler - regs_guest);

	*(uint64_t *)(void *)(ram + IDT + vector * 16) =
		at | 8ull << 16 | 0x8eull << 40;
}

static uint32_t at(unsigned gpa)
{
	uint32_t value;

	memcpy(&value, ram + gpa, 4);
	return value;
}

static void reads(unsigned i, const char *name, uint32_t want)
{
	uint32_t is = at(REPORT + 4 * i);

	expect(is == want, "%s: %#x, not %#x", name, is, want);
}

static void line(int level)
{
	struct kvm_irq_level irq = { { LEVEL_GSI }, (uint32_t)level };

	expect(ioctl(vm, KVM_IRQ_LINE, &irq) == 0, "KVM_IRQ_LINE");
}

static unsigned long accesses(void)
{
	return exits("stage-2-fault") + exits("apic-write");
}

static void registers(void)
{
	unsigned long ipis;

	machine_with(true);
	start_64(regs_guest, (size_t)(regs_end - regs_guest));
	gate(VECTOR, regs_ipi);
	gate(LEVEL, regs_level);
	ipis = accesses();
	if (!runs(KVM_EXIT_IO, "xAPIC"))
		return;
	printf("apic: %u self-IPIs in xAPIC mode: %lu accesses exited\n", IPIS,
	       accesses() - ipis);
	expect(at(COUNT) == IPIS, "%u IPIs to itself", at(COUNT));
	reads(0, "ID", 0);
	expect(at(REPORT + 4) > 0, "TMCCT %#x", at(REPORT + 4));
	reads(2, "TMICT in TSC-deadline mode", 0);
	reads(3, "LVTT", 0x10031);
	reads(4, "LDR", 0x12000000);
	ipis = exits("wrmsr");
	if (!runs(KVM_EXIT_IO, "x2APIC"))
		return;
	printf("apic: %u self-IPIs in x2APIC mode: %lu accesses exited\n",
	       IPIS, exits("wrmsr") - ipis);
	expect(at(COUNT) == 2 * IPIS, "%u IPIs to itself", at(COUNT));
	if (!runs(KVM_EXIT_IO, "I/O APIC"))
		return;
	reads(5, "TPR", 0x50);
	reads(6, "IRR", 1);
	reads(7, "interrupts behind CR8", 2 * IPIS);
	reads(8, "interrupts before it", 2 * IPIS + 1);
	reads(9, "LDR", 1);
	line(1);
	runs(KVM_EXIT_IO, "level");
	line(0);
	expect(at(COUNT + 4) == 4, "%u interrupts of a line that stays up",
	       at(COUNT + 4));
}

int main(void)
{
	registers();
	tpr();
	given_once();
	cr8();
	printf("apic: %u checks, %u failed.\n", checks, failures);
	return failures ? 1 : 0;
}
