/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtrr_test.c - memory types: hand-made register sets, then random ones where
 * mtrr_range() must agree with mtrr_type() of every page.
 */
#include "mtrr.h"
#include "string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define E   BIT(11)
#define FE  BIT(10)
#define V   BIT(11)
#define FIX BIT(8)
#define MAXPHYADDR 40

static const uint64_t phys = BIT(MAXPHYADDR) - 1;

/* MTRRs on, fixed ranges off, nothing but the default. */
static struct mtrr make(enum mtrr_type def)
{
	struct mtrr m;

	memset(&m, 0, sizeof(m));
	m.cap = FIX | 10;
	m.def_type = E | def;
	m.maxphyaddr = MAXPHYADDR;
	return m;
}

static void add(struct mtrr *m, uint64_t base, uint64_t size,
		enum mtrr_type type)
{
	m->var[m->nvar].base = base | type;
	m->var[m->nvar].mask = (~(size - 1) & phys) | V;
	m->nvar++;
}

static void disabled_is_uc(void **state)
{
	struct mtrr m = make(MTRR_WB);

	(void)state;
	add(&m, 0, GIB, MTRR_WB);
	m.def_type = FE | MTRR_WB;
	memset(m.fixed, MTRR_WB, sizeof(m.fixed));
	assert_int_equal(mtrr_type(&m, 0), MTRR_UC);
	assert_int_equal(mtrr_type(&m, 5 * GIB), MTRR_UC);
	assert_int_equal(mtrr_range(&m, 0, 8 * GIB), MTRR_UC);
}

static void default_type(void **state)
{
	static const enum mtrr_type types[] = { MTRR_UC, MTRR_WC, MTRR_WT,
						MTRR_WP, MTRR_WB };
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		struct mtrr m = make(types[i]);

		assert_int_equal(mtrr_type(&m, 0), types[i]);
		assert_int_equal(mtrr_range(&m, 0, 512 * GIB), types[i]);
	}
	/* A reserved type cannot be there; UC is the safe answer. */
	struct mtrr m = make((enum mtrr_type)3);
	assert_int_equal(mtrr_type(&m, 0), MTRR_UC);
}

static void fixed_ranges(void **state)
{
	struct mtrr m = make(MTRR_WB);
	static const enum mtrr_type cycle[] = { MTRR_UC, MTRR_WC, MTRR_WT,
						MTRR_WP, MTRR_WB };
	unsigned field = 0;

	(void)state;
	m.def_type |= FE;
	add(&m, 0, MIB, MTRR_WB);
	for (unsigned i = 0; i < MTRR_FIXED * 8; i++)
		m.fixed[i / 8] |= (uint64_t)cycle[i % 5] << (i % 8 * 8);
	/* 8 of 64 KiB, 16 of 16 KiB, 64 of 4 KiB: SDM "Fixed Range MTRRs". */
	for (uint64_t pa = 0; pa < MIB; field++) {
		const uint64_t size = pa < 0x80000 ? 64 * KIB :
				      pa < 0xc0000 ? 16 * KIB : 4 * KIB;

		assert_int_equal(mtrr_type(&m, pa), cycle[field % 5]);
		assert_int_equal(mtrr_type(&m, pa + size - 1),
				 cycle[field % 5]);
		assert_int_equal(mtrr_range(&m, pa, size), cycle[field % 5]);
		assert_int_equal(mtrr_range(&m, pa, size + 4 * KIB),
				 MTRR_MIXED);
		pa += size;
	}
	assert_int_equal(field, 88);
	assert_int_equal(mtrr_type(&m, MIB), MTRR_WB);
	assert_int_equal(mtrr_range(&m, 0, 2 * MIB), MTRR_MIXED);

	/* Fixed ranges all of the type beyond them: not mixed. */
	memset(m.fixed, MTRR_WB, sizeof(m.fixed));
	assert_int_equal(mtrr_range(&m, 0, 2 * MIB), MTRR_WB);
	m.fixed[10] = 0x0006060606060606;
	assert_int_equal(mtrr_type(&m, 0xfffff), MTRR_UC);
	assert_int_equal(mtrr_type(&m, 0xfefff), MTRR_WB);
	assert_int_equal(mtrr_range(&m, 0, 2 * MIB), MTRR_MIXED);

	/* Off by FE, and a CPU that has none. */
	m.def_type &= ~FE;
	assert_int_equal(mtrr_range(&m, 0, 2 * MIB), MTRR_WB);
	m.def_type |= FE;
	m.cap = 10;
	assert_int_equal(mtrr_range(&m, 0, 2 * MIB), MTRR_WB);
}

