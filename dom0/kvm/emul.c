/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul.c - the phases of an instruction, and what it waits for between them.
 *
 * Prepare translates every operand, so all that can fault has happened before
 * a device is touched; load reads them; exec computes; store writes; commit
 * changes registers. Load and store stop at each piece that is not RAM and go
 * on behind it. A REP goes back to prepare.
 */
#include "emul_int.h"
#include <stdlib.h>
#include <string.h>

#define ITERATIONS_MAX 1024 /* of a REP over RAM, in one step */
#define RETRIES_MAX    64   /* of a locked operation, before the guest's own */

bool emul_init(struct emul_ctx *c)
{
	c->state = calloc(1, sizeof(*c->state));
	return c->state != NULL;
}

void emul_free(struct emul_ctx *c)
{
	free(c->state);
	c->state = NULL;
}

bool emul_pending(const struct emul_ctx *c)
{
	return c->state->waiting;
}

bool emul_looks(const struct emul_ctx *c)
{
	return !c->state->waiting || !c->state->fast;
}

void emul_abandon(struct emul_ctx *c)
{
	c->state->waiting = false;
}

/* --- what is not RAM ------------------------------------------------------- */

static int ask(struct emul_state *s, enum emul_status what)
{
	s->asked = (uint8_t)what;
	s->waiting = true;
	return what;
}

static int ask_mmio(struct emul_ctx *c, enum emul_status what,
		    const struct access *a)
{
	const struct piece *p = &a->piece[c->state->piece];

	c->io.gpa = p->gpa;
	c->io.size = p->len;
	if (what == EMUL_MMIO_WRITE)
		memcpy(c->io.data, a->data.b + p->off, p->len);
	return ask(c->state, what);
}

static int ask_pio(struct emul_ctx *c, enum emul_status what)
{
	struct emul_state *s = c->state;

	c->io.port = (uint16_t)c->gpr[RDX];
	c->io.size = s->insn->size;
	c->io.count = s->bulk;
	return ask(s, what);
}

/* The caller has done what was asked. */
static void take_answer(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	struct access *a = &s->a[s->acc];
	const struct piece *p = &a->piece[s->piece];

	s->waiting = false;
	if (s->asked == EMUL_PIO_READ || s->asked == EMUL_PIO_WRITE) {
		s->pio_done = true;
		return;
	}
	if (s->asked == EMUL_MMIO_READ)
		memcpy(a->data.b + p->off, c->io.data, p->len);
	s->piece++;
}

/* --- load ------------------------------------------------------------------ */

static int load_access(struct emul_ctx *c, struct access *a)
{
	struct emul_state *s = c->state;

	for (; s->piece < a->pieces; s->piece++) {
		const struct piece *p = &a->piece[s->piece];

		if (!emul_read(c, p->gpa, a->data.b + p->off, p->len))
			return ask_mmio(c, EMUL_MMIO_READ, a);
	}
	s->piece = 0;
	return GO_ON;
}

/* OUTS of more than one element, if they are in RAM. */
static bool load_bulk(struct emul_ctx *c)
{
	struct emul_state *s = c->state;

	if (s->insn->op != OP_OUTS || s->bulk < 2)
		return false;
	if (emul_read(c, s->a[0].piece[0].gpa, c->pio_data,
		      s->bulk * s->insn->size))
		return true;
	s->bulk = 1;
	return false;
}

static int load(struct emul_ctx *c)
{
	struct emul_state *s = c->state;

	if (load_bulk(c))
		return GO_ON;
	for (; s->acc < 2; s->acc++) {
		struct access *a = &s->a[s->acc];
		int r;

		if (!(a->mode & ACC_R))
			continue;
		r = load_access(c, a);
		if (r != GO_ON)
			return r;
	}
	if (s->insn->op == OP_INS && s->bulk != 0 && !s->pio_done)
		return ask_pio(c, EMUL_PIO_READ);
	s->locked = s->a[0].data.q[0];
	return GO_ON;
}

/* --- store ----------------------------------------------------------------- */

static int store_access(struct emul_ctx *c, const struct access *a)
{
	struct emul_state *s = c->state;

	for (; s->piece < a->pieces; s->piece++) {
		const struct piece *p = &a->piece[s->piece];

		if (!c->ops->write_gpa(c, p->gpa, a->data.b + p->off, p->len))
			return ask_mmio(c, EMUL_MMIO_WRITE, a);
	}
	s->piece = 0;
	return GO_ON;
}

