/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_exec.c - what an instruction does with its operands. Preparing finds
 * them in memory, with all that can fault; executing computes what is to be
 * stored and what commit writes to registers.
 * SDM volume 2, each instruction; volume 1, "Specifying an Offset".
 */
#include "emul_int.h"
#include <string.h>

uint64_t emul_ea(const struct emul_ctx *c, const struct emul_insn *insn)
{
	uint64_t ea = insn->disp;

	if (insn->base == RIP_REG)
		ea += c->rip + insn->len;
	else if (insn->base != NO_REG)
		ea += c->gpr[insn->base];
	if (insn->index != NO_REG)
		ea += c->gpr[insn->index] * (insn->scale ? insn->scale : 1);
	return ea & size_mask(insn->asize);
}

void emul_set_gpr(struct emul_ctx *c, unsigned reg, unsigned shift,
		  unsigned size, uint64_t value)
{
	struct emul_state *s = c->state;

	for (unsigned i = 0; i < s->writes; i++) {
		if (s->write[i].reg != reg)
			continue;
		s->write[i].value = emul_merge(s->write[i].value, value,
					       shift, size);
		return;
	}
	s->write[s->writes].reg = (uint8_t)reg;
	s->write[s->writes++].value =
		emul_merge(c->gpr[reg], value, shift, size);
}

/* Bytes of the stack pointer. */
static unsigned stack_size(const struct emul_ctx *c)
{
	if (code_size(c) == 8)
		return 8;
	return c->seg[EMUL_SS].attrib & SEG_DB ? 4 : 2;
}

uint64_t emul_operand(const struct emul_ctx *c, const struct operand *o)
{
	const struct emul_state *s = c->state;
	uint64_t v;

	switch (o->kind) {
	case OPND_REG:
		v = c->gpr[o->reg] >> o->shift;
		break;
	case OPND_MEM:
		v = s->a[0].data.q[0];
		break;
	case OPND_IMM:
		return s->insn->imm;
	case OPND_SEG:
		return c->seg[o->reg].selector;
	default:
		return 0;
	}
	return v & size_mask(o->size);
}

static void set_operand(struct emul_ctx *c, const struct operand *o,
			uint64_t value)
{
	if (o->kind == OPND_MEM)
		c->state->a[0].data.q[0] = value;
	else
		emul_set_gpr(c, o->reg, o->shift, o->size, value);
}

/* --- preparing ------------------------------------------------------------- */

static unsigned dst_mode(unsigned op)
{
	switch (op) {
	case OP_MOV:
	case OP_MOVSX:
	case OP_MOVBE:
	case OP_XMM:
	case OP_XMM_ALIGNED:
		return ACC_W;
	case OP_CMP:
	case OP_TEST:
	case OP_BT:
	case OP_PUSH:
	case OP_CALL:
	case OP_JMP:
		return ACC_R;
	default:
		return ACC_R | ACC_W;
	}
}

/* A bit number in a register reaches beyond the operand. */
static uint64_t bit_offset(const struct emul_ctx *c,
			   const struct emul_insn *insn)
{
	const unsigned log2_bits = insn->size == 8 ? 6 : insn->size == 4 ? 5 : 4;
	const int64_t bit = (int64_t)sign_extend(emul_operand(c, &insn->src),
						 insn->size);

	return (uint64_t)((bit >> log2_bits) * insn->size);
}

static int prepare_operand(struct emul_ctx *c, const struct emul_insn *insn)
{
	struct access *a = &c->state->a[0];
	uint64_t ea = emul_ea(c, insn);

	if (insn->op >= OP_BT && insn->op <= OP_BTC &&
	    insn->src.kind == OPND_REG)
		ea = (ea + bit_offset(c, insn)) & size_mask(insn->asize);
	if (insn->op == OP_XMM_ALIGNED) {
		uint64_t linear;
		const int r = emul_linear(c, insn->seg, ea, 0, false, &linear);

		if (r != GO_ON || (linear & 15))
			return r != GO_ON ? r : emul_raise(c, VEC_GP, 0);
	}
	if (insn->dst.kind == OPND_MEM)
		return emul_access(c, a, dst_mode(insn->op), insn->seg, ea,
				   insn->dst.size);
	return emul_access(c, a,
			   insn->op == OP_XCHG ? ACC_R | ACC_W : ACC_R,
			   insn->seg, ea, insn->src.size);
}

