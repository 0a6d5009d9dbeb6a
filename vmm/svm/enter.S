/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * enter.S - the SVM world switch: a loop that never returns.
 *
 *	_Noreturn void svm_loop(struct vcpu *v)
 *
 * Enters v; after an #VMEXIT calls svm_exited(v), which says whom to enter
 * next. The VMM keeps nothing in registers or on the stack across a guest, so
 * only guest registers are moved; RAX and RSP are in the VMCB. GIF is clear
 * from before poll is read until the guest runs: an NMI waits for VMRUN
 * and then exits; so do interrupts, under V_INTR_MASKING, which takes the
 * host's RFLAGS.IF. While IF is set here GIF is not, or a guest runs. FS, GS,
 * TR, LDTR and the MSRs of VMLOAD are the guest's all the time; the VMM uses
 * none of them.
 *
 *	stack:	[rsp] v, 16-byte aligned
 *
 * APM volume 2 "VMRUN Instruction", "#VMEXIT", "VMSAVE and VMLOAD".
 */
#include "../layout.h"

#define VMCB_RAX 0x5f8 /* asserted in vmcb.h */

	.text
	.globl svm_loop
svm_loop:
	and $-16, %rsp
	sub $16, %rsp
	mov %rdi, %rax
svm_next:
	mov %rax, (%rsp)
	clgi
	mov VCPU_CPU(%rax), %rcx
	cmpl $0, CPU_POLL(%rcx)
	jne svm_serve
	sti			/* where a domU masks them, this lets them exit */
	mov VCPU_HW(%rax), %rcx
	mov VCPU_GPR(0)(%rax), %rdx
	mov %rdx, VMCB_RAX(%rcx)
	mov VCPU_GPR(1)(%rax), %rcx
	mov VCPU_GPR(2)(%rax), %rdx
	mov VCPU_GPR(3)(%rax), %rbx
	mov VCPU_GPR(5)(%rax), %rbp
	mov VCPU_GPR(6)(%rax), %rsi
	mov VCPU_GPR(7)(%rax), %rdi
	mov VCPU_GPR(8)(%rax), %r8
	mov VCPU_GPR(9)(%rax), %r9
	mov VCPU_GPR(10)(%rax), %r10
	mov VCPU_GPR(11)(%rax), %r11
	mov VCPU_GPR(12)(%rax), %r12
	mov VCPU_GPR(13)(%rax), %r13
	mov VCPU_GPR(14)(%rax), %r14
	mov VCPU_GPR(15)(%rax), %r15
	mov VCPU_HW_PA(%rax), %rax
	vmrun
	cli
	mov (%rsp), %rax
	mov %rcx, VCPU_GPR(1)(%rax)
	mov %rdx, VCPU_GPR(2)(%rax)
	mov %rbx, VCPU_GPR(3)(%rax)
	mov %rbp, VCPU_GPR(5)(%rax)
	mov %rsi, VCPU_GPR(6)(%rax)
	mov %rdi, VCPU_GPR(7)(%rax)
	mov %r8, VCPU_GPR(8)(%rax)
	mov %r9, VCPU_GPR(9)(%rax)
	mov %r10, VCPU_GPR(10)(%rax)
	mov %r11, VCPU_GPR(11)(%rax)
	mov %r12, VCPU_GPR(12)(%rax)
	mov %r13, VCPU_GPR(13)(%rax)
	mov %r14, VCPU_GPR(14)(%rax)
	mov %r15, VCPU_GPR(15)(%rax)
	mov %rax, %rdi
	xor %ebp, %ebp		/* the call trace ends here */
	call svm_exited
	jmp svm_next

svm_serve:
	mov %rax, %rdi
	xor %ebp, %ebp
	call exit_serve
	jmp svm_next
