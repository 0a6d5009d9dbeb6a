/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_string.c - string instructions. An iteration of REP is executed like an
 * instruction of its own that leaves RIP where it is.
 * SDM volume 1, "String Operations"; volume 2, "REP/REPE/REPZ/REPNE/REPNZ".
 */
#include "emul_int.h"
#include <string.h>

static uint64_t address(const struct emul_ctx *c, unsigned reg)
{
	return get_gpr(c, reg, c->state->insn->asize);
}

/*
 * Elements that INS or OUTS can take at once: as many as there are upwards in
 * the page, in the segment and in pio_data.
 */
static uint32_t bulk_of(struct emul_ctx *c, unsigned seg, uint64_t ea)
{
	const struct emul_insn *insn = c->state->insn;
	const struct access *a = &c->state->a[0];
	const uint64_t count = get_gpr(c, RCX, insn->asize);
	const uint64_t to_wrap = size_mask(insn->asize) - ea;
	uint64_t n = 0x1000 - (a->piece[0].gpa & 0xfff);
	uint64_t linear;

	if (insn->rep == REP_NONE || (c->rflags & (RFLAGS_DF | RFLAGS_TF)) ||
	    a->pieces != 1)
		return 1;
	n = (to_wrap < n ? to_wrap : n) / insn->size;
	n = count < n ? count : n;
	if (n < 2 || emul_linear(c, seg, ea, (unsigned)n * insn->size,
				 insn->op == OP_INS, &linear) != GO_ON)
		return 1;
	return (uint32_t)n;
}

static int prepare_io(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const struct emul_insn *insn = s->insn;
	const bool in = insn->op == OP_INS;
	const unsigned seg = in ? EMUL_ES : insn->seg;
	const uint64_t ea = address(c, in ? RDI : RSI);
	const int r = emul_access(c, &s->a[0], in ? ACC_W : ACC_R, seg, ea,
				  insn->size);

	if (r != GO_ON)
		return r;
	s->bulk = bulk_of(c, seg, ea);
	return GO_ON;
}

static int prepare_two(struct emul_ctx *c, unsigned mode_di)
{
	struct emul_state *s = c->state;
	const struct emul_insn *insn = s->insn;
	int r = emul_access(c, &s->a[0], ACC_R, insn->seg, address(c, RSI),
			    insn->size);

	if (r == GO_ON)
		r = emul_access(c, &s->a[1], mode_di, EMUL_ES,
				address(c, RDI), insn->size);
	return r;
}

int emul_string_prepare(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const struct emul_insn *insn = s->insn;

	s->bulk = insn->rep == REP_NONE || address(c, RCX) != 0;
	if (s->bulk == 0)
		return GO_ON;
	switch (insn->op) {
	case OP_MOVS:
		return prepare_two(c, ACC_W);
	case OP_CMPS:
		return prepare_two(c, ACC_R);
	case OP_LODS:
		return emul_access(c, &s->a[0], ACC_R, insn->seg,
				   address(c, RSI), insn->size);
	case OP_STOS:
		return emul_access(c, &s->a[0], ACC_W, EMUL_ES,
				   address(c, RDI), insn->size);
	case OP_SCAS:
		return emul_access(c, &s->a[0], ACC_R, EMUL_ES,
				   address(c, RDI), insn->size);
	default:
		return prepare_io(c);
	}
}

static void advance(struct emul_ctx *c, unsigned reg)
{
	const struct emul_insn *insn = c->state->insn;
	const uint64_t bytes = (uint64_t)c->state->bulk * insn->size;

	emul_set_gpr(c, reg, 0, insn->asize,
		     c->rflags & RFLAGS_DF ? c->gpr[reg] - bytes :
					     c->gpr[reg] + bytes);
}

/* CMPS and SCAS end a REP by what they find. */
static bool is_found(const struct emul_state *s)
{
	const bool equal = s->new_rflags & RFLAGS_ZF;

	if (s->insn->op != OP_CMPS && s->insn->op != OP_SCAS)
		return false;
	return s->insn->rep == REP_E ? !equal : equal;
}

static void count_down(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const uint64_t left = address(c, RCX) - s->bulk;

	emul_set_gpr(c, RCX, 0, s->insn->asize, left);
	if (left == 0 || is_found(s))
		return;
	s->again = true;
	s->new_rip = c->rip;
}

static void exec_element(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const struct emul_insn *insn = s->insn;

	switch (insn->op) {
	case OP_MOVS:
		s->a[1].data = s->a[0].data;
		break;
	case OP_STOS:
		s->a[0].data.q[0] = c->gpr[RAX];
		break;
	case OP_LODS:
		emul_set_gpr(c, RAX, 0, insn->size, s->a[0].data.q[0]);
		break;
	case OP_CMPS:
		emul_alu(OP_CMP, s->a[0].data.q[0], s->a[1].data.q[0],
			 insn->size, &s->new_rflags);
		break;
	case OP_SCAS:
		emul_alu(OP_CMP, c->gpr[RAX], s->a[0].data.q[0], insn->size,
			 &s->new_rflags);
		break;
	case OP_OUTS:
		if (s->bulk == 1)
			memcpy(c->pio_data, s->a[0].data.b, insn->size);
		break;
	}
}

int emul_string_exec(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const unsigned op = s->insn->op;

	if (s->bulk == 0)
		return GO_ON;
	exec_element(c);
	if (op == OP_MOVS || op == OP_LODS || op == OP_CMPS || op == OP_OUTS)
		advance(c, RSI);
	if (op == OP_MOVS || op == OP_STOS || op == OP_CMPS || op == OP_SCAS ||
	    op == OP_INS)
		advance(c, RDI);
	if (s->insn->rep != REP_NONE)
		count_down(c);
	return GO_ON;
}
