/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.h - what boot sectors with more than one sector share: reading the
 * rest of themselves, and COM1. RUNTIME assembles its functions for the mode
 * that is current, 16, 32 or 64 bits; it runs in all of them from the same
 * addresses, with segments of base 0.
 */
#define COM1	  0x3f8
#define RX_TX	  COM1
#define LCR	  (COM1 + 3)
#define LSR	  (COM1 + 5)
#define THR_EMPTY 0x20
#define REST	  0x7e00 /* where the sectors after the first go */

/* ESI = the address of this string. */
.macro TEXT text:vararg
	.text	1
9:	.asciz	\text
	.text	0
	movl	$9b, %esi
.endm

/* Sectors 2 to 1 + COUNT of drive DL; carry set if they cannot be read. */
.macro READ_REST count
	movw	$(0x0200 + \count), %ax
	movw	$REST, %bx
	movw	$0x0002, %cx
	movb	$0, %dh
	int	$0x13
.endm

.macro SERIAL_INIT /* 115200 baud, 8 bits; changes AX and DX */
	movw	$LCR, %dx
	movb	$0x83, %al
	outb	%al, %dx
	movw	$RX_TX, %dx
	movw	$0x0001, %ax
	outw	%ax, %dx
	movw	$LCR, %dx
	movb	$3, %al
	outb	%al, %dx
.endm

/*
 * print: the string at ESI; changes ESI. putc: AL. hex: the ECX low digits of
 * EAX; changes ECX. All keep the rest.
 */
.macro RUNTIME bits
print\bits:
	pushw	%ax
1:	lodsb
	testb	%al, %al
	jz	2f
	call	putc\bits
	jmp	1b
2:	popw	%ax
	ret

putc\bits:
	pushw	%dx
	pushw	%ax
	movw	$LSR, %dx
1:	inb	%dx, %al
	testb	$THR_EMPTY, %al
	jz	1b
	popw	%ax
	movw	$RX_TX, %dx
	outb	%al, %dx
	popw	%dx
	ret

hex\bits:
	shlb	$2, %cl
	rorl	%cl, %eax	/* the first digit is at the top now */
	shrb	$2, %cl
1:	roll	$4, %eax
	pushw	%ax
	andb	$15, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	2f
	addb	$('A' - '9' - 1), %al
2:	call	putc\bits
	popw	%ax
	decb	%cl
	jnz	1b
	ret
.endm
