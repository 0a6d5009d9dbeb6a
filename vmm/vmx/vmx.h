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
void vmx_flush(struct vcpu *v);
uint64_t vmx_cr4(struct vcpu *v);
void vmx_snapshot(struct vcpu *v, struct guest_state *g);
void vmx_dump(struct vcpu *v);
