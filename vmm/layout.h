/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * layout.h - numbers that C, assembly and the linker script must agree on.
 *
 * The VMM's address space:
 *	DIRECT_BASE + pa	all RAM and the 4 GiB below, read/write, no execute
 *	IMAGE_BASE + LOAD_PA..	the image, wherever it has been moved to
 */
#pragma once

#define LOAD_PA	    0x100000
#define IMAGE_BASE  0xffffffff80000000
#define DIRECT_BASE 0xffff800000000000

#define SEL_CODE64 0x08
#define SEL_DATA   0x10
#define SEL_TSS	   0x18 /* two slots */
#define SEL_CODE32 0x28

/* Real-mode start of an application processor: one page below 640 KiB. */
#define AP_PAGE 0x8000

/* One CPU: struct cpu at the bottom, its stack above; naturally aligned. */
#define CPU_SHIFT 14
#define CPU_SIZE  (1 << CPU_SHIFT)

/* Offsets in struct vcpu, asserted in cpu.h. Hardware register order. */
#define VCPU_GPR(n)   ((n) * 8)
#define VCPU_HW_PA    128
#define VCPU_LAUNCHED 136
#define VCPU_CPU      152
#define CPU_POLL      8
#define CPU_HOST_RSP  16
#define VCPU_HW       144
