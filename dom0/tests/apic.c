/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apic.c - a client whose guest uses its local APIC: the task priority, which
 * is also CR8. SDM "Task and Processor Priorities".
 */
#include "client.h"

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

int main(void)
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
	printf("apic: %u checks, %u failed.\n", checks, failures);
	return failures ? 1 : 0;
}
