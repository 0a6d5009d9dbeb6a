/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpuid.h - what a guest may be told by CPUID: what this CPU has, the VMM
 * lets a guest use, and the ring-3 half has the MSRs for.
 */
#pragma once

#include <linux/kvm.h>

/*
 * cpuid_supported - KVM_GET_SUPPORTED_CPUID's rows.
 *   rows, room  where they go; how many fit
 * Returns how many there are; more than `room`: not all were written.
 */
unsigned cpuid_supported(struct kvm_cpuid_entry2 *rows, unsigned room);

/* Bits of CPUID.(leaf, subleaf).reg (0 EAX .. 3 EDX) that a guest may see. */
unsigned cpuid_allowed(unsigned leaf, unsigned subleaf, unsigned reg);
