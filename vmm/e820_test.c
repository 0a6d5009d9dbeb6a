/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * e820_test.c - the memory map against hand-made maps, and against a model
 * that keeps one entry per byte of a small address space.
 */
#include "e820.h"
#include "string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { RAM = LUV_MEM_RAM, RSV = LUV_MEM_RESERVED, ACPI = LUV_MEM_ACPI,
       NVS = LUV_MEM_NVS, BAD = LUV_MEM_BAD };

#define ROWS 512

struct fixture {
	struct luv_mem row[ROWS];
	struct e820 map;
};

static struct e820 *map_of(struct fixture *f, unsigned max,
			   const struct luv_mem *rows, unsigned count)
{
	memset(f, 0, sizeof(*f));
	f->map = (struct e820){ f->row, count, max };
	memcpy(f->row, rows, count * sizeof(*rows));
	return &f->map;
}

static void assert_rows(const struct e820 *map, const struct luv_mem *want,
			unsigned count)
{
	assert_int_equal(map->count, count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(map->row[i].base, want[i].base);
		assert_int_equal(map->row[i].len, want[i].len);
		assert_int_equal(map->row[i].type, want[i].type);
		assert_int_equal(map->row[i].vmm, want[i].vmm);
	}
}

#define NORMALIZES(in, out)                                                    \
	do {                                                                   \
		struct fixture f_;                                             \
		struct e820 *m_ = map_of(&f_, ROWS, in, ARRAY_SIZE(in));       \
		assert_int_equal(e820_normalize(m_), OK);                      \
		assert_int_equal(m_->max, ROWS);                               \
		assert_rows(m_, out, ARRAY_SIZE(out));                         \
	} while (0)

static void empty_map(void **state)
{
	struct fixture f;
	struct e820 *m = map_of(&f, ROWS,
				(struct luv_mem[1]){ { 0 } }, 0);
	uint16_t kib = 1, blocks = 1;

	(void)state;
	assert_int_equal(e820_normalize(m), OK);
	assert_int_equal(m->count, 0);
	assert_int_equal(e820_ram_bytes(m), 0);
	assert_int_equal(e820_ram_end(m), 0);
	assert_int_equal(e820_find_top(m, UINT64_MAX, 1, 1), 0);
	assert_false(e820_is_ram(m, 0, 1));
	e820_int15_e801(m, &kib, &blocks);
	assert_int_equal(kib, 0);
	assert_int_equal(blocks, 0);
	assert_int_equal(e820_int15_88(m), 0);
	assert_int_equal(e820_carve(m, 5, 6, BAD, true), OK);
	assert_rows(m, (struct luv_mem[]){ { 5, 6, BAD, 1 } }, 1);
}

static void normalize_sorts_and_merges(void **state)
{
	const struct luv_mem in[] = { { 300, 100, RAM, 0 }, { 0, 100, RAM, 0 },
				      { 100, 100, RAM, 0 },
				      { 200, 100, RSV, 0 },
				      { 500, 1, RAM, 0 } };
	const struct luv_mem out[] = { { 0, 200, RAM, 0 },
				       { 200, 100, RSV, 0 },
				       { 300, 100, RAM, 0 },
				       { 500, 1, RAM, 0 } };
	(void)state;
	NORMALIZES(in, out);
}

static void normalize_drops_what_is_no_range(void **state)
{
	/* The highest range there is ends at 2^64 - 1. */
	const struct luv_mem in[] = { { 7, 0, BAD, 0 },
				      { UINT64_MAX - 9, 11, BAD, 0 },
				      { UINT64_MAX - 9, 10, BAD, 0 },
				      { 2, UINT64_MAX, BAD, 0 },
				      { UINT64_MAX - 9, 9, RSV, 0 },
				      { 20, 5, RAM, 0 } };
	const struct luv_mem out[] = { { 20, 5, RAM, 0 },
				       { UINT64_MAX - 9, 9, RSV, 0 } };
	(void)state;
	NORMALIZES(in, out);
}

