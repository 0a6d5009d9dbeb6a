/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pin.c - see pin.h. io_uring_register(2): IORING_REGISTER_BUFFERS2 with
 * IORING_RSRC_REGISTER_SPARSE, IORING_REGISTER_BUFFERS_UPDATE (Linux 5.19).
 */
#include "pin.h"
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

#define BUFFERS	     16384 /* the kernel's limit: 32 GiB in pieces */
#define TOKEN_LOCKED (-1)

static struct {
	pthread_mutex_t lock;
	bool tried;
	int fd;			  /* [L] < 0: there is none */
	bool used[BUFFERS];	  /* [L] */
	unsigned next;		  /* [L] where to look for a free one */
	bool warned;		  /* [L] */
} ring = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

static int ring_register(unsigned op, void *arg, unsigned nr)
{
	return (int)syscall(SYS_io_uring_register, ring.fd, op, arg, nr);
}

static void ring_open(void)
{
	struct io_uring_params p = { 0 };
	struct io_uring_rsrc_register r = {
		.nr = BUFFERS,
		.flags = IORING_RSRC_REGISTER_SPARSE,
	};

	if (ring.tried)
		return;
	ring.tried = true;
	ring.fd = (int)syscall(SYS_io_uring_setup, 1, &p);
	if (ring.fd >= 0 &&
	    ring_register(IORING_REGISTER_BUFFERS2, &r, sizeof(r)) < 0) {
		syscall(SYS_close, ring.fd);
		ring.fd = -1;
	}
}

static int buffer_update(unsigned i, void *addr, size_t len)
{
	struct iovec iov = { addr, len };
	uint64_t tag = 0;
	struct io_uring_rsrc_update2 u = {
		.offset = i,
		.data = (uintptr_t)&iov,
		.tags = (uintptr_t)&tag,
		.nr = 1,
	};

	return ring_register(IORING_REGISTER_BUFFERS_UPDATE, &u,
			     sizeof(u)) == 1 ? 0 : errno;
}

static int32_t buffer_add(void *addr, size_t len, int *error)
{
	*error = ENOSPC;
	ring_open();
	if (ring.fd < 0) {
		*error = ENOSYS;
		return 0;
	}
	for (unsigned n = 0; n < BUFFERS; n++) {
		unsigned i = (ring.next + n) % BUFFERS;

		if (ring.used[i])
			continue;
		*error = buffer_update(i, addr, len);
		if (*error)
			return 0;
		ring.used[i] = true;
		ring.next = i + 1;
		return (int32_t)i + 1;
	}
	return 0;
}

static const char *advice(int error)
{
	switch (error) {
	case ENOSYS:
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
	if (mlock(addr, len)) {
		say("guest memory at %p, %zu KiB, can be neither pinned nor "
		    "locked: %s", addr, len / 1024, advice(error));
		return 0;
	}
	if (!ring.warned)
		say("guest memory at %p cannot be pinned (%s) and is only "
		    "locked: switch off compaction, KSM and NUMA balancing",
		    addr, advice(error));
	ring.warned = true;
	return TOKEN_LOCKED;
}

int32_t pin_add(void *addr, size_t len)
{
	int32_t token;
	int error;

	pthread_mutex_lock(&ring.lock);
	token = buffer_add(addr, len, &error);
	if (!token)
		token = lock_instead(addr, len, error);
	pthread_mutex_unlock(&ring.lock);
	return token;
}

void pin_remove(int32_t token)
{
	unsigned i = (unsigned)token - 1;

	if (token <= 0)
		return;
	pthread_mutex_lock(&ring.lock);
	buffer_update(i, NULL, 0);
	ring.used[i] = false;
	pthread_mutex_unlock(&ring.lock);
}
