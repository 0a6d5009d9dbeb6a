/* SPDX-License-Identifier: BSD-2-Clause */
/* coalesced.c - see coalesced.h. */
#include "coalesced.h"

#include <errno.h>
#include <stdatomic.h>
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

long coalesced_add(struct coalesced *c, const struct kvm_coalesced_mmio_zone *z)
{
	long e = 0;

	if (z->pio > 1)
		return -EINVAL;
	pthread_mutex_lock(&c->lock);
	if (c->count == COALESCED_ZONES)
		e = -ENOSPC;
	else
		c->zone[c->count++] = *z;
	pthread_mutex_unlock(&c->lock);
	return e;
}

static bool within(const struct kvm_coalesced_mmio_zone *z, uint64_t addr,
		   uint64_t len, bool pio)
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
	for (unsigned i = 0; i < c->count;)
		if (within(&c->zone[i], z->addr, z->size, z->pio))
			c->zone[i] = c->zone[--c->count];
		else
			i++;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static bool is_coalesced(struct coalesced *c, bool pio, uint64_t addr,
			 unsigned len)
{
	bool found = false;

	if (!c->count) /* most of the time: no lock */
		return false;
	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < c->count && !found; i++)
		found = within(&c->zone[i], addr, len, pio);
	pthread_mutex_unlock(&c->lock);
	return found;
}

static bool ring_put(struct kvm_coalesced_mmio_ring *ring,
		     const struct kvm_coalesced_mmio *entry)
{
	const uint32_t last = ring->last % COALESCED_RING;
	const uint32_t next = (last + 1) % COALESCED_RING;

	if (next == __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE))
		return false;
	ring->coalesced_mmio[last] = *entry;
	__atomic_store_n(&ring->last, next, __ATOMIC_RELEASE);
	return true;
}

bool coalesced_write(struct coalesced *c, struct kvm_coalesced_mmio_ring *ring,
		     bool pio, uint64_t addr, unsigned len, const void *data)
{
	struct kvm_coalesced_mmio entry = { .phys_addr = addr, .len = len,
					    .pio = pio };
	bool done;

	if (!is_coalesced(c, pio, addr, len))
		return false;
	memcpy(entry.data, data, len);
	pthread_mutex_lock(&c->lock);
	done = ring_put(ring, &entry);
	pthread_mutex_unlock(&c->lock);
	return done;
}
