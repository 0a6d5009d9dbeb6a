/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interpose.c - the libc functions that this library is found before: open
 * of /dev/kvm, ioctl, mmap of a vCPU, and whatever closes or copies a
 * descriptor. Each does libc's work unless one of our descriptors is meant.
 *
 * What escapes: system calls that are made without these functions, and so
 * static programs; descriptors received by SCM_RIGHTS or kept over exec,
 * which are plain memfds there.
 */
#include "fds.h"
#include "ioctl.h"
#include "say.h"
#include "system.h"
#include "vcpu.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
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

static pid_t owner;    /* who the descriptors are of: not a vfork's child */
static bool is_child;  /* a fork's: its VMs are its parent's */

/* The next function of that name, libc's. */
#define NEXT(name)                                                             \
	({                                                                     \
		static __typeof__(&name) next_;                                \
		if (!next_)                                                    \
			*(void **)&next_ = dlsym(RTLD_NEXT, #name);            \
		next_;                                                         \
	})

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

/* The mode is there only if the flags say so; reading it is harmless. */
#define MODE(last)                                                             \
	({                                                                     \
		va_list args_;                                                 \
		mode_t mode_ = 0;                                              \
		va_start(args_, last);                                         \
		if ((last) & (O_CREAT | O_TMPFILE))                            \
			mode_ = va_arg(args_, mode_t);                         \
		va_end(args_);                                                 \
		mode_;                                                         \
	})

EXPORT int open(const char *path, int flags, ...)
{
	mode_t mode = MODE(flags);

	return is_device(path) ? open_device() : NEXT(open)(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
	mode_t mode = MODE(flags);

	return is_device(path) ? open_device() :
				 NEXT(open64)(path, flags, mode);
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = MODE(flags);

	return is_device(path) ? open_device() :
				 NEXT(openat)(dir, path, flags, mode);
}

EXPORT int openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode = MODE(flags);

	return is_device(path) ? open_device() :
				 NEXT(openat64)(dir, path, flags, mode);
}

EXPORT int __open_2(const char *path, int flags)
{
	return is_device(path) ? open_device() : NEXT(__open_2)(path, flags);
}

EXPORT int __open64_2(const char *path, int flags)
{
	return is_device(path) ? open_device() : NEXT(__open64_2)(path, flags);
}

EXPORT int __openat_2(int dir, const char *path, int flags)
{
	return is_device(path) ? open_device() :
				 NEXT(__openat_2)(dir, path, flags);
}

EXPORT int __openat64_2(int dir, const char *path, int flags)
{
	return is_device(path) ? open_device() :
				 NEXT(__openat64_2)(dir, path, flags);
}

/* --- ioctl ---------------------------------------------------------------------------- */

static int call_object(struct object *o, uint32_t request, unsigned long arg)
{
	/* KVM refuses another mm than the one that made the VM. */
	long r = is_child && o->kind != OBJ_SYSTEM ?
			 -EIO : ioctl_call(o, request, arg);

	fds_put(o);
	if (r >= 0)
		return (int)r;
	errno = (int)-r;
	return -1;
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	struct object *o;
	unsigned long arg;
	va_list args;

	va_start(args, request);
	arg = va_arg(args, unsigned long);
	va_end(args);
	if (KVM_TYPE(request)) {
		o = fds_get(fd);
		if (o)
			return call_object(o, (uint32_t)request, arg);
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

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
	if (is_ours(fd))
		fds_closing(fd);
	return NEXT(close)(fd);
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
		unsigned long arg;                                             \
		va_list args;                                                  \
                                                                               \
		va_start(args, cmd);                                           \
		arg = va_arg(args, unsigned long);                             \
		va_end(args);                                                  \
		if (fds_is(fd))                                                \
			return control(fd, cmd, arg);                          \
		return NEXT(name)(fd, cmd, arg);                               \
	}
FCNTL(fcntl)
FCNTL(fcntl64)

/* --- the library's own begin and end -------------------------------------------------- */

static void forked(void)
{
	is_child = true;
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
	if (!is_child)
		vm_exit_all();
}
