/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * enter.S - the VMX world switch.
 *
 *	int vmx_enter(struct vcpu *v)
 *
 * Returns 0 after a VM exit, 1 if the entry failed (CF or ZF), 2 if v->poll
 * was set: not entered. Guest RAX..R15 but RSP are in v->gpr; guest RSP is in
 * the VMCS. VMCS_HOST_RSP is written when the stack is not where it was.
 *
 *	stack:	[rsp] v  r15 r14 r13 r12 rbp rbx  return
 *
 * From vmx_enter_check to vmx_enter_end an NMI handler may set RIP to
 * vmx_enter_abort: nothing but registers that v->gpr still holds is lost.
 *
 * SDM "VM Entries", "VM Exits", "Loading Host State".
 */
#include "../layout.h"

#define VMCS_HOST_RSP 0x6c14

	.text
	.globl vmx_enter, vmx_exit, vmx_enter_check, vmx_enter_end
	.globl vmx_enter_abort
vmx_enter:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	mov %rdi, %rax
	cmp %rsp, VCPU_HOST_RSP(%rax)
	je 1f
	mov %rsp, VCPU_HOST_RSP(%rax)
	mov $VMCS_HOST_RSP, %ecx
	vmwrite %rsp, %rcx
1:	mov VCPU_GPR(2)(%rax), %rdx
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
vmx_enter_check:
	cmpl $0, VCPU_POLL(%rax)
	jne vmx_enter_abort
	cmpl $0, VCPU_LAUNCHED(%rax)
	mov VCPU_GPR(1)(%rax), %rcx
	mov VCPU_GPR(0)(%rax), %rax
	je 1f
	vmresume
	jmp vmx_enter_failed
1:	vmlaunch
vmx_enter_end:
vmx_enter_failed:
	mov $1, %eax
	jmp vmx_leave
vmx_enter_abort:
	mov $2, %eax
	jmp vmx_leave

vmx_exit:
	push %rax
	mov 8(%rsp), %rax
	pop VCPU_GPR(0)(%rax)
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
	xor %eax, %eax
vmx_leave:
	pop %rdi
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
