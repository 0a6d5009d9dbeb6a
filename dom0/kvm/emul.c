/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul.c - emul_step(). An instruction is executed from its beginning each
 * time a device has answered: what devices were asked before is in a log, and
 * replayed. Registers change only when it has come to its end.
 */
#include "emul_int.h"
#include <stdlib.h>
#include <string.h>

#define ITERATIONS_MAX 4096 /* of REP over RAM alone, in one step */

bool emul_init(struct emul_ctx *c)
{
	c->state = calloc(1, sizeof(*c->state));
	return c->state;
}

void emul_free(struct emul_ctx *c)
{
	free(c->state);
	c->state = NULL;
}

bool emul_pending(const struct emul_ctx *c)
{
	return c->state->pending;
}

void emul_abandon(struct emul_ctx *c)
{
	c->state->pending = false;
	c->state->done = 0;
}

/* A 32-bit result clears the upper half; narrower ones leave the rest. */
static void write_gpr(struct emul_ctx *c, const struct reg_write *w)
{
	const uint64_t mask = size_mask(w->size) << w->shift;

	if (w->size == 4)
		c->gpr[w->reg] = (uint32_t)w->value;
	else
		c->gpr[w->reg] = (c->gpr[w->reg] & ~mask) |
				 (w->value << w->shift & mask);
}

static void commit(struct emul_ctx *c, bool again)
{
	struct emul_state *s = c->state;

	for (unsigned i = 0; i < s->writes; i++)
		write_gpr(c, &s->write[i]);
	if (s->write_xmm)
		c->ops->set_xmm(c, s->xmm_reg, s->xmm);
	c->rflags = s->new_rflags;
	s->done = 0;
	s->hint_valid = false;
	if (again)
		return;
	c->single_step = c->rflags & RFLAGS_TF;
	c->rflags &= ~RFLAGS_RF;
	c->rip = code_size(c) == 8 ? s->new_rip : (uint32_t)s->new_rip;
}

/* The hint is of no use for what has two operands in memory. */
static void take_help(struct emul_ctx *c)
{
	struct emul_state *s = c->state;

	s->hint_valid = c->hint_valid;
	s->hint_write = c->hint_write;
	s->hint_gpa = c->hint_gpa;
	c->hint_valid = false;
}

static bool is_plain(const struct emul_insn *i)
{
	return i->op < OP_PUSH || i->op == OP_XMM || i->op == OP_XMM_ALIGNED;
}

static int begin(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	int r;

	s->done = 0;
	take_help(c);
	r = emul_fetch(c);
	c->insn_len = 0;
	if (r == GO_ON && (!is_plain(s->insn) || s->insn->op == OP_BT))
		s->hint_valid = false;
	return r;
}

/* The device's answer. */
static void take_answer(struct emul_ctx *c)
{
	struct emul_state *s = c->state;

	s->pending = false;
	memcpy(s->log[s->done].data, c->io.data, sizeof(c->io.data));
	s->done++;
}

static int once(struct emul_ctx *c, bool *again)
{
	struct emul_state *s = c->state;
	int r;

	s->next = 0;
	s->writes = 0;
	s->write_xmm = false;
	s->new_rip = c->rip + s->insn->len;
	s->new_rflags = c->rflags;
	*again = false;
	r = s->insn->op >= OP_MOVS ? emul_string(c, again) : emul_exec(c);
	if (r == GO_ON)
		commit(c, *again);
	return r;
}

enum emul_status emul_step(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	bool again = false;
	int r = GO_ON;

	c->single_step = false;
	if (s->pending)
		take_answer(c);
	else
		r = begin(c);
	for (unsigned n = 0; r == GO_ON; n++) {
		r = once(c, &again);
		if (r == GO_ON && (!again || c->stop || n == ITERATIONS_MAX))
			return EMUL_DONE;
	}
	if (!s->pending)
		s->done = 0;
	return (enum emul_status)r;
}
