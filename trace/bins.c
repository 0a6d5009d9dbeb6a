/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bins.c - see bins.h.
 */
#include "bins.h"
#include "memory.h"

void bins_init(struct bins *b, uint64_t first, uint64_t last, unsigned cpus)
{
	*b = (struct bins){ .first = first, .cpus = cpus,
			    .width = (last - first) / BINS + 1 };
	b->ticks = memory_zeroed((size_t)cpus * BINS * BINS_WORLDS,
				 sizeof(*b->ticks));
}

static uint64_t *at(const struct bins *b, unsigned cpu, uint64_t bin,
		    unsigned world)
{
	return &b->ticks[(cpu * BINS + bin) * BINS_WORLDS + world];
}

void bins_add(struct bins *b, unsigned cpu, unsigned world, uint64_t begin,
	      uint64_t end)
{
	const uint64_t limit = b->first + b->width * BINS;

	if (begin < b->first)
		begin = b->first;
	if (end > limit)
		end = limit;
	while (cpu < b->cpus && begin < end) {
		const uint64_t bin = (begin - b->first) / b->width;
		const uint64_t next = b->first + (bin + 1) * b->width;
		const uint64_t to = end < next ? end : next;

		*at(b, cpu, bin, world) += to - begin;
		begin = to;
	}
}

unsigned bins_world(unsigned dom)
{
	return dom + BINS_DOM0 < BINS_OTHER ? dom + BINS_DOM0 : BINS_OTHER;
}

uint8_t bins_share(const struct bins *b, unsigned cpu, unsigned bin,
		   unsigned world)
{
	const uint64_t ticks = *at(b, cpu, bin, world);
	const uint64_t share = ticks * 255 / b->width;

	return (uint8_t)(share > 255 ? 255 : ticks && !share ? 1 : share);
}

void bins_free(struct bins *b)
{
	free(b->ticks);
	b->ticks = NULL;
}
