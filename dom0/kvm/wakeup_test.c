/* SPDX-License-Identifier: BSD-2-Clause */
/* wakeup_test.c - called in time, not early, not when it was called off. */
#include "wakeup.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#define MS 1000000ll

static struct wakeup w;
static atomic_uint calls;
static _Atomic int64_t called_at;
static atomic_bool again;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 * MS + t.tv_nsec;
}

static void on_time(void *ctx)
{
	sigset_t blocked;

	assert_ptr_equal(ctx, &w);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_true(sigismember(&blocked, SIGUSR1));
	called_at = now();
	calls++;
	if (again)
		wakeup_at(&w, called_at + MS);
}

static void wait_for(unsigned n)
{
	while (calls < n)
		nanosleep(&(struct timespec){ .tv_nsec = MS }, NULL);
}

static int setup(void **state)
{
	(void)state;
	calls = 0;
	again = false;
	wakeup_init(&w, on_time, &w);
	return 0;
}

static void never(void **state)
{
	(void)state;
	wakeup_at(&w, WAKEUP_NEVER);
	assert_false(w.started);
	wakeup_destroy(&w);
	assert_int_equal(calls, 0);
}

static void in_time(void **state)
{
	const int64_t at = now() + 5 * MS;

	(void)state;
	wakeup_at(&w, at);
	assert_true(w.started);
	wait_for(1);
	assert_true(called_at >= at);
	wakeup_at(&w, 0); /* long ago */
	wait_for(2);
	wakeup_at(&w, now() + 3600000 * MS);
	wakeup_at(&w, now() + MS); /* sooner */
	wait_for(3);
	wakeup_at(&w, now() + 20 * MS);
	nanosleep(&(struct timespec){ .tv_nsec = 5 * MS }, NULL); /* it waits */
	const int64_t later = now() + 40 * MS;
	wakeup_at(&w, later);
	wait_for(4);
	assert_true(called_at >= later);
	wakeup_at(&w, now() + 10 * MS);
	wakeup_at(&w, WAKEUP_NEVER);
	nanosleep(&(struct timespec){ .tv_nsec = 20 * MS }, NULL);
	wakeup_destroy(&w);
	assert_int_equal(calls, 4);
}

static void by_itself(void **state)
{
	(void)state;
	again = true;
	wakeup_at(&w, now());
	wait_for(10);
	wakeup_destroy(&w); /* in the midst of it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(never, setup),
		cmocka_unit_test_setup(in_time, setup),
		cmocka_unit_test_setup(by_itself, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
