/* SPDX-License-Identifier: BSD-2-Clause */
/* exit.h - what a handler decides, and what hv->loop() calls. */
#pragma once

#include "cpu.h"
#include "dump.h"
#include "hv.h"

extern const exit_handler exit_handlers[EXIT_KINDS];

/* Run dom0 on this CPU for ever. */
_Noreturn void exit_loop(struct cpu *cpu);

/* Out of line, so that exit_handle() stays short. */
void exit_inject_nmi(struct vcpu *v);

/* v is no longer what its CPU runs, see domu.h. */
void domu_release(struct vcpu *v);

/* v->cpu->poll was set: do what is asked of this CPU. Returns whom to enter. */
struct vcpu *exit_serve(struct vcpu *v);

/*
 * exit_handle - v has exited and is decoded: handle it. Returns whom to enter
 * next. Inline, so that each vendor has one straight path.
 *   advance  the vendor's own hv->advance
 */
static inline struct vcpu *exit_handle(struct vcpu *v,
				       void (*advance)(struct vcpu *v))
{
	const struct vmexit *x = v->exit; /* domu_enter() changes dom0's */
	enum exit_action action = v->handlers[x->kind](v);
	struct vcpu *next;

	if (__builtin_expect(action == SKIP, 1))
		advance(v);
	else if (action == STOP)
		panic_exit(v);
	if (__builtin_expect(v->nmi_pending, 0))
		exit_inject_nmi(v);
	exit_account(v, x, rdtsc());
	next = v->cpu->current;
	if (__builtin_expect(next == v, 1))
		return v;
	domu_release(v);
	return this_cpu()->current;
}

/* Handlers of their own files. */
enum exit_action cpuid_exit(struct vcpu *v);
enum exit_action msr_read_exit(struct vcpu *v);
enum exit_action msr_write_exit(struct vcpu *v);
enum exit_action io_exit(struct vcpu *v);
enum exit_action hypercall_exit(struct vcpu *v);
enum exit_action apic_write_exit(struct vcpu *v);
