/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.h - a VM's ports that somebody in this library has asked for: a bit
 * for each. What was once asked for stays, so a port that is not in it is the
 * client's without a look at anything else.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PORTS 65536u

struct ports {
	_Atomic uint8_t asked[PORTS / 8]; /* [a] */
};

/* Ports from `first`, as many as there are up to `n`. Before they are used. */
static inline void ports_add(struct ports *p, uint64_t first, uint64_t n)
{
	for (; n > 0 && first < PORTS; n--, first++)
		atomic_fetch_or(&p->asked[first / 8],
				(uint8_t)(1u << first % 8));
}

static inline bool ports_has(const struct ports *p, uint16_t port)
{
	return atomic_load_explicit(&p->asked[port / 8],
				    memory_order_acquire) >> port % 8 & 1;
}
