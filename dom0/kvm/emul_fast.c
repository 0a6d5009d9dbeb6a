/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_fast.c - the one instruction that most exits are: a move between a
 * register (or an immediate) and up to 8 bytes in one page. The same as the
 * phases of emul.c do, in a third of the host's instructions; what is not
 * this simple goes there.
 */
#include "emul_int.h"
#include <string.h>

/* Every part has happened but the register's. */
static int finish(struct emul_ctx *c)
{
	const struct emul_state *s = c->state;
	const struct emul_insn *insn = s->insn;

	if (insn->dst.kind == OPND_REG) {
		const struct operand *o = &insn->dst;
		uint64_t v = s->a[0].data.q[0] & size_mask(insn->src.size);

		if (insn->op == OP_MOVSX)
			v = sign_extend(v, insn->src.size);
		c->gpr[o->reg] = emul_merge(c->gpr[o->reg], v, o->shift,
					    o->size);
	}
	c->rip = (c->rip + insn->len) & size_mask(insn->mode);
	c->single_step = (c->rflags & RFLAGS_TF) != 0;
	c->rflags &= ~RFLAGS_RF;
	return EMUL_DONE;
}

static int ask(struct emul_ctx *c, uint64_t gpa, unsigned size, bool write)
{
	struct emul_state *s = c->state;

	c->io.gpa = gpa;
	c->io.size = (uint8_t)size;
	if (write)
		memcpy(c->io.data, s->a[0].data.b, 8);
	s->asked = write ? EMUL_MMIO_WRITE : EMUL_MMIO_READ;
	s->waiting = s->fast = true;
	return s->asked;
}

/* The access exited, so what it is for is not RAM. */
static int move_device(struct emul_ctx *c, uint64_t gpa, unsigned size,
		       bool write)
{
	struct emul_state *s = c->state;

	if (write)
		s->a[0].data.q[0] = emul_operand(c, &s->insn->src);
	return ask(c, gpa, size, write);
}

static int move(struct emul_ctx *c, uint64_t gpa, unsigned size, bool write)
{
	struct emul_state *s = c->state;
	const struct emul_insn *insn = s->insn;

	if (write) {
		s->a[0].data.q[0] = emul_operand(c, &insn->src);
		if (!c->ops->write_gpa(c, gpa, s->a[0].data.b, size))
			return ask(c, gpa, size, true);
	} else if (!emul_read(c, gpa, s->a[0].data.b, size)) {
		return ask(c, gpa, size, false);
	}
	return finish(c);
}

int emul_fast(struct emul_ctx *c)
{
	const struct emul_insn *insn = c->state->insn;
	const bool write = insn->dst.kind == OPND_MEM;
	const unsigned size = write ? insn->dst.size : insn->src.size;
	uint64_t linear, gpa;
	int r;

	c->state->fast = false;
	if ((insn->op != OP_MOV && insn->op != OP_MOVSX) ||
	    (!write && insn->src.kind != OPND_MEM))
		return GO_ON;
	r = emul_linear(c, insn->seg, emul_ea(c, insn), size, write, &linear);
	if (r != GO_ON)
		return r;
	if ((linear & 0xfff) + size > 0x1000)
		return GO_ON;
	if (emul_is_hinted(c, linear, write))
		return move_device(c, c->state->hint_gpa, size, write);
	r = emul_translate(c, linear, write ? XLAT_WRITE : XLAT_READ, &gpa);
	return r != GO_ON ? r : move(c, gpa, size, write);
}

int emul_fast_answer(struct emul_ctx *c)
{
	struct emul_state *s = c->state;

	s->waiting = false;
	if (s->asked == EMUL_MMIO_READ)
		memcpy(s->a[0].data.b, c->io.data, 8);
	return finish(c);
}
