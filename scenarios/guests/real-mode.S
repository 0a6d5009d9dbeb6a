/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * real-mode.S - a boot sector whose instructions exit in real mode, protected
 * mode, with PAE paging and in long mode, and that sees whether anything is
 * unlike on a CPU. One line a check on COM1.
 * SDM "Instructions That Cause VM Exits", "Single-Step Exception Condition",
 * "STI - Set Interrupt Flag"; APM "Instruction Intercepts".
 */
#include "guest.h"

#define SECTORS	 40
#define ROW	 0x600	/* E820's */
#define SMAP	 0x534d4150
#define PDPT_PAE 0x10000
#define PML4	 0x11000
#define PDPT	 0x12000
#define PD	 0x13000 /* four of them */
#define ALIAS	 0x40000000 /* where the tables show address 0 again */

#define IDT32	 0xf000
#define IDT64	 0xf100

/*
 * Variables: what an exception leaves, what a check wants, what the machine
 * is. Numbers, for 64-bit code in a 32-bit object has no other addresses.
 */
#define VARS	   0x700
#define VARS_LEN   0x40
#define seen_ip	   VARS
#define seen_dr6   (VARS + 0x04)
#define want_ip	   (VARS + 0x08)
#define resume	   (VARS + 0x0c) /* where a handler goes; 0: back */
#define failures   (VARS + 0x10)
#define checks	   (VARS + 0x14)
#define vmm_base   (VARS + 0x18) /* of the hidden memory; 0: none */
#define vmm_len	   (VARS + 0x1c)
#define absent_msr (VARS + 0x20)
#define policy_msr (VARS + 0x24)
#define apic_base  (VARS + 0x28)
#define seen_vec   (VARS + 0x2c)
#define seen_count (VARS + 0x2d)
#define want_vec   (VARS + 0x2e)
#define want_count (VARS + 0x2f)
#define bool	   (VARS + 0x30)
#define qemu	   (VARS + 0x31) /* TCG: laxer than a CPU */
#define bochs_svm  (VARS + 0x32) /* lets a guest set PG without PE */
#define xsave	   (VARS + 0x33)

#define CODE32	 0x08
#define DATA32	 0x10
#define CODE16	 0x18
#define DATA16	 0x20
#define CODE64	 0x28

#define VEC_DB	 1
#define VEC_UD	 6
#define VEC_IRQ0 8
#define VEC_GP	 13

#define MSR_APIC_BASE	0x1b
#define MSR_FEATURE_CONTROL 0x3a
#define MSR_VMX_BASIC	0x480
#define MSR_EFER	0xc0000080
#define MSR_VM_CR	0xc0010114
#define MSR_VM_HSAVE_PA	0xc0010117
#define MSR_NONE	0x12345
#define EFER_LME	0x100
#define EFER_LMA	0x400
#define EFER_SVME	0x1000
#define CR0_PE		0x1
#define CR0_MP		0x2
#define CR0_TS		0x8
#define CR0_NE		0x20
#define CR0_NW		0x20000000
#define CR0_PG		0x80000000
#define CR4_PAE		0x20
#define CR4_VMXE	0x2000
#define CR4_SMXE	0x4000
#define CR4_RESERVED	0x8000
#define CR4_OSXSAVE	0x40000

	.code16
	.set	bits, 16
	.globl	_start
_start:	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	ljmp	$0, $1f
1:	READ_REST SECTORS
	jnc	main16
1:	hlt
	jmp	1b

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00009b000000ffff
	.quad	0x000093000000ffff
	.quad	0x00af9b000000ffff
gdtr:	.word	. - gdt - 1
	.long	gdt
idtr16:	.word	0x3ff
	.long	0
idtr32:	.word	16 * 8 - 1
	.long	IDT32
idtr64:	.word	16 * 16 - 1
	.quad	IDT64

	.org	510
	.word	0xaa55

/* --- checks ----------------------------------------------------------------- */

.macro INVOKE f
	.if bits == 16
	call	\f\()16
	.elseif bits == 32
	call	\f\()32
	.else
	call	\f\()64
	.endif
