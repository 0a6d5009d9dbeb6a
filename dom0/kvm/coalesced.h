/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coalesced.h - writes that the client wants in a ring instead of an exit:
 * KVM_REGISTER_COALESCED_MMIO. Owns a VM's list of ranges; the ring is a
 * vCPU's third page, which the client empties.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>

#define COALESCED_ZONES 100 /* KVM's limit */
#define COALESCED_RING                                                         \
	((4096 - sizeof(struct kvm_coalesced_mmio_ring)) /                     \
	 sizeof(struct kvm_coalesced_mmio))

struct coalesced {
	pthread_rwlock_t lock;
	unsigned count;
	struct kvm_coalesced_mmio_zone zone[COALESCED_ZONES];
	pthread_mutex_t ring_lock; /* KVM's client has one reader for all */
};

void coalesced_init(struct coalesced *c);

/* Returns 0, -EINVAL or -ENOSPC. Removing takes all that lie in the range. */
long coalesced_add(struct coalesced *c, const struct kvm_coalesced_mmio_zone *z);
long coalesced_remove(struct coalesced *c,
		      const struct kvm_coalesced_mmio_zone *z);

/*
 * coalesced_write - put a write into the ring. False: it is in no range, or
 * the ring is full; let the client do it.
 */
bool coalesced_write(struct coalesced *c, struct kvm_coalesced_mmio_ring *ring,
		     bool pio, uint64_t addr, unsigned len, const void *data);
