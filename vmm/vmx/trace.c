/* SPDX-License-Identifier: BSD-2-Clause */
/* trace.c - the handlers of exits that are recorded, see trace_exit.h. */
#include "vmx.h"
#include "../trace_exit.h"

static inline __attribute__((always_inline)) void
context(struct vcpu *v, unsigned kind, struct trace_kvm_exit *r)
{
	uint64_t info = 0, error = 0;

	(void)v;
	if (BIT(kind) & (BIT(EXIT_EXCEPTION) | BIT(EXIT_NMI) | BIT(EXIT_INTR)))
		info = vmread(VMCS_EXIT_INTERRUPTION_INFO);
	if (info & INTR_INFO_ERROR)
		error = vmread(VMCS_EXIT_INTERRUPTION_ERROR_CODE);
	r->intr_info = (uint32_t)info;
	r->error_code = (uint32_t)error;
	r->cr3 = vmread(VMCS_GUEST_CR3);
}

void vmx_trace_context(struct vcpu *v, unsigned kind, struct trace_kvm_exit *r)
{
	context(v, kind, r);
}

#define X(kind, name)                                                          \
	TRACE_EXIT(dom0, false, kind, LUV_ISA_VMX, context)                     \
	TRACE_EXIT(domu, true, kind, LUV_ISA_VMX, context)
#include <luvalley/exits.def>
#undef X

const exit_handler vmx_trace_dom0[EXIT_KINDS] = {
#define X(kind, name) [EXIT_##kind] = dom0_##kind,
#include <luvalley/exits.def>
#undef X
};

const exit_handler vmx_trace_domu[EXIT_KINDS] = {
#define X(kind, name) [EXIT_##kind] = domu_##kind,
#include <luvalley/exits.def>
#undef X
};
