/* SPDX-License-Identifier: BSD-2-Clause */
/* system.c - see system.h. */
#include "system.h"
#include "hyper.h"
#include "ioctl.h"
#include "vm.h"

#include <errno.h>

atomic_bool system_immediate_exit_known;

int system_open(void)
{
	struct object *o;
	int e = hyper_open();

	if (e)
		return e;
	return fds_new(OBJ_SYSTEM, "kvm", 0, NULL, NULL, &o);
}

long system_get_api_version(void *self, unsigned long arg)
{
	(void)self;
	return arg ? -EINVAL : KVM_API_VERSION;
}

long system_check_extension(void *self, unsigned long arg)
{
	(void)self;
	if (arg == KVM_CAP_IMMEDIATE_EXIT)
		atomic_store(&system_immediate_exit_known, true);
	return cap_value(arg);
}

long system_create_vm(void *self, unsigned long arg)
{
	(void)self;
	return vm_create(arg);
}

long system_get_vcpu_mmap_size(void *self, unsigned long arg)
{
	(void)self;
	return arg ? -EINVAL : VCPU_MMAP;
}
