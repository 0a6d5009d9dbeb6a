/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coalesced.h - writes that the client wants in a ring instead of an exit:
 * KVM_REGISTER_COALESCED_MMIO. Owns a VM's list of zones. The ring is the
 * VM's too, one: the third page of every vCPU's descriptor is the same page
 * in KVM, QEMU reads the first vCPU's for all, kvmtool each vCPU's own.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define COALESCED_ZONES 100 /* KVM's is tenfold, QEMU's need a tenth */
#define COALESCED_RING                                                         \
	((4096 - sizeof(struct kvm_coalesced_mmio_ring)) /                     \
	 sizeof(struct kvm_coalesced_mmio))

#define COALESCED_HINTS 1024

_Static_assert(COALESCED_ZONES <= UINT8_MAX, "a hint counts them");

struct coalesced {
	pthread_mutex_t lock; /* zones, and the writing end of the ring */
	unsigned count;	      /* [L] lock */
	struct kvm_coalesced_mmio_zone zone[COALESCED_ZONES]; /* [L] lock */
	atomic_uchar hint[2][COALESCED_HINTS]; /* [a] coalesced.c */
};

void coalesced_init(struct coalesced *c);
void coalesced_destroy(struct coalesced *c);

/*
 * KVM_REGISTER_COALESCED_MMIO, KVM_UNREGISTER_COALESCED_MMIO. Return 0,
 * -EINVAL or -ENOSPC. Removing takes every zone that has all of `z` in it.
 */
long coalesced_add(struct coalesced *c,
		   const struct kvm_coalesced_mmio_zone *z);
long coalesced_remove(struct coalesced *c,
		      const struct kvm_coalesced_mmio_zone *z);

/*
 * coalesced_write - put a write into the ring. False: it is in no zone, or
 * the ring is full; let the client do it. A miss takes no lock.
 *   len   1 to 8
 *   ring  of the VM; the client's end of it is not trusted
 */
bool coalesced_write(struct coalesced *c, struct kvm_coalesced_mmio_ring *ring,
		     bool pio, uint64_t addr, unsigned len, const void *data);