.endm

.macro NAME name
	.if bits == 16
	TEXT	"real \name"
	.elseif bits == 32
	TEXT	"prot \name"
	.else
	TEXT	"long \name"
	.endif
	INVOKE	print
.endm

/* This instruction must fault, once and as itself. ESI changes. */
.macro FAULT name, vec, insn:vararg
	NAME	"\name"
	movl	$.Lend\@, resume
	movl	$.Lat\@, want_ip
	movb	$\vec, want_vec
	movb	$1, want_count
.Lat\@:	\insn
.Lend\@:	INVOKE	judge
.endm

/* This one must not. */
.macro PLAIN name, insn:vararg
	NAME	"\name"
	movl	$.Lend\@, resume
	movb	$0, want_count
	\insn
.Lend\@:	INVOKE	judge
.endm

/* After this instruction there is one #DB. EDI changes. */
.macro STEP name, insn:vararg
	NAME	"\name"
	movl	$0, resume
	movl	$.Lat\@, want_ip
	movb	$VEC_DB, want_vec
	movb	$1, want_count
	.if bits == 64
	pushfq
	orl	$0x100, (%rsp)
	popfq
	.else
	pushfl
	popl	%edi
	orl	$0x100, %edi
	pushl	%edi
	popfl
	.endif
	\insn
.Lat\@:	nop
	nop
	INVOKE	judge
	andl	$0x4000, seen_dr6
	CHECK	nz, "  DR6.BS"
.endm

/* The condition must hold. */
.macro CHECK cc, name
	set\cc	bool
	NAME	"\name"
	INVOKE	verdict
.endm

.macro CPUID_SS
	movw	%bp, %ss
	cpuid
.endm

.macro CHECKS bits
judge\bits:
	movb	$0, bool
	movb	seen_count, %al
	cmpb	want_count, %al
	jne	verdict\bits
	movb	$1, bool
	testb	%al, %al
	jz	verdict\bits
	movb	$0, bool
	movb	seen_vec, %al
	cmpb	want_vec, %al
	jne	verdict\bits
	movl	seen_ip, %eax
	cmpl	want_ip, %eax
	jne	verdict\bits
	movb	$1, bool

verdict\bits:
	incl	checks
	TEXT	": ok\r\n"
	cmpb	$1, bool
	je	1f
	incl	failures
	TEXT	": BAD, vector "
	call	print\bits
	movzbl	seen_vec, %eax
	movl	$2, %ecx
	call	hex\bits
	TEXT	" times "
	call	print\bits
	movzbl	seen_count, %eax
	movl	$2, %ecx
	call	hex\bits
	TEXT	" at "
	call	print\bits
	movl	seen_ip, %eax
	movl	$8, %ecx
	call	hex\bits
	TEXT	" instead of "
	call	print\bits
	movl	want_ip, %eax
	movl	$8, %ecx
	call	hex\bits
	TEXT	"\r\n"
1:	movb	$0, seen_count
	movl	$0, resume
	jmp	print\bits
.endm

/* --- handlers --------------------------------------------------------------- */

.macro HANDLER16 vec
on\vec\()_16:
	pushl	%eax
	pushw	%bp
	movw	%sp, %bp
	movzwl	6(%bp), %eax
	movl	%eax, seen_ip
	movb	$\vec, seen_vec
	incb	seen_count
	.if \vec == VEC_DB
	movl	%dr6, %eax
	movl	%eax, seen_dr6
	xorl	%eax, %eax
	movl	%eax, %dr6
	.endif
	.if \vec == VEC_IRQ0
	movb	$0x20, %al
	outb	%al, $0x20
	.endif
	andb	$~1, 11(%bp)	/* TF */
	movl	resume, %eax
	testl	%eax, %eax
	jz	1f
	movw	%ax, 6(%bp)
1:	popw	%bp
	popl	%eax
	iretw
.endm

