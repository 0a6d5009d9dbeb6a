/* SPDX-License-Identifier: BSD-2-Clause */
/* system.h - /dev/kvm itself: finding the VMM, and what there is in general. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

/* A descriptor for /dev/kvm, or -errno after a sentence to the user. */
int system_open(void);

extern atomic_bool system_immediate_exit_known;

/*
 * Has the client asked for KVM_CAP_IMMEDIATE_EXIT? One that has not expects
 * every signal to end KVM_RUN.
 */
static inline bool system_knows_immediate_exit(void)
{
	return atomic_load_explicit(&system_immediate_exit_known,
				    memory_order_relaxed);
}
