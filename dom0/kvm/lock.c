/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.c - see lock.h. */
#include "lock.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Who got it here does not know who else waits, so it stays "wanted". */
void lock_wait(struct lock *l)
{
	while (atomic_exchange_explicit(&l->state, LOCK_WANTED,
					memory_order_acquire) != LOCK_FREE)
		syscall(SYS_futex, &l->state, FUTEX_WAIT_PRIVATE, LOCK_WANTED,
			NULL);
}

void lock_wake(struct lock *l)
{
	syscall(SYS_futex, &l->state, FUTEX_WAKE_PRIVATE, 1);
}
