/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtrr.h - the memory type that a set of MTRRs gives an address. Pure.
 * SDM "Memory Type Range Registers (MTRRs)", "MTRR Precedences".
 */
#pragma once

#include "types.h"

enum mtrr_type {
	MTRR_UC = 0,
	MTRR_WC = 1,
	MTRR_WT = 4,
	MTRR_WP = 5,
	MTRR_WB = 6,
	MTRR_MIXED = 0xff, /* not a type: a range has more than one */
};

#define MTRR_FIXED 11 /* 64K_00000, 16K_80000, 16K_A0000, 4K_C0000 .. 4K_F8000 */
#define MTRR_VAR_MAX 32 /* VCNT is 8 bits; no CPU has more than 10 */

/* Raw register values; MSRs in the order of the SDM's table "MTRR ... MSRs". */
struct mtrr {
	uint64_t cap;	   /* IA32_MTRRCAP */
	uint64_t def_type; /* IA32_MTRR_DEF_TYPE */
	uint64_t fixed[MTRR_FIXED];
	struct {
		uint64_t base, mask; /* IA32_MTRR_PHYSBASEn, PHYSMASKn */
	} var[MTRR_VAR_MAX];
	unsigned nvar;	     /* rows of var[] in use, <= MTRR_VAR_MAX */
	unsigned maxphyaddr; /* bits; mask bits above it are ignored */
};

/* Type of the byte at `pa`. With MTRRs disabled everything is UC. */
enum mtrr_type mtrr_type(const struct mtrr *m, uint64_t pa);

/*
 * mtrr_range - the one type of [base, base+len), or MTRR_MIXED.
 *   base, len  4 KiB-aligned, len > 0; typically one page of any size.
 * Cost: a function of the number of registers, not of len. A mask with holes
 * may be too irregular to follow: then MTRR_MIXED though the type is one;
 * never for a single 4 KiB page.
 */
enum mtrr_type mtrr_range(const struct mtrr *m, uint64_t base, uint64_t len);
