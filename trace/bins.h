/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bins.h - how each CPU's time is shared among worlds, in equal steps over the
 * whole capture: the timeline when it is looked at from afar.
 */
#pragma once

#include "worlds.h"

#define BINS 8192u

/* Who: the VMM, dom0, the first domUs each, all others together. */
enum { BINS_VMM, BINS_DOM0, BINS_DOMU, BINS_OTHER = 15, BINS_WORLDS };

struct bins {
	uint64_t first, width; /* ticks; width > 0 */
	unsigned cpus;
	uint64_t *ticks; /* [cpus][BINS][BINS_WORLDS] */
};

/* For what lies between two times. */
void bins_init(struct bins *b, uint64_t first, uint64_t last, unsigned cpus);
/* This world had the CPU from `begin` to `end`. */
void bins_add(struct bins *b, unsigned cpu, unsigned world, uint64_t begin,
	      uint64_t end);
/* Which one a domain is. */
unsigned bins_world(unsigned dom);
/* Part of a bin's width, 0 to 255; anything at all is at least 1. */
uint8_t bins_share(const struct bins *b, unsigned cpu, unsigned bin,
		   unsigned world);
void bins_free(struct bins *b);
