/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worlds.h - who had each CPU when, worked out of the exits in order of time,
 * in memory that does not grow with their number.
 *
 * A CPU is in a guest from an entry to the next exit, and that exit says which
 * guest it was; it is in the VMM from an exit to the entry; dom0's time within
 * the handling of a domU's exit is the time of other worlds until that vCPU is
 * entered again. Where records are missing nobody gets the time.
 */
#pragma once

#include "ctf.h"

#include <stdbool.h>

/* How an exit was handled; known when its vCPU goes on. */
struct worlds_handled {
	const struct trace_kvm_exit *exit;
	unsigned cpu;
	uint64_t ticks;	 /* until its vCPU goes on; of dom0's own: VMM time */
	uint64_t vmm;	 /* of these, in the VMM before the first entry */
	bool left;	 /* dom0 had a part in it */
	uint64_t flow;	 /* see worlds_guest */
	uint64_t again;	 /* if so: when its vCPU was entered, and where */
	unsigned again_cpu;
};

/* A guest had a CPU until an exit. */
struct worlds_guest {
	unsigned cpu;
	uint64_t begin;
	const struct trace_kvm_exit *end;
	/* Flows: numbers from 1 of exits that dom0 has a part in; 0: none. */
	uint64_t serves;  /* dom0 came here because of this one */
	uint64_t resumes; /* this is where the vCPU goes on after it */
};

struct worlds_ops { /* NULL: not wanted */
	void (*guest)(void *ctx, const struct worlds_guest *g);
	/* An exit, in order of time; entry_tsc may be 0. */
	void (*exit)(void *ctx, unsigned cpu, const struct trace_kvm_exit *x,
		     uint64_t flow);
	void (*handled)(void *ctx, const struct worlds_handled *h);
};

struct worlds_cpu {
	uint64_t first, last;  /* what is known of it: begins, ends */
	uint64_t guest[2];     /* ticks in dom0, in domUs */
	uint64_t vmm, unknown; /* ticks */
	uint64_t exits, gaps;  /* gaps: exits that are missing */
	/* private */
	uint64_t entry, seq, flow; /* flow: of the last exit */
	bool seen;
};

struct worlds_vcpu {
	uint32_t key;	   /* dom << 16 | vcpu_id */
	uint64_t guest, vmm, dom0; /* ticks */
	uint64_t first, last; /* exits */
	/* private */
	bool used, waits;
	unsigned cpu;
	uint64_t flow;
	struct trace_kvm_exit exit;
};

struct worlds {
	struct worlds_cpu *cpu;
	unsigned cpus;
	struct worlds_vcpu *vcpu; /* a hash; look at those with `used` */
	size_t vcpus, slots;
	uint64_t unpaired; /* exits whose end is not in the capture */
	uint64_t flows;
	bool foreign; /* KVM's, see bt_pairing */
	const struct worlds_ops *ops;
	void *ctx;
};

void worlds_init(struct worlds *w, const struct worlds_ops *ops, void *ctx);
/* The next record; of ours only exits change anything. */
void worlds_record(struct worlds *w, unsigned cpu,
		   const struct trace_header *h);
/* After the last. */
void worlds_end(struct worlds *w);
void worlds_free(struct worlds *w);

/* First and last time of all; false: there is no exit. */
bool worlds_span(const struct worlds *w, uint64_t *first, uint64_t *last);
