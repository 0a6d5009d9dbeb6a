/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hist_test.c - buckets are where luv_hist_from() says; subjects get rows as
 * long as there is room, and nothing is lost when there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <pthread.h>
#include "hist.h"

static unsigned pages_left = ~0u;

void *mem_page(void);
void mem_page_free(void *page);

void *mem_page(void)
{
	return pages_left && pages_left-- ? calloc(1, PAGE_SIZE) : NULL;
}

void mem_page_free(void *page)
{
	free(page);
}

static void buckets_are_where_they_should(void **state)
{
	struct hist_row row;
	uint64_t n;

	(void)state;
	for (unsigned i = 0; i < LUV_HIST_BUCKETS - 2; i++) {
		for (n = luv_hist_from(i); n < luv_hist_from(i + 1);
		     n += 1 + luv_hist_from(i) / 16) {
			memset(&row, 0, sizeof(row));
			hist_count(&row, n);
			assert_int_equal(row.bucket[i], 1);
		}
		memset(&row, 0, sizeof(row));
		hist_count(&row, luv_hist_from(i + 1) - 1);
		assert_int_equal(row.bucket[i], 1);
	}
	memset(&row, 0, sizeof(row));
	for (n = UINT32_MAX - 99; n <= UINT32_MAX; n++)
		hist_count(&row, n);
	assert_int_equal(row.count, 100);
	assert_int_equal(row.bucket[53] + row.bucket[54], 100);
	/* What no bucket is for stays in the row, too. */
	hist_count(&row, UINT64_MAX);
	hist_count(&row, UINT64_C(1) << 32);
	assert_int_equal(row.count, 102);
}

static void subjects_have_rows(void **state)
{
	struct hist h = { 0 };
	struct hist_row *r;
	struct luv_hist out[3];
	uint64_t at = 0, counted = 0;
	unsigned rows = 0, n;

	(void)state;
	assert_true(hist_init(&h));
	assert_int_equal(hist_pages(&h), 2);
	for (unsigned sub = 0; sub < 100; sub++) {
		r = hist_find(&h, EXIT_WRMSR, sub);
		assert_ptr_equal(r, hist_find(&h, EXIT_WRMSR, sub));
		assert_int_equal(r->sub, sub);
		hist_count(r, 1000 + sub);
	}
	hist_count(hist_row(&h, EXIT_HLT), 5000);
	assert_int_equal(hist_pages(&h), 3);
	assert_int_equal(hist_kind(&h, EXIT_WRMSR).count, 100);
	assert_int_equal(hist_kind(&h, EXIT_WRMSR).ticks, 100 * 1000 + 4950);
	assert_int_equal(hist_kind(&h, EXIT_RDMSR).count, 0);
	while ((n = hist_read(&h, &at, out, 3)) > 0) {
		for (unsigned i = 0; i < n; i++)
			if (out[i].kind == EXIT_WRMSR) {
				rows += out[i].has_sub;
				counted += out[i].count;
			}
	}
	assert_int_equal(counted, 100);
	assert_true(rows >= HIST_ROWS - 2 && rows <= HIST_ROWS);
	hist_free(&h);
}

/* Among any number of rare ones the frequent ones keep their rows. */
static void the_frequent_stay(void **state)
{
	struct hist h = { 0 };

	(void)state;
	assert_true(hist_init(&h));
	for (unsigned i = 0; i < 1000; i++) {
		hist_count(hist_find(&h, EXIT_IO, 0x1000 + i), 100);
		hist_count(hist_find(&h, EXIT_IO, 0x3f8), 200);
		hist_count(hist_find(&h, EXIT_IO, 0xcfc), 300);
	}
	assert_in_range(hist_find(&h, EXIT_IO, 0x3f8)->count, 990, 1000);
	assert_in_range(hist_find(&h, EXIT_IO, 0xcfc)->count, 990, 1000);
	assert_int_equal(hist_kind(&h, EXIT_IO).count, 3000);
	assert_int_equal(hist_kind(&h, EXIT_IO).ticks, 600000);
	hist_free(&h);
}

static void the_frequent_come_first(void **state)
{
	const uint64_t first = 1;
	struct hist h = { 0 };
	uint64_t later = first + 1;
	struct hist_row *r;

	(void)state;
	while (hist_hash(later) != hist_hash(first))
		later++;
	hist_allow(10);
	assert_true(hist_init(&h));
	hist_count(hist_find(&h, EXIT_IO, first), 10);
	for (unsigned i = 0; i < 2; i++)
		hist_count(hist_find(&h, EXIT_IO, later), 20);
	r = hist_find(&h, EXIT_IO, later);
	assert_ptr_equal(r, &h.subs[2][hist_hash(later)]);
	assert_int_equal(r->count, 2);
	assert_int_equal(r->ticks, 40);
	r = hist_find(&h, EXIT_IO, first);
	assert_ptr_not_equal(r, &h.subs[2][hist_hash(first)]);
	assert_int_equal(r->count, 1);
	hist_free(&h);
}

