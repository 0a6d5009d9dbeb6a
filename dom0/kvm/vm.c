/* SPDX-License-Identifier: BSD-2-Clause */
/* vm.c - see vm.h. */
#include "vm.h"
#include "devices.h"
#include "hyper.h"
#include "ioctl.h"
#include "process.h"
#include "say.h"
#include "tp.h"
#include "vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	      4096u
#define RING_PAGE     2 /* of a vCPU's mapping */
#define DESTROY_TRIES 100

/* All VMs of this process, for its end. */
static struct {
	pthread_mutex_t lock;
	uint64_t handle[LUV_VMS];
} living = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void note(uint64_t from, uint64_t to)
{
	pthread_mutex_lock(&living.lock);
	for (unsigned i = 0; i < LUV_VMS; i++)
		if (living.handle[i] == from) {
			living.handle[i] = to;
			break;
		}
	pthread_mutex_unlock(&living.lock);
}

void vm_exit_all(void)
{
	for (unsigned i = 0; i < LUV_VMS; i++)
		if (living.handle[i])
			hyper_simple(LUV_CALL_vm_destroy, living.handle[i], 0,
				     0, 0);
}

void vm_forked(void)
{
	memset(&living, 0, sizeof(living));
	pthread_mutex_init(&living.lock, NULL);
}

/* --- making and ending ---------------------------------------------------------------- */

static void destroy(uint64_t handle)
{
	long e = -LUV_EBUSY;

	for (int i = 0; i < DESTROY_TRIES && e == -LUV_EBUSY; i++) {
		e = hyper_simple(LUV_CALL_vm_destroy, handle, 0, 0, 0);
		if (e == -LUV_EBUSY)
			sched_yield();
	}
	if (e)
		debug(1, "the VM is not destroyed: %ld", -e);
	note(handle, 0);
}

static void vm_free(struct vm *vm)
{
	for (unsigned i = 0; i < LUV_VCPUS; i++)
		vcpu_free(vm->vcpu[i]);
	memory_free(&vm->memory);
	if (vm->ring)
		munmap(vm->ring, PAGE);
	if (vm->ring_fd >= 0)
		syscall(SYS_close, vm->ring_fd);
	free(vm);
}

/* The VMM first: only then may pages move. */
static void vm_release(void *self)
{
	struct vm *vm = self;

	devices_destroy(vm);
	destroy(vm->handle);
	vm_free(vm);
}

static bool ring_new(struct vm *vm)
{
	void *p;

	vm->ring_fd = memfd_create("kvm-coalesced", MFD_CLOEXEC);
	if (vm->ring_fd < 0 || ftruncate(vm->ring_fd, PAGE))
		return false;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vm->ring_fd,
		 0);
	if (p != MAP_FAILED)
		vm->ring = p;
	return vm->ring;
}

bool vm_map_ring(struct vm *vm, void *at)
{
	return mmap((char *)at + RING_PAGE * PAGE, PAGE,
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, vm->ring_fd,
		    0) != MAP_FAILED;
}

/* Said once: it works without, only slower. */
static void look_at_huge_pages(void)
{
	static const char path[] =
		"/sys/kernel/mm/transparent_hugepage/enabled";
	static bool said;
	char text[64] = "";
	int fd;

	if (said)
		return;
	said = true;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "[never]"))
		say("guests have small pages only: echo madvise > %s", path);
	syscall(SYS_close, fd);
}

static long create_failed(long e)
{
	switch (e) {
	case -LUV_EPERM:
		say("the VMM does not accept the token");
		return -EACCES;
	case -LUV_ENOMEM:
		say("the VMM has no memory or no place for another VM: see "
		    "luvctl vms");
		return -ENOMEM;
	default:
		say("the VMM cannot make a VM: %s", strerror((int)-e));
		return e;
	}
}

static struct vm *vm_new(void)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	pthread_mutex_init(&vm->lock, NULL);
	coalesced_init(&vm->coalesced);
	clock_init_vm(&vm->clock);
	memory_init(&vm->memory, 0);
	if (!ring_new(vm) || !devices_create(vm)) {
		devices_destroy(vm);
		vm_free(vm);
		return NULL;
	}
	return vm;
}

