/* SPDX-License-Identifier: BSD-2-Clause */
/* trace.c - the handlers of exits that are recorded, see trace_exit.h. */
#include "svm.h"
#include "vmcb.h"
#include "../trace_exit.h"

static inline __attribute__((always_inline)) void
context(struct vcpu *v, unsigned kind, struct trace_kvm_exit *r)
{
	const struct vmcb *b = v->hw;

	(void)kind;
	r->cr3 = b->cr3;
	__builtin_memcpy(&r->intr_info, &b->exitintinfo,
			 sizeof(b->exitintinfo));
}
_Static_assert(offsetof(struct trace_kvm_exit, error_code) ==
	       offsetof(struct trace_kvm_exit, intr_info) + 4, "EXITINTINFO");

void svm_trace_context(struct vcpu *v, unsigned kind, struct trace_kvm_exit *r)
{
	context(v, kind, r);
}

#define X(kind, name)                                                          \
	TRACE_EXIT(dom0, false, kind, LUV_ISA_SVM, context)                     \
	TRACE_EXIT(domu, true, kind, LUV_ISA_SVM, context)
#include <luvalley/exits.def>
#undef X

const exit_handler svm_trace_dom0[EXIT_KINDS] = {
#define X(kind, name) [EXIT_##kind] = dom0_##kind,
#include <luvalley/exits.def>
#undef X
};

const exit_handler svm_trace_domu[EXIT_KINDS] = {
#define X(kind, name) [EXIT_##kind] = domu_##kind,
#include <luvalley/exits.def>
#undef X
};