static void normalize_resolves_overlaps(void **state)
{
	/* Less usable wins, whatever the order and the containment. */
	const struct luv_mem in[] = {
		{ 0, 1000, RAM, 0 },   { 100, 100, ACPI, 0 },
		{ 150, 100, NVS, 0 },  { 220, 100, RSV, 0 },
		{ 300, 100, BAD, 0 },  { 600, 10, RAM, 0 },
		{ 950, 100, RSV, 0 },  { 310, 10, RAM, 0 },
		{ 700, 20, 12, 0 },    { 710, 20, 7, 0 },
		{ 800, 10, RAM, 1 },
	};
	const struct luv_mem out[] = {
		{ 0, 100, RAM, 0 },    { 100, 50, ACPI, 0 },
		{ 150, 70, NVS, 0 },   { 220, 80, RSV, 0 },
		{ 300, 100, BAD, 0 },  { 400, 300, RAM, 0 },
		{ 700, 20, 12, 0 },    { 720, 10, 7, 0 },
		{ 730, 70, RAM, 0 },   { 800, 10, RAM, 1 },
		{ 810, 140, RAM, 0 },  { 950, 100, RSV, 0 },
	};
	(void)state;
	NORMALIZES(in, out);
}

static void normalize_of_identical_rows(void **state)
{
	const struct luv_mem in[] = { { 10, 5, RSV, 0 }, { 10, 5, RSV, 0 },
				      { 10, 5, RAM, 0 }, { 10, 5, RSV, 0 } };
	(void)state;
	NORMALIZES(in, ((struct luv_mem[]){ { 10, 5, RSV, 0 } }));
}

/* INT 15h callers stop at 128 rows; we may be given more. */
static void normalize_many_rows(void **state)
{
	struct luv_mem in[200], out[200];

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		out[i] = (struct luv_mem){ i * 4096ull, 4096,
					   i % 2 ? RSV : RAM, 0 };
		in[(i * 73) % 200] = out[i];
	}
	NORMALIZES(in, out);
}

static void normalize_reports_a_full_table(void **state)
{
	const struct luv_mem in[] = { { 0, 100, RAM, 0 }, { 40, 10, RSV, 0 } };
	struct fixture f;

	(void)state;
	assert_int_equal(e820_normalize(map_of(&f, 2, in, 2)), ERR_NOMEM);
	assert_int_equal(f.map.max, 2);
	assert_int_equal(e820_normalize(map_of(&f, 3, in, 2)), OK);
	assert_int_equal(f.map.count, 3);
}

static const struct luv_mem pc[] = {
	{ 0, 0x9f000, RAM, 0 },
	{ 0x9f000, 0x61000, RSV, 0 },
	{ 0x100000, 0x7fe00000 - 0x100000, RAM, 0 },
	{ 0x7fe00000, 0x100000, ACPI, 0 },
	{ 0x100000000, 0x80000000, RAM, 0 },
};

static void carve_splits_and_merges(void **state)
{
	struct fixture f;
	struct e820 *m = map_of(&f, ROWS, pc, ARRAY_SIZE(pc));

	(void)state;
	assert_int_equal(e820_carve(m, 0x110000000, 0x1000, RSV, true), OK);
	assert_int_equal(m->count, 7);
	assert_true(e820_is_ram(m, 0x100000000, 0x10000000));
	assert_false(e820_is_ram(m, 0x100000000, 0x10000001));
	assert_false(e820_is_ram(m, 0x110000fff, 1));
	assert_true(e820_is_ram(m, 0x110001000, 0x6ffff000));
	/* Back again: the three rows become one. */
	assert_int_equal(e820_carve(m, 0x110000000, 0x1000, RAM, false), OK);
	assert_rows(m, pc, ARRAY_SIZE(pc));
	/* Exactly one row; over the seam of two; the mark alone differs. */
	assert_int_equal(e820_carve(m, 0, 0x9f000, RSV, false), OK);
	assert_int_equal(m->count, 4);
	assert_int_equal(m->row[0].len, 0x100000);
	assert_int_equal(e820_carve(m, 0x1000, 0x1000, RSV, true), OK);
	assert_int_equal(m->count, 6);
	/* Over everything, and in a hole. */
	assert_int_equal(e820_carve(m, 0, UINT64_MAX, BAD, false), OK);
	assert_rows(m, (struct luv_mem[]){ { 0, UINT64_MAX, BAD, 0 } }, 1);
}