long vm_create(unsigned long type)
{
	struct vm *vm;
	long h, fd;

	if (type)
		return -EINVAL;
	look_at_huge_pages();
	vm = vm_new();
	if (!vm)
		return -ENOMEM;
	h = hyper_simple(LUV_CALL_vm_create, hyper_token.low, hyper_token.high,
			 process_tag(getpid()), 0);
	if (h <= 0) {
		devices_destroy(vm);
		vm_free(vm);
		return create_failed(h);
	}
	vm->handle = (uint64_t)h;
	vm->memory.vm = vm->handle;
	note(0, vm->handle);
	fd = fds_new(OBJ_VM, "kvm-vm", 0, vm, vm_release, &vm->object);
	if (fd < 0)
		vm_release(vm);
	return fd;
}

void vm_wake(struct vm *vm, uint64_t mask)
{
	if (mask)
		TP(wake, vm->handle, mask);
	for (unsigned i = 0; i < LUV_VCPUS; i++)
		if ((mask >> i & 1) && vm->vcpu[i])
			vcpu_wake(vm->vcpu[i]);
}

/* --- ioctls ------------------------------------------------------------------------------ */

long vm_ioctl_check_extension(void *self, unsigned long arg)
{
	(void)self;
	return system_check_extension(NULL, arg);
}

long vm_ioctl_set_memory(void *self, unsigned long arg)
{
	struct vm *vm = self;

	return memory_set(&vm->memory,
			  (const struct kvm_userspace_memory_region *)arg);
}

long vm_ioctl_get_dirty_log(void *self, unsigned long arg)
{
	struct vm *vm = self;

	return memory_dirty_log(&vm->memory, (const struct kvm_dirty_log *)arg);
}

long vm_ioctl_create_vcpu(void *self, unsigned long arg)
{
	struct vm *vm = self;
	long r;

	pthread_mutex_lock(&vm->lock);
	r = vcpu_create(vm, arg);
	pthread_mutex_unlock(&vm->lock);
	return r;
}

long vm_ioctl_coalesce(void *self, unsigned long arg)
{
	const struct kvm_coalesced_mmio_zone *z =
		(const struct kvm_coalesced_mmio_zone *)arg;
	struct vm *vm = self;

	if (z->pio)
		ports_add(&vm->ports, z->addr, z->size);
	return coalesced_add(&vm->coalesced, z);
}

long vm_ioctl_uncoalesce(void *self, unsigned long arg)
{
	struct vm *vm = self;

	return coalesced_remove(&vm->coalesced,
				(const struct kvm_coalesced_mmio_zone *)arg);
}

/* Places for tables that Intel's KVM needs in real mode, and nobody here. */
long vm_ioctl_set_tss_addr(void *self, unsigned long arg)
{
	(void)self;
	return arg > UINT32_MAX - 3 * PAGE ? -EINVAL : 0;
}

long vm_ioctl_set_identity_map(void *self, unsigned long arg)
{
	(void)self;
	(void)arg;
	return 0;
}

/* vCPU 0 is the bootstrap processor. */
long vm_ioctl_set_boot_cpu(void *self, unsigned long arg)
{
	(void)self;
	return arg ? -EINVAL : 0;
}

long vm_ioctl_get_clock(void *self, unsigned long arg)
{
	struct vm *vm = self;

	clock_get(&vm->clock, (struct kvm_clock_data *)arg);
	return 0;
}

long vm_ioctl_set_clock(void *self, unsigned long arg)
{
	struct vm *vm = self;
	long e = clock_set(&vm->clock, (const struct kvm_clock_data *)arg);

	for (unsigned i = 0; !e && i < LUV_VCPUS; i++)
		if (vm->vcpu[i] && (vm->vcpu[i]->kvmclock & 1))
			vm->vcpu[i]->kvmclock_stale = true;
	return e;
}
