/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot-state.S - a boot sector that tells on COM1 what a BIOS hands over, so
 * that it can be compared with what Luvalley hands over. Lines that may differ
 * begin with "bare" or "luva", by the marker at 0:4F0.
 */
#include "guest.h"

#define SECTORS	 15
#define SCRATCH	 0x600 /* E820's row */
#define SMAP	 0x534d4150
#define IVT_15	 (0x15 * 4)
#define BDA	 0x400
#define BDA_BASE 0x413
#define MARKER	 0x4f0
#define LUVA	 0x4156554c
#define ROM	 0xc000	/* segment where option ROMs begin */

	.code16
	.globl	_start
_start:	movl	%eax, %cs:v_eax	/* CS's base is 0, or this is not found */
	movw	%ds, %cs:v_ds
	pushfl
	popl	%eax
	movl	%eax, %cs:v_flags
	movw	%cs, %cs:v_cs
	ljmp	$0, $1f
1:
	movl	%ebx, %cs:v_ebx
	movl	%ecx, %cs:v_ecx
	movl	%edx, %cs:v_edx
	movl	%esi, %cs:v_esi
	movl	%edi, %cs:v_edi
	movl	%ebp, %cs:v_ebp
	movl	%esp, %cs:v_esp
	movw	%es, %cs:v_es
	movw	%ss, %cs:v_ss
	movw	%fs, %cs:v_fs
	movw	%gs, %cs:v_gs
	sgdtl	%cs:v_gdtr + 2
	sidtl	%cs:v_idtr + 2
	movl	%cr0, %eax
	movl	%eax, %cs:v_cr0
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	inb	$0x21, %al
	movb	%al, v_pic
	inb	$0xa1, %al
	movb	%al, v_pic + 1
	inb	$0x92, %al
	movb	%al, v_a20
	/* The stack stays where it was: a BIOS's is good enough. */
	testw	$0x200, v_flags
	jz	1f
	sti
1:	cld
	READ_REST SECTORS
	jnc	more
1:	hlt
	jmp	1b

v_eax:	.long	0
v_ebx:	.long	0
v_ecx:	.long	0
v_edx:	.long	0
v_esi:	.long	0
v_edi:	.long	0
v_ebp:	.long	0
v_esp:	.long	0
v_flags: .long	0
v_cr0:	.long	0
v_gdtr:	.space	8
v_idtr:	.space	8
v_cs:	.word	0
v_ds:	.word	0
v_es:	.word	0
v_ss:	.word	0
v_fs:	.word	0
v_gs:	.word	0
v_pic:	.word	0
v_a20:	.byte	0

	.org	510
	.word	0xaa55

	RUNTIME	16

/* SHOW name, digits, value: " NAME VALUE"; changes EAX, ECX and ESI. */
.macro SHOW name, digits, value
	TEXT	" \name "
	call	print16
	movl	\value, %eax
	movl	$\digits, %ecx
	call	hex16
.endm

.macro LINE name
	TEXT	"\r\nstate: \name"
	call	print16
.endm

/* A line that may differ. */
.macro MINE name
	call	who
	TEXT	" \name"
	call	print16
.endm

who:	TEXT	"\r\nbare:"
	cmpl	$LUVA, MARKER
	jne	print16
	TEXT	"\r\nluva:"
	jmp	print16

