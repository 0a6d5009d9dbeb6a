/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.h - a record of every exit, in a ring of each CPU's. The ring's pieces
 * are CTF packets (trace/ctf.h); luvalley.h says how dom0 reads them, and
 * trace/ring.h how anybody finds them in the machine's memory.
 *
 * While tracing is off an exit executes nothing for it: a vCPU's table of
 * handlers is another one while it is on. What else is recorded looks first.
 */
#pragma once

#include "cpu.h"
#include "gwalk.h"
#include <stdatomic.h>
#include <stdbool.h>

/*
 * Boot: rings of `kib` KiB for all CPUs together, on in `mode` (luvalley.h),
 * and the bytes they need beyond what every machine has for the VMM.
 */
void trace_init(uint64_t kib, unsigned mode);
uint64_t trace_memory(uint64_t kib);
/* The table of handlers for dom0's or domUs' vCPUs. */
const exit_handler *trace_handlers(bool domu);

/* The hypercalls of luvalley.h, behind the check of the token. */
int64_t trace_control(const struct gpaging *g, uint64_t buf);
int64_t trace_info(const struct gpaging *g, uint64_t buf, uint64_t len);
int64_t trace_read(const struct gpaging *g, uint64_t buf);
int64_t trace_clock(uint64_t tsc, uint64_t mono_ns, uint64_t wall_ns);

/* What happens in the exit that this CPU handles; nothing if that is not traced. */
void trace_inject(const struct vcpu *v, unsigned vector);
void trace_injected_nmi(const struct vcpu *v);
/* `icr` as x2APIC has it; from: APIC ID, ~0 for an MSI. */
void trace_message(const struct vm *vm, uint32_t from, uint64_t icr);
void trace_vm_created(const struct vm *vm);
void trace_vm_destroyed(const struct vm *vm);
void trace_vcpu_created(const struct vcpu *v);
void trace_map(const struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size,
	       unsigned perm);
void trace_unmapped(const struct vm *vm, uint64_t gpa, uint64_t size);
/* Whom this CPU enters next is not `from`, whose exit has been handled. */
void trace_switch(struct vcpu *from);

/* For paths where a call that does nothing would be seen. */
extern _Atomic(bool) trace_on; /* some CPU may be recording */

static inline void trace_injected(const struct vcpu *v, unsigned vector)
{
	if (atomic_load_explicit(&trace_on, memory_order_relaxed))
		trace_inject(v, vector);
}

static inline void trace_ipi(const struct vm *vm, uint32_t from, uint64_t icr)
{
	if (atomic_load_explicit(&trace_on, memory_order_relaxed))
		trace_message(vm, from, icr);
}

static inline void trace_mapped(const struct vm *vm, uint64_t gpa, uint64_t hpa,
				uint64_t size, unsigned perm)
{
	if (atomic_load_explicit(&trace_on, memory_order_relaxed))
		trace_map(vm, gpa, hpa, size, perm);
}

static inline void trace_switched(struct vcpu *from)
{
	if (atomic_load_explicit(&trace_on, memory_order_relaxed))
		trace_switch(from);
}
