/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot.S - from a Multiboot loader's 32-bit hand-over to boot_main() in long
 * mode, and the move of the image to its final place.
 *
 *	in (both protocols): EAX loader magic, EBX information structure,
 *	protected mode, paging off, interrupts off
 *
 * Multiboot Specification 0.6.96 "Machine state"; Multiboot2 2.0 the same.
 * SDM "Initializing IA-32e Mode".
 */
#include "layout.h"

#define MB1_MAGIC	 0x1badb002
#define MB1_ALIGN_MEMORY 0x3 /* modules page-aligned, memory map wanted */
#define MB2_MAGIC	 0xe85250d6
#define PTE_TABLE	 0x003 /* present, writable */
#define PTE_2M		 0x083
#define CPUID_LM	 (1 << 29) /* 80000001:EDX */
#define CR4_PAE		 0x20
#define MSR_EFER	 0xc0000080
#define EFER_LME	 0x100
#define CR0_PG		 0x80000000
#define COM1		 0x3f8
#define DEBUG_PORT	 0xe9

#define PHYS(sym) ((sym) - IMAGE_BASE)

	.section .multiboot, "a"
	.balign 8
	.long MB1_MAGIC, MB1_ALIGN_MEMORY, -(MB1_MAGIC + MB1_ALIGN_MEMORY)
	.balign 8
mb2:	.long MB2_MAGIC, 0, mb2_end - mb2, -(MB2_MAGIC + (mb2_end - mb2))
	.short 6, 0		/* module alignment tag */
	.long 8
	.short 0, 0		/* end tag */
	.long 8
mb2_end:

	.section .boot, "ax"
	.code32
	.globl boot_entry
boot_entry:
	cli
	cld
	mov $PHYS(boot_stack_top), %esp
	mov %eax, %edi		/* boot_main's arguments */
	mov %ebx, %esi
	mov $0x80000000, %eax
	cpuid
	cmp $0x80000001, %eax
	jb no_long_mode
	mov $0x80000001, %eax
	cpuid
	test $CPUID_LM, %edx
	jz no_long_mode

	/* First 4 GiB in 2 MiB pages, seen at 0 and DIRECT_BASE; the first
	 * GiB at IMAGE_BASE. */
	mov $PHYS(boot_pd), %ebx
	mov $PTE_2M, %eax
	mov $2048, %ecx
1:	mov %eax, (%ebx)
	add $0x200000, %eax
	add $8, %ebx
	loop 1b
	mov $PHYS(boot_pdpt), %ebx
	mov $(PHYS(boot_pd) + PTE_TABLE), %eax
	mov %eax, 510 * 8 + 4096(%ebx)	/* boot_pdpt_image[510] */
	mov $4, %ecx
1:	mov %eax, (%ebx)
	add $4096, %eax
	add $8, %ebx
	loop 1b
	mov $PHYS(boot_pml4), %ebx
	movl $(PHYS(boot_pdpt) + PTE_TABLE), (%ebx)
	movl $(PHYS(boot_pdpt) + PTE_TABLE), 256 * 8(%ebx)
	movl $(PHYS(boot_pdpt) + 4096 + PTE_TABLE), 511 * 8(%ebx)

	mov %cr4, %eax
	or $CR4_PAE, %eax
	mov %eax, %cr4
	mov %ebx, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov %cr0, %eax
	or $CR0_PG, %eax
	mov %eax, %cr0
	lgdt boot_gdtr
	ljmp $SEL_CODE64, $1f
	.code64
1:	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	lgdt gdt_reg
	mov $boot_stack_top, %rsp
	xor %ebp, %ebp
	mov %edi, %edi
	mov %esi, %esi
	mov $boot_main, %rax
	call *%rax
1:	hlt
	jmp 1b

	.code32
no_long_mode:
	mov $no_long_mode_text, %esi
1:	lodsb
	test %al, %al
	jz 2f
	mov $COM1, %edx
	out %al, %dx
	out %al, $DEBUG_PORT
	jmp 1b
2:	hlt
	jmp 2b
no_long_mode_text:
	.asciz "luvalley: cannot start: CPU 0 has no 64-bit mode (CPUID 80000001h:EDX.LM); use a 64-bit CPU\r\n"

	.balign 8
boot_gdtr:
	.short 6 * 8 - 1
	.long boot_gdt
	.balign 8
boot_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0, 0x00cf9b000000ffff

	.code64
	.data
	.balign 8
	.globl gdt
gdt:	.quad 0
	.quad 0x00af9b000000ffff	/* SEL_CODE64 */
	.quad 0x00cf93000000ffff	/* SEL_DATA */
	.quad 0, 0			/* SEL_TSS: cpu.c fills it */
	.quad 0x00cf9b000000ffff	/* SEL_CODE32 */
gdt_end:
	.short 0, 0, 0
	.globl gdt_reg
gdt_reg:
	.short gdt_end - gdt - 1
	.quad gdt

	/*
	 * void relocate_switch(u64 cr3, void *dst, const void *src, u64 len)
	 * Copies the image, then runs the copy: CR3 maps the same addresses to
	 * it. The copy holds this call's return address as it is now.
	 */
	.text
	.globl relocate_switch
relocate_switch:
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	rep movsb
	mov %rax, %cr3
	ret

	/* void stack_switch(void *top, void (*f)(void)): f on a new stack. */
	.globl stack_switch
stack_switch:
	mov %rdi, %rsp
	xor %ebp, %ebp
	call *%rsi
1:	hlt
	jmp 1b

	.bss
	.balign 4096
	.globl boot_pml4
boot_pml4:
	.skip 4096
boot_pdpt:
	.skip 8192	/* second page: for the image */
boot_pd:
	.skip 4 * 4096
	.balign 16
	.skip 4096
	.globl boot_stack_top
boot_stack_top:
