/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.h - the memory slots of a VM: the client's mapping of guest-physical
 * addresses to its own. Owns the table and, for each slot, what keeps its
 * pages where they are (pin.h).
 *
 * Pages are pinned as the guest gets to them, in pieces of 2 MiB of the
 * client's addresses, or all of a slot when it is made, with LUVKVM_PIN=all
 * in the environment. Only what is pinned is granted to the VMM.
 *
 * The table is under a lock that readers share. Functions here may be called
 * from any thread.
 */
#pragma once

#include "lock.h"

#include <linux/kvm.h>
#include <luvalley/luvalley.h>
#include <stdbool.h>

#define PIECE_SIZE (UINT64_C(2) << 20)

struct slot {
	uint64_t gpa, len, hva; /* bytes; len 0: free */
	uint32_t flags;		/* KVM_MEM_* */
	bool lazy;		/* the VMM asks for its pieces */
	int32_t *pin;		/* of each piece; 0: not pinned, see pin.h */
};

struct memory {
	struct share lock;
	uint64_t vm; /* [I] the VMM's handle, once there is a descriptor */
	unsigned slots;	  /* those in use are below it */
	uint64_t changes; /* of the table, so far */
	struct slot slot[LUV_SLOTS];
};

void memory_init(struct memory *m, uint64_t vm);

/* The VM is gone: unpin everything. */
void memory_free(struct memory *m);

/* KVM_SET_USER_MEMORY_REGION. Returns 0 or -errno, with nothing changed. */
long memory_set(struct memory *m, const struct kvm_userspace_memory_region *r);

/*
 * KVM_GET_DIRTY_LOG: writes are not tracked, so all pages are reported dirty.
 * Returns 0, or -ENOENT: no such slot, or it is not logged.
 */
long memory_dirty_log(struct memory *m, const struct kvm_dirty_log *log);

/*
 * memory_fault - LUV_RUN_FAULT: have the page of hva there, and its piece
 * pinned and granted. Returns 0 or -errno.
 */
long memory_fault(struct memory *m, unsigned slot, uint64_t hva, bool write);

/* memory_need - the same, if there is RAM at gpa. */
void memory_need(struct memory *m, uint64_t gpa);

/*
 * Copies of guest-physical memory, within a slot; false, with nothing copied:
 * there is not so much RAM, or it may not be written.
 */
bool memory_read(struct memory *m, uint64_t gpa, void *buf, unsigned len);
bool memory_write(struct memory *m, uint64_t gpa, const void *buf,
		  unsigned len);

/* Between these no slot changes. */
static inline void memory_enter(struct memory *m)
{
	share_enter(&m->lock);
}

static inline void memory_leave(struct memory *m)
{
	share_leave(&m->lock);
}

/*
 * memory_ram - where the client has a byte of RAM, and what is behind it in
 * its page; NULL: there is none, or it may not be written. For who has
 * entered; true as long as `changes` is what it was.
 */
void *memory_ram(const struct memory *m, uint64_t gpa, bool write);

/*
 * memory_exchange - atomically old -> new_, of 1, 2, 4 or 8 bytes. For who has
 * entered. Returns 0, -EAGAIN: it was not old; -EFAULT: no RAM that may be
 * written.
 */
int memory_exchange(const struct memory *m, uint64_t gpa, uint64_t old,
		    uint64_t new_, unsigned len);

/*
 * memory_find - the slot that has gpa, and the client's address of it. For
 * who holds the lock, and for tests. NULL: none.
 */
const struct slot *memory_find(const struct memory *m, uint64_t gpa,
			       uint64_t *hva);

/*
 * memory_check - the rules for a change of slots. Returns 0, -EINVAL, or
 * -EEXIST if it overlaps another.
 */
long memory_check(const struct memory *m,
		  const struct kvm_userspace_memory_region *r);

/* The pieces of a slot, and what piece `i` has of it. For tests, too. */
uint64_t memory_pieces(const struct slot *s);
void memory_piece(const struct slot *s, uint64_t i, uint64_t *hva,
		  uint64_t *len);
