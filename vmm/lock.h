/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.h - a spin lock for slow paths; never taken on the way of an exit. */
#pragma once

#include "x86.h"
#include <stdatomic.h>

struct lock { atomic_flag taken; };
#define LOCK_INIT { ATOMIC_FLAG_INIT }

static inline void lock(struct lock *l)
{
	while (atomic_flag_test_and_set_explicit(&l->taken,
						 memory_order_acquire))
		pause();
}

static inline void unlock(struct lock *l)
{
	atomic_flag_clear_explicit(&l->taken, memory_order_release);
}
