/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_test.c - rows are found again, at the limits too, and there are never
 * more than ROWS_MAX and a few.
 */
#include "rows.h"
#include "test.h"

static struct rows rows;

static int end(void **state)
{
	(void)state;
	rows_free(&rows);
	return 0;
}

static void add(uint16_t dom, uint8_t kind, uint64_t sub)
{
	const struct trace_kvm_exit x = { .dom = dom, .kind = kind,
					  .sub = sub };

	rows_add(&rows, &(struct worlds_handled){ .exit = &x, .ticks = 10,
						  .vmm = 4 }, true);
}

static const struct row *get(uint16_t dom, uint8_t kind)
{
	return rows_get(&rows, &(struct row_key){ .dom = dom, .kind = kind });
}

static void largest_numbers(void **state)
{
	(void)state;
	add(UINT16_MAX, UINT8_MAX, UINT64_MAX);
	add(UINT16_MAX, EXIT_IO, UINT64_MAX - 1);
	add(0, 0, 0);
	assert_int_equal(get(UINT16_MAX, UINT8_MAX)->time.count, 1);
	assert_int_equal(get(UINT16_MAX, EXIT_IO)->vmm, 4);
	assert_int_equal(rows.count, 4); /* I/O has its port's row too */
}

static void sub_keys_without_end(void **state)
{
	struct row_key rest = { .dom = 1, .kind = EXIT_STAGE2, .has_sub = true,
				.rest = true };

	(void)state;
	for (uint64_t i = 0; i < ROWS_MAX + 500; i++)
		add(1, EXIT_STAGE2, i << 12);
	assert_int_equal(rows.count, ROWS_MAX + 1);
	assert_int_equal(get(1, EXIT_STAGE2)->time.count, ROWS_MAX + 500);
	assert_int_equal(rows_get(&rows, &rest)->time.count, 501);
	add(2, EXIT_CPUID, 0); /* a new kind has its row nevertheless */
	assert_int_equal(get(2, EXIT_CPUID)->time.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(largest_numbers, end),
		cmocka_unit_test_teardown(sub_keys_without_end, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