more:	SERIAL_INIT
	LINE	"registers"
	SHOW	"EAX", 8, v_eax
	SHOW	"EBX", 8, v_ebx
	SHOW	"ECX", 8, v_ecx
	SHOW	"ESI", 8, v_esi
	SHOW	"EDI", 8, v_edi
	SHOW	"EBP", 8, v_ebp
	LINE	"segments"
	SHOW	"CS", 4, v_cs
	SHOW	"DS", 4, v_ds
	SHOW	"ES", 4, v_es
	SHOW	"FS", 4, v_fs
	SHOW	"GS", 4, v_gs
	SHOW	"SS", 4, v_ss
	SHOW	"ESP", 8, v_esp
	LINE	"flags"
	SHOW	"EFLAGS", 8, v_flags
	SHOW	"CR0", 8, v_cr0
	LINE	"tables"
	SHOW	"GDTR", 4, v_gdtr + 2
	SHOW	"base", 8, v_gdtr + 4
	SHOW	"IDTR", 4, v_idtr + 2
	SHOW	"base", 8, v_idtr + 4
	MINE	"drive"
	SHOW	"EDX", 8, v_edx
	LINE	"PIC"
	SHOW	"masks", 4, v_pic
	call	a20
	call	ivt
	call	bda
	call	memory
	call	cpu
	MINE	"marker"
	SHOW	"4F0", 8, MARKER
	LINE	"done\r\n"
1:	hlt
	jmp	1b

/* Port 92h, and whether 1 MiB is another place than 0. */
a20:	LINE	"A20"
	SHOW	"port 92", 2, v_a20
	movw	$0xffff, %ax
	movw	%ax, %fs
	movl	$0x12345678, SCRATCH
	movl	%fs:(SCRATCH + 16), %ebx
	notl	SCRATCH
	xorl	%fs:(SCRATCH + 16), %ebx
	TEXT	" on"
	jz	print16
	TEXT	" off"
	jmp	print16

/* The sum of all vectors but 15h, and those that do not point into ROM. */
ivt:	LINE	"IVT"
	xorl	%eax, %eax
	xorw	%bx, %bx
1:	cmpw	$IVT_15, %bx
	je	2f
	roll	$1, %eax
	addl	(%bx), %eax
2:	addw	$4, %bx
	cmpw	$0x400, %bx
	jb	1b
	movl	%eax, SCRATCH
	SHOW	"sum", 8, SCRATCH
	TEXT	" RAM"
	call	print16
	xorw	%bx, %bx
3:	cmpw	$IVT_15, %bx
	je	4f
	cmpl	$0, (%bx)
	je	4f
	cmpw	$ROM, 2(%bx)
	jae	4f
	movb	$' ', %al
	call	putc16
	movw	%bx, %ax
	shrw	$2, %ax
	movl	$2, %ecx
	call	hex16
	SHOW	"to", 8, (%bx)
4:	addw	$4, %bx
	cmpw	$0x400, %bx
	jb	3b
	MINE	"vector"
	SHOW	"15", 8, IVT_15
	ret

/* The BIOS data area, its base memory apart and without the time of day. */
bda:	LINE	"BDA"
	movw	$BDA, %bx
1:	testb	$15, %bl
	jnz	2f
	TEXT	"\r\nstate:"
	call	print16
2:	movb	$' ', %al
	call	putc16
	movb	(%bx), %al
	cmpw	$(BDA + 0x13), %bx
	je	4f
	cmpw	$(BDA + 0x14), %bx
	je	4f
	cmpw	$(BDA + 0x6c), %bx
	jb	3f
	cmpw	$(BDA + 0x6f), %bx
	jbe	4f
3:	movl	$2, %ecx
	call	hex16
5:	incw	%bx
	cmpw	$MARKER, %bx
	jb	1b
	MINE	"base memory"
	SHOW	"40:13", 4, BDA_BASE
	int	$0x12
	movw	%ax, SCRATCH
	SHOW	"INT 12", 4, SCRATCH
	ret
4:	TEXT	"--"
	call	print16
	jmp	5b

/* EDX:EAX without leading zeros; changes all but EBX. */
number:	movw	$16, %cx
	xorw	%di, %di	/* 0 until the first digit */
1:	movl	%edx, %esi
	shldl	$4, %eax, %edx
	shll	$4, %eax
	shrl	$28, %esi
	orw	%si, %di
	jnz	2f
	cmpw	$1, %cx
	jne	3f