static void carve_failures_change_nothing(void **state)
{
	struct fixture f;
	struct e820 *m = map_of(&f, ARRAY_SIZE(pc) + 1, pc, ARRAY_SIZE(pc));

	(void)state;
	assert_int_equal(e820_carve(m, 0x1000, 0, RSV, 0), ERR_INVAL);
	assert_int_equal(e820_carve(m, UINT64_MAX, 1, RSV, 0), ERR_INVAL);
	assert_int_equal(e820_carve(m, 2, UINT64_MAX, RSV, 0), ERR_INVAL);
	assert_rows(m, pc, ARRAY_SIZE(pc));
	/* Two more rows are needed and one is left. */
	assert_int_equal(e820_carve(m, 0x200000, 1, RSV, 0), ERR_NOMEM);
	assert_rows(m, pc, ARRAY_SIZE(pc));
	assert_int_equal(f.row[ARRAY_SIZE(pc)].len, 0);
	assert_int_equal(e820_carve(m, 0x100000, 1, ACPI, 0), OK);
	assert_int_equal(m->count, ARRAY_SIZE(pc) + 1);
}

static void find_top_takes_the_highest(void **state)
{
	struct fixture f;
	struct e820 *m = map_of(&f, ROWS, pc, ARRAY_SIZE(pc));

	(void)state;
	assert_int_equal(e820_find_top(m, UINT64_MAX, 0x1000, 0x1000),
			 0x17ffff000);
	assert_int_equal(e820_find_top(m, 0x17fffffff, 0x1000, 0x1000),
			 0x17fffe000);
	assert_int_equal(e820_find_top(m, 4 * GIB, 64 * MIB, 2 * MIB),
			 0x7fe00000 - 64 * MIB);
	assert_int_equal(e820_find_top(m, 4 * GIB, 0x1000, GIB), 0x40000000);
	/* Exactly the row, one byte more, limits inside and below rows. */
	assert_int_equal(e820_find_top(m, UINT64_MAX, 0x80000000, 1),
			 0x100000000);
	assert_int_equal(e820_find_top(m, UINT64_MAX, 0x80000001, 1), 0);
	assert_int_equal(e820_find_top(m, 0x9f001, 0x9e000, 0x1000), 0x1000);
	assert_int_equal(e820_find_top(m, 0x101000, 0x1000, 0x1000), 0x100000);
	assert_int_equal(e820_find_top(m, 0x101000 - 1, 0x1000, 0x1000),
			 0x9e000);
	/* Address 0 does not count as found. */
	assert_int_equal(e820_find_top(m, 0x1000, 0x1000, 0x1000), 0);
	assert_int_equal(e820_carve(m, 0x170000000, 0x10000000, RAM, true), OK);
	assert_int_equal(e820_find_top(m, UINT64_MAX, 0x1000, 0x1000),
			 0x16ffff000);
}

static void is_ram_edges(void **state)
{
	struct fixture f;
	struct e820 *m = map_of(&f, ROWS, pc, ARRAY_SIZE(pc));

	(void)state;
	assert_true(e820_is_ram(m, 0, 0x9f000));
	assert_false(e820_is_ram(m, 0, 0x9f001));
	assert_false(e820_is_ram(m, 0x9efff, 2));
	assert_false(e820_is_ram(m, 0x1000, 0));
	assert_false(e820_is_ram(m, 0x17fffffff, UINT64_MAX));
	assert_false(e820_is_ram(m, 0x1000, UINT64_MAX - 0xfff));
	assert_false(e820_is_ram(m, 0x180000000, 1));
}

