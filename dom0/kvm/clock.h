/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - kvmclock: the time of a VM, told to its guest by a structure in
 * its memory and a TSC, and to the client by KVM_GET_CLOCK. And the TSC's
 * rate. <asm/kvm_para.h>, Documentation/virt/kvm/x86/msr.rst.
 *
 * The host's TSC is taken to be invariant and the same on all CPUs.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct memory;

struct clock {
	pthread_mutex_t lock;
	int64_t offset; /* [L] the VM's time - CLOCK_MONOTONIC_RAW's, ns */
};

/* Begins at 0 now. */
void clock_init_vm(struct clock *c);

/* KVM_GET_CLOCK, KVM_SET_CLOCK. */
void clock_get(struct clock *c, struct kvm_clock_data *data);
long clock_set(struct clock *c, const struct kvm_clock_data *data);

/*
 * clock_tell_guest - MSR_KVM_SYSTEM_TIME_NEW: fill struct
 * pvclock_vcpu_time_info at gpa. Once is enough until KVM_SET_CLOCK or a
 * change of the guest's TSC: the scale never changes.
 *   tsc_offset  guest's TSC - host's
 * Returns false: there is no memory.
 */
bool clock_tell_guest(struct clock *c, struct memory *m, uint64_t gpa,
		      uint64_t tsc_offset);

/* MSR_KVM_WALL_CLOCK_NEW: struct pvclock_wall_clock at gpa. */
bool clock_tell_wall(struct clock *c, struct memory *m, uint64_t gpa);

uint64_t clock_tsc(void);

/* kHz of the TSC. The first call may take 20 ms. */
uint32_t clock_tsc_khz(void);

/*
 * clock_scale - ns = (ticks << shift) * mul >> 32, shift < 0: right.
 * For tests, too.
 */
void clock_scale(uint32_t khz, uint32_t *mul, int8_t *shift);