static void fixed_wins_over_variable(void **state)
{
	struct mtrr m = make(MTRR_WB);

	(void)state;
	m.def_type |= FE;
	memset(m.fixed, MTRR_WP, sizeof(m.fixed));
	add(&m, 0, 2 * MIB, MTRR_UC);
	assert_int_equal(mtrr_type(&m, 0xfffff), MTRR_WP);
	assert_int_equal(mtrr_type(&m, 0x100000), MTRR_UC);
}

/* SDM "MTRR Precedences", every pair, in both orders. */
static void precedences(void **state)
{
	static const enum mtrr_type t[] = { MTRR_UC, MTRR_WC, MTRR_WT, MTRR_WP,
					    MTRR_WB };
	(void)state;
	for (unsigned a = 0; a < 5; a++) {
		for (unsigned b = 0; b < 5; b++) {
			struct mtrr m = make(MTRR_WC);
			enum mtrr_type want = MTRR_UC;

			add(&m, 0, GIB, t[a]);
			add(&m, 0, GIB, t[b]);
			if (a == b)
				want = t[a];
			if (t[a] + t[b] == MTRR_WT + MTRR_WB && a != b)
				want = MTRR_WT;
			assert_int_equal(mtrr_type(&m, 0x1234567), want);
			assert_int_equal(mtrr_range(&m, 0, GIB), want);
		}
	}
	struct mtrr m = make(MTRR_WC);
	add(&m, 0, GIB, MTRR_WB);
	add(&m, 0, GIB, MTRR_WT);
	add(&m, 0, GIB, MTRR_WB);
	assert_int_equal(mtrr_type(&m, 0), MTRR_WT);
	add(&m, 0, GIB, MTRR_WP);
	assert_int_equal(mtrr_type(&m, 0), MTRR_UC);
	add(&m, 0, GIB, MTRR_WP);
	assert_int_equal(mtrr_type(&m, 0), MTRR_UC);
}

static void variable_edges(void **state)
{
	struct mtrr m = make(MTRR_UC);

	(void)state;
	add(&m, 2 * GIB, GIB, MTRR_WB);
	assert_int_equal(mtrr_type(&m, 2 * GIB - 1), MTRR_UC);
	assert_int_equal(mtrr_type(&m, 2 * GIB), MTRR_WB);
	assert_int_equal(mtrr_type(&m, 3 * GIB - 1), MTRR_WB);
	assert_int_equal(mtrr_type(&m, 3 * GIB), MTRR_UC);
	assert_int_equal(mtrr_range(&m, 2 * GIB, GIB), MTRR_WB);
	assert_int_equal(mtrr_range(&m, 2 * GIB - 4096, 4096), MTRR_UC);
	assert_int_equal(mtrr_range(&m, 2 * GIB - 4096, 8192), MTRR_MIXED);
	assert_int_equal(mtrr_range(&m, 3 * GIB - 4096, 8192), MTRR_MIXED);
	assert_int_equal(mtrr_range(&m, GIB, GIB), MTRR_UC);
	assert_int_equal(mtrr_range(&m, 0, 512 * GIB), MTRR_MIXED);
	/* Not valid, or not among the rows in use. */
	m.var[0].mask &= ~V;
	assert_int_equal(mtrr_type(&m, 2 * GIB), MTRR_UC);
	m.var[0].mask |= V;
	m.nvar = 0;
	assert_int_equal(mtrr_type(&m, 2 * GIB), MTRR_UC);
}

static void mask_bits_above_maxphyaddr_are_ignored(void **state)
{
	struct mtrr m = make(MTRR_UC);

	(void)state;
	add(&m, 0, GIB, MTRR_WB);
	m.var[0].mask |= ~phys;
	m.var[0].base |= BIT(50);
	assert_int_equal(mtrr_type(&m, 0), MTRR_WB);
	assert_int_equal(mtrr_range(&m, 0, GIB), MTRR_WB);
}

