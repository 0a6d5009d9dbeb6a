/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtrr.c - the memory type that a set of MTRRs gives an address.
 *
 * Every register divides the address space into chunks over which its answer
 * cannot change. A range is walked from chunk to chunk, so its cost follows
 * the number of registers. The exception is a mask with holes, whose pattern
 * repeats without end: after MAX_STEPS the range counts as mixed, which makes
 * the caller look at smaller pages.
 * SDM "Memory Type Range Registers (MTRRs)", "MTRR Precedences".
 */
#include "mtrr.h"

#define MTRRCAP_FIX	  BIT(8)
#define MTRR_DEF_TYPE_FE  BIT(10)
#define MTRR_DEF_TYPE_E	  BIT(11)
#define MTRR_PHYSMASK_V	  BIT(11)
#define MTRR_TYPE_MASK	  0xff
#define MTRR_FIXED_END	  0x100000

/* A walk with contiguous masks: <= 88 fixed, and 41 chunks per register. */
#define MAX_STEPS 2048
_Static_assert(MAX_STEPS > 88 + 41 * MTRR_VAR_MAX, "walks of whole masks end");

/* A register cannot hold a reserved type; were it so, UC is safe. */
static enum mtrr_type valid_type(uint64_t type)
{
	switch (type & MTRR_TYPE_MASK) {
	case MTRR_WC:
	case MTRR_WT:
	case MTRR_WP:
	case MTRR_WB:
		return (enum mtrr_type)(type & MTRR_TYPE_MASK);
	default:
		return MTRR_UC;
	}
}

/* UC wins, WT wins over WB; what the SDM leaves undefined is UC. */
static enum mtrr_type combine(enum mtrr_type a, enum mtrr_type b)
{
	if (a == b)
		return a;
	if ((a == MTRR_WT && b == MTRR_WB) || (a == MTRR_WB && b == MTRR_WT))
		return MTRR_WT;
	return MTRR_UC;
}

static bool is_fixed(const struct mtrr *m, uint64_t pa)
{
	return pa < MTRR_FIXED_END && (m->cap & MTRRCAP_FIX) &&
	       (m->def_type & MTRR_DEF_TYPE_FE);
}

/* The three kinds of fixed ranges: where each begins, and its granularity. */
static const struct fixed_kind {
	uint32_t base;
	unsigned shift; /* log2 of the bytes one field describes */
	unsigned field; /* number of the first one, eight to a register */
} fixed_kinds[] = {
	{ 0xc0000, 12, 24 },
	{ 0x80000, 14, 8 },
	{ 0x00000, 16, 0 },
};

static const struct fixed_kind *fixed_kind(uint64_t pa)
{
	const struct fixed_kind *k = fixed_kinds;

	while (pa < k->base)
		k++;
	return k;
}

static enum mtrr_type fixed_type(const struct mtrr *m, uint64_t pa)
{
	const struct fixed_kind *k = fixed_kind(pa);
	const uint64_t index = (pa - k->base) >> k->shift;
	const unsigned field = k->field + (unsigned)index;

	return valid_type(m->fixed[field / 8] >> (field % 8 * 8));
}

/* Bits of the address that variable range i compares. */
static uint64_t var_mask(const struct mtrr *m, unsigned i)
{
	return m->var[i].mask & (BIT(m->maxphyaddr) - PAGE_SIZE);
}

static bool var_on(const struct mtrr *m, unsigned i)
{
	return m->var[i].mask & MTRR_PHYSMASK_V;
}

static uint64_t var_mismatch(const struct mtrr *m, unsigned i, uint64_t pa)
{
	return (m->var[i].base ^ pa) & var_mask(m, i);
}

enum mtrr_type mtrr_type(const struct mtrr *m, uint64_t pa)
{
	enum mtrr_type type = MTRR_MIXED; /* none yet */

	if (!(m->def_type & MTRR_DEF_TYPE_E))
		return MTRR_UC;
	if (is_fixed(m, pa))
		return fixed_type(m, pa);
	for (unsigned i = 0; i < m->nvar; i++) {
		if (!var_on(m, i) || var_mismatch(m, i, pa))
			continue;
		const enum mtrr_type t = valid_type(m->var[i].base);
		type = type == MTRR_MIXED ? t : combine(type, t);
	}
	return type == MTRR_MIXED ? valid_type(m->def_type) : type;
}

/* Last byte of the chunk around `pa` in which range i gives one answer. */
static uint64_t var_last(const struct mtrr *m, unsigned i, uint64_t pa)
{
	const uint64_t mask = var_mask(m, i);
	const uint64_t differs = var_mismatch(m, i, pa);

	/* No match until the highest bit that differs has flipped... */
	if (differs)
		return pa | (BIT(63 - __builtin_clzll(differs)) - 1);
	/* ...and a match until the lowest bit that counts does. */
	return mask ? pa | ((mask & -mask) - 1) : UINT64_MAX;
}

/* Last byte of the chunk around `pa` that certainly has one type. */
static uint64_t chunk_last(const struct mtrr *m, uint64_t pa)
{
	if (!(m->def_type & MTRR_DEF_TYPE_E))
		return UINT64_MAX;
	if (is_fixed(m, pa))
		return pa | (BIT(fixed_kind(pa)->shift) - 1);

	/* Without fixed ranges this boundary is needless, not wrong. */
	uint64_t last = pa < MTRR_FIXED_END ? MTRR_FIXED_END - 1 : UINT64_MAX;
	for (unsigned i = 0; i < m->nvar; i++) {
		if (!var_on(m, i))
			continue;
		const uint64_t l = var_last(m, i, pa);
		last = l < last ? l : last;
	}
	return last;
}

enum mtrr_type mtrr_range(const struct mtrr *m, uint64_t base, uint64_t len)
{
	const enum mtrr_type type = mtrr_type(m, base);
	const uint64_t last = base + (len - 1);
	uint64_t pa = base;

	for (unsigned step = 0; step < MAX_STEPS; step++) {
		if (mtrr_type(m, pa) != type)
			return MTRR_MIXED;
		const uint64_t chunk = chunk_last(m, pa);
		if (chunk >= last)
			return type;
		pa = chunk + 1;
	}
	return MTRR_MIXED;
}
