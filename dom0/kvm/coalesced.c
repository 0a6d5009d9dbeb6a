/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coalesced.c - see coalesced.h. Most writes of a guest are in no zone. That
 * is told by counters: how many zones touch a granule (a port, or a page)
 * whose number ends in these ten bits. None: a miss.
 */
#include "coalesced.h"
#include <errno.h>
#include <string.h>

void coalesced_init(struct coalesced *c)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
}

void coalesced_destroy(struct coalesced *c)
{
	pthread_mutex_destroy(&c->lock);
}

static uint64_t granule(bool pio, uint64_t addr)
{
	return pio ? addr : addr >> 12;
}

/* `by` is 1 or -1; more granules than counters count once in each. */
static void count_hints(struct coalesced *c,
			const struct kvm_coalesced_mmio_zone *z, int by)
{
	if (!z->size)
		return;
	const uint64_t first = granule(z->pio, z->addr);
	uint64_t n = granule(z->pio, z->addr + z->size - 1) - first + 1;

	if (n > COALESCED_HINTS)
		n = COALESCED_HINTS;
	for (uint64_t i = 0; i < n; i++)
		atomic_fetch_add(&c->hint[z->pio][(first + i) %
						  COALESCED_HINTS],
				 (unsigned char)by);
}

long coalesced_add(struct coalesced *c,
		   const struct kvm_coalesced_mmio_zone *z)
{
	long error = 0;

	if (z->pio > 1 || z->addr + z->size < z->addr)
		return -EINVAL;
	pthread_mutex_lock(&c->lock);
	if (c->count == COALESCED_ZONES) {
		error = -ENOSPC;
	} else {
		c->zone[c->count++] = *z;
		count_hints(c, z, 1);
	}
	pthread_mutex_unlock(&c->lock);
	return error;
}

static bool holds(const struct kvm_coalesced_mmio_zone *z, bool pio,
		  uint64_t addr, uint64_t len)
{
	return z->pio == pio && addr >= z->addr && len <= z->size &&
	       addr - z->addr <= z->size - len;
}

long coalesced_remove(struct coalesced *c,
		      const struct kvm_coalesced_mmio_zone *z)
{
	if (z->pio > 1)
		return -EINVAL;
	pthread_mutex_lock(&c->lock);
	for (unsigned i = c->count; i-- > 0;)
		if (holds(&c->zone[i], z->pio, z->addr, z->size)) {
			count_hints(c, &c->zone[i], -1);
			c->zone[i] = c->zone[--c->count];
		}
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static bool is_held(const struct coalesced *c, bool pio, uint64_t addr,
		    unsigned len)
{
	for (unsigned i = 0; i < c->count; i++)
		if (holds(&c->zone[i], pio, addr, len))
			return true;
	return false;
}

/* One place stays empty, so that full is not empty. */
static bool put(struct kvm_coalesced_mmio_ring *ring,
		const struct kvm_coalesced_mmio *entry)
{
	const uint32_t last = __atomic_load_n(&ring->last, __ATOMIC_RELAXED);
	const uint32_t next = (last + 1) % COALESCED_RING;

	if (last >= COALESCED_RING ||
	    next == __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE))
		return false;
	ring->coalesced_mmio[last] = *entry;
	__atomic_store_n(&ring->last, next, __ATOMIC_RELEASE);
	return true;
}

bool coalesced_write(struct coalesced *c, struct kvm_coalesced_mmio_ring *ring,
		     bool pio, uint64_t addr, unsigned len, const void *data)
{
	const uint64_t at = granule(pio, addr) % COALESCED_HINTS;

	if (!atomic_load_explicit(&c->hint[pio][at], memory_order_acquire))
		return false;
	struct kvm_coalesced_mmio entry = { .phys_addr = addr, .len = len,
					    .pio = pio };

	memcpy(entry.data, data, len);
	pthread_mutex_lock(&c->lock);
	const bool done = is_held(c, pio, addr, len) && put(ring, &entry);
	pthread_mutex_unlock(&c->lock);
	return done;
}