static int prepare_push(struct emul_ctx *c, const struct emul_insn *insn)
{
	const uint64_t sp = (c->gpr[RSP] - insn->size) &
			    size_mask(stack_size(c));

	emul_set_gpr(c, RSP, 0, stack_size(c), sp);
	return emul_access(c, &c->state->a[1], ACC_W, EMUL_SS, sp,
			   insn->size);
}

/* The address of POP's operand has RSP as it is after. */
static int prepare_pop(struct emul_ctx *c, const struct emul_insn *insn)
{
	const uint64_t sp = c->gpr[RSP] & size_mask(stack_size(c));
	uint64_t ea = emul_ea(c, insn);
	int r;

	if (insn->base == RSP)
		ea = (ea + insn->size) & size_mask(insn->asize);
	emul_set_gpr(c, RSP, 0, stack_size(c), sp + insn->size);
	r = emul_access(c, &c->state->a[0], ACC_R, EMUL_SS, sp, insn->size);
	if (r != GO_ON || insn->dst.kind != OPND_MEM)
		return r;
	return emul_access(c, &c->state->a[1], ACC_W, insn->seg, ea,
			   insn->size);
}

int emul_prepare(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const struct emul_insn *insn = s->insn;
	int r = GO_ON;

	s->a[0].mode = s->a[1].mode = 0;
	s->writes = 0;
	s->write_xmm = s->again = s->pio_done = false;
	s->stored = 0;
	s->new_rflags = c->rflags;
	s->new_rip = (c->rip + insn->len) & size_mask(insn->mode);
	if (insn->op >= OP_MOVS)
		return emul_string_prepare(c);
	if (insn->op == OP_POP)
		return prepare_pop(c, insn);
	if (insn->dst.kind == OPND_MEM || insn->src.kind == OPND_MEM)
		r = prepare_operand(c, insn);
	if (r == GO_ON && (insn->op == OP_PUSH || insn->op == OP_CALL))
		r = prepare_push(c, insn);
	return r;
}

/* --- executing ------------------------------------------------------------- */

static void exec_cmpxchg(struct emul_ctx *c, const struct emul_insn *insn)
{
	struct emul_state *s = c->state;
	const uint64_t acc = get_gpr(c, RAX, insn->size);
	const uint64_t old = emul_operand(c, &insn->dst);

	emul_alu(OP_CMP, acc, old, insn->size, &s->new_rflags);
	if (acc == old)
		set_operand(c, &insn->dst, emul_operand(c, &insn->src));
	else
		emul_set_gpr(c, RAX, 0, insn->size, old);
}

static void exec_bit(struct emul_ctx *c, const struct emul_insn *insn)
{
	struct emul_state *s = c->state;
	const unsigned n = emul_operand(c, &insn->src) & (insn->size * 8u - 1);
	const uint64_t bit = UINT64_C(1) << n;
	const uint64_t old = emul_operand(c, &insn->dst);

	s->new_rflags &= ~RFLAGS_CF;
	if (old & bit)
		s->new_rflags |= RFLAGS_CF;
	if (insn->op == OP_BTS)
		set_operand(c, &insn->dst, old | bit);
	else if (insn->op == OP_BTR)
		set_operand(c, &insn->dst, old & ~bit);
	else if (insn->op == OP_BTC)
		set_operand(c, &insn->dst, old ^ bit);
}

