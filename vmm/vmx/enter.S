/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * enter.S - the VMX world switch: a loop that never returns.
 *
 *	_Noreturn void vmx_loop(struct vcpu *v)
 *
 * Enters v; after a VM exit calls vmx_exited(v), which says whom to enter
 * next. The VMM keeps nothing in registers or on the stack across a guest, so
 * only guest registers are moved. Guest RSP is in the VMCS.
 *
 *	stack:	[rsp] v, 16-byte aligned; VMCS_HOST_RSP is this RSP
 *
 * v->cpu->poll set: exit_serve(v) runs instead of the guest. From vmx_enter_check
 * to vmx_enter_end an NMI handler may set RIP to vmx_enter_abort, which does
 * the same: nothing is lost but registers that v->gpr still holds.
 *
 * SDM "VM Entries", "VM Exits", "Loading Host State".
 */
#include "../layout.h"

#define VMCS_HOST_RSP 0x6c14

	.text
	.globl vmx_loop, vmx_exit, vmx_enter_check, vmx_enter_end
	.globl vmx_enter_abort
vmx_loop:
	and $-16, %rsp
	sub $16, %rsp
	mov $VMCS_HOST_RSP, %eax
	vmwrite %rsp, %rax
	mov VCPU_CPU(%rdi), %rax
	mov %rsp, CPU_HOST_RSP(%rax)
	mov %rdi, %rax
	jmp vmx_next

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
	movl $1, VCPU_LAUNCHED(%rax)
	mov %rax, %rdi
	xor %ebp, %ebp		/* the call trace ends here */
	call vmx_exited
vmx_next:
	mov %rax, (%rsp)
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
vmx_enter_check:
	mov VCPU_CPU(%rax), %rcx
	cmpl $0, CPU_POLL(%rcx)
	jne vmx_enter_abort
	cmpl $0, VCPU_LAUNCHED(%rax)
	mov VCPU_GPR(1)(%rax), %rcx
	mov VCPU_GPR(0)(%rax), %rax
	je 1f
	vmresume
	jmp vmx_enter_end
1:	vmlaunch
vmx_enter_end:
	mov (%rsp), %rdi
	call vmx_entry_failed

vmx_enter_abort:
	mov (%rsp), %rdi
	xor %ebp, %ebp
	call exit_serve
	jmp vmx_next
