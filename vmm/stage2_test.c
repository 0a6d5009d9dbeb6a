/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage2_test.c - the tables on memory of our own: sizes, splits, refusals,
 * every point where memory can run out, and random operations against a map
 * that has one cell for each 4 KiB page. Both vendors' entry formats.
 */
#include "stage2.h"
#include "string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define LARGE	BIT(7)
#define NX	BIT(63)
#define ADDRESS 0x000ffffffffff000ull
#define K4	PAGE_SIZE
#define M2	(2 * MIB)
#define T512	(512 * GIB) /* bytes below one entry of the root */
#define REACH	BIT(48)
#define POOL	4096
#define POOL_PA 0x7654000000ull

/* --- the machine ----------------------------------------------------------- */

static uint8_t *pool;
static unsigned used, budget;

static void *alloc(void)
{
	if (!budget)
		return NULL;
	budget--;
	assert_true(used < POOL);
	return memset(pool + used++ * PAGE_SIZE, 0, PAGE_SIZE);
}

static uint64_t to_pa(const void *table)
{
	return POOL_PA + (uint64_t)((const uint8_t *)table - pool);
}

static void *to_ptr(uint64_t pa)
{
	assert_true(pa >= POOL_PA && pa < POOL_PA + used * PAGE_SIZE);
	return pool + (pa - POOL_PA);
}

static uint64_t ept_leaf(unsigned perm, enum mtrr_type type)
{
	return perm | (uint64_t)type << 3;
}

static uint64_t npt_leaf(unsigned perm, enum mtrr_type type)
{
	(void)type;
	return 5 | (perm & S2_W ? 2 : 0) | (perm & S2_X ? 0 : NX);
}

static const struct stage2_format ept = { ept_leaf, true, true };
static const struct stage2_format npt = { npt_leaf, false, true };
static const struct stage2_format small = { ept_leaf, true, false };
static const struct stage2_format *const formats[] = { &ept, &npt };

static struct stage2 make(const struct stage2_format *format)
{
	used = 0;
	budget = POOL;
	return (struct stage2){ alloc(), format, alloc, to_pa, to_ptr, 0 };
}

static int make_pool(void **state)
{
	(void)state;
	pool = aligned_alloc(PAGE_SIZE, POOL * PAGE_SIZE);
	return pool ? 0 : -1;
}

static int free_pool(void **state)
{
	(void)state;
	free(pool);
	return 0;
}

/* --- questions ------------------------------------------------------------- */

static enum err map(struct stage2 *s, uint64_t gpa, uint64_t hpa,
		    uint64_t size)
{
	return stage2_map(s, GPA(gpa), hpa, size, S2_RWX, MTRR_WB);
}

static void must_map(struct stage2 *s, uint64_t gpa, uint64_t hpa,
		     uint64_t size)
{
	assert_int_equal(map(s, gpa, hpa, size), OK);
}

static void assert_leaf(const struct stage2 *s, uint64_t gpa, uint64_t hpa,
			uint64_t size, unsigned perm, enum mtrr_type type)
{
	uint64_t got;
	const uint64_t e = stage2_lookup(s, GPA(gpa), &got);

	assert_int_equal(e, hpa | s->format->leaf(perm, type) |
			    (size > K4 ? LARGE : 0));
	assert_int_equal(got, size);
	assert_int_equal(stage2_lookup(s, GPA(gpa), NULL), e);
}

static void assert_wb(const struct stage2 *s, uint64_t gpa, uint64_t hpa,
		      uint64_t size)
{
	assert_leaf(s, gpa, hpa, size, S2_RWX, MTRR_WB);
}

static void assert_hole(const struct stage2 *s, uint64_t gpa, uint64_t size)
{
	uint64_t got;

	assert_int_equal(stage2_lookup(s, GPA(gpa), &got), 0);
	assert_int_equal(got, size);
}

