/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x86.h - the processor as the VMM uses it: control bits and MSRs by their
 * manuals' names, and one wrapper for each instruction that C lacks.
 */
#pragma once

#include "types.h"

/* SDM "Control Registers" */
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR4_PSE	    BIT(4)
#define CR4_PAE	    BIT(5)
#define CR4_MCE	    BIT(6)
#define CR4_PGE	    BIT(7)
#define CR4_OSFXSR  BIT(9)
#define CR4_LA57    BIT(12)
#define CR4_VMXE    BIT(13)
#define CR4_SMXE    BIT(14)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP    BIT(20)
#define CR4_SMAP    BIT(21)
#define CR4_PKE	    BIT(22)
#define CR4_CET	    BIT(23)
/* Those that need no state beyond what the VMM switches: a domU may have them. */
#define CR4_DOMU    0x00771fffull

#define RFLAGS_CF BIT(0)
#define RFLAGS_R1 BIT(1) /* always one */
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)

#define EFER_SCE  BIT(0)
#define EFER_LME  BIT(8)
#define EFER_LMA  BIT(10)
#define EFER_NXE  BIT(11)
#define EFER_SVME BIT(12)
#define EFER_FFXSR BIT(14)
#define EFER_TCE  BIT(15)

/* SDM volume 4, "Model-Specific Registers" */
#define MSR_IA32_APIC_BASE	  0x01b
#define MSR_IA32_FEATURE_CONTROL  0x03a
#define MSR_IA32_BIOS_UPDT_TRIG	  0x079
#define MSR_IA32_MTRRCAP	  0x0fe
#define MSR_IA32_SYSENTER_CS	  0x174
#define MSR_IA32_SYSENTER_ESP	  0x175
#define MSR_IA32_SYSENTER_EIP	  0x176
#define MSR_IA32_DEBUGCTL	  0x1d9
#define MSR_IA32_MTRR_PHYSBASE0	  0x200
#define MSR_IA32_MTRR_FIX64K	  0x250
#define MSR_IA32_PAT		  0x277
#define MSR_IA32_MTRR_DEF_TYPE	  0x2ff
#define MSR_IA32_VMX_BASIC	  0x480
#define MSR_IA32_VMX_MISC	  0x485
#define MSR_IA32_VMX_CR0_FIXED0	  0x486
#define MSR_IA32_VMX_CR0_FIXED1	  0x487
#define MSR_IA32_VMX_CR4_FIXED0	  0x488
#define MSR_IA32_VMX_CR4_FIXED1	  0x489
#define MSR_IA32_VMX_PROCBASED_CTLS2  0x48b
#define MSR_IA32_VMX_EPT_VPID_CAP     0x48c
#define MSR_IA32_VMX_TRUE_PINBASED_CTLS	 0x48d
#define MSR_IA32_VMX_TRUE_PROCBASED_CTLS 0x48e
#define MSR_IA32_VMX_TRUE_EXIT_CTLS	 0x48f
#define MSR_IA32_VMX_TRUE_ENTRY_CTLS	 0x490
#define MSR_IA32_U_CET		  0x6a0
#define MSR_IA32_XSS		  0xda0
#define MSR_IA32_X2APIC_BASE	  0x800 /* register 0; ICR is 0x830 */
#define MSR_IA32_X2APIC_ICR	  0x830
#define MSR_IA32_EFER		  0xc0000080
#define MSR_IA32_STAR		  0xc0000081
#define MSR_IA32_FS_BASE	  0xc0000100
#define MSR_IA32_GS_BASE	  0xc0000101
#define MSR_IA32_TSC_AUX	  0xc0000103
/* APM volume 2, "MSR Cross-Reference" */
#define MSR_PATCH_LOADER 0xc0010020
#define MSR_VM_CR	 0xc0010114
#define MSR_VM_HSAVE_PA	 0xc0010117

#define APIC_BASE_BSP	 BIT(8)
#define APIC_BASE_EXTD	 BIT(10) /* x2APIC mode */
#define APIC_BASE_EN	 BIT(11)

#define FEATURE_CONTROL_LOCK	 BIT(0)
#define FEATURE_CONTROL_VMX_SMX	 BIT(1)
#define FEATURE_CONTROL_VMX	 BIT(2)

/* SDM "Exception and Interrupt Reference" */
enum vector { VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_UD = 6, VEC_DF = 8,
	      VEC_GP = 13, VEC_PF = 14, VEC_MC = 18, VEC_SX = 30 };

struct cpuid { uint32_t a, b, c, d; };

static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid r;
	__asm__ volatile("cpuid"
			 : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
			 : "a"(leaf), "c"(sub));
	return r;
}

/* RDTSC and CPUID clear the upper halves: 64-bit outputs save the moves. */
static inline uint64_t rdtsc(void)
{
	uint64_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (hi << 32) | lo;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return ((uint64_t)hi << 32) | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v),
			 "d"((uint32_t)(v >> 32)) : "memory");
}

/*
 * The instruction at label 1 may fault: trap.c then goes on at label 2 with
 * RAX as it was. Rows of .extable are pairs of addresses.
 */
#define EXTABLE                                                                \
	".pushsection .extable, \"a\"\n\t.quad 1b, 2b\n\t.popsection\n\t"

/* RDMSR / WRMSR / XSETBV that report #GP as false instead of dying of it. */
static inline MUST_USE bool rdmsr_safe(uint32_t msr, uint64_t *v)
{
	uint32_t lo, hi, ok = 0;
	__asm__ volatile("1: rdmsr\n\tmovl $1, %2\n\t2:\n\t" EXTABLE
			 : "=a"(lo), "=d"(hi), "+r"(ok) : "c"(msr));
	if (ok)
		*v = ((uint64_t)hi << 32) | lo;
	return ok;
}

static inline MUST_USE bool wrmsr_safe(uint32_t msr, uint64_t v)
{
	uint32_t ok = 0;
	__asm__ volatile("1: wrmsr\n\tmovl $1, %0\n\t2:\n\t" EXTABLE
			 : "+r"(ok) : "c"(msr), "a"((uint32_t)v),
			   "d"((uint32_t)(v >> 32)) : "memory");
	return ok;
}

static inline MUST_USE bool xsetbv_safe(uint32_t xcr, uint64_t v)
{
	uint32_t ok = 0;
	__asm__ volatile("1: xsetbv\n\tmovl $1, %0\n\t2:\n\t" EXTABLE
			 : "+r"(ok) : "c"(xcr), "a"((uint32_t)v),
			   "d"((uint32_t)(v >> 32)));
	return ok;
}

static inline uint64_t xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

#define CR_ACCESSORS(n)                                                        \
	static inline uint64_t read_cr##n(void)                                \
	{                                                                      \
		uint64_t v;                                                    \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));              \
		return v;                                                      \
	}                                                                      \
	static inline void write_cr##n(uint64_t v)                             \
	{                                                                      \
		__asm__ volatile("mov %0, %%cr" #n ::"r"(v) : "memory");       \
	}
CR_ACCESSORS(0)
CR_ACCESSORS(2)
CR_ACCESSORS(3)
CR_ACCESSORS(4)

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static inline void pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

static inline void stgi(void)
{
	__asm__ volatile("stgi" ::: "memory");
}

static inline void clgi(void)
{
	__asm__ volatile("clgi" ::: "memory");
}

struct table_reg {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static inline void lidt(const struct table_reg *r)
{
	__asm__ volatile("lidt %0" ::"m"(*r));
}

static inline void lgdt(const struct table_reg *r)
{
	__asm__ volatile("lgdt %0" ::"m"(*r));
}
