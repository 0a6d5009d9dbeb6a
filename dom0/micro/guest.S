/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.S - the guest of the micro benchmarks, 64-bit code without anything
 * below it. A row is a loop that takes one sample in each round: the TSC ticks
 * around one BODY. The client enters a row with
 *	r13  where the samples go
 *	r14  how many
 *	r15  the memory to be touched, r8 the step
 * and gets an OUT to PORT_DONE at its end. r9-r12 are the rows' own, all other
 * registers are anybody's. Interrupts are on; their handlers count them.
 */
#include "guest.h"

	.code64
	.text
	.quad	apic_on
	.quad	irq
	.quad	ipi
	.quad	interrupts
	.quad	row_fault
#define X(code, name, when, exits) .quad row_##code;
#include "rows.def"
#undef X

interrupts:
	.quad	0

#define ROW(name, ...)				\
row_##name: ;					\
1:	rdtsc ;					\
	mov	%eax, %r12d ;			\
	__VA_ARGS__ ;				\
	rdtsc ;					\
	sub	%r12d, %eax ;			\
	mov	%eax, (%r13) ;			\
	add	$4, %r13 ;			\
	dec	%r14d ;				\
	jnz	1b ;				\
	jmp	done

ROW(tsc)
ROW(cpuid, xor %eax, %eax ; cpuid)
ROW(vmcall, mov $99, %eax ; vmcall)
ROW(vmmcall, mov $99, %eax ; vmmcall)
ROW(out_user, out %al, $PORT_OUT)
ROW(in_user, in $PORT_IN, %al)
ROW(in_pit, in $0x61, %al)
ROW(mmio_read_user, mov GUEST_MMIO, %eax)
ROW(mmio_write_user, mov %eax, GUEST_MMIO)
ROW(hlt_inject, hlt)
ROW(msr_tpr_write, mov $0x808, %ecx ; xor %eax, %eax ; xor %edx, %edx ; wrmsr)
ROW(msr_tpr_read, mov $0x808, %ecx ; rdmsr)
ROW(msr_mtrr_read, mov $0x200, %ecx ; rdmsr)
ROW(fault, mov %al, (%r15) ; add %r8, %r15)
/* 2^32 ticks from now: never while this runs. */
ROW(msr_deadline_write, rdtsc ; inc %edx ; mov $0x6e0, %ecx ; wrmsr)
ROW(self_ipi_x2apic, mov $0x83f, %ecx ; mov $VECTOR_IPI, %eax ; \
	xor %edx, %edx ; wrmsr)

done:
	out	%al, $PORT_DONE

/* x2APIC mode, software enabled, the timer in TSC-deadline mode. */
apic_on:
	mov	$0x1b, %ecx
	rdmsr
	or	$0xc00, %eax
	wrmsr
	mov	$0x80f, %ecx
	mov	$0x1ff, %eax
	xor	%edx, %edx
	wrmsr
	mov	$0x832, %ecx
	mov	$(0x40000 | VECTOR_TIMER), %eax
	wrmsr
	jmp	done

irq:
	incl	interrupts
	iretq

ipi:
	incl	interrupts
	mov	$0x80b, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	iretq