.macro HANDLER32 vec, error
on\vec\()_32:
	pushl	%eax
	movl	4+\error(%esp), %eax
	movl	%eax, seen_ip
	movb	$\vec, seen_vec
	incb	seen_count
	.if \vec == VEC_DB
	movl	%dr6, %eax
	movl	%eax, seen_dr6
	xorl	%eax, %eax
	movl	%eax, %dr6
	.endif
	andb	$~1, 13+\error(%esp)
	movl	resume, %eax
	testl	%eax, %eax
	jz	1f
	movl	%eax, 4+\error(%esp)
1:	popl	%eax
	.if \error
	addl	$4, %esp
	.endif
	iretl
.endm

.macro HANDLER64 vec, error
on\vec\()_64:
	pushq	%rax
	movl	8+2*\error(%rsp), %eax
	movl	%eax, seen_ip
	movb	$\vec, seen_vec
	incb	seen_count
	.if \vec == VEC_DB
	movq	%dr6, %rax
	movl	%eax, seen_dr6
	xorl	%eax, %eax
	movq	%rax, %dr6
	.endif
	andb	$~1, 25+2*\error(%rsp)
	movl	resume, %eax
	testl	%eax, %eax
	jz	1f
	movl	%eax, 8+2*\error(%rsp)
1:	popq	%rax
	.if \error
	addq	$8, %rsp
	.endif
	iretq
.endm

/* --- in every mode ---------------------------------------------------------- */

.macro MOV_CR cr, from		/* CRn = EAX, or EAX = CRn */
	.if bits == 64
	.if \from
	movq	%cr\cr, %rax
	.else
	movq	%rax, %cr\cr
	.endif
	.else
	.if \from
	movl	%cr\cr, %eax
	.else
	movl	%eax, %cr\cr
	.endif
	.endif
.endm

.macro UD name, bytes:vararg
	movl	$0x12345000, %eax	/* no number of Luvalley's; a page, for VMRUN */
	movl	$ROW, %edi
	movl	$ROW, %ebx
	FAULT	"\name is #UD", VEC_UD, .byte \bytes
.endm

.macro COMMON
	STEP	"#DB after CPUID", cpuid
	movb	$0x0d, %al
	STEP	"#DB after OUT to port 70h", outb %al, $0x70
	cmpb	$0, qemu	/* TCG steps between the two */
	jne	1001f
	movw	%ss, %bp
	STEP	"#DB after MOV SS and CPUID", CPUID_SS
1001:	UD	"VMCALL", 0x0f, 0x01, 0xc1
	UD	"VMMCALL", 0x0f, 0x01, 0xd9
	UD	"VMLAUNCH", 0x0f, 0x01, 0xc2
	UD	"VMRESUME", 0x0f, 0x01, 0xc3
	UD	"VMXOFF", 0x0f, 0x01, 0xc4
	UD	"VMFUNC", 0x0f, 0x01, 0xd4
	UD	"VMXON", 0xf3, 0x0f, 0xc7, 0x37
	UD	"VMCLEAR", 0x66, 0x0f, 0xc7, 0x37
	UD	"VMPTRLD", 0x0f, 0xc7, 0x37
	UD	"VMPTRST", 0x0f, 0xc7, 0x3f
	UD	"VMREAD", 0x0f, 0x78, 0xc0
	UD	"VMWRITE", 0x0f, 0x79, 0xc0
	UD	"INVEPT", 0x66, 0x0f, 0x38, 0x80, 0x07
	UD	"INVVPID", 0x66, 0x0f, 0x38, 0x81, 0x07
	UD	"GETSEC", 0x0f, 0x37
	UD	"VMRUN", 0x0f, 0x01, 0xd8
	UD	"VMLOAD", 0x0f, 0x01, 0xda
	UD	"VMSAVE", 0x0f, 0x01, 0xdb
	UD	"STGI", 0x0f, 0x01, 0xdc
	UD	"CLGI", 0x0f, 0x01, 0xdd
	UD	"SKINIT", 0x0f, 0x01, 0xde
	UD	"INVLPGA", 0x0f, 0x01, 0xdf
	PLAIN	"INVD", invd
	PLAIN	"WBINVD", wbinvd
	cmpb	$0, qemu	/* TCG reads 0 */
	jne	1002f
	movl	$MSR_NONE, %ecx
	FAULT	"RDMSR of none is #GP", VEC_GP, rdmsr
	movl	$MSR_NONE, %ecx
	FAULT	"WRMSR of none is #GP", VEC_GP, wrmsr
