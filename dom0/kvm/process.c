/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.c - see process.h. proc(5), "/proc/PID/stat"; namespaces(7), "The
 * /proc/PID/ns/ directory".
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIELD_STATE   3
#define FIELD_THREADS 20
#define FIELD_START   22
#define FIRST_PIDS    0xeffffffcu /* inode: the namespace that dom0 began with */

/* The name, field 2, is in parentheses and may hold anything. */
bool process_parse(const char *stat, uint32_t *start, bool *dead)
{
	const char *p = strrchr(stat, ')');

	if (!p || p[1] != ' ' || !p[2])
		return false;
	p += 2;
	*dead = *p == 'Z' || *p == 'X';
	for (int field = FIELD_STATE; field < FIELD_START; field++) {
		p = strchr(p, ' ');
		if (!p)
			return false;
		p++;
		/* The first thread is a zombie until all have ended. */
		if (field + 1 == FIELD_THREADS && strtoul(p, NULL, 10) > 1)
			*dead = false;
	}
	*start = (uint32_t)strtoull(p, NULL, 10);
	return true;
}

/*
 * Are PIDs here what they are to other users of VMs? Not in a container, nor
 * where its /proc, or none, is mounted.
 */
static bool is_first_namespace(void)
{
	struct stat st;

	return !stat("/proc/self/ns/pid", &st) && st.st_ino == FIRST_PIDS;
}

/* Returns 0 or an errno. */
static int look(pid_t pid, uint32_t *start, bool *dead)
{
	char path[32], text[1024];
	ssize_t n;
	int fd, error;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	/* Not open(): the library's own. */
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	n = read(fd, text, sizeof(text) - 1);
	error = n < 0 ? errno : 0;
	syscall(SYS_close, fd);
	text[n > 0 ? n : 0] = 0;
	if (!error && !process_parse(text, start, dead))
		error = EIO;
	return error;
}

uint64_t process_tag(pid_t pid)
{
	uint32_t start;
	bool dead;

	if (!is_first_namespace() || look(pid, &start, &dead))
		return 0;
	return (uint32_t)pid | (uint64_t)start << 32;
}

bool process_died(uint64_t tag)
{
	uint32_t start;
	bool dead;
	int error;

	if (!tag || !is_first_namespace())
		return false;
	error = look((pid_t)(uint32_t)tag, &start, &dead);
	if (error)
		return error == ENOENT || error == ESRCH;
	return start != tag >> 32 || dead;
}