/* Where gpa leads, whatever the page's size; ~0 for nowhere. */
static uint64_t reach(const struct stage2 *s, uint64_t gpa)
{
	uint64_t size;
	const uint64_t e = stage2_lookup(s, GPA(gpa), &size);

	return e ? (e & ADDRESS) + (gpa & (size - 1)) : ~0ull;
}

/* --- one operation at a time ----------------------------------------------- */

static void all_sizes(void **state)
{
	(void)state;
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++) {
		struct stage2 s = make(formats[f]);

		must_map(&s, 3 * GIB, 7 * GIB, GIB);
		must_map(&s, 4 * GIB + M2, 8 * GIB, M2);
		must_map(&s, 4 * GIB + 2 * M2 + K4, 9 * GIB + K4, K4);
		must_map(&s, REACH - K4, 0, K4);
		assert_wb(&s, 3 * GIB, 7 * GIB, GIB);
		assert_wb(&s, 4 * GIB - 1, 7 * GIB, GIB);
		assert_wb(&s, 4 * GIB + M2, 8 * GIB, M2);
		assert_wb(&s, 4 * GIB + 2 * M2 - 1, 8 * GIB, M2);
		assert_wb(&s, 4 * GIB + 2 * M2 + K4, 9 * GIB + K4, K4);
		assert_wb(&s, REACH - 1, 0, K4);
		assert_hole(&s, 2 * GIB, GIB);
		assert_hole(&s, 4 * GIB, M2);
		assert_hole(&s, 4 * GIB + 2 * M2, K4);
		assert_hole(&s, 4 * GIB + 2 * M2 + 2 * K4, K4);
		assert_hole(&s, 4 * GIB + 3 * M2, M2);
		assert_hole(&s, 5 * GIB, GIB);
		assert_hole(&s, T512, T512);
	}
}

static void empty(void **state)
{
	struct stage2 s = make(&ept);

	(void)state;
	assert_hole(&s, 0, T512);
	assert_hole(&s, REACH - 1, T512);
}

static void permissions_and_types(void **state)
{
	static const unsigned perms[] = { S2_R, S2_R | S2_X, S2_R | S2_W,
					  S2_RWX };
	static const enum mtrr_type types[] = { MTRR_UC, MTRR_WC, MTRR_WT,
						MTRR_WP, MTRR_WB };
	static const uint64_t sizes[] = { K4, M2, GIB };

	(void)state;
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		for (unsigned i = 0; i < 4 * 5 * 3; i++) {
			const unsigned p = perms[i % 4];
			const enum mtrr_type t = types[i / 4 % 5];
			const uint64_t size = sizes[i / 20];
			struct stage2 s = make(formats[f]);

			assert_int_equal(stage2_map(&s, GPA(GIB), GIB, size, p,
						    t), OK);
			assert_leaf(&s, GIB, GIB, size, p, t);
		}
}

static void refused(void **state)
{
	static const uint64_t bad_sizes[] = { 0, 1, 2 * K4, MIB, 2 * GIB, T512,
					      ~0ull };
	static const struct { uint64_t gpa, hpa, size; } bad[] = {
		{ 1, 0, K4 }, { 0, 1, K4 }, { K4, 0, M2 }, { 0, K4, M2 },
		{ M2, 0, GIB }, { 0, M2, GIB }, { K4, 0, GIB },
		{ REACH, 0, K4 }, { REACH, 0, GIB }, { BIT(63), 0, K4 },
		{ 0, BIT(52), K4 }, { 0, BIT(63), GIB },
	};
	struct stage2 s = make(&ept);

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad_sizes); i++)
		assert_int_equal(map(&s, 0, 0, bad_sizes[i]), ERR_INVAL);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(map(&s, bad[i].gpa, bad[i].hpa, bad[i].size),
				 ERR_INVAL);
	assert_int_equal(used, 1);
	assert_hole(&s, 0, T512);
}