1002:	movl	absent_msr, %ecx
	FAULT	"RDMSR of a hidden one is #GP", VEC_GP, rdmsr
	movl	absent_msr, %ecx
	FAULT	"WRMSR of a hidden one is #GP", VEC_GP, wrmsr
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_SVME, %eax
	FAULT	"EFER.SVME is #GP", VEC_GP, wrmsr
	cmpl	$0, vmm_base
	jne	1006f
	cmpb	$0, qemu	/* bare TCG hangs */
	jne	1007f
1006:	MOV_CR	4, 1
	orl	$CR4_VMXE, %eax
	FAULT	"CR4.VMXE is #GP", VEC_GP, MOV_CR 4, 0
	MOV_CR	4, 1
	orl	$CR4_SMXE, %eax
	FAULT	"CR4.SMXE is #GP", VEC_GP, MOV_CR 4, 0
	MOV_CR	4, 1
	orl	$CR4_RESERVED, %eax
	FAULT	"a reserved bit of CR4 is #GP", VEC_GP, MOV_CR 4, 0
	MOV_CR	4, 1
	testl	$(CR4_VMXE | CR4_SMXE | CR4_RESERVED), %eax
	CHECK	z, "  CR4 has none of them"
1007:	cmpl	$0, vmm_base
	je	1003f
	movl	$MSR_APIC_BASE, %ecx
	rdmsr
	movl	%eax, apic_base
	movl	%eax, %ebx
	andl	$0xfff, %eax
	orl	vmm_base, %eax
	FAULT	"APIC base on the VMM is #GP", VEC_GP, wrmsr
	movl	$MSR_APIC_BASE, %ecx
	rdmsr
	cmpl	apic_base, %eax
	CHECK	e, "  and stays"
1003:	cmpb	$0, xsave
	je	1004f
	movl	$1, %eax
	cpuid
	testl	$(1 << 27), %ecx
	CHECK	z, "CPUID without OSXSAVE"
	movl	$0, %ecx
	movl	$0, %edx
	FAULT	"XSETBV without OSXSAVE is #UD", VEC_UD, xsetbv
	MOV_CR	4, 1
	orl	$CR4_OSXSAVE, %eax
	MOV_CR	4, 0
	movl	$1, %eax
	cpuid
	testl	$(1 << 27), %ecx
	CHECK	nz, "CPUID with OSXSAVE"
	movl	$0, %ecx
	movl	$0, %edx
	movl	$0, %eax
	FAULT	"XSETBV of 0 is #GP", VEC_GP, xsetbv
	movl	$77, %ecx
	movl	$0, %edx
	movl	$1, %eax
	FAULT	"XSETBV of XCR77 is #GP", VEC_GP, xsetbv
	movl	$0, %ecx
	xgetbv
	PLAIN	"XSETBV of XGETBV", xsetbv
	MOV_CR	4, 1
	andl	$~CR4_OSXSAVE, %eax
	MOV_CR	4, 0
1004:
.endm

