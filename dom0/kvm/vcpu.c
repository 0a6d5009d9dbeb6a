/* SPDX-License-Identifier: BSD-2-Clause */
/* vcpu.c - see vcpu.h: making vCPUs, and the copy of their registers. */
#include "vcpu.h"
#include "emulate.h"
#include "hyper.h"
#include "ioctl.h"
#include "pin.h"
#include "say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PAGE	      4096u
#define APIC_BASE     UINT64_C(0xfee00000)
#define APIC_ENABLE   (UINT64_C(1) << 11)
#define APIC_BSP      (UINT64_C(1) << 8)

/* --- making and ending ----------------------------------------------------------- */

static void vcpu_release(void *self)
{
	struct vcpu *v = self;

	fds_put(v->vm->object); /* the VM frees us */
}

void vcpu_free(struct vcpu *v)
{
	if (!v)
		return;
	emulate_free(v);
	if (v->shared) {
		pin_remove(v->shared_pin);
		munmap(v->shared, PAGE);
	}
	if (v->run)
		munmap(v->run, VCPU_MMAP);
	if (v->wake_fd >= 0)
		syscall(SYS_close, v->wake_fd);
	if (v->timer_fd >= 0)
		syscall(SYS_close, v->timer_fd);
	free(v);
}

static struct vcpu *vcpu_new(struct vm *vm, unsigned id)
{
	struct vcpu *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->vm = vm;
	v->id = id;
	v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	msr_init(&v->msr);
	v->apic_base = APIC_BASE | APIC_ENABLE | (id ? 0 : APIC_BSP);
	if (v->wake_fd < 0 || v->timer_fd < 0) {
		vcpu_free(v);
		return NULL;
	}
	return v;
}

/* The pages that the client maps: kvm_run, PIO data; the ring is the VM's. */
static long vcpu_map(struct vcpu *v, int fd)
{
	v->run = mmap(NULL, VCPU_MMAP, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return -ENOMEM;
	}
	v->pio = (uint8_t *)v->run + PAGE;
	return emulate_init(v) ? 0 : -ENOMEM;
}

/* Without it everything works, but takes longer. */
static void vcpu_make_shared(struct vcpu *v)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	v->shared_pin = pin_add(p, PAGE);
	if (v->shared_pin > 0 &&
	    !hyper_buffer(LUV_CALL_vcpu_share, v->vm->handle, v->id,
			  (uintptr_t)p, 0, p, sizeof(*v->shared))) {
		v->shared = p;
		return;
	}
	pin_remove(v->shared_pin);
	munmap(p, PAGE);
}

long vcpu_create(struct vm *vm, unsigned long id)
{
	const uint64_t flags = vm->irqchip == IRQCHIP_OFF ? 0 : LUV_VCPU_APIC;
	struct vcpu *v;
	long e = -ENOMEM, fd;

	if (id >= LUV_VCPUS)
		return -EINVAL;
	if (vm->vcpu[id])
		return -EEXIST;
	v = vcpu_new(vm, (unsigned)id);
	if (!v)
		return -ENOMEM;
	fd = fds_new(OBJ_VCPU, "kvm-vcpu", VCPU_MMAP, v, vcpu_release,
		     &v->object);
	if (fd < 0) {
		vcpu_free(v);
		return fd;
	}
	fds_hold(vm->object);
	vm->vcpu[id] = v;
	e = vcpu_map(v, (int)fd);
	if (!e)
		e = hyper_simple(LUV_CALL_vcpu_create, vm->handle, id, flags,
				 0);
	if (!e) {
		vcpu_make_shared(v);
		return fd;
	}
	say("virtual CPU %lu cannot be made: %s", id, strerror((int)-e));
	vm->vcpu[id] = NULL;
	fds_closing((int)fd); /* gives back the VM's reference */
	syscall(SYS_close, (int)fd);
	vcpu_free(v);
	return e;
}

void vcpu_wake(struct vcpu *v)
{
	const uint64_t one = 1;

	if (write(v->wake_fd, &one, sizeof(one)) < 0) {
		/* its counter is full: it is awake already */
	}
}

/* --- registers ----------------------------------------------------------------------- */

static void fetch(struct vcpu *v, struct luv_vcpu *s)
{
	long e = hyper_buffer(LUV_CALL_vcpu_get, v->vm->handle, v->id,
			      (uintptr_t)s, 0, s, sizeof(*s));

	if (e < 0)
		say("the registers of virtual CPU %u cannot be read: %s", v->id,
		    strerror((int)-e));
}

/* What was executed here and not yet given back. */
static void overlay(struct vcpu *v)
{
	struct luv_shared *from = v->shared;
	const uint64_t flags = LUV_SHARED_RFLAGS;

	if (!from || !from->dirty)
		return;
	memcpy(v->s.gpr, from->gpr, sizeof(v->s.gpr));
	v->s.rip = from->rip;
	v->s.rflags = (v->s.rflags & ~flags) | (from->rflags & flags);
	v->s.shadow = 0;
	from->dirty = 0;
	v->s_dirty = true;
}

struct luv_vcpu *vcpu_state(struct vcpu *v)
{
	if (!v->s_valid) {
		fetch(v, &v->s);
		overlay(v);
		v->s_valid = true;
		if (v->s.apic_base)
			v->apic_base = v->s.apic_base;
		v->s.apic_base = v->apic_base;
	}
	return &v->s;
}

struct luv_vcpu *vcpu_change(struct vcpu *v)
{
	vcpu_state(v);
	v->s_dirty = true;
	return &v->s;
}

/*
 * The VMM forgets an instruction that waits when it is given registers, so it
 * is finished first. If the client left RIP at it, it shall be as if the
 * client's registers had been there before: it goes on behind it, with the
 * data in place. If not, the client has sent the guest somewhere else.
 */
static void settle_changed(struct vcpu *v)
{
	const struct luv_vcpu mine = v->s;
	struct luv_vcpu before, after;
	uint64_t mask;

	fetch(v, &before);
	v->s_dirty = false;
	vcpu_settle(v);
	fetch(v, &after);
	v->s = mine;
	if (mine.rip == before.rip && after.rip != before.rip) {
		mask = v->in_size < 4 ? (UINT64_C(1) << 8 * v->in_size) - 1 :
					UINT64_MAX;
		v->s.rip = after.rip;
		v->s.shadow = after.shadow;
		v->s.gpr[RAX] = (mine.gpr[RAX] & ~mask) |
				(after.gpr[RAX] & mask);
		if (v->wait_msr)
			v->s.gpr[RDX] = after.gpr[RDX];
	}
	v->s_valid = v->s_dirty = true;
}

static long give(struct vcpu *v)
{
	return hyper_buffer(LUV_CALL_vcpu_set, v->vm->handle, v->id,
			    (uintptr_t)&v->s, 0, &v->s, sizeof(v->s));
}

long vcpu_flush(struct vcpu *v)
{
	long e;

	if (!v->s_dirty)
		return 0;
	if (v->wait == WAIT_VMM)
		settle_changed(v);
	e = give(v);
	if (e == -LUV_EFAULT) { /* with PAE paging the VMM reads what CR3 says */
		memory_need(&v->vm->memory, (uint32_t)v->s.cr3);
		e = give(v);
	}
	if (e) { /* they stay for the client to look at, and to change */
		debug(1, "vCPU %u: the VMM refuses its registers: %ld", v->id,
		      -e);
		return e;
	}
	v->s_dirty = false;
	v->s_valid = false;
	v->apic_base = v->s.apic_base;
	v->cr8 = v->s.cr8;
	return 0;
}
