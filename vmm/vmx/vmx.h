/* SPDX-License-Identifier: BSD-2-Clause */
/* vmx.h - what the files of vmx/ share. */
#pragma once

#include "../hv.h"
#include "vmcs.h"

enum vmx_control { VMX_PIN, VMX_PROC, VMX_PROC2, VMX_EXIT, VMX_ENTRY,
		   VMX_CONTROLS };

struct vmx_shared {
	uint64_t eptp;	      /* [I] */
	uint64_t invept_type; /* [I] */
};
extern struct vmx_shared vmx;

/* The verbs of hv.h. */
void vmx_loop(struct vcpu *v);
void vmx_inject_nmi(struct vcpu *v);
void vmx_advance(struct vcpu *v);
void vmx_inject(struct vcpu *v, unsigned vector, int64_t error);
bool vmx_own(struct vcpu *v);
/*
 * PAE paging takes its four entries into the VMCS. ERR_NOENT: they are not
 * mapped; ERR_INVAL: a reserved bit.
 */
enum err vmx_load_pdptes(const struct vcpu *v);
void vmx_flush(struct vcpu *v);
uint64_t vmx_cr4(struct vcpu *v);
uint64_t vmx_efer(struct vcpu *v, const uint64_t *value);
void vmx_trace_context(struct vcpu *v, unsigned kind, struct trace_kvm_exit *r);
extern const exit_handler vmx_trace_dom0[EXIT_KINDS];
extern const exit_handler vmx_trace_domu[EXIT_KINDS];
uint64_t vmx_rip(struct vcpu *v);
unsigned vmx_paging(struct vcpu *v, struct gpaging *p);
void vmx_snapshot(struct vcpu *v, struct guest_state *g);
void vmx_dump(struct vcpu *v);

/* Host state and controls, of dom0's kind, into the current VMCS. */
void vmx_common_state(void);
/* Guest state after INIT, but at cs:ip, into the current VMCS. */
void vmx_guest_reset(struct vcpu *v, uint16_t cs, uint16_t ip);

void vmx_domu_maps(void);
void vmx_domu_cpu(struct cpu *cpu);
void vmx_domu_init(struct vcpu *v);
void vmx_domu_enter(struct vcpu *d, struct vcpu *v, bool flush);
void vmx_domu_leave(struct vcpu *d, struct vcpu *v);
unsigned vmx_domu_ready(struct vcpu *v);
void vmx_domu_queue(struct vcpu *v, uint32_t event);
void vmx_domu_window(struct vcpu *v, unsigned class);
void vmx_domu_get(struct vcpu *v, struct luv_vcpu *s);
void vmx_domu_set(struct vcpu *v, const struct luv_vcpu *s);
void vmx_domu_share(struct vcpu *v, struct luv_shared *s);
void vmx_domu_take_back(struct vcpu *v, const struct luv_shared *s);
void vmx_domu_reset(struct vcpu *v, uint16_t cs, uint16_t ip);
bool vmx_domu_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value);
bool vmx_domu_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value, bool *ok);
void vmx_domu_tsc(struct vcpu *v);
void vmx_domu_sync(struct vcpu *v);
bool vmx_domu_drs(struct vcpu *v, bool use);
void vmx_domu_tpr(struct vcpu *v);
void vmx_domu_flush(struct vcpu *v);
bool vmx_domu_debug_exit(struct vcpu *v, uint64_t *dr6);

/*
 * apic.c: a domU's local APIC by the processor. Can this CPU do it, and may
 * it? The MSR bitmaps, the plain one given. The VMCS of a new vCPU; the world
 * switch to it.
 */
bool vmx_apic_probe(void);
void vmx_apic_maps(const uint8_t *msrs);
void vmx_apic_init(struct vcpu *v);
void vmx_apic_enter(struct vcpu *v);
