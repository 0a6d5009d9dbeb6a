/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu.h - a virtual CPU: what a KVM vCPU descriptor means.
 *
 * Its registers are with the VMM. `s` is a copy, made when somebody asks for
 * it (s_valid), changed here (s_dirty), and given back before the guest runs.
 * Nothing of this happens on the way of a port access.
 */
#pragma once

#include "fpu.h"
#include "lock.h"
#include "msr.h"
#include "vm.h"

#include <signal.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

/* What the last exit left undone, by who is to finish it. */
enum vcpu_wait {
	WAIT_NOTHING,
	WAIT_CLIENT_IN, /* the client is to put an IN's data in kvm_run */
	WAIT_VMM,	/* the VMM is to take `in`, or `gp`, and go on */
	WAIT_EMULATOR,	/* the client is to do what the emulator asked for */
};

struct emul_ctx;

struct vcpu {
	struct vm *vm;		/* [I] */
	struct object *object;	/* [I] */
	unsigned id;		/* [I] */
	int wake_fd;		/* [I] eventfd: ends a sleep */
	int timer_fd;		/* [I] timerfd: its interrupt is all of use */
	struct kvm_run *run;	/* [I] shared with the client */
	uint8_t *pio;		/* [I] its second page */

	struct luv_shared *shared; /* [I] vcpu_share; NULL: it cannot be pinned */
	int32_t shared_pin;	   /* [I] */

	struct lock lock;     /* held by an ioctl on it; the rest is under it */
	struct luv_vcpu s;
	bool s_valid, s_dirty;
	bool s_shared;	      /* `shared` is what the last exit left there */
	enum vcpu_wait wait;
	bool wait_msr;	   /* WAIT_VMM: RDMSR or WRMSR, not IN */
	bool gp;	   /* ... which is to get #GP */
	uint8_t in_size;   /* of an IN, bytes */
	uint64_t in;	   /* the data */
	uint32_t event;	   /* an interrupt offered, or 0 */
	unsigned ready;	   /* R10 of the last run */
	uint64_t apic_base; /* as last seen */
	uint64_t cr8;	   /* as the VMM last said */
	uint64_t kvmclock; /* MSR_KVM_SYSTEM_TIME: address, bit 0 on */
	bool kvmclock_stale; /* ... to be filled before the guest runs */
	uint32_t debug_control; /* KVM_SET_GUEST_DEBUG */
	bool has_sigmask;
	sigset_t sigmask;  /* KVM_SET_SIGNAL_MASK */
	struct fpu fpu;
	struct msr_file msr;
	struct kvm_cpuid_entry2 cpuid[LUV_CPUIDS];
	unsigned cpuids;
	struct emul_ctx *emul;
};

/* KVM_CREATE_VCPU: a descriptor, or -errno. */
long vcpu_create(struct vm *vm, unsigned long id);

/* At the end of its VM. */
void vcpu_free(struct vcpu *v);

/* The lock of an ioctl on it. */
static inline void vcpu_lock(struct vcpu *v)
{
	lock_take(&v->lock);
}

static inline void vcpu_unlock(struct vcpu *v)
{
	lock_release(&v->lock);
}

/* End its sleep. Any thread. */
void vcpu_wake(struct vcpu *v);

/* vcpu_state - its registers, to look at. Never NULL. */
struct luv_vcpu *vcpu_state(struct vcpu *v);

/* The same, to change. */
struct luv_vcpu *vcpu_change(struct vcpu *v);

/*
 * vcpu_settle - have the VMM finish what waits for it (WAIT_VMM), without
 * entering the guest; a copy of the registers that was changed keeps its
 * changes. `ready` is up to date after it.
 */
void vcpu_settle(struct vcpu *v);

/* Give changed registers back. Returns 0 or -EINVAL. */
long vcpu_flush(struct vcpu *v);

/* KVM_RUN. Returns 0 or -errno. */
long vcpu_run(struct vcpu *v);
