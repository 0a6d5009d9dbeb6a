/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interpose.c - the libc functions that this library is found before: open
 * of /dev/kvm, ioctl, mmap of a vCPU, read of statistics, and whatever closes
 * or copies a descriptor. Each does libc's work unless one of our descriptors
 * is meant.
 *
 * What escapes: system calls that are made without these functions, and so
 * static programs; descriptors received by SCM_RIGHTS or kept over exec,
 * which are plain memfds there.
 */
#include "fds.h"
#include "ioctl.h"
#include "pin.h"
#include "say.h"
#include "stats.h"
#include "system.h"
#include "vcpu.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT	__attribute__((visibility("default")))
#define DEVICE	"/dev/kvm"
#define KVM_TYPE(request) (((request) >> 8 & 0xff) == KVMIO)

/* glibc's entry points for open with two arguments, under _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

/* As it is called: where nothing follows the request nobody looks at `arg`. */
int ioctl(int fd, unsigned long request, unsigned long arg);

static pid_t owner; /* who the descriptors are of: not a vfork's child */

/*
 * The next function of that name, libc's, into the pointer at `slot`, if it is
 * not there yet. Two threads find the same.
 */
static void resolve(void *slot, const char *name)
{
	void *p;

	memcpy(&p, slot, sizeof(p));
	if (p)
		return;
	p = dlsym(RTLD_NEXT, name);
	memcpy(slot, &p, sizeof(p));
}

/* --- open ----------------------------------------------------------------------------- */

static bool is_device(const char *path)
{
	return path && path[0] == '/' && !strcmp(path, DEVICE);
}

static int open_device(void)
{
	int fd = system_open();

	if (fd >= 0)
		return fd;
	errno = -fd;
	return -1;
}

/* A mode follows only if the flags say so. */
#define MODE(mode)                                                             \
	do {                                                                   \
		va_list args;                                                  \
                                                                               \
		va_start(args, flags);                                         \
		if (flags & (O_CREAT | O_TMPFILE))                             \
			mode = va_arg(args, mode_t);                           \
		va_end(args);                                                  \
	} while (0)

