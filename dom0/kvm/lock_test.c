/* SPDX-License-Identifier: BSD-2-Clause */
/* lock_test.c - threads that change things together, and look at them. */
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
static struct share share;
static volatile unsigned one, two; /* the same, for who is not alone */
static _Atomic unsigned bad;

static void change(unsigned round)
{
	one++;
	if (round % 64 == 0)
		sched_yield(); /* have others wait */
	two++;
}

static void *locked(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		lock_take(&lock);
		bad += one != two;
		change(i);
		lock_release(&lock);
	}
	return arg;
}

static void *changes(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		share_begin(&share);
		bad += one != two;
		change(i);
		share_end(&share);
	}
	return arg;
}

static void *looks(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		share_enter(&share);
		bad += one != two;
		if (i % 64 == 0)
			sched_yield();
		bad += one != two;
		share_leave(&share);
	}
	return arg;
}

/* Threads of each of two kinds. */
static void together(void *(*a)(void *), void *(*b)(void *))
{
	pthread_t thread[THREADS];

	one = two = 0;
	bad = 0;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, i % 2 ? a : b, NULL);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(bad, 0);
}

static void one_at_a_time(void **state)
{
	(void)state;
	together(locked, locked);
	assert_int_equal(one, THREADS * ROUNDS);
	assert_int_equal(lock.state, LOCK_FREE);
}

static void changers_are_alone(void **state)
{
	(void)state;
	together(changes, looks);
	assert_int_equal(one, THREADS / 2 * ROUNDS);
	assert_int_equal(share.state, 0);
	assert_int_equal(share.changers.state, LOCK_FREE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(changers_are_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
