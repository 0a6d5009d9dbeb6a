/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * insn.c - what has to be read of the guest's instruction, where an #VMEXIT
 * does not say enough. APM volume 3 "MOV CRn".
 */
#include "svm.h"
#include "vmcb.h"
#include "../decode.h"
#include "../domu.h"
#include "../gwalk.h"

#define INSN_MAX 15
#define CR8_INSN 4 /* bytes */

static bool read_entry(void *v, gpa_t pa, void *entry, unsigned size)
{
	return guest_read(v, pa, entry, size);
}

static bool no_change(void *v, gpa_t pa, uint64_t old, uint64_t new_,
		      unsigned size)
{
	(void)v, (void)pa, (void)old, (void)new_, (void)size;
	return false; /* the fetch has set all Accessed bits */
}

/* Up to INSN_MAX bytes at CS:RIP. Returns how many; *bits: of the code. */
static size_t fetch(struct vcpu *v, uint8_t insn[INSN_MAX], unsigned *bits)
{
	const struct gwalk_mem guest = { v, read_entry, no_change };
	const struct vmcb *b = v->hw;
	struct gpaging p;
	uint64_t left;
	size_t n;
	gpa_t pa;

	*bits = hv->paging(v, &p);
	for (n = 0; n < INSN_MAX; n++) {
		uint64_t va = b->rip + n + (*bits == 64 ? 0 : b->cs.base);

		if (*bits != 64)
			va = (uint32_t)va;
		if (gwalk(&p, GVA(va), GW_EXEC, &guest, &pa, &left) != OK ||
		    !guest_read(v, pa, insn + n, 1))
			break;
	}
	return n;
}

/* MOV to CR8: REX.R 0F 22 with a register. */
bool svm_domu_cr8(struct vcpu *v)
{
	struct vmcb *b = v->hw;
	uint8_t i[INSN_MAX];
	unsigned from, bits;

	if (fetch(v, i, &bits) < CR8_INSN || (i[0] & 0xf4) != 0x44 ||
	    i[1] != 0x0f || i[2] != 0x22 || (i[3] & 0x38))
		return false;
	from = (i[3] & 7) | (i[0] & 1u) << 3;
	v->gpr[RSP] = b->rsp;
	if (v->gpr[from] > 15) {
		hv->inject(v, VEC_GP, 0);
		return true;
	}
	v->domu->apic.reg[VLAPIC_TPR].v = (uint32_t)v->gpr[from] << 4;
	svm_domu_tpr(v);
	v->exit->insn_len = CR8_INSN;
	hv->advance(v);
	return true;
}

bool svm_refused(struct vcpu *v)
{
	uint8_t insn[INSN_MAX];
	unsigned bits;
	size_t n;

	if (v->exit->reason != SVM_EXIT_INVALID)
		return false;
	n = fetch(v, insn, &bits);
	if (!decode_is_mov_to_cr(insn, n, bits))
		return false;
	hv->inject(v, VEC_GP, 0);
	return true;
}
