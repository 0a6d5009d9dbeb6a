/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.h - a record of every exit, in a ring of each CPU's. The ring's pieces
 * are CTF packets (trace/ctf.h); luvalley.h says how dom0 reads them, and how
 * anybody finds them in the machine's memory.
 *
 * While tracing is off nothing is executed for it: a vCPU's table of handlers
 * is another one while it is on.
 */
#pragma once

#include "cpu.h"
#include "gwalk.h"

struct trace; /* of one CPU */

/* Boot: rings of `kib` KiB for each CPU, on in `mode` (enum luv_trace_mode). */
void trace_init(unsigned kib, unsigned mode);
/* For a new vCPU, or when tracing goes on or off: its table of handlers. */
const exit_handler *trace_handlers(const exit_handler *plain);

/* The hypercalls of luvalley.h. */
int64_t trace_control(const struct gpaging *g, uint64_t buf);
int64_t trace_info(const struct gpaging *g, uint64_t buf, uint64_t len);
int64_t trace_read(const struct gpaging *g, uint64_t buf);

/*
 * What happens besides exits, on this CPU; `v` says to whom. Nothing while
 * tracing is off.
 */
void trace_injected(const struct vcpu *v, unsigned vector);
void trace_injected_nmi(const struct vcpu *v);
void trace_ipi(const struct vcpu *from, uint64_t icr);
void trace_vm(const struct vm *vm, bool made);
void trace_vcpu(const struct vcpu *v);
void trace_map(const struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size,
	       unsigned perm, bool mapped);