static void no_1g(void **state)
{
	struct stage2 s = make(&small);

	(void)state;
	assert_int_equal(map(&s, 0, 0, GIB), ERR_INVAL);
	must_map(&s, 0, 0, M2);
	assert_wb(&s, 0, 0, M2);
}

/* An address the tables cannot name is not a lower one's alias. */
static void beyond_reach(void **state)
{
	struct stage2 s = make(&ept);

	(void)state;
	must_map(&s, 0, 0, GIB);
	assert_hole(&s, REACH, T512);
	assert_hole(&s, BIT(51), T512);
	assert_hole(&s, ~0ull, T512);
}

static void equal_page_is_overwritten(void **state)
{
	static const uint64_t sizes[] = { K4, M2, GIB };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct stage2 s = make(&ept);
		unsigned before;

		must_map(&s, GIB, GIB, sizes[i]);
		before = used;
		budget = 0;
		assert_int_equal(stage2_map(&s, GPA(GIB), 5 * GIB, sizes[i],
					    S2_R, MTRR_UC), OK);
		assert_leaf(&s, GIB, 5 * GIB, sizes[i], S2_R, MTRR_UC);
		assert_int_equal(used, before);
	}
}

/* [base, base+len) still leads to itself + offset, but for one page of it. */
static void assert_linear(const struct stage2 *s, uint64_t base, uint64_t len,
			  uint64_t hpa, uint64_t but, uint64_t but_len)
{
	for (uint64_t at = 0; at < len; at += K4)
		if (base + at - but >= but_len)
			assert_int_equal(reach(s, base + at), hpa + at);
}

static void splits(void **state)
{
	static const struct { uint64_t large, small; unsigned tables; } row[] = {
		{ GIB, M2, 1 }, { GIB, K4, 2 }, { M2, K4, 1 },
	};

	(void)state;
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
			struct stage2 s = make(formats[f]);
			const uint64_t gpa = GIB + row[i].large / 2 +
					     row[i].small;
			unsigned before;

			assert_int_equal(stage2_map(&s, GPA(GIB), 6 * GIB,
						    row[i].large, S2_R | S2_X,
						    MTRR_WT), OK);
			before = used;
			must_map(&s, gpa, 0, row[i].small);
			assert_int_equal(used - before, row[i].tables);
			assert_wb(&s, gpa, 0, row[i].small);
			assert_linear(&s, GIB, row[i].large, 6 * GIB, gpa,
				      row[i].small);
			assert_leaf(&s, gpa - row[i].small,
				    gpa + 5 * GIB - row[i].small, row[i].small,
				    S2_R | S2_X, MTRR_WT);
			assert_leaf(&s, gpa + row[i].small,
				    gpa + 5 * GIB + row[i].small, row[i].small,
				    S2_R | S2_X, MTRR_WT);
		}
}

static void tables_in_the_way(void **state)
{
	struct stage2 s = make(&ept);
	unsigned before;

	(void)state;
	must_map(&s, 0, 0, K4);
	must_map(&s, GIB, GIB, M2);
	before = used;
	assert_int_equal(map(&s, 0, 0, M2), ERR_INVAL);
	assert_int_equal(map(&s, 0, 0, GIB), ERR_INVAL);
	assert_int_equal(map(&s, GIB, 0, GIB), ERR_INVAL);
	assert_int_equal(used, before);
	assert_wb(&s, 0, 0, K4);
	assert_hole(&s, K4, K4);
	assert_wb(&s, GIB, GIB, M2);
}

/* --- no memory ------------------------------------------------------------- */

