/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.h - a mutex for the way of every exit: free or not, it is two
 * instructions inline where nobody else wants it. futex(2).
 */
#pragma once

#include <stdatomic.h>

enum lock_state { LOCK_FREE, LOCK_HELD, LOCK_WANTED /* held, and waited for */ };

struct lock {
	_Atomic unsigned state; /* enum lock_state; all zeros is free */
};

/* Of lock_take() and lock_release(). */
void lock_wait(struct lock *l);
void lock_wake(struct lock *l);

static inline void lock_take(struct lock *l)
{
	unsigned state = LOCK_FREE;

	if (!atomic_compare_exchange_strong_explicit(
		    &l->state, &state, LOCK_HELD, memory_order_acquire,
		    memory_order_relaxed))
		lock_wait(l);
}

static inline void lock_release(struct lock *l)
{
	if (atomic_exchange_explicit(&l->state, LOCK_FREE,
				     memory_order_release) == LOCK_WANTED)
		lock_wake(l);
}