static void mask_of_nothing_matches_all(void **state)
{
	struct mtrr m = make(MTRR_UC);

	(void)state;
	add(&m, 0, GIB, MTRR_WT);
	m.var[0].mask = V;
	assert_int_equal(mtrr_type(&m, phys), MTRR_WT);
	assert_int_equal(mtrr_range(&m, 0, BIT(MAXPHYADDR)), MTRR_WT);
}

/* What a PC's firmware writes: WB to 2 GiB, a UC hole, and more above. */
static void a_real_set(void **state)
{
	struct mtrr m = make(MTRR_UC);

	(void)state;
	m.def_type |= FE;
	memset(m.fixed, MTRR_WB, 8 * 3);
	add(&m, 0, 2 * GIB, MTRR_WB);
	add(&m, 0x7f000000, 16 * MIB, MTRR_UC);
	add(&m, 4 * GIB, 4 * GIB, MTRR_WB);
	assert_int_equal(mtrr_range(&m, 0x7ee00000, 2 * MIB), MTRR_WB);
	assert_int_equal(mtrr_range(&m, 0x7f000000, 2 * MIB), MTRR_UC);
	assert_int_equal(mtrr_range(&m, GIB, GIB), MTRR_MIXED);
	assert_int_equal(mtrr_range(&m, 0x7f000000, 0x81000000), MTRR_UC);
	assert_int_equal(mtrr_range(&m, 4 * GIB, 4 * GIB), MTRR_WB);
	assert_int_equal(mtrr_range(&m, 0, 2 * MIB), MTRR_MIXED);
	assert_int_equal(mtrr_range(&m, 2 * MIB, 2 * MIB), MTRR_WB);
}

/* SDM "Range Size and Alignment Requirement": holes in a mask are allowed. */
static void mask_with_holes(void **state)
{
	struct mtrr m = make(MTRR_UC);

	(void)state;
	/* Bit 13 is not compared: the page at 0 and the one at 0x2000. */
	m.var[0].base = MTRR_WB;
	m.var[0].mask = (phys & ~PAGE_MASK & ~BIT(13)) | V;
	m.nvar = 1;
	assert_int_equal(mtrr_type(&m, 0x0000), MTRR_WB);
	assert_int_equal(mtrr_type(&m, 0x1000), MTRR_UC);
	assert_int_equal(mtrr_type(&m, 0x2000), MTRR_WB);
	assert_int_equal(mtrr_type(&m, 0x3000), MTRR_UC);
	assert_int_equal(mtrr_type(&m, 0x4000), MTRR_UC);
	assert_int_equal(mtrr_range(&m, 0x0000, 0x1000), MTRR_WB);
	assert_int_equal(mtrr_range(&m, 0x0000, 0x2000), MTRR_MIXED);
	assert_int_equal(mtrr_range(&m, 0x3000, 0x5000), MTRR_UC);

	/* Every other page of all memory: stripes without end, yet it ends. */
	m.var[0].mask = BIT(12) | V;
	assert_int_equal(mtrr_range(&m, 0, 512 * GIB), MTRR_MIXED);
	assert_int_equal(mtrr_type(&m, 0x2000), MTRR_WB);
	m.def_type = E | MTRR_WB;
	assert_int_equal(mtrr_range(&m, 0, MIB), MTRR_WB);
	/* One type, but too many stripes to see it: mixed is allowed. */
	assert_int_equal(mtrr_range(&m, 0, 512 * GIB), MTRR_MIXED);
}

/* The most a real set can ask: 32 registers of whole masks. Never gives up. */
static void many_registers(void **state)
{
	struct mtrr m = make(MTRR_WB);

	(void)state;
	for (unsigned i = 0; i < MTRR_VAR_MAX; i++)
		add(&m, (0x123456789000ull * (i + 1)) & phys & ~PAGE_MASK,
		    4096, MTRR_WB);
	assert_int_equal(mtrr_range(&m, 0, BIT(MAXPHYADDR)), MTRR_WB);
	m.var[31].base = (m.var[31].base & ~0xffull) | MTRR_WT;
	assert_int_equal(mtrr_range(&m, 0, BIT(MAXPHYADDR)), MTRR_MIXED);
}

#define PAGES 64

static enum mtrr_type random_type(void)
{
	static const enum mtrr_type t[] = { MTRR_UC, MTRR_WC, MTRR_WT, MTRR_WP,
					    MTRR_WB, MTRR_WB, MTRR_WB };

