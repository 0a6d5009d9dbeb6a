/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fds.h - the file descriptors that stand for KVM's objects. Each is a memfd,
 * so that fstat, fcntl and mmap of it are the kernel's business; what it
 * means is in a table by number here. Owns that table and the reference
 * counts: an object lives as long as a descriptor, or somebody in the middle
 * of a call on one, holds it.
 *
 * A descriptor sent to another process, or kept over exec, is there a memfd
 * and nothing else.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum object_kind { OBJ_SYSTEM = 1, OBJ_VM = 2, OBJ_VCPU = 4, OBJ_STATS = 8 };

struct object {
	_Atomic unsigned kind; /* enum object_kind; 0: free */
	_Atomic unsigned refs;
	unsigned generation;		/* of the process that made it */
	void *self;			/* the struct of that kind */
	void (*release)(void *self);	/* at the last reference; or NULL */
};

/*
 * fds_new - an object and a descriptor for it, O_CLOEXEC.
 *   len    bytes of the memfd
 * Returns the descriptor, *object with one reference, the descriptor's; or
 * -errno.
 */
int fds_new(enum object_kind kind, const char *name, size_t len, void *self,
	    void (*release)(void *self), struct object **object);

/* What the numbers mean. For the functions here and in fds.c alone. */
#define FDS 65536u
extern struct object *_Atomic fds_table[FDS];

/* Is this number one of ours now? Never a lock, for paths of every program. */
static inline bool fds_is(int fd)
{
	return (unsigned)fd < FDS &&
	       atomic_load_explicit(&fds_table[fd], memory_order_relaxed);
}

/* Another reference, for who has one already. */
void fds_hold(struct object *o);

/* The last of its references is gone. */
void fds_ended(struct object *o);

static inline void fds_put(struct object *o)
{
	if (atomic_fetch_sub(&o->refs, 1) == 1)
		fds_ended(o);
}

/* The object of a descriptor, with a reference more; NULL: not one of ours. */
static inline struct object *fds_get(int fd)
{
	struct object *o;
	unsigned refs;

	if ((unsigned)fd >= FDS)
		return NULL;
	o = atomic_load_explicit(&fds_table[fd], memory_order_acquire);
	if (!o)
		return NULL;
	refs = atomic_load_explicit(&o->refs, memory_order_relaxed);
	do {
		if (!refs)
			return NULL;
	} while (!atomic_compare_exchange_weak(&o->refs, &refs, refs + 1));
	if (atomic_load(&fds_table[fd]) == o)
		return o;
	fds_put(o);
	return NULL;
}

/*
 * What the libc calls did: `fd` is about to be closed; `to` is now what
 * `from` is. fds_close_range: as the system call, all about to be closed.
 */
void fds_closing(int fd);
void fds_closing_range(unsigned first, unsigned last);
void fds_duped(int from, int to);

/*
 * fds_forked - this process is a fork's child: what there is now is its
 * parent's, and not ended here.
 * fds_inherited - was it made before the last fork?
 */
void fds_forked(void);
bool fds_inherited(const struct object *o);
