/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram_test.c - against the sorted numbers themselves.
 */
#include "histogram.h"
#include "test.h"

#include <math.h>

#define N 20000

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t numbers[N];

/* From 0 to 2^63, each doubling about as often. */
static void make_numbers(void)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < N; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		numbers[i] = seed >> (1 + (seed >> 58) % 63);
	}
}

static void quantiles_are_near(void **state)
{
	static const double q[] = { 0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };
	struct histogram h = { 0 };

	(void)state;
	make_numbers();
	for (unsigned i = 0; i < N; i++)
		histogram_add(&h, numbers[i]);
	qsort(numbers, N, sizeof(numbers[0]), compare);
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
		const double want = (double)
			numbers[(unsigned)(q[i] * (N - 1) + 0.5)];
		const double got = (double)histogram_quantile(&h, q[i]);

		if (fabs(got - want) > want * 0.01)
			fail_msg("q %g: %g, not %g", q[i], got, want);
	}
	assert_int_equal(histogram_quantile(&h, 0), numbers[0]);
	assert_int_equal(histogram_quantile(&h, 1), numbers[N - 1]);
	histogram_free(&h);
}

static void small_numbers_are_exact(void **state)
{
	struct histogram h = { 0 };

	(void)state;
	assert_int_equal(histogram_quantile(&h, 0.5), 0);
	for (unsigned i = 0; i <= 100; i++)
		histogram_add(&h, i);
	for (unsigned i = 0; i <= 100; i++)
		assert_int_equal(histogram_quantile(&h, i / 100.0), i);
	assert_int_equal(h.sum, 5050);
	histogram_free(&h);
}

static void the_largest_number(void **state)
{
	struct histogram h = { 0 };

	(void)state;
	histogram_add(&h, UINT64_MAX);
	assert_int_equal(histogram_quantile(&h, 0.5), UINT64_MAX);
	histogram_free(&h);
}

static void merged_is_as_added(void **state)
{
	struct histogram a = { 0 }, b = { 0 }, all = { 0 };

	(void)state;
	make_numbers();
	for (unsigned i = 0; i < N; i++) {
		histogram_add(i % 3 ? &a : &b, numbers[i] & 0xffff);
		histogram_add(&all, numbers[i] & 0xffff);
	}
	histogram_merge(&a, &b);
	assert_int_equal(a.count, all.count);
	assert_int_equal(a.sum, all.sum);
	assert_int_equal(a.min, all.min);
	assert_int_equal(a.max, all.max);
	assert_int_equal(histogram_quantile(&a, 0.9),
			 histogram_quantile(&all, 0.9));
	assert_true(fabs(histogram_relative_error(&a) -
			 histogram_relative_error(&all)) < 1e-12);
	histogram_free(&a);
	histogram_free(&b);
	histogram_free(&all);
}

/* 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sum of squares of differences 32. */
static void error_of_the_mean(void **state)
{
	static const unsigned v[] = { 2, 4, 4, 4, 5, 5, 7, 9 };
	struct histogram h = { 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(v); i++)
		histogram_add(&h, v[i]);
	assert_true(fabs(histogram_relative_error(&h) -
			 sqrt(32.0 / 7 / 8) / 5) < 1e-12);
	histogram_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_near),
		cmocka_unit_test(small_numbers_are_exact),
		cmocka_unit_test(the_largest_number),
		cmocka_unit_test(merged_is_as_added),
		cmocka_unit_test(error_of_the_mean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
