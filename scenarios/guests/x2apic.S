/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x2apic.S - a boot sector that starts the second CPU through the x2APIC and
 * says on COM1 how far it got. Real mode throughout; the second CPU starts at
 * 0000:8000, below a page that holds nothing else.
 * SDM "Extended XAPIC (x2APIC)", "Multiple-Processor Initialization".
 */
#define MSR_IA32_APIC_BASE	0x1b
#define APIC_BASE_X2APIC	(1 << 10)
#define APIC_BASE_ENABLE	(1 << 11)
#define MSR_X2APIC_APICID	0x802
#define MSR_X2APIC_ICR		0x830
#define ICR_INIT		0x4500	/* INIT, assert, edge */
#define ICR_SIPI		0x4608	/* start-up at 8000h */
#define AP_START		0x8000
#define AP_FLAG			0x0600	/* free RAM below the boot sector */
#define COM1			0x3f8

	.code16
	.globl	_start
_start:	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movl	%eax, AP_FLAG

	movw	$(COM1 + 3), %dx	/* 115200 baud, 8 bits */
	movb	$0x83, %al
	outb	%al, %dx
	movw	$COM1, %dx
	movw	$0x0001, %ax
	outw	%ax, %dx
	movw	$(COM1 + 3), %dx
	movb	$3, %al
	outb	%al, %dx

	movw	$ap, %si
	movw	$AP_START, %di
	movw	$(ap_end - ap), %cx
	rep movsb

	movl	$1, %eax
	cpuid
	btl	$21, %ecx
	movw	$msg_none, %si
	jnc	stop

	movl	$MSR_IA32_APIC_BASE, %ecx
	rdmsr
	orl	$(APIC_BASE_ENABLE | APIC_BASE_X2APIC), %eax
	wrmsr
	movl	$MSR_X2APIC_APICID, %ecx
	rdmsr
	movw	$msg_self, %si
	call	print
	addb	$'0', %al
	call	putc
	movw	$msg_line, %si
	call	print

	movl	$MSR_X2APIC_ICR, %ecx
	movl	$1, %edx		/* destination: APIC ID 1 */
	movl	$ICR_INIT, %eax
	wrmsr
	call	delay
	movl	$ICR_SIPI, %eax
	wrmsr
	call	delay
	movl	$ICR_SIPI, %eax		/* must change nothing */
	wrmsr
	call	delay

	movw	$msg_dead, %si
	cmpl	$0x4c554100, AP_FLAG	/* "LUA", written once */
	jne	stop
	movw	$msg_runs, %si
	call	print
	movw	$msg_done, %si
stop:	call	print
1:	hlt
	jmp	1b

/* Some ten million instructions; keeps every register. */
delay:	pushl	%ecx
	movl	$5000000, %ecx
1:	pause
	addr32 loop 1b
	popl	%ecx
	ret

/* print: the string at SI; uses SI. putc: AL. Both keep the rest. */
print:	pushw	%ax
1:	lodsb
	testb	%al, %al
	jz	2f
	call	putc
	jmp	1b
2:	popw	%ax
	ret

putc:	pushw	%dx
	pushw	%ax
	movw	$(COM1 + 5), %dx
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	popw	%ax
	movw	$COM1, %dx
	outb	%al, %dx
	popw	%dx
	ret

/* What the second CPU runs, moved to AP_START. */
ap:	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	addl	$0x4c554100, AP_FLAG
1:	hlt
	jmp	1b
ap_end:

msg_none: .asciz "x2apic: this CPU has none\r\n"
msg_self: .asciz "x2apic: boot CPU is "
msg_runs: .asciz "x2apic: CPU 1 runs"
msg_dead: .asciz "x2apic: CPU 1 did not start once\r\n"
msg_done: .asciz "\r\nx2apic: done\r\n"
msg_line: .asciz "\r\n"

	.org	510
	.word	0xaa55
