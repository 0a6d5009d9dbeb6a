/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmcb.h - the Virtual Machine Control Block, by the APM's names. APM volume
 * 2, appendix B "Layout of VMCB", and "SVM Intercept Codes".
 */
#pragma once

#include "../types.h"

struct vmcb_seg {
	uint16_t selector;
	uint16_t attrib; /* descriptor bits 55:52 and 47:40 */
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	uint32_t intercept_cr;
	uint32_t intercept_dr;
	uint32_t intercept_exceptions;
	uint32_t intercept_misc1;
	uint32_t intercept_misc2;
	uint32_t intercept_misc3;
	uint8_t reserved018[0x3c - 0x18];
	uint16_t pause_filter_threshold, pause_filter_count;
	uint64_t iopm_base_pa;
	uint64_t msrpm_base_pa;
	uint64_t tsc_offset;
	uint32_t guest_asid;
	uint32_t tlb_control;
	uint64_t v_intr;
	uint64_t interrupt_shadow; /* bit 1: GUEST_INTERRUPT_MASK */
	uint64_t exitcode;
	uint64_t exitinfo1;
	uint64_t exitinfo2;
	uint64_t exitintinfo;
	uint64_t np_enable;
	uint64_t avic_apic_bar;
	uint64_t ghcb;
	uint64_t eventinj;
	uint64_t n_cr3;
	uint64_t lbr_virt;
	uint64_t clean;
	uint64_t nrip;
	uint8_t fetched[16];
	uint8_t reserved0e0[0x400 - 0xe0];
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved4a0[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t reserved4cc;
	uint64_t efer;
	uint8_t reserved4d8[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t reserved580[0x5d8 - 0x580];
	uint64_t rsp, s_cet, ssp, isst_addr, rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t reserved648[0x668 - 0x648];
	uint64_t g_pat, dbgctl, br_from, br_to, lastexcpfrom, lastexcpto;
	uint8_t reserved698[0x1000 - 0x698];
};
_Static_assert(sizeof(struct vmcb) == 4096, "APM appendix B");
_Static_assert(offsetof(struct vmcb, iopm_base_pa) == 0x40, "APM B");
_Static_assert(offsetof(struct vmcb, exitcode) == 0x70, "APM B");
_Static_assert(offsetof(struct vmcb, n_cr3) == 0xb0, "APM B");
_Static_assert(offsetof(struct vmcb, tr) == 0x490, "APM B");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "APM B");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "APM B");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "APM B");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "APM B");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "APM B");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "APM B");

/* intercept_cr */
#define INTERCEPT_CR8_WRITE BIT(24)
/* intercept_misc1 */
#define INTERCEPT_NMI	   BIT(1)
#define INTERCEPT_INIT	   BIT(3)
#define INTERCEPT_RDPMC	   BIT(15)
#define INTERCEPT_CPUID	   BIT(18)
#define INTERCEPT_IRET	   BIT(20)
#define INTERCEPT_INVD	   BIT(22)
#define INTERCEPT_INVLPGA  BIT(26)
#define INTERCEPT_IOIO	   BIT(27)
#define INTERCEPT_MSR	   BIT(28)
#define INTERCEPT_SHUTDOWN BIT(31)
/* intercept_misc2 */
#define INTERCEPT_VMRUN	   BIT(0)
#define INTERCEPT_VMMCALL  BIT(1)
#define INTERCEPT_VMLOAD   BIT(2)
#define INTERCEPT_VMSAVE   BIT(3)
#define INTERCEPT_STGI	   BIT(4)
#define INTERCEPT_CLGI	   BIT(5)
#define INTERCEPT_SKINIT   BIT(6)

#define TLB_FLUSH_ALL	   1

/* EVENTINJ and EXITINTINFO */
#define EVENT_VECTOR	   0xffull
#define EVENT_TYPE(e)	   ((e) >> 8 & 7)
#define EVENT_TYPE_INTR	   0ull
#define EVENT_TYPE_NMI	   2ull
#define EVENT_TYPE_EXC	   3ull
#define EVENT_TYPE_SOFT	   4ull
#define EVENT_EV	   BIT(11)
#define EVENT_V		   BIT(31)

/* Exit codes that have a neutral kind: X(code, kind, length without NRIP) */
#define SVM_EXITS(X)                                                           \
	X(0x18, CR, 0)                                                         \
	X(0x20, DR, 0) X(0x21, DR, 0) X(0x22, DR, 0) X(0x23, DR, 0)            \
	X(0x30, DR, 0) X(0x31, DR, 0) X(0x32, DR, 0) X(0x33, DR, 0)            \
	X(0x37, DR, 0)                                                         \
	X(0x41, EXCEPTION, 0)                                                  \
	X(0x60, INTR, 0)                                                       \
	X(0x61, NMI, 0)                                                        \
	X(0x63, INIT, 0)                                                       \
	X(0x64, INTR_WINDOW, 0)                                                \
	X(0x6f, OTHER, 2)                                                      \
	X(0x72, CPUID, 2)                                                      \
	X(0x74, IRET, 0)                                                       \
	X(0x76, INVD, 2)                                                       \
	X(0x78, HLT, 1)                                                        \
	X(0x7a, VIRT_INSN, 0)                                                  \
	X(0x7b, IO, 0)                                                         \
	X(0x7c, RDMSR, 2)                                                      \
	X(0x7f, TRIPLE_FAULT, 0)                                               \
	X(0x80, VIRT_INSN, 0)                                                  \
	X(0x81, HYPERCALL, 3)                                                  \
	X(0x82, VIRT_INSN, 0)                                                  \
	X(0x83, VIRT_INSN, 0)                                                  \
	X(0x84, VIRT_INSN, 0)                                                  \
	X(0x85, VIRT_INSN, 0)                                                  \
	X(0x86, VIRT_INSN, 0)                                                  \
	X(0x8a, VIRT_INSN, 0) X(0x8b, VIRT_INSN, 0)                            \
	X(0x8d, XSETBV, 3)
#define SVM_EXIT_RDPMC	0x6f
#define SVM_EXIT_NPF	0x400
#define SVM_EXIT_INVALID 0xffffffffu /* its low half */
#define SVM_EXIT_CODES	0x90

/* EXITINFO1 of a nested page fault and of IOIO */
#define NPF_WRITE     BIT(1)
#define NPF_FINAL     BIT(32) /* not a walk of the guest's tables */
#define IOIO_IN	      BIT(0)
#define IOIO_STRING   BIT(2)
#define IOIO_SIZE(i)  ((i) >> 4 & 7)
#define IOIO_PORT(i)  ((uint16_t)((i) >> 16))