static void no_memory_no_subjects(void **state)
{
	struct hist h = { 0 };

	(void)state;
	hist_allow(0);
	assert_true(hist_init(&h));
	hist_count(hist_find(&h, EXIT_IO, 0x3f8), 1000);
	assert_int_equal(hist_row(&h, EXIT_IO)->count, 1);
	assert_int_equal(hist_pages(&h), 2);
	hist_free(&h);
	hist_allow(10);
	pages_left = 2;
	assert_true(hist_init(&h));
	hist_count(hist_find(&h, EXIT_IO, 0x3f8), 1000);
	hist_count(hist_find(&h, EXIT_IO, 0x3f9), 1000);
	assert_int_equal(hist_row(&h, EXIT_IO)->count, 2);
	hist_free(&h);
	pages_left = 1;
	memset(&h, 0, sizeof(h));
	assert_false(hist_init(&h));
	hist_free(&h);
	pages_left = ~0u;
	for (unsigned i = 0; i < 20; i++) { /* given back each time */
		assert_true(hist_init(&h));
		assert_int_equal(hist_find(&h, EXIT_IO, 1)->sub, 1);
		hist_free(&h);
	}
}

/* --- a reader on another CPU --------------------------------------------------- */

/* Two subjects with the same first place. */
static void two_subjects(uint64_t sub[2])
{
	sub[0] = 1;
	sub[1] = 2;
	while (hist_hash(sub[1]) != hist_hash(sub[0]))
		sub[1]++;
}

/* They change places when `sub` comes to be the more frequent one. */
static void overtakes(struct hist *h, uint64_t sub)
{
	const uint32_t moves = h->moves;

	while (h->moves == moves)
		hist_count(hist_find(h, EXIT_IO, sub), 100);
}

/* Rows of EXIT_IO's subjects, by two calls; or what hist_read() returns. */
static int read_in_two(struct hist *h, struct luv_hist row[2],
		       void (*meanwhile)(struct hist *, uint64_t), uint64_t sub)
{
	uint64_t at = 0;
	int n = hist_read(h, &at, row, 1);

	assert_int_equal(n, 1);
	if (meanwhile)
		meanwhile(h, sub);
	return hist_read(h, &at, row + 1, 1);
}

static void a_row_that_moves_is_seen_once(void **state)
{
	struct luv_hist row[2];
	struct hist h = { 0 };
	uint64_t sub[2];

	(void)state;
	two_subjects(sub);
	hist_allow(10);
	assert_true(hist_init(&h));
	hist_count(hist_find(&h, EXIT_IO, sub[0]), 100);
	hist_count(hist_find(&h, EXIT_IO, sub[1]), 100);
	assert_int_equal(read_in_two(&h, row, NULL, 0), 1);
	assert_int_equal(row[0].sub, sub[0]);
	assert_int_equal(row[1].sub, sub[1]);
	assert_int_equal(read_in_two(&h, row, overtakes, sub[1]), -LUV_EAGAIN);
	assert_int_equal(read_in_two(&h, row, NULL, 0), 1);
	assert_int_equal(row[0].sub, sub[1]);
	assert_int_equal(row[1].sub, sub[0]);
	hist_free(&h);
}

static _Atomic bool ends;

static void *mover(void *arg)
{
	uint64_t sub[2];

	two_subjects(sub);
	for (unsigned i = 0; !ends; i++) {
		overtakes(arg, sub[1 - i % 2]);
		usleep(1);
	}
	return NULL;
}

static void readers_beside_the_vcpu(void **state)
{
	struct hist h = { 0 };
	struct luv_hist row[4];
	uint64_t sub[2];
	pthread_t thread;

	(void)state;
	two_subjects(sub);
	hist_allow(10);
	assert_true(hist_init(&h));
	hist_count(hist_find(&h, EXIT_IO, sub[0]), 100);
	ends = false;
	assert_int_equal(pthread_create(&thread, NULL, mover, &h), 0);
	while (h.moves < 2)
		;
	for (unsigned good = 0; good < 2000;) {
		uint64_t at = 0;
		const int n = hist_read(&h, &at, row, 4);

		if (n == -LUV_EAGAIN)
			continue;
		assert_int_equal(n, 2);
		assert_int_not_equal(row[0].sub, row[1].sub);
		good++;
	}
	ends = true;
	pthread_join(thread, NULL);
	hist_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_are_where_they_should),
		cmocka_unit_test(subjects_have_rows),
		cmocka_unit_test(the_frequent_stay),
		cmocka_unit_test(the_frequent_come_first),
		cmocka_unit_test(no_memory_no_subjects),
		cmocka_unit_test(a_row_that_moves_is_seen_once),
		cmocka_unit_test(readers_beside_the_vcpu),
	};

	hist_allow(10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
