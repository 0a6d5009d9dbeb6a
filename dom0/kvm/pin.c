/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pin.c - see pin.h. io_uring_register(2): IORING_REGISTER_BUFFERS2 with
 * IORING_RSRC_REGISTER_SPARSE, IORING_REGISTER_BUFFERS_UPDATE (Linux 5.19).
 * Many small rings: to register a huge page the kernel looks through every page
 * of every buffer of its ring (headpage_already_acct), so the price of a piece
 * grows with the ring.
 */
#include "pin.h"
#include "huge.h"
#include "libluv.h"
#include "say.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE	     4096
#define RING_BUFFERS 32
#define RINGS	     512
#define BUFFERS	     (RING_BUFFERS * RINGS) /* 32 GiB in pieces */

static struct {
	pthread_mutex_t lock;
	int fd[RINGS];		  /* [L] of the first `open` rings */
	unsigned open;		  /* [L] */
	bool used[BUFFERS];	  /* [L] */
	unsigned next;		  /* [L] all before it are used */
	bool warned;		  /* [L] */
	struct iovec locked[BUFFERS]; /* [L] of token -1 - i; length 0: free */
} rings = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int ring_register(int fd, unsigned op, void *arg, unsigned nr)
{
	return (int)syscall(SYS_io_uring_register, fd, op, arg, nr);
}

/* One ring more. Returns 0 or an errno. */
static int ring_open(void)
{
	struct io_uring_params p = { 0 };
	struct io_uring_rsrc_register r = {
		.nr = RING_BUFFERS,
		.flags = IORING_RSRC_REGISTER_SPARSE,
	};
	int error, fd = (int)syscall(SYS_io_uring_setup, 1, &p);

	if (fd >= 0 &&
	    ring_register(fd, IORING_REGISTER_BUFFERS2, &r, sizeof(r)) == 0) {
		rings.fd[rings.open++] = fd;
		return 0;
	}
	error = errno;
	if (fd >= 0)
		syscall(SYS_close, fd);
	return error;
}

static int buffer_update(unsigned i, void *addr, size_t len)
{
	struct iovec iov = { addr, len };
	uint64_t tag = 0;
	struct io_uring_rsrc_update2 u = {
		.offset = i % RING_BUFFERS,
		.data = (uintptr_t)&iov,
		.tags = (uintptr_t)&tag,
		.nr = 1,
	};

	return ring_register(rings.fd[i / RING_BUFFERS],
			     IORING_REGISTER_BUFFERS_UPDATE, &u,
			     sizeof(u)) == 1 ? 0 : errno;
}

/* Have the kernel put a huge page there, if it does so. */
static bool looks_huge(void *addr, size_t len)
{
	return len == HUGE_SIZE && (uintptr_t)addr % HUGE_SIZE == 0 &&
	       !madvise(addr, PAGE, MADV_POPULATE_WRITE) &&
	       huge_page_begins(addr);
}

/*
 * The kernel looks at each page of a buffer. A huge page stays whole, and in
 * its place, by the pin of a single page of it.
 */
static int buffer_pin(unsigned i, void *addr, size_t len)
{
	int error;

	if (looks_huge(addr, len)) {
		error = buffer_update(i, addr, 1);
		if (error || huge_page_at(addr))
			return error;
	}
	error = buffer_update(i, addr, len);
	if (error) /* what there is of it */
		buffer_update(i, NULL, 0);
	return error;
}

static int32_t buffer_add(void *addr, size_t len, int *error)
{
	unsigned i = rings.next;

	while (i < BUFFERS && rings.used[i])
		i++;
	*error = i < BUFFERS ? 0 : ENOSPC;
	if (!*error && i / RING_BUFFERS == rings.open)
		*error = ring_open();
	if (!*error)
		*error = buffer_pin(i, addr, len);
	if (*error)
		return 0;
	rings.used[i] = true;
	rings.next = i + 1;
	return (int32_t)i + 1;
}

static const char *advice(int error)
{
	switch (error) {
	case ENOSYS:
	case EPERM:
		return "there is no io_uring: set kernel.io_uring_disabled=0";
	case ENOMEM:
		return "there is no memory, or RLIMIT_MEMLOCK is too low: "
		       "raise it with ulimit -l";
	case ENOSPC:
		return "all registered buffers are in use";
	case EOPNOTSUPP:
	case EFAULT:
		return "it is not anonymous, writable memory";
	default:
		return strerror(error);
	}
}

static int32_t lock_instead(void *addr, size_t len, int error)
{
	int32_t i = 0;

	while (i < (int32_t)BUFFERS && rings.locked[i].iov_len)
		i++;
	if (i == (int32_t)BUFFERS || mlock(addr, len)) {
		say("guest memory at %p, %zu KiB, can be neither pinned nor "
		    "locked: %s", addr, len / 1024, advice(error));
		return 0;
	}
	if (!rings.warned)
		say("guest memory at %p cannot be pinned (%s) and is only "
		    "locked: switch off compaction, KSM and NUMA balancing",
		    addr, advice(error));
	rings.warned = true;
	rings.locked[i] = (struct iovec){ addr, len };
	return -1 - i;
}

/* Locks do not nest: but for what others from number i on want locked. */
static void unlock(char *begin, char *end, unsigned i)
{
	for (; begin < end && i < BUFFERS; i++) {
		const struct iovec *l = &rings.locked[i];
		char *from = l->iov_base, *to;

		if (!l->iov_len)
			continue;
		to = from + l->iov_len;
		if (to <= begin || end <= from)
			continue;
		unlock(begin, from, i + 1);
		begin = to;
	}
	if (begin < end)
		munlock(begin, (size_t)(end - begin));
}

static void unlock_token(int32_t token)
{
	const struct iovec was = rings.locked[-1 - token];
	char *begin = was.iov_base;

	rings.locked[-1 - token].iov_len = 0;
	unlock(begin, begin + was.iov_len, 0);
}

static void buffer_remove(int32_t token)
{
	const unsigned i = (unsigned)token - 1;

	buffer_update(i, NULL, 0);
	rings.used[i] = false;
	if (i < rings.next)
		rings.next = i;
}

int32_t pin_add(void *addr, size_t len)
{
	int32_t token;
	int error;

	pthread_mutex_lock(&rings.lock);
	token = buffer_add(addr, len, &error);
	if (!token)
		token = lock_instead(addr, len, error);
	pthread_mutex_unlock(&rings.lock);
	return token;
}

void pin_remove(int32_t token)
{
	if (!token)
		return;
	pthread_mutex_lock(&rings.lock);
	if (token > 0)
		buffer_remove(token);
	else
		unlock_token(token);
	pthread_mutex_unlock(&rings.lock);
}

/* A ring that the parent leaves ends, and its pins, only when we leave it. */
void pin_forked(void)
{
	for (unsigned i = 0; i < rings.open; i++)
		syscall(SYS_close, rings.fd[i]);
	memset(&rings, 0, sizeof(rings));
	pthread_mutex_init(&rings.lock, NULL);
}