static void sums(void **state)
{
	struct fixture f;
	struct e820 *m = map_of(&f, ROWS, pc, ARRAY_SIZE(pc));

	(void)state;
	assert_int_equal(e820_ram_bytes(m),
			 0x9f000ull + 0x7fd00000 + 0x80000000);
	assert_int_equal(e820_ram_end(m), 0x180000000);
	assert_int_equal(e820_carve(m, 0x100000000, 0x80000000, RSV, 0), OK);
	assert_int_equal(e820_ram_end(m), 0x7fe00000);
}

static void int15_answers(void **state)
{
	static const struct {
		uint64_t base, len; /* the RAM from 1 MiB */
		uint16_t kib, blocks, ext;
	} t[] = {
		{ MIB, 64 * KIB, 64, 0, 64 },
		{ MIB, 15 * MIB, 0x3c00, 0, 0x3c00 },
		{ MIB, 15 * MIB - 1, 0x3bff, 0, 0x3bff },
		{ MIB, 16 * MIB, 0x3c00, 16, 0x4000 },
		{ MIB, 63 * MIB, 0x3c00, 48 * 16, 0xfc00 },
		{ MIB, 64 * MIB, 0x3c00, 49 * 16, 0xfc00 },
		{ MIB, 8 * GIB, 0x3c00, 0xff00, 0xfc00 },
		{ MIB + 1, GIB, 0, 0, 0 },
		{ 0, 2 * MIB, 1024, 0, 1024 },
		{ 16 * MIB, GIB, 0, 0, 0 },
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		struct luv_mem row = { t[i].base, t[i].len, RAM, 0 };
		struct e820 m = { &row, 1, 1 };
		uint16_t kib, blocks;

		e820_int15_e801(&m, &kib, &blocks);
		assert_int_equal(kib, t[i].kib);
		assert_int_equal(blocks, t[i].blocks);
		assert_int_equal(e820_int15_88(&m), t[i].ext);
	}
}

static void int15_stops_at_the_hole(void **state)
{
	/* The hole some boards had at 15 MiB. */
	struct luv_mem row[] = { { MIB, 14 * MIB, RAM, 0 },
				 { 15 * MIB, MIB, RSV, 0 },
				 { 16 * MIB, GIB, RAM, 0 } };
	struct e820 m = { row, 3, 3 };
	uint16_t kib, blocks;

	(void)state;
	e820_int15_e801(&m, &kib, &blocks);
	assert_int_equal(kib, 14 * 1024);
	assert_int_equal(blocks, 0);
	assert_int_equal(e820_int15_88(&m), 14 * 1024);
}

/* --- the model: one cell per byte of a space of SPACE bytes ------------ */

#define SPACE 256
#define NONE  0xff

struct model {
	uint8_t type[SPACE], vmm[SPACE];
};

/* Position in a list that is written out here, not computed as in e820.c. */
static unsigned model_rank(unsigned type, unsigned vmm)
{
	static const uint8_t order[] = { NONE, RAM, ACPI, NVS, 0, 6, 7, RSV,
					 BAD };

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		if (order[i] == type)
			return i + vmm * 100;
	fail();
	return 0;
}

static void model_add(struct model *m, const struct luv_mem *r)
{
	for (uint64_t a = r->base; a < r->base + r->len; a++) {
		if (model_rank(r->type, r->vmm) <=
		    model_rank(m->type[a], m->vmm[a]))
			continue;
		m->type[a] = (uint8_t)r->type;
		m->vmm[a] = (uint8_t)r->vmm;
	}
}

/* The map says of every byte what the model says, in the fewest rows. */
static void assert_model(const struct e820 *map, const struct model *m)
{
	struct model got;

	memset(&got, 0, sizeof(got));
	memset(got.type, NONE, SPACE);
	for (unsigned i = 0; i < map->count; i++) {
		const struct luv_mem *r = &map->row[i], *p = r - 1;

		assert_true(r->len > 0 && r->base + r->len <= SPACE);
		if (i > 0) {
			assert_true(p->base + p->len <= r->base);
			assert_false(p->base + p->len == r->base &&
				     p->type == r->type && p->vmm == r->vmm);
		}
		memset(got.type + r->base, (int)r->type, r->len);
		memset(got.vmm + r->base, (int)r->vmm, r->len);
	}
	assert_memory_equal(&got, m, sizeof(got));
}

