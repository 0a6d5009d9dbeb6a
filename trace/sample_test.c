/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample_test.c - an interval of 95 % has the truth in it 95 times of 100:
 * for few numbers and many, also where they follow each other.
 */
#include "sample.h"
#include "test.h"

#include <math.h>

#define TIMES 100

static uint64_t seed;

static double unit(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(seed >> 11) * 0x1p-53;
}

/* n numbers about 1000 with a long tail; they drift if `drift` is near 1. */
static struct sample series(unsigned n, double drift, double factor)
{
	struct sample s = { 0 };
	double state = 0;

	for (unsigned i = 0; i < n; i++) {
		state = drift * state +
			(unit() + unit() + unit() - 1.5) * (1 - drift);
		sample_add(&s, factor * (1000 + 100 * state -
					 20 * log(1 - unit())));
	}
	sample_finish(&s);
	return s;
}

/* How many of TIMES intervals have `factor` in them. */
static unsigned hits(unsigned n, double drift, double factor,
		     enum sample_what what)
{
	unsigned good = 0;

	for (unsigned i = 0; i < TIMES; i++) {
		struct sample a = series(n, drift, 1);
		struct sample b = series(n, drift, factor);
		const struct sample_estimate e = sample_ratio(&a, &b, what,
							      0.95);

		good += e.low <= factor && factor <= e.high;
		sample_free(&a);
		sample_free(&b);
	}
	return good;
}

static void assert_about_95(unsigned good)
{
	if (good < TIMES * 90 / 100)
		fail_msg("%u of %u", good, TIMES);
}

static void intervals_hold_the_truth(void **state)
{
	(void)state;
	assert_about_95(hits(40, 0, 1, SAMPLE_MEDIAN));
	assert_about_95(hits(40, 0, 1.5, SAMPLE_MEAN));
	assert_about_95(hits(3000, 0, 0.9, SAMPLE_MEDIAN));
	assert_about_95(hits(3000, 0, 1, SAMPLE_MEAN));
}

static void also_in_bursts(void **state)
{
	(void)state;
	assert_about_95(hits(6000, 0.9, 1, SAMPLE_MEDIAN));
	assert_about_95(hits(6000, 0.9, 1.1, SAMPLE_MEAN));
}

static void differences_are_found(void **state)
{
	struct sample a = series(5000, 0, 1), b = series(5000, 0, 1.02);
	const struct sample_estimate e = sample_ratio(&a, &b, SAMPLE_MEDIAN,
						      0.95);

	(void)state;
	assert_true(e.low > 1);
	assert_true(fabs(e.value - 1.02) < 0.005);
	sample_free(&a);
	sample_free(&b);
}

static void too_few(void **state)
{
	struct sample a = series(4, 0, 1), b = series(400, 0, 1), none = { 0 };
	struct sample_estimate e = sample_ratio(&a, &b, SAMPLE_MEAN, 0.95);

	(void)state;
	assert_true(e.low <= 0 && isinf(e.high));
	sample_finish(&none);
	e = sample_ratio(&none, &b, SAMPLE_MEAN, 0.95);
	assert_true(isinf(e.high));
	sample_free(&a);
	sample_free(&b);
}

/* More than SAMPLE_MAX numbers: some of them, from all of the series. */
static void long_series_are_thinned(void **state)
{
	struct sample s = { 0 };
	const unsigned n = 5 * SAMPLE_MAX;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		sample_add(&s, i);
	assert_true(s.count <= SAMPLE_MAX && s.count > SAMPLE_MAX / 3);
	assert_int_equal(s.seen, n);
	for (size_t i = 1; i < s.count; i++)
		assert_int_equal(s.value[i] - s.value[i - 1], s.step);
	sample_finish(&s);
	assert_true(fabs(s.median - n / 2.0) < 2.0 * (double)s.step);
	sample_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intervals_hold_the_truth),
		cmocka_unit_test(also_in_bursts),
		cmocka_unit_test(differences_are_found),
		cmocka_unit_test(too_few),
		cmocka_unit_test(long_series_are_thinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
