/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.c - see lock.h. */
#include "lock.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not if it is something else already. */
static void wait_while(_Atomic unsigned *state, unsigned is)
{
	syscall(SYS_futex, state, FUTEX_WAIT_PRIVATE, is, NULL);
}

static void wake(_Atomic unsigned *state, int threads)
{
	syscall(SYS_futex, state, FUTEX_WAKE_PRIVATE, threads);
}

/* Who got it here does not know who else waits, so it stays "wanted". */
void lock_wait(struct lock *l)
{
	while (atomic_exchange_explicit(&l->state, LOCK_WANTED,
					memory_order_acquire) != LOCK_FREE)
		wait_while(&l->state, LOCK_WANTED);
}

void lock_wake(struct lock *l)
{
	wake(&l->state, 1);
}

/* Each that waits is on the same word: all look whether it is their turn. */
void share_left(struct share *s)
{
	if (!(atomic_load(&s->state) & ~(SHARE_CHANGER | SHARE_WAITING)))
		wake(&s->state, INT_MAX);
}

static void wait_for_changer(struct share *s)
{
	unsigned state = atomic_load(&s->state);

	while (state & SHARE_CHANGER)
		if (atomic_compare_exchange_weak(&s->state, &state,
						 state | SHARE_WAITING)) {
			wait_while(&s->state, state | SHARE_WAITING);
			state = atomic_load(&s->state);
		}
}

void share_wait(struct share *s)
{
	do {
		share_leave(s);
		wait_for_changer(s);
	} while (atomic_fetch_add(&s->state, 1) & SHARE_CHANGER);
}

void share_begin(struct share *s)
{
	unsigned state;

	lock_take(&s->changers);
	state = atomic_fetch_or(&s->state, SHARE_CHANGER) | SHARE_CHANGER;
	while (state & ~(SHARE_CHANGER | SHARE_WAITING)) {
		wait_while(&s->state, state);
		state = atomic_load(&s->state);
	}
}

void share_end(struct share *s)
{
	if (atomic_fetch_and(&s->state, ~(SHARE_CHANGER | SHARE_WAITING)) &
	    SHARE_WAITING)
		wake(&s->state, INT_MAX);
	lock_release(&s->changers);
}
