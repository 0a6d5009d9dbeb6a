/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace_exit.h - the record of an exit, as fast as it can be written: for the
 * files trace.c, and vmx/ and svm/trace.c, which make a table of handlers each
 * of trace_exit(). An exit's record is written before its handler runs, which
 * is then jumped to; how it ended is filled in when this CPU exits next, or
 * switches worlds. Only its CPU writes a ring, while it handles an exit: there
 * is no lock.
 */
#pragma once

#include "cpu.h"
#include "hist_exit.h"
#include "hv.h"
#include "../trace/ctf.h"
#include "../trace/ring.h"

struct trace {
	struct trace_ring ring;	     /* its page begins with what readers know */
	struct trace_kvm_exit *exit; /* [p] the newest, or &scratch */
	_Atomic uint64_t limit;	     /* [a] end, or 0: trace_open() decides */
	uint64_t seq;		     /* [p] exits seen */
	uint32_t generation;	     /* [p] of the settings it follows */
	uint32_t due;		     /* [p] packets finished since that exit */
	struct ctf_packet *packet;   /* [p] the open one, or NULL */
	char *end;		     /* [p] of it */
	uint64_t last;		     /* [p] TSC of the newest event but exits */
	uint64_t told;		     /* [p] losses that a record tells of */
	struct trace_kvm_exit scratch; /* [p] of exits that are not recorded */
};
_Static_assert(sizeof(struct trace) <= PAGE_SIZE, "one page");
_Static_assert(offsetof(struct trace_kvm_exit, dom) ==
	       offsetof(struct trace_kvm_exit, vcpu_id) + 2, "as trace_id");
_Static_assert(offsetof(struct trace_kvm_exit, sub) ==
	       offsetof(struct trace_kvm_exit, isa) + 8, "one quadword");

/* Take an exit's record, or not, and see to everything that is rare. */
void trace_open(struct vcpu *v);
/* The same and v's handler. */
enum exit_action trace_slowly(struct vcpu *v);
/* What a hypercall of dom0's was given and has returned; dom0 goes on. */
void trace_hypercall(struct vcpu *v, const uint64_t args[5], uint64_t nr);

/* Fills in cr3, intr_info and error_code, as KVM's kvm_exit has them. */
typedef void trace_context(struct vcpu *v, unsigned kind,
			   struct trace_kvm_exit *r);

/* The key below the exit's kind, as hist_sub(), but a page: its address. */
static inline __attribute__((always_inline)) uint64_t
trace_sub(const struct vcpu *v, const struct vmexit *x, unsigned kind)
{
	uint64_t sub = hist_sub(v, x, kind);

	if (kind == EXIT_STAGE2)
		return sub * PAGE_SIZE;
	return kind == EXIT_HYPERCALL && !v->vm ? sub ^ LUV_MAGIC : sub;
}

static inline __attribute__((always_inline)) void
trace_fill(struct trace *t, struct trace_kvm_exit *r, struct vcpu *v,
	   const struct vmexit *x, unsigned kind, unsigned isa,
	   trace_context *context)
{
	/* These exits leave info1 and info2 of struct vmexit as they were. */
	const bool info = !(BIT(kind) & (BIT(EXIT_CPUID) | BIT(EXIT_RDMSR) |
					 BIT(EXIT_WRMSR) | BIT(EXIT_HYPERCALL)));
	const uint64_t tail = isa | kind << 8; /* outcome: vmm, until it ends */

	r->header.id = TRACE_kvm_exit;
	r->header.timestamp = x->tsc;
	r->seq = t->seq++;
	r->entry_tsc = 0;
	r->guest_rip = x->rip;
	r->info1 = info ? x->info1 : 0;
	r->info2 = info ? x->info2 : 0;
	r->exit_reason = x->reason;
	__builtin_memcpy(&r->vcpu_id, &v->trace_id, sizeof(v->trace_id));
	__builtin_memcpy(&r->isa, &tail, sizeof(tail));
	r->sub = trace_sub(v, x, kind);
	context(v, kind, r);
	t->exit = r;
	atomic_store_explicit(&t->ring.open_end, (uint64_t)(r + 1),
			      memory_order_release);
}

/* False: trace_open() has to do it. */
static inline __attribute__((always_inline)) bool
trace_quickly(struct vcpu *v, unsigned kind, unsigned isa,
	      trace_context *context)
{
	struct cpu *cpu = v->cpu;
	struct trace *t = cpu->trace;
	uint64_t at = atomic_load_explicit(&t->ring.open_end,
					   memory_order_relaxed);

	if (__builtin_expect(at + sizeof(struct trace_kvm_exit) >
			     atomic_load_explicit(&t->limit,
						  memory_order_relaxed), 0))
		return false;
	t->exit->entry_tsc = cpu->entered;
	trace_fill(t, (void *)at, v, v->exit, kind, isa, context);
	return true;
}

/* dom0's hypercalls have a result, which is worth a record. */
static inline __attribute__((always_inline)) enum exit_action
trace_call(struct vcpu *v, unsigned isa, trace_context *context)
{
	const uint64_t args[5] = { v->gpr[RDI], v->gpr[RSI], v->gpr[RDX],
				   v->gpr[R10], v->gpr[R8] };
	uint64_t nr = (uint32_t)v->gpr[RAX] ^ LUV_MAGIC;
	enum exit_action action;

	if (!trace_quickly(v, EXIT_HYPERCALL, isa, context))
		trace_open(v);
	action = hist_dom0[EXIT_HYPERCALL](v);
	if (v->cpu->current == v)
		trace_hypercall(v, args, nr);
	return action;
}

/* Worth code of their own, in two worlds and for two vendors. */
#define TRACE_OFTEN_DOM0 BIT(EXIT_CPUID)
#define TRACE_OFTEN_DOMU (BIT(EXIT_CPUID) | BIT(EXIT_HYPERCALL) | BIT(EXIT_IO) | \
			  BIT(EXIT_RDMSR) | BIT(EXIT_WRMSR) | BIT(EXIT_INTR) |  \
			  BIT(EXIT_HLT) | BIT(EXIT_STAGE2))

/* The handler of dom0's, or a domU's, exits of one kind: inline, a constant. */
static inline __attribute__((always_inline)) enum exit_action
trace_exit(struct vcpu *v, bool domu, unsigned kind, unsigned isa,
	   trace_context *context)
{
	if (!domu && kind == EXIT_HYPERCALL)
		return trace_call(v, isa, context);
	if (!(BIT(kind) & (domu ? TRACE_OFTEN_DOMU : TRACE_OFTEN_DOM0)) ||
	    !trace_quickly(v, kind, isa, context))
		return trace_slowly(v);
	return (domu ? hist_domu : hist_dom0)[kind](v);
}

#define TRACE_EXIT(world, domu, kind, isa, context)                            \
	static enum exit_action world##_##kind(struct vcpu *v)                 \
	{                                                                      \
		return trace_exit(v, domu, EXIT_##kind, isa, context);         \
	}
