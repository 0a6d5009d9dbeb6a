/* SPDX-License-Identifier: BSD-2-Clause */
/* huge.c - see huge.h. */
#include "huge.h"

#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	4096ul
#define PAGES	(HUGE_SIZE / PAGE)
#define PRESENT (UINT64_C(1) << 63)
#define FRAME	((UINT64_C(1) << 55) - 1)
#define MIDDLE	(PAGES / 2)
#define FLAGS	(UINT64_C(1) << KPF_THP | UINT64_C(1) << KPF_COMPOUND_TAIL)

struct table {
	const char *path;
	bool opened; /* or tried to */
	int fd;	     /* -1: it cannot be */
};

/* `n` quadwords from the index on. Not open(): the library's own. */
static bool look_up(struct table *t, uint64_t index, uint64_t *value,
		    unsigned long n)
{
	const ssize_t len = (ssize_t)(n * sizeof(*value));

	if (!t->opened)
		t->fd = (int)syscall(SYS_openat, AT_FDCWD, t->path,
				     O_RDONLY | O_CLOEXEC);
	t->opened = true;
	return t->fd >= 0 &&
	       pread(t->fd, value, (size_t)len,
		     (off_t)(index * sizeof(*value))) == len;
}

static struct table pages = { .path = "/proc/self/pagemap" };
static struct table frames = { .path = "/proc/kpageflags" };

static bool in_order(const uint64_t entry[PAGES])
{
	for (unsigned i = 0; i < PAGES; i++)
		if (!(entry[i] & PRESENT) ||
		    (entry[i] & FRAME) != (entry[0] & FRAME) + i)
			return false;
	return true;
}

bool huge_page_begins(const void *addr)
{
	const uint64_t index = (uintptr_t)addr / PAGE;
	uint64_t entry;

	return index % PAGES == 0 && look_up(&pages, index, &entry, 1) &&
	       (entry & FRAME) && (entry & FRAME) % PAGES == 0;
}

/*
 * The kernel's blocks of pages are powers of two in size and place: if a
 * block goes on in the middle of these 2 MiB they are all of that block.
 */
bool huge_page_at(const void *addr)
{
	const uint64_t index = (uintptr_t)addr / PAGE;
	uint64_t entry[PAGES], flags;

	return index % PAGES == 0 && look_up(&pages, index, entry, PAGES) &&
	       (entry[0] & FRAME) && (entry[0] & FRAME) % PAGES == 0 &&
	       in_order(entry) &&
	       look_up(&frames, (entry[0] & FRAME) + MIDDLE, &flags, 1) &&
	       (flags & FLAGS) == FLAGS;
}
