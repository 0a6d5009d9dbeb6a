/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hv.h - the seam between the VMM and a vendor's virtualization. Only vmx/
 * and svm/ know a vendor; the rest sees decoded exits and these verbs.
 */
#pragma once

#include "cpu.h"

/* Guest state that walks and dumps want; a copy, not a window. */
struct guest_state {
	uint64_t rip, rflags, cr2;
	struct gpaging paging;
	uint64_t cs_base, ss_base;
	uint16_t cs, ss, ds, es, fs, gs, tr;
	unsigned bits; /* default operand size of CS: 16, 32 or 64 */
	unsigned cpl;
};

enum event_type { EVENT_NMI = 2, EVENT_EXCEPTION = 3 }; /* both vendors' */

#define WINDOW_ANY 16u

struct trace_kvm_exit;

struct hv_ops {
	const char *name;
	/*
	 * A kick ends a guest's HLT (an #VMEXIT does not say there was one).
	 * A CPU left in HLT for good, as kexec does, must not be kicked.
	 */
	bool nmi_wakes_hlt;
	enum luv_isa isa;

	/* NULL if this CPU can do what the VMM needs; else one sentence. */
	const char *(*probe)(void);
	/* Once, boot CPU: build what all CPUs share (bitmaps, controls). */
	void (*init)(void);
	/* Each CPU: enter VMX operation / set EFER.SVME; allocate its state. */
	void (*enable)(struct cpu *cpu);
	/*
	 * The state INIT leaves, but at cs:0 in real mode with base cs << 4.
	 * SDM "IA-32 and Intel 64 Processor States Following Power-up, Reset,
	 * or INIT".
	 */
	void (*reset)(struct vcpu *v, uint16_t cs, uint16_t ip);
	/*
	 * Run v, and whomever exit_handle() and exit_serve() say next, for
	 * ever. Each exit is decoded into v->exit before exit_handle().
	 */
	void (*loop)(struct vcpu *v);
	/*
	 * Skip the exiting instruction: RIP, the interrupt shadow, and a #DB
	 * if RFLAGS.TF is set.
	 */
	void (*advance)(struct vcpu *v);
	/* Deliver an exception at the next entry. error < 0: no error code. */
	void (*inject)(struct vcpu *v, unsigned vector, int64_t error);
	/*
	 * An exit kind that only this vendor has. False: nobody knows it, or,
	 * of a domU, it has become a stage-2 fault: the instruction runs again.
	 */
	bool (*own)(struct vcpu *v);
	/*
	 * v->nmi_pending: deliver it at the next entry, or as soon as the
	 * guest can take it, and clear the flag then.
	 */
	void (*inject_nmi)(struct vcpu *v);
	/* Forget stage-2 translations cached on this CPU. */
	void (*flush)(struct vcpu *v);
	/*
	 * EFER as dom0 sees it; value not NULL: set it, and return what it is
	 * then (another value: refused). Only where the EFER MSR is trapped.
	 */
	uint64_t (*efer)(struct vcpu *v, const uint64_t *value);
	/* CR4 as the guest reads it: CPUID mirrors bits of it. */
	uint64_t (*cr4)(struct vcpu *v);
	/* What a walk wants; returns guest_state.bits. */
	unsigned (*paging)(struct vcpu *v, struct gpaging *p);
	/* Copy out what dumps want, too; also makes gpr[RSP] valid. */
	void (*snapshot)(struct vcpu *v, struct guest_state *g);
	/*
	 * For a trace: handlers that record an exit first, of dom0's and of
	 * domUs', and what of a record only the vendor knows, while v's state
	 * is in the CPU. See trace_exit.h.
	 */
	const exit_handler *trace_dom0, *trace_domu;
	void (*trace_context)(struct vcpu *v, unsigned kind,
			      struct trace_kvm_exit *r);
	uint64_t (*rip)(struct vcpu *v);
	/* Let NMIs reach this CPU's IDT while it does not run a guest. */
	void (*listen)(void);
	/* Print the VMCS or VMCB. */
	void (*dump)(struct vcpu *v);
	/* domU, see domu.h. VMCS or VMCB of a new vCPU, state of INIT. */
	void (*domu_init)(struct vcpu *v);
	/* World switches; `flush`: v's cached translations may be wrong. */
	void (*domu_enter)(struct vcpu *d, struct vcpu *v, bool flush);
	void (*domu_leave)(struct vcpu *d, struct vcpu *v);
	/* RFLAGS.IF | can take an external interrupt now << 1 | CR8 << 8. */
	unsigned (*domu_ready)(struct vcpu *v);
	/* Queue an external interrupt; exit when one can be taken. */
	void (*domu_queue)(struct vcpu *v, uint32_t event);
	/*
	 * Exit when one of this priority class can be taken; 0: no exit,
	 * WINDOW_ANY: one that CR8 does not hold off.
	 */
	void (*domu_window)(struct vcpu *v, unsigned class);
	/* Architectural state; set: one that was checked. */
	void (*domu_get)(struct vcpu *v, struct luv_vcpu *s);
	void (*domu_set)(struct vcpu *v, const struct luv_vcpu *s);
	/*
	 * While it is the CPU's current vCPU: fill struct luv_shared, all but
	 * apic_base; take back what ring 3 may change.
	 */
	void (*domu_share)(struct vcpu *v, struct luv_shared *s);
	void (*domu_take_back)(struct vcpu *v, const struct luv_shared *s);
	/* While it is the CPU's current vCPU: the state that a SIPI starts. */
	void (*domu_reset)(struct vcpu *v, uint16_t cs, uint16_t ip);
	/*
	 * MSRs that no one else knows; NULL: none. False: not one of them;
	 * *ok: no #GP.
	 */
	bool (*domu_rdmsr)(struct vcpu *v, uint32_t msr, uint64_t *value);
	bool (*domu_wrmsr)(struct vcpu *v, uint32_t msr, uint64_t value,
			   bool *ok);
	/* v->domu->tsc_offset has changed. */
	void (*domu_tsc)(struct vcpu *v);
	/*
	 * Bring the APIC's TPR up to what the guest did through CR8; and the
	 * processor, where it delivers interrupts, to what is requested.
	 */
	void (*domu_sync)(struct vcpu *v);
	/* And the other way: the APIC has been written. */
	void (*domu_tpr)(struct vcpu *v);
	/*
	 * While its VMCS or VMCB is this CPU's: have the use of DR0-3, and
	 * writes of DR7, exit unless DR7 has a breakpoint on, or not (use).
	 * Returns whether they do not exit.
	 */
	bool (*domu_drs)(struct vcpu *v, bool use);
	/* Was it #DB or INT3? *dr6: ~0 for INT3. */
	bool (*domu_debug_exit)(struct vcpu *v, uint64_t *dr6);
	/* Leave virtualization mode on this CPU, for a reset. */
	void (*disable)(void);
};

extern const struct hv_ops *hv; /* set once at boot */
extern const struct hv_ops vmx_ops, svm_ops;
