/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu.h - virtual machines of dom0's processes: the objects behind the
 * hypercalls vm_* and vcpu_*. A VM is found by handle and CR3; a vCPU runs
 * inside its owner's hypercall, on the CPU that made it.
 */
#pragma once

#include "exit.h"
#include "hv.h"
#include "lock.h"
#include "stage2.h"

/* Extended state the VMM switches: what fits the area. SDM "XSAVE Area". */
#define FPU_AREA PAGE_SIZE

struct vm {
	uint32_t handle;      /* [I] index and generation */
	_Atomic uint32_t users; /* [a] hypercalls inside, and DYING */
	uint64_t owner;	      /* [I] CR3 without its low bits */
	struct lock lock;
	struct stage2 s2;     /* [L] lock */
	uint32_t s2_changed;  /* [a] counts lost mappings: flush if it moved */
	struct luv_slot slot[LUV_SLOTS]; /* [L] lock; len 0: free */
	struct vcpu *vcpu[LUV_VCPUS];	 /* [I] once set */
};

/* What a domU's vCPU has beside struct vcpu, in the same page. */
struct domu {
	struct vcpu v;
	void *fpu;		/* [I] FPU_AREA bytes */
	uint64_t xcr0;		/* [p] */
	uint64_t dr[4], dr6, cr2; /* [p] while it does not run */
	uint64_t msr[6];	/* [p] VMX: DOMU_MSRS, while it does not run */
	_Atomic uint32_t running; /* [a] a CPU is in it */
	uint32_t last_cpu;	/* [p] index, ~0: none */
	uint32_t s2_seen;	/* [p] vm->s2_changed at the last entry */
	struct vmexit in_exit;  /* [p] that IN */
	uint8_t in_size;	/* [p] an IN waits for its data: bytes, or 0 */
	bool window;		/* [p] exit when interrupts can be taken */
	bool queued;		/* [p] the caller's event is taken */
	struct luv_exit_stat stats[EXIT_KINDS];
};

/* The MSRs that VMX does not switch and a guest changes unseen. */
#define DOMU_MSRS                                                              \
	{ 0xc0000081 /* STAR */, 0xc0000082 /* LSTAR */,                       \
	  0xc0000083 /* CSTAR */, 0xc0000084 /* FMASK */,                      \
	  0xc0000102 /* KERNEL_GS_BASE */, 0xc0000103 /* TSC_AUX */ }

/* Once, boot CPU: token, tables. */
void domu_init(void);
/* The token's word `i` (0-3), for the trapped port. */
uint32_t domu_token(unsigned i);

/*
 * domu_take - the vCPU behind handle and id for this CPU alone: nobody else
 * runs or changes it until domu_let_go(). NULL: *why is the negated error.
 */
struct vcpu *domu_take(const struct guest_state *g, uint64_t handle,
		       uint64_t id, int64_t *why);
void domu_let_go(struct vcpu *v);

int64_t domu_vm_create(const struct guest_state *g, uint64_t lo, uint64_t hi);
int64_t domu_vm_destroy(const struct guest_state *g, uint64_t vm);
int64_t domu_vm_slot(const struct guest_state *g, uint64_t vm, uint64_t buf);
int64_t domu_vcpu_create(const struct guest_state *g, uint64_t vm,
			 uint64_t id);
int64_t domu_vcpu_get(const struct guest_state *g, uint64_t vm, uint64_t id,
		      uint64_t buf);
int64_t domu_vcpu_set(const struct guest_state *g, uint64_t vm, uint64_t id,
		      uint64_t buf);

/*
 * domu_run - the run hypercall of `d` (dom0 on this CPU): 0 if a domU is now
 * this CPU's current vCPU and d stays at its hypercall; else a negated error.
 */
int64_t domu_run(struct vcpu *d, const struct guest_state *g);

extern const exit_handler domu_handlers[EXIT_KINDS];

/*
 * domu_suspend - back to dom0, which finds itself at the hypercall, to be run
 * again. The vCPU stays this CPU's until domu_release() (exit.h): then another CPU
 * may run it, so nothing may be read through it.
 */
void domu_suspend(struct cpu *cpu);

/*
 * guest_read - bytes of v's guest-physical memory, dom0's or a domU's, within
 * one page. False: that is not RAM it has.
 */
bool guest_read(const struct vcpu *v, gpa_t gpa, void *buf, size_t len);
