/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tp.h - the library's trace points: calls of whoever fills in luvkvm_tp, as
 * dom0/lttng does for LTTng. With nobody there a point is a load and a branch.
 * TP_POINTS: X(name, (parameters))
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TP_POINTS(X)                                                           \
	/* An ioctl on a descriptor of ours; fd's kind is enum object_kind. */ \
	X(ioctl_entry, (unsigned kind, uint32_t request, uint64_t arg))        \
	X(ioctl_exit, (unsigned kind, uint32_t request, int64_t result))       \
	/* The hypercall that runs a guest; what it returned: enum luv_run. */ \
	X(run_entry, (uint64_t vm, uint32_t vcpu))                             \
	X(run_exit, (uint64_t vm, uint32_t vcpu, uint64_t rax, uint64_t rdi,   \
		     uint64_t rsi, uint64_t rdx))                              \
	/* A halted vCPU's thread sleeps; ns: its timer's, ~0: it has none. */ \
	X(block, (uint64_t vm, uint32_t vcpu, uint64_t ns))                    \
	X(unblock, (uint64_t vm, uint32_t vcpu))                               \
	/* The threads of these vCPUs are woken. */                            \
	X(wake, (uint64_t vm, uint64_t vcpus))                                 \
	/* An irqfd was signalled; a guest's write signals an ioeventfd. */    \
	X(irqfd, (uint32_t gsi))                                               \
	X(ioeventfd, (uint32_t pio, uint64_t addr, uint32_t len,               \
		      uint64_t data))

struct tp {
#define X(name, parameters) void (*name) parameters;
	TP_POINTS(X)
#undef X
};

extern struct tp luvkvm_tp;

#define TP(name, ...)                                                          \
	do {                                                                   \
		if (__builtin_expect(luvkvm_tp.name != NULL, 0))               \
			luvkvm_tp.name(__VA_ARGS__);                           \
	} while (0)