/* CR0.NE is what VMX wants set: it is toggled with and without other bits. */
.macro CR0_CHECKS
	MOV_CR	0, 1
	movl	%eax, %ebx
	andl	$~(CR0_NE | CR0_TS), %eax
	MOV_CR	0, 0
	MOV_CR	0, 1
	testl	$(CR0_NE | CR0_TS), %eax
	CHECK	z, "CR0.NE can be cleared"
	MOV_CR	0, 1
	orl	$(CR0_NE | CR0_TS), %eax
	MOV_CR	0, 0
	MOV_CR	0, 1
	notl	%eax
	testl	$(CR0_NE | CR0_TS), %eax
	CHECK	z, "CR0.NE and TS can be set"
	clts
	MOV_CR	0, 1
	andl	$(CR0_NE | CR0_TS), %eax
	cmpl	$CR0_NE, %eax
	CHECK	e, "CLTS leaves NE"
	MOV_CR	0, 1
	andl	$~CR0_NE, %eax
	MOV_CR	0, 0
	smsww	%ax
	andw	$1, %ax		/* PE stays */
	orw	$(CR0_TS | CR0_MP), %ax
	lmsw	%ax
	smsww	%ax
	andw	$(CR0_TS | CR0_MP | CR0_NE), %ax
	cmpw	$(CR0_TS | CR0_MP), %ax
	CHECK	e, "LMSW sets TS and MP, SMSW shows no NE"
	MOV_CR	0, 1
	movl	%eax, %edx
	andl	$(CR0_TS | CR0_MP | CR0_NE), %eax
	cmpl	$(CR0_TS | CR0_MP), %eax
	CHECK	e, "  nor does CR0"
	cmpb	$0, qemu
	jne	1005f
	movl	%edx, %eax
	andl	$~0x60000000, %eax
	orl	$(CR0_NE | CR0_NW), %eax
	FAULT	"CR0.NW without CD is #GP", VEC_GP, MOV_CR 0, 0
	MOV_CR	0, 1
	cmpl	%edx, %eax
	CHECK	e, "  and changes nothing"
1005:	movl	%ebx, %eax
	MOV_CR	0, 0
	MOV_CR	0, 1
	cmpl	%ebx, %eax
	CHECK	e, "CR0 is as before"
.endm

/* --- real mode -------------------------------------------------------------- */

	RUNTIME	16
	CHECKS	16
	HANDLER16 1
	HANDLER16 6
	HANDLER16 8
	HANDLER16 13

main16:	cli
	movw	$on1_16, 1 * 4
	movw	%ds, 1 * 4 + 2
	movw	$on6_16, 6 * 4
	movw	%ds, 6 * 4 + 2
	movw	$VARS, %di
	movw	$VARS_LEN, %cx
	xorb	%al, %al
	rep stosb
	SERIAL_INIT
	TEXT	"\r\nreal-mode: start\r\n"
	call	print16
	call	machine
	call	find_vmm
	/* No BIOS from here on: its timer and #GP are ours. */
	movb	$0xff, %al
	outb	%al, $0x21
	outb	%al, $0xa1
	movw	$on8_16, 8 * 4
	movw	%ds, 8 * 4 + 2
	movw	$on13_16, 13 * 4
	movw	%ds, 13 * 4 + 2
	COMMON
	CR0_CHECKS
	movb	qemu, %al
	orb	bochs_svm, %al
	jnz	1f
	movl	%cr0, %eax
	xorl	$CR0_NE, %eax
	orl	$CR0_PG, %eax
	FAULT	"CR0.PG without PE is #GP", VEC_GP, movl %eax, %cr0
1:	call	shadows
	call	tables
	lgdtl	gdtr
	lidtl	idtr32
	movl	%cr0, %eax
	orl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$CODE32, $main32

/* Back from the other modes. FS has a limit of 4 GiB yet. */
back16:	movl	%cr0, %eax
	andl	$~CR0_PE, %eax
	movl	%eax, %cr0
	ljmp	$0, $1f
1:	lidtl	idtr16
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	PLAIN	"CPUID after all modes", cpuid
	movl	$(0x100000 + ROW), %ebx
	movl	$0x600dcafe, %fs:(%ebx)
	PLAIN	"CPUID in unreal mode", cpuid
	movl	$(0x100000 + ROW), %ebx
	cmpl	$0x600dcafe, %fs:(%ebx)
	CHECK	e, "  FS keeps its limit"
	cmpl	$0, vmm_base
	je	1f
	movl	vmm_base, %ebx
	addl	vmm_len, %ebx
	cmpl	$-1, %fs:-8(%ebx)
	CHECK	e, "the VMM's memory is ones"
