/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_exec.c - what an instruction does with its operands. Everything that
 * can fault comes before the first write; registers change in commit alone.
 * SDM volume 2, each instruction's "Operation".
 */
#include "emul_int.h"
#include <string.h>

void emul_set_gpr(struct emul_ctx *c, unsigned reg, unsigned shift,
		  unsigned size, uint64_t value)
{
	struct emul_state *s = c->state;

	s->write[s->writes++] = (struct reg_write){
		(uint8_t)reg, (uint8_t)shift, (uint8_t)size, value };
}

static uint64_t reg_or_0(const struct emul_ctx *c, unsigned reg)
{
	if (reg == RIP_REG)
		return c->state->new_rip;
	return reg == NO_REG ? 0 : c->gpr[reg];
}

static uint64_t ea_of(const struct emul_ctx *c, const struct emul_insn *i)
{
	return (reg_or_0(c, i->base) + reg_or_0(c, i->index) * i->scale +
		i->disp) & size_mask(i->asize);
}

/* The value of an operand, and for one in memory where it is. */
struct value {
	struct place place;
	uint64_t v;
};

/* Where the access that exited went is known: no need to translate again. */
static bool hinted(struct emul_ctx *c, struct place *p, unsigned size)
{
	struct emul_state *s = c->state;

	if (!s->hint_valid || (s->hint_gpa & 0xfff) + size > 0x1000)
		return false;
	*p = (struct place){ .gpa = { s->hint_gpa }, .len = { size } };
	return true;
}

static int place_of(struct emul_ctx *c, const struct operand *o, bool write,
		    struct place *p)
{
	const struct emul_insn *i = c->state->insn;

	if (hinted(c, p, o->size))
		return GO_ON;
	return emul_place(c, p, write, i->seg, ea_of(c, i), o->size);
}

static int read_operand(struct emul_ctx *c, const struct operand *o,
			struct value *x)
{
	x->v = 0;
	switch (o->kind) {
	case OPND_REG:
		x->v = c->gpr[o->reg] >> o->shift & size_mask(o->size);
		return GO_ON;
	case OPND_SEG:
		x->v = c->seg[o->reg].selector;
		return GO_ON;
	case OPND_IMM:
		x->v = c->state->insn->imm;
		return GO_ON;
	default:
		return emul_load(c, &x->place, &x->v);
	}
}

static int write_operand(struct emul_ctx *c, const struct operand *o,
			 const struct value *x)
{
	if (o->kind == OPND_REG) {
		emul_set_gpr(c, o->reg, o->shift, o->size, x->v);
		return GO_ON;
	}
	return emul_store(c, &x->place, &x->v);
}

static bool in_memory(const struct operand *o)
{
	return o->kind == OPND_MEM;
}

/* --- moves ---------------------------------------------------------------- */

static uint64_t moved(const struct emul_insn *i, uint64_t v)
{
	if (i->op == OP_MOVSX)
		return sign_extend(v, i->src.size);
	if (i->op != OP_MOVBE)
		return v;
	return i->size == 2 ? __builtin_bswap16((uint16_t)v) :
	       i->size == 4 ? __builtin_bswap32((uint32_t)v) :
			      __builtin_bswap64(v);
}

static int exec_mov(struct emul_ctx *c)
{
	const struct emul_insn *i = c->state->insn;
	struct value src, dst;
	int r = GO_ON;

	if (in_memory(&i->src))
		r = place_of(c, &i->src, false, &src.place);
	if (r == GO_ON && in_memory(&i->dst))
		r = place_of(c, &i->dst, true, &dst.place);
	if (r == GO_ON)
		r = read_operand(c, &i->src, &src);
	if (r != GO_ON)
		return r;
	dst.v = moved(i, src.v);
	return write_operand(c, &i->dst, &dst);
}

/* Bytes of an XMM move: MOVD and MOVQ move less than a register. */
static int exec_xmm(struct emul_ctx *c)
{
	const struct emul_insn *i = c->state->insn;
	const bool load = i->dst.kind == OPND_XMM;
	const struct operand *m = load ? &i->src : &i->dst;
	struct emul_state *s = c->state;
	struct place p;
	uint8_t data[16] = { 0 };
	int r;

	if (!c->ops->get_xmm || !c->ops->set_xmm || !in_memory(m))
		return EMUL_UNHANDLED;
	if (i->op == OP_XMM_ALIGNED && (ea_of(c, i) & (m->size - 1u)))
		return emul_raise(c, VEC_GP, 0);
	r = place_of(c, m, !load, &p);
	if (r != GO_ON)
		return r;
	if (!load) {
		c->ops->get_xmm(c, i->src.reg, data);
		return emul_store(c, &p, data);
	}
	r = emul_load(c, &p, data);
	if (r != GO_ON)
		return r;
	s->write_xmm = true;
	s->xmm_reg = i->dst.reg;
	memcpy(s->xmm, data, sizeof(data));
	return GO_ON;
}

/* --- arithmetic ----------------------------------------------------------- */

static bool writes_result(unsigned op)
{
	return op != OP_CMP && op != OP_TEST;
}

/* dst op= src, with locked RAM left to the CPU: it does not exit for that. */
static int exec_alu(struct emul_ctx *c)
{
	const struct emul_insn *i = c->state->insn;
	const bool write = writes_result(i->op);
	struct value dst, src = { .v = 0 };
	int r = GO_ON;

	if (in_memory(&i->dst))
		r = place_of(c, &i->dst, write, &dst.place);
	else if (in_memory(&i->src))
		r = place_of(c, &i->src, false, &src.place);
	if (r == GO_ON && i->src.kind != OPND_NONE)
		r = read_operand(c, &i->src, &src);
	if (r == GO_ON)
		r = read_operand(c, &i->dst, &dst);
	if (r != GO_ON)
		return r;
	dst.v = emul_alu(i->op, dst.v, src.v, i->size, &c->state->new_rflags);
	return write ? write_operand(c, &i->dst, &dst) : GO_ON;
}

static int exec_exchange(struct emul_ctx *c)
{
	const struct emul_insn *i = c->state->insn;
	const struct operand *reg = in_memory(&i->dst) ? &i->src : &i->dst;
	const struct operand *mem = in_memory(&i->dst) ? &i->dst : &i->src;
	struct value m, old;
	uint64_t *flags = &c->state->new_rflags;
	uint64_t acc = get_gpr(c, RAX, i->size);
	int r = place_of(c, mem, true, &m.place);

	if (r == GO_ON)
		r = read_operand(c, mem, &m);
	if (r == GO_ON)
		r = read_operand(c, reg, &old);
	if (r != GO_ON)
		return r;
	switch (i->op) {
	case OP_XADD:
		emul_set_gpr(c, reg->reg, reg->shift, reg->size, m.v);
		m.v = emul_alu(OP_ADD, m.v, old.v, i->size, flags);
		break;
	case OP_CMPXCHG:
		emul_alu(OP_CMP, acc, m.v, i->size, flags);
		if (acc != m.v)
			emul_set_gpr(c, RAX, 0, i->size, m.v);
		else
			m.v = old.v;
		break;
	default:
		emul_set_gpr(c, reg->reg, reg->shift, reg->size, m.v);
		m.v = old.v;
	}
	return emul_store(c, &m.place, &m.v);
}

/* With a register the bit may lie beyond the operand: the address moves. */
static int exec_bit(struct emul_ctx *c)
{
	const struct emul_insn *i = c->state->insn;
	const bool write = i->op != OP_BT;
	const unsigned bits = i->size * 8;
	uint64_t n = i->imm, bit, ea = ea_of(c, i);
	struct value m;
	int r;

	if (i->src.kind == OPND_REG) {
		int64_t at = (int64_t)sign_extend(get_gpr(c, i->src.reg,
							  i->size), i->size);

		ea += (uint64_t)((at >> (i->size == 8 ? 6 :
					 i->size == 4 ? 5 : 4)) * i->size);
		ea &= size_mask(i->asize);
		n = (uint64_t)at;
	}
	bit = UINT64_C(1) << (n & (bits - 1));
	r = emul_place(c, &m.place, write, i->seg, ea, i->size);
	if (r == GO_ON)
		r = read_operand(c, &i->dst, &m);
	if (r != GO_ON)
		return r;
	c->state->new_rflags = (c->state->new_rflags & ~RFLAGS_CF) |
			       (m.v & bit ? RFLAGS_CF : 0);
	if (i->op == OP_BTS)
		m.v |= bit;
	else if (i->op == OP_BTR)
		m.v &= ~bit;
	else
		m.v ^= bit;
	return write ? emul_store(c, &m.place, &m.v) : GO_ON;
}

/* --- the stack ------------------------------------------------------------ */

static unsigned stack_size(const struct emul_ctx *c)
{
	if (code_size(c) == 8)
		return 8;
	return c->seg[EMUL_SS].attrib & SEG_DB ? 4 : 2;
}

/* rSP moved by `by`: as wide as the stack is. */
static uint64_t stack_at(const struct emul_ctx *c, int64_t by)
{
	const uint64_t mask = size_mask(stack_size(c));

	return (c->gpr[RSP] + (uint64_t)by) & mask;
}

static int push(struct emul_ctx *c, uint64_t v, unsigned size)
{
	const uint64_t sp = stack_at(c, -(int64_t)size);
	struct place p;
	int r = emul_place(c, &p, true, EMUL_SS, sp, size);

	if (r == GO_ON)
		r = emul_store(c, &p, &v);
	if (r == GO_ON)
		emul_set_gpr(c, RSP, 0, stack_size(c), sp);
	return r;
}

static int exec_stack(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const struct emul_insn *i = s->insn;
	struct operand wide = i->dst;
	struct value x;
	struct place p;
	int r = GO_ON;

	if (wide.kind == OPND_MEM)
		wide.size = i->size;
	if (i->op == OP_POP) {
		const uint64_t next = stack_at(c, i->size);

		x.v = 0;
		r = emul_place(c, &p, false, EMUL_SS, stack_at(c, 0), i->size);
		if (r == GO_ON)
			r = emul_load(c, &p, &x.v);
		if (r == GO_ON && in_memory(&wide))
			r = place_of(c, &wide, true, &x.place);
		if (r == GO_ON)
			r = write_operand(c, &wide, &x);
		if (r == GO_ON)
			emul_set_gpr(c, RSP, 0, stack_size(c), next);
		return r;
	}
	if (in_memory(&wide))
		r = place_of(c, &wide, false, &x.place);
	if (r == GO_ON)
		r = read_operand(c, &wide, &x);
	if (r != GO_ON)
		return r;
	if (i->op == OP_PUSH)
		return push(c, x.v, i->size);
	if (i->op == OP_CALL)
		r = push(c, s->new_rip, i->size);
	s->new_rip = x.v & size_mask(i->size);
	return r;
}

int emul_exec(struct emul_ctx *c)
{
	const struct emul_insn *i = c->state->insn;

	switch (i->op) {
	case OP_MOV:
	case OP_MOVSX:
	case OP_MOVBE:
		return exec_mov(c);
	case OP_XMM:
	case OP_XMM_ALIGNED:
		return exec_xmm(c);
	case OP_XCHG:
	case OP_XADD:
	case OP_CMPXCHG:
		return in_memory(&i->dst) || in_memory(&i->src) ?
			       exec_exchange(c) : EMUL_UNHANDLED;
	case OP_BT:
	case OP_BTS:
	case OP_BTR:
	case OP_BTC:
		return in_memory(&i->dst) ? exec_bit(c) : EMUL_UNHANDLED;
	case OP_PUSH:
	case OP_POP:
	case OP_CALL:
	case OP_JMP:
		return exec_stack(c);
	default:
		return exec_alu(c);
	}
}