2:	pushl	%eax
	pushw	%cx
	movl	%esi, %eax
	movw	$1, %cx
	call	hex16
	popw	%cx
	popl	%eax
3:	loop	1b
	ret

/* The rows, BASE+LENGTH/TYPE each. */
memory:	MINE	"E820"
	xorl	%ebx, %ebx
1:	movl	$0xe820, %eax
	movl	$SMAP, %edx
	movl	$24, %ecx
	movw	$SCRATCH, %di
	int	$0x15
	jc	2f
	cmpl	$SMAP, %eax
	jne	2f
	cmpl	$20, %ecx
	jne	2f
	movb	$' ', %al
	call	putc16
	movl	SCRATCH, %eax
	movl	SCRATCH + 4, %edx
	call	number
	movb	$'+', %al
	call	putc16
	movl	SCRATCH + 8, %eax
	movl	SCRATCH + 12, %edx
	call	number
	movb	$'/', %al
	call	putc16
	movl	SCRATCH + 16, %eax
	movl	$1, %ecx
	call	hex16
	testl	%ebx, %ebx
	jnz	1b
2:	movl	$0xe801, %eax
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	int	$0x15
	call	keep
	MINE	"E801"
	call	kept
	movl	$0x8800, %eax
	int	$0x15
	call	keep
	MINE	"88"
	SHOW	"AX", 4, SCRATCH
	SHOW	"CF", 1, SCRATCH + 16
	/* Refused by both, or not: no such row, a buffer too small, no SMAP. */
	movl	$0xe820, %eax
	movl	$SMAP, %edx
	movl	$19, %ecx
	xorl	%ebx, %ebx
	int	$0x15
	call	keep
	LINE	"E820 of 19 bytes"
	SHOW	"CF", 1, SCRATCH + 16
	movl	$0xe820, %eax
	movl	$(SMAP + 1), %edx
	movl	$20, %ecx
	xorl	%ebx, %ebx
	int	$0x15
	call	keep
	LINE	"E820 without SMAP"
	SHOW	"CF", 1, SCRATCH + 16
	movl	$0xe881, %eax
	int	$0x15
	call	keep
	LINE	"E881"
	SHOW	"CF", 1, SCRATCH + 16
	/* One that the VMM passes on: the configuration table. */
	movw	$0xc000, %ax
	int	$0x15
	pushw	%es
	popw	%fs
	movw	$0, %cx
	movw	%cx, %es
	call	keep
	movw	%fs, SCRATCH
	LINE	"INT 15 C0"
	SHOW	"ES", 4, SCRATCH
	SHOW	"BX", 4, SCRATCH + 4
	SHOW	"CF", 1, SCRATCH + 16
	ret

/* EAX..EDX and CF to SCRATCH. */
keep:	movl	%eax, SCRATCH
	movl	%ebx, SCRATCH + 4
	movl	%ecx, SCRATCH + 8
	movl	%edx, SCRATCH + 12
	setc	SCRATCH + 16
	ret

kept:	SHOW	"AX", 4, SCRATCH
	SHOW	"BX", 4, SCRATCH + 4
	SHOW	"CX", 4, SCRATCH + 8
	SHOW	"DX", 4, SCRATCH + 12
	SHOW	"CF", 1, SCRATCH + 16
	ret

cpu:	movl	$1, %eax
	cpuid
	shrl	$5, %ecx
	movl	%ecx, %eax
	shrl	$26, %eax
	andl	$1, %ecx
	movl	%ecx, SCRATCH
	movl	%eax, SCRATCH + 4
	movl	$0x80000001, %eax
	cpuid
	shrl	$2, %ecx
	andl	$1, %ecx
	movl	%ecx, SCRATCH + 8
	MINE	"CPUID"
	SHOW	"VMX", 1, SCRATCH
	SHOW	"SVM", 1, SCRATCH + 8
	SHOW	"hypervisor", 1, SCRATCH + 4
	ret