/* Elements of INS: together if to RAM; they have left the port already. */
static int store_ins(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	struct access *a = &s->a[0];
	const unsigned size = s->insn->size;

	if (s->bulk > 1 && s->stored == 0 && s->piece == 0 &&
	    c->ops->write_gpa(c, a->piece[0].gpa, c->pio_data, s->bulk * size))
		return GO_ON;
	for (; s->stored < s->bulk; s->stored++) {
		int r;

		memcpy(a->data.b, c->pio_data + s->stored * size, size);
		r = store_access(c, a);
		if (r != GO_ON)
			return r;
		a->piece[0].gpa += size; /* of more elements, the one piece */
	}
	return GO_ON;
}

static bool is_locked(const struct emul_state *s)
{
	return (s->insn->lock || s->insn->op == OP_XCHG) &&
	       s->a[0].mode == (ACC_R | ACC_W) && s->a[0].pieces == 1;
}

/* A locked operation stores only if nothing came between; or begins again. */
static int store_locked(struct emul_ctx *c, bool *stored)
{
	struct emul_state *s = c->state;
	const struct access *a = &s->a[0];
	const uint64_t mask = size_mask(a->size);

	switch (c->ops->cas_gpa(c, a->piece[0].gpa, s->locked & mask,
				a->data.q[0] & mask, a->size)) {
	case EMUL_CAS_OK:
		*stored = true;
		return GO_ON;
	case EMUL_CAS_MMIO:
		return GO_ON;
	default:
		if (s->retries++ == RETRIES_MAX)
			return EMUL_DONE;
		s->phase = PHASE_PREPARE;
		return GO_ON;
	}
}

static int store(struct emul_ctx *c)
{
	struct emul_state *s = c->state;

	if (s->insn->op == OP_OUTS)
		return s->bulk == 0 || s->pio_done ?
			       GO_ON : ask_pio(c, EMUL_PIO_WRITE);
	if (s->insn->op == OP_INS)
		return store_ins(c);
	if (s->acc == 0 && s->piece == 0 && is_locked(s)) {
		bool stored = false;
		const int r = store_locked(c, &stored);

		if (r != GO_ON || stored || s->phase != PHASE_STORE)
			return r;
	}
	for (; s->acc < 2; s->acc++) {
		const struct access *a = &s->a[s->acc];
		int r;

		if (!(a->mode & ACC_W))
			continue;
		r = store_access(c, a);
		if (r != GO_ON)
			return r;
	}
	return GO_ON;
}

/* --- commit ---------------------------------------------------------------- */

static int commit(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const bool trap = c->rflags & RFLAGS_TF;

	for (unsigned i = 0; i < s->writes; i++)
		c->gpr[s->write[i].reg] = s->write[i].value;
	if (s->write_xmm)
		c->ops->set_xmm(c, s->insn->dst.reg, s->xmm);
	c->rip = s->new_rip;
	c->rflags = s->new_rflags & ~RFLAGS_RF;
	c->single_step = trap;
	s->hint_valid = false; /* it was of the first iteration */
	s->retries = 0;
	if (!s->again || trap || c->stop || ++s->iterations == ITERATIONS_MAX)
		return EMUL_DONE;
	s->phase = PHASE_PREPARE;
	return GO_ON;
}

/* --- steps ----------------------------------------------------------------- */

static int begin(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	int r;

	s->hint_valid = c->hint_valid;
	s->hint_write = c->hint_write;
	s->hint_gpa = c->hint_gpa;
	s->retries = 0;
	s->phase = PHASE_PREPARE;
	r = emul_fetch(c);
	c->hint_valid = false;
	c->insn_len = 0;
	return r != GO_ON ? r : emul_fast(c);
}

static int run_phase(struct emul_ctx *c, unsigned phase)
{
	switch (phase) {
	case PHASE_PREPARE:
		return emul_prepare(c);
	case PHASE_LOAD:
		return load(c);
	case PHASE_EXEC:
		return emul_exec(c);
	case PHASE_STORE:
		return store(c);
	default:
		return commit(c);
	}
}

enum emul_status emul_step(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	int r = GO_ON;

	c->single_step = false;
	s->iterations = 0;
	if (s->waiting && s->fast)
		return (enum emul_status)emul_fast_answer(c);
	if (s->waiting)
		take_answer(c);
	else
		r = begin(c);
	while (r == GO_ON) {
		const unsigned phase = s->phase;

		r = run_phase(c, phase);
		if (r != GO_ON)
			break;
		if (s->phase == phase) /* it may have gone back */
			s->phase++;
		s->acc = s->piece = 0;
	}
	return (enum emul_status)r;
}