/* Map 4 KiB over `below` bytes of page (0: none) with n tables to be had. */
static bool with_budget(uint64_t below, unsigned n)
{
	struct stage2 s = make(&ept);
	const uint64_t gpa = GIB + 3 * M2 + 5 * K4;
	enum err e;

	if (below)
		must_map(&s, ALIGN_DOWN(gpa, below), 4 * GIB, below);
	budget = n;
	e = map(&s, gpa, 0, K4);
	if (e == OK) {
		assert_wb(&s, gpa, 0, K4);
		return true;
	}
	assert_int_equal(e, ERR_NOMEM);
	if (below)
		assert_linear(&s, ALIGN_DOWN(gpa, below), below, 4 * GIB, 0, 0);
	else
		assert_int_equal(reach(&s, gpa), ~0ull);
	assert_int_equal(reach(&s, 0), ~0ull);
	assert_int_equal(reach(&s, 2 * GIB), ~0ull);
	budget = 3; /* what is left behind is no obstacle */
	must_map(&s, gpa, 0, K4);
	assert_wb(&s, gpa, 0, K4);
	return false;
}

static void no_memory(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		assert_int_equal(with_budget(0, n), n >= 3);
		assert_int_equal(with_budget(GIB, n), n >= 2);
		assert_int_equal(with_budget(M2, n), n >= 1);
	}
}

/* --- retype ---------------------------------------------------------------- */

static uint64_t uc_base, uc_end; /* UC there, WB elsewhere */

static enum mtrr_type type_of(uint64_t base, uint64_t len)
{
	assert_true(len == K4 || len == M2 || len == GIB);
	assert_int_equal(base & (len - 1), 0);
	if (base + len <= uc_base || base >= uc_end)
		return MTRR_WB;
	return base >= uc_base && base + len <= uc_end ? MTRR_UC : MTRR_MIXED;
}

static void retype_splits_what_is_mixed(void **state)
{
	struct stage2 s = make(&ept);

	(void)state;
	/* hpa differs from gpa: the type belongs to the latter. */
	must_map(&s, 0, 8 * GIB, GIB);
	must_map(&s, GIB, 10 * GIB, GIB);
	must_map(&s, 2 * GIB, 0, K4);
	must_map(&s, T512, 0, M2);
	assert_int_equal(stage2_map(&s, GPA(3 * GIB), 0, M2, S2_R | S2_X,
				    MTRR_WB), OK);
	uc_base = GIB - K4;
	uc_end = 3 * GIB + M2;
	assert_int_equal(stage2_retype(&s, type_of), OK);
	assert_wb(&s, 0, 8 * GIB, M2);
	assert_wb(&s, GIB - M2, 9 * GIB - M2, K4);
	assert_leaf(&s, GIB - K4, 9 * GIB - K4, K4, S2_RWX, MTRR_UC);
	assert_leaf(&s, GIB, 10 * GIB, GIB, S2_RWX, MTRR_UC);
	assert_leaf(&s, 2 * GIB, 0, K4, S2_RWX, MTRR_UC);
	assert_leaf(&s, 3 * GIB, 0, M2, S2_R | S2_X, MTRR_UC);
	assert_wb(&s, T512, 0, M2);
	assert_linear(&s, 0, GIB, 8 * GIB, 0, 0);
	assert_hole(&s, 2 * GIB + K4, K4);

	/* And back: nothing is joined, all of it is WB. */
	uc_end = uc_base;
	budget = 0;
	assert_int_equal(stage2_retype(&s, type_of), OK);
	assert_wb(&s, GIB - K4, 9 * GIB - K4, K4);
	assert_wb(&s, GIB, 10 * GIB, GIB);
	assert_leaf(&s, 3 * GIB, 0, M2, S2_R | S2_X, MTRR_WB);
}

static void retype_without_memory(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct stage2 s = make(&ept);

		must_map(&s, 0, 4 * GIB, GIB);
		must_map(&s, GIB, 5 * GIB, GIB);
		uc_base = M2 + K4;
		uc_end = 2 * GIB - M2; /* 1 GiB into 2 MiB, one into 4 KiB */
		budget = n;
		assert_int_equal(stage2_retype(&s, type_of),
				 n < 3 ? ERR_NOMEM : OK);
		assert_linear(&s, 0, 2 * GIB, 4 * GIB, 0, 0);
	}
}