1:	TEXT	"real-mode: checks "
	call	print16
	movl	checks, %eax
	movl	$2, %ecx
	call	hex16
	TEXT	" failures "
	call	print16
	movl	failures, %eax
	movl	$2, %ecx
	call	hex16
	TEXT	"\r\nreal-mode: all ok\r\n"
	cmpl	$0, failures
	je	2f
	TEXT	"\r\nreal-mode: FAILED\r\n"
2:	call	print16
3:	hlt
	jmp	3b

/*
 * Whose CPU, with what, and is it QEMU's (fw_cfg's signature) or Bochs' (the
 * RSDP's OEM)?
 */
machine:
	movl	$MSR_VM_HSAVE_PA, absent_msr
	movl	$MSR_VM_CR, policy_msr
	xorl	%eax, %eax
	cpuid
	cmpl	$0x6c65746e, %ecx	/* "ntel" */
	jne	1f
	movl	$MSR_VMX_BASIC, absent_msr
	movl	$MSR_FEATURE_CONTROL, policy_msr
1:	movl	$1, %eax
	cpuid
	btl	$26, %ecx
	setc	xsave
	movw	$0x510, %dx
	xorw	%ax, %ax
	outw	%ax, %dx
	incw	%dx
	inb	%dx, %al
	cmpb	$'Q', %al
	jne	2f
	inb	%dx, %al
	cmpb	$'E', %al
	sete	qemu
	je	4f
2:	cmpl	$MSR_VM_CR, policy_msr
	jne	4f
	movw	$0xf000, %ax
	movw	%ax, %fs
	xorw	%bx, %bx
3:	cmpl	$0x20445352, %fs:(%bx)		/* "RSD " */
	jne	5f
	cmpl	$0x48434f42, %fs:9(%bx)		/* "BOCH" */
	sete	bochs_svm
	je	4f
5:	addw	$16, %bx
	jnz	3b
4:	ret

/* The reserved row above 1 MiB that is aligned to 2 MiB at both ends. */
find_vmm:
	xorl	%ebx, %ebx
1:	movl	$0xe820, %eax
	movl	$SMAP, %edx
	movl	$20, %ecx
	movw	$ROW, %di
	int	$0x15
	jc	3f
	cmpl	$2, ROW + 16
	jne	2f
	movl	ROW, %eax
	movl	ROW + 8, %ecx
	cmpl	$0x100000, %eax
	jb	2f
	cmpl	$0xc0000000, %eax
	jae	2f
	movl	%eax, %edx
	orl	%ecx, %edx
	testl	$0x1fffff, %edx
	jnz	2f
	movl	%eax, vmm_base
	movl	%ecx, vmm_len
2:	testl	%ebx, %ebx
	jnz	1b
3:	cli
	cmpl	$0, vmm_base
	CHECK	ne, "E820 has the VMM's row"
	ret

/* An interrupt that waits is taken behind the instruction behind STI. */
.macro SHADOW name, insn:vararg
	NAME	"\name"
	movb	$0x30, %al	/* count once */
	outb	%al, $0x43
	movb	$100, %al
	outb	%al, $0x40
	xorb	%al, %al
	outb	%al, $0x40
.Lcount\@:
	movb	$0xe2, %al	/* its output is high: there will be no other */
	outb	%al, $0x43
	inb	$0x40, %al
	testb	$0x80, %al
	jz	.Lcount\@
	movb	$0xfe, %al
	outb	%al, $0x21
	movb	$0x0a, %al	/* which requests wait? */
	outb	%al, $0x20
.Lwait\@:
	inb	$0x20, %al
	testb	$1, %al
	jz	.Lwait\@
	movl	$0, resume
	movl	$.Lat\@, want_ip
	movb	$VEC_IRQ0, want_vec
	movb	$1, want_count
	movb	$0x0d, %al
	sti
	\insn
.Lat\@:	nop
	cli
	movb	$0xff, %al
	outb	%al, $0x21
	call	judge16
.endm

shadows:
	SHADOW	"interrupt behind STI, NOP", nop
	SHADOW	"interrupt behind STI, CPUID", cpuid
	SHADOW	"interrupt behind STI, HLT", hlt
	SHADOW	"interrupt behind STI, OUT", outb %al, $0x70
	ret

