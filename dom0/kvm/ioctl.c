/* SPDX-License-Identifier: BSD-2-Clause */
/* ioctl.c - see ioctl.h. */
#include "ioctl.h"
#include "fpu.h"
#include "msr.h"
#include "routing.h"
#include "say.h"
#include "tp.h"
#include "vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <luvalley/luvalley.h>
#include <stdatomic.h>

const struct ioctl_row ioctl_rows[] = {
#define FN(object, request, fn)                                                \
	{ OBJ_##object, (uint32_t)(request), #request, fn, 0, NULL },
#define PART(object, request, fn, what) FN(object, request, fn)
#define NOT(object, request, error, why)                                       \
	{ OBJ_##object, (uint32_t)(request), #request, NULL, error, why },
#include "ioctls.def"
#undef FN
#undef PART
#undef NOT
};
const unsigned ioctl_row_count = sizeof(ioctl_rows) / sizeof(ioctl_rows[0]);

static const struct ioctl_row *look(unsigned kind, uint32_t request)
{
	for (unsigned i = 0; i < ioctl_row_count; i++)
		if (ioctl_rows[i].request == request && ioctl_rows[i].on == kind)
			return &ioctl_rows[i];
	return NULL;
}

/* A client asks few things often: by their numbers, the last that was found. */
const struct ioctl_row *ioctl_find(unsigned kind, uint32_t request)
{
	static const struct ioctl_row *_Atomic recent[256];
	const struct ioctl_row *_Atomic *slot = &recent[request & 0xff];
	const struct ioctl_row *row =
		atomic_load_explicit(slot, memory_order_relaxed);

	if (row && row->request == request && row->on == kind)
		return row;
	row = look(kind, request);
	if (row)
		atomic_store_explicit(slot, row, memory_order_relaxed);
	return row;
}

static long refuse(unsigned kind, uint32_t request,
		   const struct ioctl_row *row)
{
	if (!row) {
		debug(1, "there is no ioctl %#x on an object of kind %u: see "
		      "luvkvm --table", request, kind);
		return -ENOTTY;
	}
	debug(1, "%s is not supported: %s", row->name, row->why);
	return -row->error;
}

/* One at a time on a vCPU: others wait until KVM_RUN is over, as KVM's do. */
static inline long call_vcpu(struct vcpu *v, ioctl_fn fn, unsigned long arg)
{
	long result;

	vcpu_lock(v);
	result = fn(v, arg);
	vcpu_unlock(v);
	return result;
}

/* Apart from KVM_RUN, whose way shall be short. */
__attribute__((noinline)) static long
answer(struct object *o, uint32_t request, unsigned long arg)
{
	const struct ioctl_row *row;
	long result;

	row = ioctl_find(o->kind, request);
	if (!row || !row->fn)
		return refuse(o->kind, request, row);
	result = o->kind == OBJ_VCPU ? call_vcpu(o->self, row->fn, arg) :
				       row->fn(o->self, arg);
	debug(2, "%s(%#lx) = %ld", row->name, arg, result);
	return result;
}

long ioctl_call(struct object *o, uint32_t request, unsigned long arg)
{
	long result;

	TP(ioctl_entry, o->kind, request, arg);
	result = request == (uint32_t)KVM_RUN && o->kind == OBJ_VCPU ?
			 call_vcpu(o->self, vcpu_ioctl_run, arg) :
			 answer(o, request, arg);
	TP(ioctl_exit, o->kind, request, result);
	return result;
}

/* --- capabilities ------------------------------------------------------------- */

static bool promise_kept(unsigned kind, uint32_t request)
{
	const struct ioctl_row *row;

	if (!kind)
		return true;
	row = ioctl_find(kind, request);
	return row && row->fn;
}

long cap_value(unsigned long cap)
{
	enum { OBJ_0 = 0 };
	long value = 0;

#define CAP(name, answer, object, request)                                     \
	if (cap == (name)) {                                                   \
		if (!promise_kept(OBJ_##object, (uint32_t)(request)))          \
			return 0;                                              \
		value = (answer);                                              \
	}
#include "caps.def"
#undef CAP
	return value;
}
