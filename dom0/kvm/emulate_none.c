/* SPDX-License-Identifier: BSD-2-Clause */
/* emulate_none.c - emulate.h without an engine: every such exit is an error. */
#include "emulate.h"
#include "vcpu.h"

bool emulate_init(struct vcpu *v)
{
	(void)v;
	return true;
}

void emulate_free(struct vcpu *v)
{
	(void)v;
}

void emulate_abandon(struct vcpu *v)
{
	(void)v;
}

enum emulate_end emulate_start(struct vcpu *v, bool mmio, uint64_t gpa,
			       bool write)
{
	(void)mmio;
	(void)write;
	v->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	v->run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	v->run->internal.ndata = 1;
	v->run->internal.data[0] = gpa;
	return EMULATE_CLIENT;
}

enum emulate_end emulate_resume(struct vcpu *v)
{
	return emulate_start(v, false, 0, false);
}