static unsigned pick(unsigned n)
{
	return (unsigned)rand() % n;
}

static struct luv_mem random_row(void)
{
	static const uint8_t types[] = { RAM, RAM, RAM, RSV, ACPI, NVS, BAD, 0,
					 6, 7 };
	const unsigned base = pick(SPACE), max = SPACE - base;

	return (struct luv_mem){ base, pick(max < 40 ? max + 1 : 40),
				 types[pick(ARRAY_SIZE(types))],
				 pick(10) == 0 };
}

static bool model_is_ram(const struct model *m, unsigned base, unsigned len)
{
	for (unsigned a = base; a < base + len; a++)
		if (a >= SPACE || m->type[a] != RAM || m->vmm[a])
			return false;
	return len > 0;
}

static void assert_queries(const struct e820 *map, const struct model *m)
{
	uint64_t bytes = 0, end = 0, top = 0;
	const unsigned len = 1 + pick(20), align = 1u << pick(5);
	const unsigned limit = pick(SPACE + 20);

	for (unsigned a = 0; a < SPACE; a++) {
		assert_int_equal(e820_is_ram(map, a, len),
				 model_is_ram(m, a, len));
		if (m->type[a] == RAM) {
			bytes++;
			end = a + 1;
		}
		if (a % align == 0 && a + len <= limit &&
		    model_is_ram(m, a, len))
			top = a;
	}
	assert_int_equal(e820_ram_bytes(map), bytes);
	assert_int_equal(e820_ram_end(map), end);
	assert_int_equal(e820_find_top(map, limit, len, align), top);
}

static void carve_model(struct e820 *map, struct model *m)
{
	const struct luv_mem r = random_row();

	if (r.len == 0)
		return;
	assert_int_equal(e820_carve(map, r.base, r.len, r.type, r.vmm), OK);
	memset(m->type + r.base, (int)r.type, r.len);
	memset(m->vmm + r.base, (int)r.vmm, r.len);
	assert_model(map, m);
}

static void random_maps_match_the_model(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 5000; round++) {
		struct luv_mem rows[2 * 40];
		struct model m;
		const unsigned n = pick(40);
		struct e820 map = { rows, n, 2 * n };

		memset(&m, 0, sizeof(m));
		memset(m.type, NONE, SPACE);
		for (unsigned i = 0; i < n; i++) {
			rows[i] = random_row();
			model_add(&m, &rows[i]);
		}
		/* The contract: twice the rows always suffice. */
		assert_int_equal(e820_normalize(&map), OK);
		assert_model(&map, &m);
		assert_queries(&map, &m);
		map.max = ARRAY_SIZE(rows);
		for (unsigned i = 0; i < 5 && map.count + 2 <= map.max; i++)
			carve_model(&map, &m);
		assert_queries(&map, &m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_map),
		cmocka_unit_test(normalize_sorts_and_merges),
		cmocka_unit_test(normalize_drops_what_is_no_range),
		cmocka_unit_test(normalize_resolves_overlaps),
		cmocka_unit_test(normalize_of_identical_rows),
		cmocka_unit_test(normalize_many_rows),
		cmocka_unit_test(normalize_reports_a_full_table),
		cmocka_unit_test(carve_splits_and_merges),
		cmocka_unit_test(carve_failures_change_nothing),
		cmocka_unit_test(find_top_takes_the_highest),
		cmocka_unit_test(is_ram_edges),
		cmocka_unit_test(sums),
		cmocka_unit_test(int15_answers),
		cmocka_unit_test(int15_stops_at_the_hole),
		cmocka_unit_test(random_maps_match_the_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