/* Entries without types lose nothing: NX is not where EPT has X. */
static void retype_without_types(void **state)
{
	struct stage2 s = make(&npt);

	(void)state;
	assert_int_equal(stage2_map(&s, GPA(0), 0, M2, S2_R | S2_W, MTRR_WB),
			 OK);
	uc_base = K4;
	uc_end = 2 * K4;
	budget = 0;
	assert_int_equal(stage2_retype(&s, type_of), OK);
	assert_leaf(&s, 0, 0, M2, S2_R | S2_W, MTRR_WB);
}

/* --- random operations ----------------------------------------------------- */

/* The model's window lies across an entry of the root. */
#define BASE  (T512 - GIB)
#define LEN   (2 * GIB)
#define CELLS (LEN / K4)

static struct model {
	struct cell {
		uint64_t hpa;
		uint8_t perm, type; /* perm 0: nothing there */
	} *cell;
	bool root[2], table_1g[2], table_2m[1024];
} m;

static uint32_t seed;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)seed * n >> 32);
}

/* Make a table if *have says there is none yet. False: no memory. */
static bool model_table(bool *have, unsigned *left)
{
	if (!*have && !*left)
		return false;
	*left -= !*have;
	*have = true;
	return true;
}

static enum err model_map(uint64_t at, uint64_t hpa, uint64_t size,
			  unsigned perm, enum mtrr_type type, unsigned left)
{
	const uint64_t g = at / GIB, t = at / M2;

	if (!model_table(&m.root[g], &left) ||
	    (size < GIB && !model_table(&m.table_1g[g], &left)) ||
	    (size < M2 && !model_table(&m.table_2m[t], &left)))
		return ERR_NOMEM;
	if ((size == GIB && m.table_1g[g]) || (size == M2 && m.table_2m[t]))
		return ERR_INVAL;
	for (uint64_t i = 0; i < size / K4; i++)
		m.cell[at / K4 + i] = (struct cell){
			hpa + i * K4, (uint8_t)perm, (uint8_t)type };
	return OK;
}

static void compare(const struct stage2 *s)
{
	uint64_t size;

	for (uint64_t at = 0; at < LEN; at += size) {
		const uint64_t e = stage2_lookup(s, GPA(BASE + at), &size);
		const uint64_t bits = size > K4 ? LARGE : 0;

		if (size > GIB) /* nothing in this entry of the root */
			size = GIB;
		for (uint64_t i = 0; i < size; i += K4) {
			const struct cell *c = &m.cell[(at + i) / K4];
			const uint64_t want = !c->perm ? 0 : (c->hpa - i) |
				s->format->leaf(c->perm, c->type) | bits;

			if (e != want)
				fail_msg("%lx: %lx, not %lx", BASE + at + i, e,
					 want);
		}
	}
}

static void random_map(struct stage2 *s)
{
	static const uint64_t sizes[] = { GIB, M2, K4 };
	static const unsigned perms[] = { S2_R, S2_R | S2_X, S2_R | S2_W,
					  S2_RWX };
	const uint64_t size = sizes[rnd(16) ? 1 + rnd(2) : 0];
	/* A few places in each GiB: large pages stay, and are hit again. */
	const uint64_t at = ALIGN_DOWN(rnd(2) * GIB + rnd(8) * 3 * M2 +
				       rnd(512) * K4, size);
	const uint64_t hpa = (uint64_t)rnd(64) * GIB;
	const unsigned perm = perms[rnd(4)];
	const enum mtrr_type type = rnd(2) ? MTRR_WB : MTRR_UC;

	budget = rnd(3) ? POOL : rnd(3);
	const enum err want = model_map(at, hpa, size, perm, type, budget);
	assert_int_equal(stage2_map(s, GPA(BASE + at), hpa, size, perm, type),
			 want);
}