/* Identity of 4 GiB in 2 MiB pages, but ALIAS; and the descriptor tables. */
tables:	movw	$(PD / 16), %ax
	movw	%ax, %es
	xorw	%di, %di
	movl	$0x83, %eax
	movw	$2048, %cx
1:	movl	%eax, %es:(%di)
	movl	$0, %es:4(%di)
	addl	$0x200000, %eax
	addw	$8, %di
	loop	1b
	movl	$0x83, %es:(512 * 8)
	movw	$(PDPT_PAE / 16), %ax
	movw	%ax, %es
	xorl	%eax, %eax
	xorw	%di, %di
	movw	$(3 * 4096 / 4), %cx
	rep stosl
	movl	$(PD + 1), %eax
	xorw	%di, %di
	movw	$4, %cx
2:	movl	%eax, %es:(%di)
	orl	$2, %eax
	movl	%eax, %es:(PDPT - PDPT_PAE)(%di)
	andl	$~2, %eax
	addl	$4096, %eax
	addw	$8, %di
	loop	2b
	movl	$(PDPT + 3), %es:(PML4 - PDPT_PAE)
	xorw	%ax, %ax
	movw	%ax, %es
	movw	$IDT32, %di
	movw	$((IDT64 - IDT32 + 256) / 2), %cx
	rep stosw
.macro GATE vec
	movw	$on\vec\()_32, IDT32 + 8 * \vec
	movl	$(0x8e000000 | CODE32), IDT32 + 8 * \vec + 2
	movb	$0x8e, IDT32 + 8 * \vec + 5
	movb	$0, IDT32 + 8 * \vec + 4
	movw	$on\vec\()_64, IDT64 + 16 * \vec
	movw	$CODE64, IDT64 + 16 * \vec + 2
	movw	$0x8e00, IDT64 + 16 * \vec + 4
.endm
	GATE	1
	GATE	6
	GATE	13
	ret

/* --- protected mode --------------------------------------------------------- */

	.code32
	.set	bits, 32
	RUNTIME	32
	CHECKS	32
	HANDLER32 1, 0
	HANDLER32 6, 0
	HANDLER32 13, 4

main32:	movw	$DATA32, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	%ax, %fs
	movl	$0x7c00, %esp
	COMMON
	CR0_CHECKS
	cmpl	$0, vmm_base
	je	1f
	call	hidden
1:	call	pae
	/* Long mode, with NE set by the same write. */
	movl	$PML4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$~CR0_NE, %eax
	movl	%eax, %cr0
	orl	$(CR0_PG | CR0_NE), %eax
	movl	%eax, %cr0
	jmp	1f
1:	movl	$MSR_EFER, %ecx
	rdmsr
	andl	$(EFER_LME | EFER_LMA), %eax
	cmpl	$(EFER_LME | EFER_LMA), %eax
	CHECK	e, "PG with NE and LME gives LMA"
	PLAIN	"CPUID in compatibility mode", cpuid
	lidtl	idtr64
	ljmp	$CODE64, $main64

/* Out of long mode, with NE cleared by the same write. */
compat:	movl	%cr0, %eax
	andl	$~(CR0_PG | CR0_NE), %eax
	movl	%eax, %cr0
	lidtl	idtr32
	movl	%cr0, %ebx
	movl	$MSR_EFER, %ecx
	rdmsr
	andl	$EFER_LMA, %eax
	CHECK	z, "no PG gives no LMA"
	testl	$(CR0_PG | CR0_NE), %ebx
	CHECK	z, "  and CR0 has neither PG nor NE"
	movl	$MSR_EFER, %ecx
	rdmsr
	andl	$~EFER_LME, %eax
	wrmsr
	movl	%cr4, %eax
	andl	$~CR4_PAE, %eax
	movl	%eax, %cr4
	PLAIN	"CPUID after long mode", cpuid
	movw	$DATA16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	ljmp	$CODE16, $back16

