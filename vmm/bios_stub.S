/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bios_stub.S - real-mode code that runs as dom0, from one KiB at the top of
 * base memory where bios.c puts it. Position-independent within its segment.
 * The VMM knows its calls by their offsets. bios.c writes VMCALL or VMMCALL
 * over each three-byte NOP, and the old INT 15h vector into bios_old15.
 */
	.section .rodata
	.code16
	.globl bios_stub, bios_int15, bios_start, bios_drive, bios_old15
	.globl bios_call15, bios_call_go, bios_call_fail, bios_linux, bios_stub_end

bios_stub:
	/* INT 15h: ours are E820h, E801h and AH=88h. */
bios_int15:
	cmp $0xe820, %ax
	je 1f
	cmp $0xe801, %ax
	je 1f
	cmp $0x88, %ah
	je 1f
	.byte 0xea		/* far jump */
bios_old15:
	.short 0, 0
1:
bios_call15:
	.byte 0, 0, 0
	iret

	/* Read the boot sector of bios_drive to 0:7C00 and jump there. */
bios_start:
	cli
	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0x7c00, %sp
	sti
	mov $0x0003, %ax	/* text mode, as a BIOS leaves it */
	int $0x10
	mov $3, %bp		/* tries */
1:	mov $0x0201, %ax	/* read one sector: cylinder 0, head 0, sector 1 */
	mov $0x7c00, %bx
	mov $0x0001, %cx
	mov $0, %dh
	.byte 0xb2		/* mov $drive, %dl */
bios_drive:
	.byte 0
	int $0x13
	jnc 2f
	xor %ax, %ax		/* reset the drive, try again */
	int $0x13
	dec %bp
	jnz 1b
	jmp 3f
2:	cmpw $0xaa55, 0x7dfe
	jne 3f
bios_call_go:
	.byte 0, 0, 0
	xor %bx, %bx
	xor %cx, %cx
	mov %bx, %si
	mov %bx, %di
	mov %bx, %bp
	mov %cs:(bios_drive - bios_stub), %dl
	mov $0, %dh
	mov $0xaa55, %ax
	ljmp $0, $0x7c00
	/* Start a Linux kernel: set-up code at 9000:0, entered at 9020:0. */
bios_linux:
	cli
	mov $0x9000, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0xe000, %sp
	ljmp $0x9020, $0

3:
bios_call_fail:
	.byte 0, 0, 0
	cli
	hlt
bios_stub_end:
