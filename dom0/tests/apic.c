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

int main(void)
{
	tpr();
	given_once();
	printf("apic: %u checks, %u failed.\n", checks, failures);
	return failures ? 1 : 0;
}
