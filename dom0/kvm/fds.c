/* SPDX-License-Identifier: BSD-2-Clause */
/* fds.c - see fds.h. */
#include "fds.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OBJECTS 8192u

struct object *_Atomic fds_table[FDS];

/*
 * Headers are static and used again: who looks at one that died meanwhile
 * sees refs 0, or another object, which its second look at the table tells.
 */
static struct object objects[OBJECTS];

/* Of forks, from the process that loaded this library. A PID may come again. */
static unsigned generation;

void fds_forked(void)
{
	generation++;
}

bool fds_inherited(const struct object *o)
{
	return o->generation != generation;
}

static struct object *object_new(void)
{
	unsigned none;

	for (unsigned i = 0; i < OBJECTS; i++) {
		none = 0;
		if (!atomic_load(&objects[i].kind) &&
		    atomic_compare_exchange_strong(&objects[i].refs, &none, 1))
			return &objects[i];
	}
	return NULL;
}

int fds_new(enum object_kind kind, const char *name, size_t len, void *self,
	    void (*release)(void *self), struct object **object)
{
	struct object *o = object_new();
	int fd, e = EMFILE;

	if (!o)
		return -ENFILE;
	fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0 || (unsigned)fd >= FDS || ftruncate(fd, (off_t)len)) {
		if (fd < 0)
			e = errno;
		else
			syscall(SYS_close, fd);
		atomic_store(&o->refs, 0);
		return -e;
	}
	o->generation = generation;
	o->kind = kind;
	o->self = self;
	o->release = release;
	*object = o;
	atomic_store(&fds_table[fd], o);
	return fd;
}

void fds_hold(struct object *o)
{
	atomic_fetch_add(&o->refs, 1);
}

void fds_ended(struct object *o)
{
	/* Nobody can get it any more, and it is not free before kind is 0. */
	if (o->release && !fds_inherited(o))
		o->release(o->self);
	o->self = NULL;
	atomic_store(&o->kind, 0);
}

void fds_closing(int fd)
{
	struct object *o;

	if (!fds_is(fd))
		return;
	o = atomic_exchange(&fds_table[fd], NULL);
	if (o)
		fds_put(o);
}

void fds_closing_range(unsigned first, unsigned last)
{
	for (unsigned fd = first; fd <= last && fd < FDS; fd++)
		fds_closing((int)fd);
}

void fds_duped(int from, int to)
{
	struct object *o = fds_get(from), *old;

	if ((unsigned)to >= FDS) {
		if (o)
			fds_put(o);
		return;
	}
	/* The reference is now the table's. */
	old = atomic_exchange(&fds_table[to], o);
	if (old)
		fds_put(old);
}