/* Written in this order: with XADD of one register to itself, the sum stays. */
static void exec_exchange(struct emul_ctx *c, const struct emul_insn *insn)
{
	const uint64_t a = emul_operand(c, &insn->dst);
	const uint64_t b = emul_operand(c, &insn->src);

	set_operand(c, &insn->src, a);
	if (insn->op == OP_XADD)
		set_operand(c, &insn->dst,
			    emul_alu(OP_ADD, a, b, insn->size,
				     &c->state->new_rflags));
	else
		set_operand(c, &insn->dst, b);
}

static uint64_t swap_bytes(uint64_t v, unsigned size)
{
	return __builtin_bswap64(v) >> (64 - size * 8);
}

static int exec_xmm(struct emul_ctx *c, const struct emul_insn *insn)
{
	struct emul_state *s = c->state;

	if (c->ops->get_xmm == NULL || c->ops->set_xmm == NULL)
		return EMUL_UNHANDLED;
	if (insn->dst.kind == OPND_MEM && insn->src.kind == OPND_XMM) {
		c->ops->get_xmm(c, insn->src.reg, s->a[0].data.b);
		return GO_ON;
	}
	if (insn->dst.kind != OPND_XMM || insn->src.kind != OPND_MEM)
		return EMUL_UNHANDLED;
	memset(s->xmm, 0, sizeof(s->xmm)); /* what is less than 16 is widened */
	memcpy(s->xmm, s->a[0].data.b, insn->src.size);
	s->write_xmm = true;
	return GO_ON;
}

static int exec_branch(struct emul_ctx *c, const struct emul_insn *insn)
{
	struct emul_state *s = c->state;
	const uint64_t target = emul_operand(c, &insn->dst) &
				size_mask(insn->size);
	uint64_t linear;
	const bool ok = insn->mode == 8 ?
		emul_linear(c, EMUL_CS, target, 1, false, &linear) == GO_ON :
		target <= c->seg[EMUL_CS].limit;

	if (!ok)
		return emul_raise(c, VEC_GP, 0);
	s->a[1].data.q[0] = s->new_rip;
	s->new_rip = target;
	return GO_ON;
}

static void exec_move(struct emul_ctx *c, const struct emul_insn *insn)
{
	uint64_t v = emul_operand(c, &insn->src);

	if (insn->op == OP_MOVSX)
		v = sign_extend(v, insn->src.size);
	else if (insn->op == OP_MOVBE)
		v = swap_bytes(v, insn->size);
	set_operand(c, &insn->dst, v);
}

static void exec_alu(struct emul_ctx *c, const struct emul_insn *insn)
{
	const uint64_t r = emul_alu(insn->op, emul_operand(c, &insn->dst),
				    emul_operand(c, &insn->src), insn->size,
				    &c->state->new_rflags);

	if (insn->op != OP_CMP && insn->op != OP_TEST)
		set_operand(c, &insn->dst, r);
}

int emul_exec(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const struct emul_insn *insn = s->insn;

	if (insn->op >= OP_MOVS)
		return emul_string_exec(c);
	switch (insn->op) {
	case OP_MOV:
	case OP_MOVSX:
	case OP_MOVBE:
		exec_move(c, insn);
		return GO_ON;
	case OP_XCHG:
	case OP_XADD:
		exec_exchange(c, insn);
		return GO_ON;
	case OP_CMPXCHG:
		exec_cmpxchg(c, insn);
		return GO_ON;
	case OP_BT:
	case OP_BTS:
	case OP_BTR:
	case OP_BTC:
		exec_bit(c, insn);
		return GO_ON;
	case OP_PUSH:
		s->a[1].data.q[0] = emul_operand(c, &insn->dst);
		return GO_ON;
	case OP_POP:
		s->a[1].data.q[0] = s->a[0].data.q[0];
		if (insn->dst.kind == OPND_REG)
			emul_set_gpr(c, insn->dst.reg, 0, insn->size,
				     s->a[0].data.q[0]);
		return GO_ON;
	case OP_CALL:
	case OP_JMP:
		return exec_branch(c, insn);
	case OP_XMM:
	case OP_XMM_ALIGNED:
		return exec_xmm(c, insn);
	default:
		exec_alu(c, insn);
		return GO_ON;
	}
}