/* The VMM's memory: ones, and writing it does no harm. */
hidden:	movl	vmm_base, %ebx
	movl	vmm_len, %edx
	cmpl	$-1, (%ebx)
	CHECK	e, "the VMM's first dword is ones"
	cmpl	$-1, -4(%ebx, %edx)
	CHECK	e, "its last is ones"
	shrl	$1, %edx
	cmpl	$-1, (%ebx, %edx)
	CHECK	e, "one in the middle is ones"
	cmpw	$-1, 0xffe(%ebx, %edx)
	CHECK	e, "across two pages ones"
	PLAIN	"it can be written", movl %edx, (%ebx)
	PLAIN	"  by an instruction that repeats", call fill
	ret
fill:	movl	vmm_base, %edi
	addl	$4096, %edi
	movl	$2048, %ecx
	movl	$-1, %eax
	rep stosl
	ret

pae:	movl	$PDPT_PAE, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	%cr0, %eax
	andl	$~CR0_NE, %eax
	movl	%eax, %cr0
	orl	$(CR0_PG | CR0_NE), %eax
	movl	%eax, %cr0
	jmp	1f
1:	movl	%cr0, %eax
	notl	%eax
	testl	$(CR0_PG | CR0_NE), %eax
	CHECK	z, "PAE paging with PG and NE at once"
	movl	gdt + 8, %eax
	cmpl	ALIAS + gdt + 8, %eax
	CHECK	e, "  the alias is there"
	STEP	"#DB after CPUID with PAE", cpuid
	movl	%cr3, %eax
	movl	%eax, %cr3
	movl	ALIAS + gdt + 8, %eax
	cmpl	gdt + 8, %eax
	CHECK	e, "  after CR3 too"
	movl	%cr0, %eax
	andl	$~(CR0_PG | CR0_NE), %eax
	movl	%eax, %cr0
	cmpl	$MSR_VMX_BASIC, absent_msr
	jne	2f		/* nested paging looks at them in the walk */
	orl	$6, PDPT_PAE + 8	/* reserved */
	movl	%cr0, %eax
	orl	$(CR0_PG | CR0_NE), %eax
	FAULT	"a reserved PDPTE bit is #GP", VEC_GP, movl %eax, %cr0
	movl	%cr0, %eax
	testl	$(CR0_PG | CR0_NE), %eax
	CHECK	z, "  and changes nothing"
2:	ret

/* --- long mode -------------------------------------------------------------- */

	.code64
	.set	bits, 64
	RUNTIME	64
	CHECKS	64
	HANDLER64 1, 0
	HANDLER64 6, 0
	HANDLER64 13, 4

main64:	movl	$0x7c00, %esp
	movq	$-1, %rbx
	movq	%rbx, %rcx
	movq	%rbx, %rdx
	movq	%rbx, %rax
	movl	$0, %ecx
	shlq	$32, %rax
	cpuid
	shrq	$32, %rax
	shrq	$32, %rbx
	shrq	$32, %rcx
	shrq	$32, %rdx
	orl	%ebx, %eax
	orl	%ecx, %eax
	orl	%edx, %eax
	CHECK	z, "CPUID clears the upper halves"
	movq	$-1, %rax
	movq	%rax, %rdx
	movl	policy_msr, %ecx
	rdmsr
	shrq	$32, %rax
	shrq	$32, %rdx
	orl	%edx, %eax
	CHECK	z, "RDMSR clears them too"
	COMMON
	CR0_CHECKS
	movq	%cr3, %rax
	btsq	$60, %rax
	FAULT	"CR3 bit 60 is #GP", VEC_GP, movq %rax, %cr3
	cmpb	$0, qemu
	jne	1f
	movq	%cr0, %rax
	movl	%eax, %eax
	andl	$~CR0_PG, %eax
	xorl	$CR0_NE, %eax
	FAULT	"no PG in 64-bit mode is #GP", VEC_GP, movq %rax, %cr0
	movq	%cr0, %rax
	xorq	$CR0_NE, %rax
	btsq	$40, %rax
	FAULT	"CR0 bit 40 is #GP", VEC_GP, movq %rax, %cr0
1:	ljmp	*far32(%rip)
far32:	.long	compat
	.word	CODE32
