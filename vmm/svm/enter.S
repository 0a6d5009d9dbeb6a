/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * enter.S - the SVM world switch.
 *
 *	int svm_enter(struct vcpu *v)
 *
 * Returns 0 after an #VMEXIT, 2 if v->poll was set: not entered. Guest
 * registers but RAX and RSP are in v->gpr, those two in the VMCB. GIF is clear
 * on entry and on return: an NMI waits until VMRUN, and then exits. FS, GS,
 * TR, LDTR and the MSRs of VMLOAD are the guest's all the time; the VMM uses
 * none of them.
 *
 *	stack:	[rsp] v  r15 r14 r13 r12 rbp rbx  return
 *
 * APM volume 2 "VMRUN Instruction", "#VMEXIT", "VMSAVE and VMLOAD".
 */
#include "../layout.h"

	.text
	.globl svm_enter
svm_enter:
	clgi
	cmpl $0, VCPU_POLL(%rdi)
	jne 1f
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	mov VCPU_HW_PA(%rdi), %rax
	mov VCPU_GPR(1)(%rdi), %rcx
	mov VCPU_GPR(2)(%rdi), %rdx
	mov VCPU_GPR(3)(%rdi), %rbx
	mov VCPU_GPR(5)(%rdi), %rbp
	mov VCPU_GPR(6)(%rdi), %rsi
	mov VCPU_GPR(8)(%rdi), %r8
	mov VCPU_GPR(9)(%rdi), %r9
	mov VCPU_GPR(10)(%rdi), %r10
	mov VCPU_GPR(11)(%rdi), %r11
	mov VCPU_GPR(12)(%rdi), %r12
	mov VCPU_GPR(13)(%rdi), %r13
	mov VCPU_GPR(14)(%rdi), %r14
	mov VCPU_GPR(15)(%rdi), %r15
	mov VCPU_GPR(7)(%rdi), %rdi
	vmrun
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
	pop %rdi
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	xor %eax, %eax
	ret
1:	mov $2, %eax
	ret
