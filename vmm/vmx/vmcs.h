/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmcs.h - VMCS fields, control bits and the VMX instructions. A VMREAD or
 * VMWRITE that fails is a bug of ours: it runs into a UD2, whose dump names
 * the place; no caller checks.
 * SDM "Virtual-Machine Control Structures", "VMX Instruction Reference".
 */
#pragma once

#include "../cpu.h"

enum vmcs_field {
#define X(name, encoding) VMCS_##name = (encoding),
#include "vmcs.def"
#undef X
};

/* Pin-based */
#define PIN_NMI_EXITING	  BIT(3)
#define PIN_VIRTUAL_NMIS  BIT(5)
/* Primary processor-based */
#define PROC_CR8_LOAD	  BIT(19)
#define PROC_CR8_STORE	  BIT(20)
#define PROC_TPR_SHADOW	  BIT(21)
#define PROC_NMI_WINDOW	  BIT(22)
#define PROC_IO_BITMAPS	  BIT(25)
#define PROC_MSR_BITMAPS  BIT(28)
#define PROC_SECONDARY	  BIT(31)
/* Secondary processor-based */
#define PROC2_APIC_ACCESSES BIT(0)
#define PROC2_EPT	  BIT(1)
#define PROC2_RDTSCP	  BIT(3)
#define PROC2_X2APIC	  BIT(4)
#define PROC2_VPID	  BIT(5)
#define PROC2_UNRESTRICTED_GUEST BIT(7)
#define PROC2_APIC_REGISTERS BIT(8)
#define PROC2_VIRTUAL_INTR BIT(9)
#define PROC2_PAUSE_LOOP  BIT(10)
#define PROC2_INVPCID	  BIT(12)
#define PROC2_XSAVES	  BIT(20)
#define PROC2_PT_GPA	  BIT(24)
#define PROC2_USER_WAIT	  BIT(26)
/* VM exit */
#define EXIT_SAVE_DEBUG	  BIT(2)
#define EXIT_HOST_64	  BIT(9)
#define EXIT_SAVE_PAT	  BIT(18)
#define EXIT_LOAD_PAT	  BIT(19)
#define EXIT_SAVE_EFER	  BIT(20)
#define EXIT_LOAD_EFER	  BIT(21)
/* VM entry */
#define ENTRY_LOAD_DEBUG  BIT(2)
#define ENTRY_IA32E	  BIT(9)
#define ENTRY_LOAD_PAT	  BIT(14)
#define ENTRY_LOAD_EFER	  BIT(15)

/* IA32_VMX_EPT_VPID_CAP */
#define EPT_CAP_WALK4	  BIT(6)
#define EPT_CAP_WB	  BIT(14)
#define EPT_CAP_2M	  BIT(16)
#define EPT_CAP_1G	  BIT(17)
#define EPT_CAP_INVEPT	  BIT(20)
#define EPT_CAP_INVEPT_ONE BIT(25)
#define EPTP_WB_WALK4	  (6 | 3 << 3)
#define INVEPT_ONE	  1ul
#define INVEPT_ALL	  2ul

/* Interruption information, all three fields of that form */
#define INTR_INFO_VALID	  BIT(31)
#define INTR_INFO_ERROR	  BIT(11)
#define INTR_INFO_UNDEF12 BIT(12)
#define INTR_INFO_TYPE(i) ((i) >> 8 & 7)
#define INTR_TYPE_EXT	  0
#define INTR_TYPE_NMI	  2
#define INTR_TYPE_EXC	  3
#define INTR_TYPE_SOFT	  4 /* 4, 5, 6: carry an instruction length */

/* Guest interruptibility state */
#define BLOCKING_STI	  BIT(0)
#define BLOCKING_MOV_SS	  BIT(1)
#define BLOCKING_NMI	  BIT(3)

#define PENDING_DEBUG_BS  BIT(14)

static inline uint64_t vmread(enum vmcs_field field)
{
	uint64_t v;

	__asm__ volatile("vmread %1, %0; ja 1f; ud2; 1:"
			 : "=r"(v) : "r"((uint64_t)field) : "cc");
	return v;
}

/* On the path of every exit: a field that any VMX processor has, unchecked. */
static inline uint64_t vmread_core(enum vmcs_field field)
{
	uint64_t v;

	__asm__ volatile("vmread %1, %0" : "=r"(v) : "r"((uint64_t)field)
			 : "cc");
	return v;
}

static inline void vmwrite(enum vmcs_field field, uint64_t v)
{
	__asm__ volatile("vmwrite %0, %1; ja 1f; ud2; 1:"
			 ::"r"(v), "r"((uint64_t)field) : "cc");
}

/* Such a field's write. */
static inline void vmwrite_core(enum vmcs_field field, uint64_t v)
{
	__asm__ volatile("vmwrite %0, %1" ::"r"(v), "r"((uint64_t)field)
			 : "cc");
}

static inline MUST_USE bool vmxon(const hpa_t *region)
{
	bool bad;

	__asm__ volatile("vmxon %1" : "=@ccbe"(bad) : "m"(region->v)
			 : "memory");
	return !bad;
}

static inline void vmxoff(void)
{
	__asm__ volatile("vmxoff" ::: "cc", "memory");
}

static inline MUST_USE bool vmclear(const hpa_t *vmcs)
{
	bool bad;

	__asm__ volatile("vmclear %1" : "=@ccbe"(bad) : "m"(vmcs->v)
			 : "memory");
	return !bad;
}

static inline MUST_USE bool vmptrld(const hpa_t *vmcs)
{
	bool bad;

	__asm__ volatile("vmptrld %1" : "=@ccbe"(bad) : "m"(vmcs->v)
			 : "memory");
	return !bad;
}

static inline void invept(uint64_t type, uint64_t eptp)
{
	struct { uint64_t eptp, zero; } d = { eptp, 0 };

	__asm__ volatile("invept %0, %1" ::"m"(d), "r"(type) : "cc", "memory");
}