static void model_reset(void)
{
	memset(m.cell, 0, CELLS * sizeof(*m.cell));
	memset(m.root, 0, sizeof(m.root));
	memset(m.table_1g, 0, sizeof(m.table_1g));
	memset(m.table_2m, 0, sizeof(m.table_2m));
}

/* Retype in the end only: the model does not know what it splits. */
static void random_retype(struct stage2 *s)
{
	uc_base = BASE + rnd(1024) * MIB + rnd(512) * K4;
	uc_end = uc_base + rnd(512) * K4 + rnd(1024) * MIB;
	budget = POOL;
	assert_int_equal(stage2_retype(s, type_of), OK);
	for (uint64_t i = 0; i < CELLS && s->format->has_types; i++)
		m.cell[i].type = (uint8_t)type_of(BASE + i * K4, K4);
	compare(s);
}

static void random_operations(void **state)
{
	(void)state;
	m.cell = malloc(CELLS * sizeof(*m.cell));
	assert_non_null(m.cell);
	for (seed = 1; seed < 9; seed++) {
		const uint32_t run = seed;
		struct stage2 s = make(formats[run % 2]);

		model_reset();
		for (unsigned i = 0; i < 400; i++) {
			random_map(&s);
			if (i % 40 == 0)
				compare(&s);
		}
		compare(&s);
		random_retype(&s);
		seed = run;
	}
	free(m.cell);
}

static void around(void **state)
{
	uint64_t pa[4] = { 7 * GIB, STAGE2_NONE, 8 * GIB, 9 * GIB };
	const uint64_t gpa = GIB + 508 * K4; /* the last of a table */

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		struct stage2 s = make(formats[i]);
		uint64_t want[4], none[4];

		memcpy(want, pa, sizeof(pa));
		memcpy(none, pa, sizeof(pa));
		stage2_map_around(&s, GPA(gpa), none, 4, S2_RWX, MTRR_WB);
		assert_hole(&s, gpa, T512);
		assert_true(none[0] == STAGE2_NONE && none[3] == STAGE2_NONE);
		must_map(&s, gpa + 2 * K4, 5 * GIB, K4);
		budget = 0;
		stage2_map_around(&s, GPA(gpa), want, 4, S2_R, MTRR_WB);
		assert_leaf(&s, gpa, 7 * GIB, K4, S2_R, MTRR_WB);
		assert_hole(&s, gpa + K4, K4);
		assert_wb(&s, gpa + 2 * K4, 5 * GIB, K4);
		assert_leaf(&s, gpa + 3 * K4, 9 * GIB, K4, S2_R, MTRR_WB);
		assert_hole(&s, gpa + 4 * K4, M2);
		assert_int_equal(want[0], 7 * GIB);
		assert_true(want[2] == STAGE2_NONE && want[3] == 9 * GIB);
		/* A large page has no table of small ones. */
		budget = POOL;
		must_map(&s, 4 * GIB, 4 * GIB, M2);
		memcpy(want, pa, sizeof(pa));
		stage2_map_around(&s, GPA(4 * GIB), want, 4, S2_R, MTRR_WB);
		assert_wb(&s, 4 * GIB, 4 * GIB, M2);
		assert_true(want[0] == STAGE2_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(around),
		cmocka_unit_test(all_sizes),
		cmocka_unit_test(empty),
		cmocka_unit_test(permissions_and_types),
		cmocka_unit_test(refused),
		cmocka_unit_test(no_1g),
		cmocka_unit_test(beyond_reach),
		cmocka_unit_test(equal_page_is_overwritten),
		cmocka_unit_test(splits),
		cmocka_unit_test(tables_in_the_way),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(retype_splits_what_is_mixed),
		cmocka_unit_test(retype_without_memory),
		cmocka_unit_test(retype_without_types),
		cmocka_unit_test(random_operations),
	};

	return cmocka_run_group_tests(tests, make_pool, free_pool);
}
