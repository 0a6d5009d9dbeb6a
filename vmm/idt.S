/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * idt.S - entries of the VMM's IDT, vectors 0-31. Interrupts stay disabled,
 * so the only events are exceptions (ours: fixed up or fatal) and NMIs.
 *
 * Stack at trap_common, which is struct trap_frame of trap.h:
 *	r15 .. rax, vector, error code, RIP, CS, RFLAGS, RSP, SS
 *
 * SDM "Exception and Interrupt Handling in 64-bit Mode".
 */
	.text
	.globl trap_entries
	.balign 16
trap_entries:
	vector = 0
	.rept 32
	.balign 16
	/* These push an error code themselves: DF, TS, NP, SS, GP, PF, AC, CP, VC, SX. */
	.if !((1 << vector) & 0x60227d00)
	push $0
	.endif
	push $vector
	jmp trap_common
	vector = vector + 1
	.endr

trap_common:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	call trap_handle
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	/*
	 * void park_hlt(_Atomic u32 *word): sleep until an NMI, unless *word
	 * is already non-zero. The NMI handler moves RIP from before the HLT
	 * to behind it, so that a wake-up between test and HLT is not lost.
	 */
	.globl park_hlt, park_hlt_end
park_hlt:
	cmpl $0, (%rdi)
	jne park_hlt_end
	hlt
park_hlt_end:
	ret