#define OPEN(name)                                                             \
	EXPORT int name(const char *path, int flags, ...)                      \
	{                                                                      \
		static __typeof__(&name) libc;                                 \
		mode_t mode = 0;                                               \
                                                                               \
		MODE(mode);                                                    \
		if (is_device(path))                                           \
			return open_device();                                  \
		resolve(&libc, #name);                                         \
		return libc(path, flags, mode);                                \
	}
#define OPENAT(name)                                                           \
	EXPORT int name(int dir, const char *path, int flags, ...)             \
	{                                                                      \
		static __typeof__(&name) libc;                                 \
		mode_t mode = 0;                                               \
                                                                               \
		MODE(mode);                                                    \
		if (is_device(path))                                           \
			return open_device();                                  \
		resolve(&libc, #name);                                         \
		return libc(dir, path, flags, mode);                           \
	}
#define OPEN_2(name)                                                           \
	EXPORT int name(const char *path, int flags)                           \
	{                                                                      \
		static __typeof__(&name) libc;                                 \
                                                                               \
		if (is_device(path))                                           \
			return open_device();                                  \
		resolve(&libc, #name);                                         \
		return libc(path, flags);                                      \
	}
#define OPENAT_2(name)                                                         \
	EXPORT int name(int dir, const char *path, int flags)                  \
	{                                                                      \
		static __typeof__(&name) libc;                                 \
                                                                               \
		if (is_device(path))                                           \
			return open_device();                                  \
		resolve(&libc, #name);                                         \
		return libc(dir, path, flags);                                 \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

/* --- ioctl ---------------------------------------------------------------------------- */

static int call_object(struct object *o, uint32_t request, unsigned long arg)
{
	/* KVM refuses another mm than the one that made the VM. */
	long r = fds_inherited(o) && o->kind != OBJ_SYSTEM ?
			 -EIO : ioctl_call(o, request, arg);

	fds_put(o);
	if (r >= 0)
		return (int)r;
	errno = (int)-r;
	return -1;
}

EXPORT int ioctl(int fd, unsigned long request, unsigned long arg)
{
	struct object *o = KVM_TYPE(request) ? fds_get(fd) : NULL;

	return o ? call_object(o, (uint32_t)request, arg) :
		   (int)syscall(SYS_ioctl, fd, request, arg);
}

/* --- read: statistics are those of now -------------------------------------------------- */

static void reading(int fd)
{
	struct object *o = fds_is(fd) ? fds_get(fd) : NULL;

	if (!o)
		return;
	if (o->kind == OBJ_STATS && !fds_inherited(o))
		stats_refresh(o->self, fd);
	fds_put(o);
}

EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	static __typeof__(&read) libc;

	reading(fd);
	resolve(&libc, "read");
	return libc(fd, buf, len);
}

#define PREAD(name)                                                            \
	EXPORT ssize_t name(int fd, void *buf, size_t len, off_t at)           \
	{                                                                      \
		static __typeof__(&name) libc;                                 \
                                                                               \
		reading(fd);                                                   \
		resolve(&libc, #name);                                         \
		return libc(fd, buf, len, at);                                 \
	}
PREAD(pread)
PREAD(pread64)

/* --- mmap: one page of all vCPUs is the VM's ------------------------------------------- */

static void *mapped(void *p, size_t len, int fd, off_t offset)
{
	struct object *o = p != MAP_FAILED && fds_is(fd) ? fds_get(fd) : NULL;

	if (!o)
		return p;
	if (o->kind == OBJ_VCPU && !offset && len >= VCPU_MMAP)
		vm_map_ring(((struct vcpu *)o->self)->vm, p);
	fds_put(o);
	return p;
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		  off_t offset)
{
	void *p = (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);

	return mapped(p, len, fd, offset);
}

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
		    off_t offset)
{
	return mmap(addr, len, prot, flags, fd, offset);
}

/* --- close and dup ----------------------------------------------------------------------- */

/* In a vfork's child the table is still its parent's. */
static bool is_ours(int fd)
{
	return fds_is(fd) && getpid() == owner;
}

EXPORT int close(int fd)
{
	static __typeof__(&close) libc;

	if (is_ours(fd))
		fds_closing(fd);
	resolve(&libc, "close");
	return libc(fd);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	if (!(flags & (int)CLOSE_RANGE_CLOEXEC) && getpid() == owner)
		fds_closing_range(first, last);
	return (int)syscall(SYS_close_range, first, last, flags);
}

EXPORT void closefrom(int first)
{
	close_range(first < 0 ? 0 : (unsigned)first, ~0u, 0);
}

static int duped(int from, int to)
{
	if (to >= 0 && from != to && (fds_is(from) || fds_is(to)) &&
	    getpid() == owner)
		fds_duped(from, to);
	return to;
}

EXPORT int dup(int fd)
{
	return duped(fd, (int)syscall(SYS_dup, fd));
}

EXPORT int dup2(int fd, int to)
{
	return duped(fd, (int)syscall(SYS_dup2, fd, to));
}

EXPORT int dup3(int fd, int to, int flags)
{
	return duped(fd, (int)syscall(SYS_dup3, fd, to, flags));
}

static int control(int fd, int cmd, unsigned long arg)
{
	int r = (int)syscall(SYS_fcntl, fd, cmd, arg);

	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? duped(fd, r) : r;
}

/* Only for our descriptors: libc's own knows more of the others. */
#define FCNTL(name)                                                            \
	EXPORT int name(int fd, int cmd, ...)                                  \
	{                                                                      \
		static __typeof__(&name) libc;                                 \
		unsigned long arg;                                             \
		va_list args;                                                  \
                                                                               \
		va_start(args, cmd);                                           \
		arg = va_arg(args, unsigned long);                             \
		va_end(args);                                                  \
		if (fds_is(fd))                                                \
			return control(fd, cmd, arg);                          \
		resolve(&libc, #name);                                         \
		return libc(fd, cmd, arg);                                     \
	}
FCNTL(fcntl)
FCNTL(fcntl64)

/* --- the library's own begin and end -------------------------------------------------- */

static void forked(void)
{
	fds_forked();
	pin_forked();
	vm_forked();
	owner = getpid();
}

__attribute__((constructor)) static void begin(void)
{
	say_init();
	owner = getpid();
	pthread_atfork(NULL, NULL, forked);
}

__attribute__((destructor)) static void end(void)
{
	vm_exit_all();
}
