/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ap.S - how an application processor gets from its SIPI to C. smp.c copies
 * ap_page..ap_page_end to AP_PAGE, fills the four words, and puts the page's
 * own bytes back when all CPUs are in.
 *
 *	ap_cr3	 page table with AP_PAGE mapped one to one
 *	ap_efer	 EFER to start with: LME, and NXE as the tables want
 *	ap_stack its stack's top
 *	ap_main	 where it goes
 *
 * SDM "Initializing IA-32e Mode", "MP Initialization Protocol".
 */
#include "layout.h"

#define CR0_PE	0x1
#define CR0_PG	0x80000000
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define AP(sym) (AP_PAGE + (sym) - ap_page)

	.section .rodata
	.globl ap_page, ap_page_end, ap_cr3, ap_efer, ap_stack, ap_main
	.code16
ap_page:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	lgdtl ap_gdtr - ap_page
	mov %cr0, %eax
	and $0x9fffffff, %eax	/* CD, NW: INIT left caching off */
	or $CR0_PE, %eax
	mov %eax, %cr0
	ljmpl $SEL_CODE32, $AP(1f)
	.code32
1:	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %cr4, %eax
	or $CR4_PAE, %eax
	mov %eax, %cr4
	mov AP(ap_cr3), %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	mov AP(ap_efer), %eax
	xor %edx, %edx
	wrmsr
	mov %cr0, %eax
	or $CR0_PG, %eax
	mov %eax, %cr0
	ljmp $SEL_CODE64, $AP(1f)
	.code64
1:	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov AP(ap_stack), %rsp
	xor %ebp, %ebp
	call *AP(ap_main)
1:	hlt
	jmp 1b

	.balign 8
ap_gdtr:
	.short 6 * 8 - 1
	.long AP(ap_gdt)
	.balign 8
ap_gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0, 0x00cf9b000000ffff
ap_cr3:	.quad 0
ap_efer:
	.quad 0
ap_stack:
	.quad 0
ap_main:
	.quad 0
ap_page_end:
