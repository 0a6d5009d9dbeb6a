/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_string.c - string instructions, an iteration at a time; ports, whose
 * elements come in bunches, a bunch at a time.
 * SDM volume 2 "REP/REPE/REPZ/REPNE/REPNZ", "INS", "OUTS", "MOVS", ...
 */
#include "emul_int.h"
#include <string.h>

static int64_t step_of(const struct emul_ctx *c, const struct emul_insn *i)
{
	return c->rflags & RFLAGS_DF ? -(int64_t)i->size : i->size;
}

static void move_index(struct emul_ctx *c, unsigned reg, int64_t by)
{
	const struct emul_insn *i = c->state->insn;

	emul_set_gpr(c, reg, 0, i->asize, c->gpr[reg] + (uint64_t)by);
}

static int place(struct emul_ctx *c, struct place *p, bool write, unsigned reg)
{
	const struct emul_insn *i = c->state->insn;

	return emul_place(c, p, write, reg == RDI ? EMUL_ES : i->seg,
			  get_gpr(c, reg, i->asize), i->size);
}

static int load(struct emul_ctx *c, unsigned reg, uint64_t *v)
{
	struct place p;
	int r = place(c, &p, false, reg);

	*v = 0;
	return r == GO_ON ? emul_load(c, &p, v) : r;
}

static int store(struct emul_ctx *c, uint64_t v)
{
	struct place p;
	int r = place(c, &p, true, RDI);

	return r == GO_ON ? emul_store(c, &p, &v) : r;
}

/* One of MOVS, STOS, LODS, CMPS, SCAS. */
static int element(struct emul_ctx *c)
{
	const struct emul_insn *i = c->state->insn;
	uint64_t *flags = &c->state->new_rflags;
	const int64_t by = step_of(c, i);
	uint64_t a = get_gpr(c, RAX, i->size), b;
	struct place to;
	int r = GO_ON;

	if (i->op == OP_MOVS) /* the store faults before a device is read */
		r = place(c, &to, true, RDI);
	if (r == GO_ON && (i->op == OP_MOVS || i->op == OP_LODS ||
			   i->op == OP_CMPS))
		r = load(c, RSI, &a);
	if (r == GO_ON && (i->op == OP_CMPS || i->op == OP_SCAS))
		r = load(c, RDI, &b);
	if (r == GO_ON && i->op == OP_MOVS)
		r = emul_store(c, &to, &a);
	if (r == GO_ON && i->op == OP_STOS)
		r = store(c, a);
	if (r != GO_ON)
		return r;
	if (i->op == OP_CMPS || i->op == OP_SCAS)
		emul_alu(OP_CMP, a, b, i->size, flags);
	if (i->op == OP_LODS)
		emul_set_gpr(c, RAX, 0, i->size, a);
	if (i->op == OP_MOVS || i->op == OP_LODS || i->op == OP_CMPS)
		move_index(c, RSI, by);
	if (i->op != OP_LODS)
		move_index(c, RDI, by);
	return GO_ON;
}

/* How many elements of a port fit one bunch: within a page, in RAM's order. */
static uint32_t bunch(const struct emul_ctx *c, uint64_t count, unsigned reg)
{
	const struct emul_insn *i = c->state->insn;
	const uint64_t at = get_gpr(c, reg, i->asize);
	uint64_t n = (0x1000 - (at & 0xfff)) / i->size;

	if (step_of(c, i) < 0 || n == 0 || code_size(c) == 2)
		n = 1; /* one by one, where wrapping would need thought */
	if (n > EMUL_PIO_BYTES / i->size)
		n = EMUL_PIO_BYTES / i->size;
	return (uint32_t)(n < count ? n : count);
}

/* The element's place, for one after another from `reg`. */
static int port_element(struct emul_ctx *c, bool write, unsigned reg,
			uint32_t nth, struct place *p)
{
	const struct emul_insn *i = c->state->insn;
	const uint64_t at = (c->gpr[reg] + nth * (uint64_t)i->size) &
			    size_mask(i->asize);

	return emul_place(c, p, write, reg == RDI ? EMUL_ES : i->seg, at,
			  i->size);
}

static int ask_port(struct emul_ctx *c, uint32_t n, bool in)
{
	struct emul_state *s = c->state;

	c->io = (struct emul_io){ .port = (uint16_t)c->gpr[RDX],
				  .size = s->insn->size, .count = n };
	s->asked = in ? EMUL_PIO_READ : EMUL_PIO_WRITE;
	s->pending = true;
	return s->asked;
}

/* INS into a device's memory, OUTS out of it: neither is known to be used. */
static int port(struct emul_ctx *c, uint64_t count, uint32_t *taken)
{
	struct emul_state *s = c->state;
	const struct emul_insn *i = s->insn;
	const bool in = i->op == OP_INS;
	const unsigned reg = in ? RDI : RSI;
	const uint32_t n = s->done ? c->io.count : bunch(c, count, reg);
	struct place p;
	int r = port_element(c, in, reg, 0, &p);

	for (uint32_t k = 0; r == GO_ON && k < n && (in == (s->done > 0));
	     k++) {
		uint8_t *at = c->pio_data + k * (uint32_t)i->size;

		r = port_element(c, in, reg, k, &p);
		if (r == GO_ON && in && !c->ops->write_gpa(c, p.gpa[0], at,
							   p.len[0]))
			r = EMUL_UNHANDLED;
		if (r == GO_ON && in && p.len[1] &&
		    !c->ops->write_gpa(c, p.gpa[1], at + p.len[0], p.len[1]))
			r = EMUL_UNHANDLED;
		if (r == GO_ON && !in)
			r = emul_load(c, &p, at);
		if (s->pending)
			return EMUL_UNHANDLED;
	}
	if (r != GO_ON)
		return r;
	if (!s->done)
		return ask_port(c, n, in);
	move_index(c, reg, step_of(c, i) * (int64_t)n);
	*taken = n;
	return GO_ON;
}

int emul_string(struct emul_ctx *c, bool *again)
{
	struct emul_state *s = c->state;
	const struct emul_insn *i = s->insn;
	const uint64_t count = i->rep ? get_gpr(c, RCX, i->asize) : 1;
	const bool compares = i->op == OP_CMPS || i->op == OP_SCAS;
	uint32_t taken = 1;
	int r;

	*again = false;
	if (count == 0)
		return GO_ON;
	r = i->op == OP_INS || i->op == OP_OUTS ? port(c, count, &taken) :
						  element(c);
	if (r != GO_ON || !i->rep)
		return r;
	emul_set_gpr(c, RCX, 0, i->asize, count - taken);
	*again = count > taken &&
		 !(compares && (i->rep == REP_E) !=
				       !!(s->new_rflags & RFLAGS_ZF));
	return GO_ON;
}
