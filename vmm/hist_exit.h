/* SPDX-License-Identifier: BSD-2-Clause */
/* hist_exit.h - the handlers of exits that are not traced: all are counted. */
#pragma once

#include "cpu.h"

extern const exit_handler hist_dom0[EXIT_KINDS], hist_domu[EXIT_KINDS];

/* EAX or ECX, loaded as such: a conversion would be an instruction more. */
static inline uint32_t hist_low(const uint64_t *gpr)
{
	uint32_t low;

	__builtin_memcpy(&low, gpr, sizeof(low));
	return low;
}

/* What an exit is about; a page: its number. */
static inline __attribute__((always_inline)) uint64_t
hist_sub(const struct vcpu *v, const struct vmexit *x, unsigned kind)
{
	switch (kind) {
	case EXIT_IO:
	case EXIT_APIC_WRITE:
		return x->port;
	case EXIT_RDMSR:
	case EXIT_WRMSR:
		return hist_low(&v->gpr[RCX]);
	case EXIT_CPUID:
	case EXIT_HYPERCALL:
		return hist_low(&v->gpr[RAX]);
	case EXIT_STAGE2:
		return x->gpa.v / PAGE_SIZE;
	default:
		return 0;
	}
}