	return t[(unsigned)rand() % ARRAY_SIZE(t)];
}

/* Registers that cut a window of PAGES pages; few types, so some agree. */
static struct mtrr random_set(uint64_t window)
{
	struct mtrr m = make(random_type());

	if (rand() % 2)
		m.def_type |= FE;
	for (unsigned i = 0; i < MTRR_FIXED * 8; i++)
		m.fixed[i / 8] |= (uint64_t)random_type() << (i % 8 * 8);
	m.nvar = (unsigned)rand() % 5;
	for (unsigned i = 0; i < m.nvar; i++) {
		const uint64_t page = (unsigned)rand() % PAGES;
		uint64_t mask = phys & ~((PAGE_SIZE << rand() % 7) - 1);

		if (rand() % 3 == 0)
			mask &= ~((uint64_t)((unsigned)rand() % PAGES) << 12);
		m.var[i].base = (window + page * PAGE_SIZE) | random_type();
		m.var[i].mask = mask | (rand() % 8 ? V : 0);
	}
	return m;
}

static enum mtrr_type range_by_pages(const struct mtrr *m, uint64_t base,
				     uint64_t len)
{
	const enum mtrr_type type = mtrr_type(m, base);

	for (uint64_t pa = base; pa < base + len; pa += PAGE_SIZE)
		if (mtrr_type(m, pa) != type)
			return MTRR_MIXED;
	return type;
}

static void random_ranges_match_pages(void **state)
{
	static const uint64_t windows[] = { 0xf0000, 0x60000, 0x100000000 };
	unsigned mixed = 0, uniform = 0;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		const uint64_t window = windows[round % 3];
		const struct mtrr m = random_set(window);

		for (unsigned i = 0; i < 8; i++) {
			const unsigned first = (unsigned)rand() % PAGES;
			const uint64_t base = window + first * PAGE_SIZE;
			const uint64_t len = (1 + (unsigned)rand() %
					      (PAGES - first)) * PAGE_SIZE;
			const enum mtrr_type t = mtrr_range(&m, base, len);

			if (t != range_by_pages(&m, base, len))
				fail_msg("round %u: %#llx+%#llx", round,
					 (unsigned long long)base,
					 (unsigned long long)len);
			*(t == MTRR_MIXED ? &mixed : &uniform) += 1;
		}
	}
	/* The sets are such that both answers are tested. */
	assert_true(mixed > 10000 && uniform > 10000);
}

/* An independent reading of one variable register, by its definition. */
static void random_types_match_the_definition(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		const uint64_t window = 0x100000000;
		struct mtrr m = random_set(window);
		const uint64_t pa = window + ((unsigned)rand() % (PAGES * 2)) *
				    PAGE_SIZE + (unsigned)rand() % PAGE_SIZE;
		unsigned seen = 0; /* bit per type */

		for (unsigned i = 0; i < m.nvar; i++) {
			const uint64_t mask = m.var[i].mask & ~PAGE_MASK;

			if ((m.var[i].mask & V) &&
			    (mask & m.var[i].base) == (mask & pa))
				seen |= 1u << (m.var[i].base & 0xff);
		}
		enum mtrr_type want = MTRR_UC;
		if (!seen)
			want = (enum mtrr_type)(m.def_type & 0xff);
		else if (!(seen & (seen - 1)))
			want = (enum mtrr_type)__builtin_ctz(seen);
		else if (seen == (1u << MTRR_WT | 1u << MTRR_WB))
			want = MTRR_WT;
		assert_int_equal(mtrr_type(&m, pa), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disabled_is_uc),
		cmocka_unit_test(default_type),
		cmocka_unit_test(fixed_ranges),
		cmocka_unit_test(fixed_wins_over_variable),
		cmocka_unit_test(precedences),
		cmocka_unit_test(variable_edges),
		cmocka_unit_test(mask_bits_above_maxphyaddr_are_ignored),
		cmocka_unit_test(mask_of_nothing_matches_all),
		cmocka_unit_test(a_real_set),
		cmocka_unit_test(mask_with_holes),
		cmocka_unit_test(many_registers),
		cmocka_unit_test(random_ranges_match_pages),
		cmocka_unit_test(random_types_match_the_definition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
