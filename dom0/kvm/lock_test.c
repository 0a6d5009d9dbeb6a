/* SPDX-License-Identifier: BSD-2-Clause */
/* lock_test.c - threads that count together. */
#include "lock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define THREADS 4
#define ROUNDS	20000u

static struct lock lock;
static unsigned count, inside;

static void *work(void *bad)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		lock_take(&lock);
		if (inside++)
			++*(unsigned *)bad;
		count++;
		if (i % 64 == 0)
			sched_yield(); /* have others wait */
		inside--;
		lock_release(&lock);
	}
	return NULL;
}

static void excludes(void **state)
{
	pthread_t thread[THREADS];
	unsigned bad = 0;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, work, &bad);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(bad, 0);
	assert_int_equal(count, THREADS * ROUNDS);
	assert_int_equal(lock.state, LOCK_FREE);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(excludes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
