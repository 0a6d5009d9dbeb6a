/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.h - locks for the way of every exit: inline and without a call where
 * nobody is in the way. Zeroed memory is a lock nobody has. futex(2).
 */
#pragma once

#include <stdatomic.h>

/* --- one at a time ---------------------------------------------------------- */

enum lock_state { LOCK_FREE, LOCK_HELD, LOCK_WANTED /* held, and waited for */ };

struct lock {
	_Atomic unsigned state; /* enum lock_state */
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

/* --- many readers, or one that changes things -------------------------------- */

#define SHARE_CHANGER (1u << 31) /* has it, or waits for the readers */
#define SHARE_WAITING (1u << 30) /* a reader waits for the changer */

struct share {
	_Atomic unsigned state; /* readers, and the bits above */
	struct lock changers;
};

/* Of share_enter() and share_leave(). */
void share_wait(struct share *s);
void share_left(struct share *s);

static inline void share_enter(struct share *s)
{
	if (atomic_fetch_add_explicit(&s->state, 1, memory_order_acquire) &
	    SHARE_CHANGER)
		share_wait(s);
}

static inline void share_leave(struct share *s)
{
	if (atomic_fetch_sub_explicit(&s->state, 1, memory_order_release) &
	    SHARE_CHANGER)
		share_left(s);
}

/* Alone between these. */
void share_begin(struct share *s);
void share_end(struct share *s);
