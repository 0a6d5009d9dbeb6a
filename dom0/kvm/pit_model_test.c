/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pit_model_test.c - the PIT against an 8254 that is simulated CLK by CLK, as
 * the data sheet tells it, over random operations at random times; and the
 * same operations on both sides of a save and a restore.
 *
 * Operation i happens 5 + 10 i ns after the CLK it belongs to: for any two of
 * them, and any rounding, the CLKs in between are the difference.
 */
#include "pit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define OPS 80

static unsigned rnd(unsigned n)
{
	return (unsigned)rand() % n;
}

static int64_t clk_ns(int64_t clk)
{
	return (clk * 1000000000 + PIT_HZ - 1) / PIT_HZ;
}

/* --- a counter, CLK by CLK ------------------------------------------------ */

struct sim {
	unsigned mode, rw;
	bool bcd, gate, out, counting, odd, done, pending, half_written;
	uint32_t cr; /* count register, 0: none */
	int64_t ce;  /* counting element */
	uint8_t low; /* byte written first */
};

static void sim_load(struct sim *s)
{
	s->ce = s->mode == 3 ? s->cr & ~1u : s->cr;
	s->odd = s->cr & 1;
	s->counting = true;
	s->done = s->pending = false;
}

static void sim_clk_square(struct sim *s)
{
	bool end = s->odd && s->out && s->ce == 0;

	if (!end) {
		s->ce -= 2;
		end = s->ce == 0 && !(s->odd && s->out);
	}
	if (end) {
		s->out = !s->out;
		sim_load(s);
	}
}

static void sim_clk_rate(struct sim *s)
{
	s->ce--;
	if (s->ce == 1)
		s->out = false;
	if (s->ce == 0) {
		s->out = true;
		sim_load(s);
	}
}

/* Modes 0, 1, 4, 5: once to zero, then around. */
static void sim_clk_once(struct sim *s)
{
	const bool strobe = s->mode >= 4;

	if (strobe)
		s->out = true;
	s->ce--;
	if (s->ce == 0 && !s->done) {
		s->out = !strobe;
		s->done = true;
	}
	if (s->ce < 0)
		s->ce += s->bcd ? 10000 : 65536;
}

static void sim_clk(struct sim *s)
{
	const bool by_trigger = s->mode == 1 || s->mode == 5;

	if (!s->counting || (!s->gate && !by_trigger))
		return;
	if (s->mode == 2)
		sim_clk_rate(s);
	else if (s->mode == 3)
		sim_clk_square(s);
	else
		sim_clk_once(s);
}

static void sim_control(struct sim *s, unsigned rw, unsigned mode, bool bcd)
{
	s->mode = mode > 5 ? mode - 4 : mode;
	s->rw = rw;
	s->bcd = bcd;
	s->out = s->mode != 0;
	s->counting = s->half_written = false;
	s->cr = 0;
	s->pending = true;
}

static void sim_count(struct sim *s, uint32_t count)
{
	s->cr = count;
	s->pending = true;
	switch (s->mode) {
	case 0:
	case 4:
		s->out = s->mode == 4;
		sim_load(s);
		break;
	case 2:
	case 3:
		if (!s->counting || !s->gate)
			sim_load(s);
		break;
	}
}

static void sim_gate(struct sim *s, bool gate)
{
	const bool rises = gate && !s->gate;

	s->gate = gate;
	if (s->mode == 2 || s->mode == 3) {
		if (!gate)
			s->out = true;
		else if (rises && s->counting)
			sim_load(s);
	} else if ((s->mode == 1 || s->mode == 5) && rises && s->cr) {
		s->out = s->mode == 5;
		sim_load(s);
	}
}

/* --- the same operation on a PIT and, if it has one, its simulation ------- */

struct box {
	struct pit p;
	struct sim sim[3];
	unsigned pulses; /* rising edges on the wire */
	bool line;
	int64_t clk;
};

static int on_irq(void *ctx, bool level)
{
	struct box *b = ctx;

	b->pulses += level && !b->line;
	b->line = level;
	return 1;
}

static void fresh(struct box *b)
{
	memset(b, 0, sizeof(*b));
	pit_init(&b->p, 0, KVM_PIT_SPEAKER_DUMMY,
		 &(struct pit_wires){ on_irq, b });
	for (unsigned i = 0; i < 3; i++)
		b->sim[i] = (struct sim){ .mode = 7, .out = true,
					  .gate = i != 2 };
	/* An operation on an unprogrammed counter is not in the data sheet. */
	for (unsigned i = 0; i < 3; i++) {
		pit_write(&b->p, 0x43, 0, (uint8_t)(i << 6 | 0x34));
		sim_control(&b->sim[i], 3, 2, false);
	}
	assert_int_equal(b->pulses, 0);
}

struct op {
	unsigned kind, counter, rw, mode;
	bool bcd, gate, split;
	uint32_t count; /* 1 to 65536, of what `rw` allows */
	unsigned clks;	/* until then */
};

static uint32_t random_count(const struct op *op, unsigned rw)
{
	uint32_t count = rnd(4) ? 2 + rnd(12) : 2 + rnd(65535);

	if (op->kind == 0 && rnd(2))
		count = 65536;
	if (rw == 1)
		return count % 256 ? count % 256 : 65536;
	if (rw == 2)
		return count & 0xff00 ? count & 0xff00 : 65536;
	return count;
}

static struct op random_op(void)
{
	struct op op = { .kind = rnd(6), .counter = rnd(3), .mode = rnd(8),
			 .rw = rnd(4) ? 3 : 1 + rnd(2), .bcd = !rnd(8),
			 .gate = rnd(2), .split = !rnd(4), .clks = rnd(12) };

	if (!rnd(8))
		op.clks = rnd(300);
	if (!rnd(60))
		op.clks = rnd(150000);
	op.count = random_count(&op, 3);
	return op;
}

static uint16_t bcd_of(uint32_t v)
{
	return (uint16_t)(v / 1000 % 10 << 12 | v / 100 % 10 << 8 |
			  v / 10 % 10 << 4 | v % 10);
}

/* What to write for a count near `want`; and what that makes of it. */
static uint16_t encode(const struct sim *s, uint32_t want, uint32_t *count)
{
	const uint16_t mask = s->rw == 1 ? 0x00ff : s->rw == 2 ? 0xff00 :
								 0xffff;
	uint16_t v = s->bcd ? bcd_of(want) : (uint16_t)want;

	v &= mask;
	if (v == 1) /* "illegal" in modes 2 and 3 */
		v = 2;
	*count = s->bcd ? (v >> 12) * 1000u + (v >> 8 & 15) * 100u +
				  (v >> 4 & 15) * 10u + (v & 15) :
			  v;
	if (!*count)
		*count = s->bcd ? 10000 : 65536;
	return v;
}

/* A count, or the half of one that is missing, or a first half. */
static void do_count(struct box *b, const struct op *op, int64_t now)
{
	struct sim *s = &b->sim[op->counter];
	const uint16_t port = (uint16_t)(0x40 + op->counter);
	uint32_t count;
	uint16_t v = encode(s, op->count, &count);

	if (s->half_written)
		v = (uint16_t)((v & 0xff00) | s->low);
	if (v == 1)
		v = 0x101;
	if (s->half_written && s->bcd) /* its low byte is BCD, too */
		count = (v >> 12) * 1000u + (v >> 8 & 15) * 100u +
			(v >> 4 & 15) * 10u + (v & 15);
	else if (s->half_written)
		count = v;
	if (!count)
		count = s->bcd ? 10000 : 65536;
	if (s->rw & 1 && !s->half_written) {
		pit_write(&b->p, port, now, (uint8_t)v);
		s->low = (uint8_t)v;
		s->half_written = s->rw == 3;
		if (s->half_written && s->mode == 0)
			s->counting = s->out = false, s->pending = true;
		if (s->half_written && op->split)
			return;
	}
	if (s->rw & 2)
		pit_write(&b->p, port, now, (uint8_t)(v >> 8));
	s->half_written = false;
	sim_count(s, count);
}

static void apply(struct box *b, const struct op *op, int64_t now)
{
	switch (op->kind) {
	case 0:
		pit_write(&b->p, 0x43, now,
			  (uint8_t)(op->counter << 6 | op->rw << 4 |
				    op->mode << 1 | op->bcd));
		sim_control(&b->sim[op->counter], op->rw, op->mode, op->bcd);
		do_count(b, op, now);
		break;
	case 1:
		do_count(b, op, now);
		break;
	case 2:
		pit_write(&b->p, 0x61, now, op->gate);
		sim_gate(&b->sim[2], op->gate);
		break;
	}
}

/* --- compared ----------------------------------------------------------- */

/* Status, and the bytes of the count, that a read-back of all latched. */
static void read_latched(struct box *b, int64_t now, uint8_t got[3][3])
{
	pit_write(&b->p, 0x43, now, 0xce);
	for (unsigned i = 0; i < 3; i++) {
		const uint16_t port = (uint16_t)(0x40 + i);
		const unsigned rw = b->p.counter[i].s.rw_mode;

		got[i][1] = got[i][2] = 0;
		pit_read(&b->p, port, now, &got[i][0]);
		if (rw & 1)
			pit_read(&b->p, port, now, &got[i][1]);
		if (rw & 2)
			pit_read(&b->p, port, now, &got[i][2]);
	}
}

static void compare(struct box *b, int64_t now)
{
	uint8_t got[3][3], nmisc;

	read_latched(b, now, got);
	for (unsigned i = 0; i < 3; i++) {
		const struct sim *s = &b->sim[i];
		const bool null = s->pending || !s->counting;
		const uint16_t ce = s->bcd ? bcd_of((uint32_t)s->ce) :
					     (uint16_t)s->ce;

		assert_int_equal(got[i][0], s->out << 7 | null << 6 |
				 s->rw << 4 | s->mode << 1 | s->bcd);
		if (!s->counting)
			continue;
		assert_int_equal(got[i][1], s->rw & 1 ? ce & 0xff : 0);
		assert_int_equal(got[i][2], s->rw & 2 ? ce >> 8 : 0);
	}
	pit_read(&b->p, 0x61, now, &nmisc);
	assert_int_equal(nmisc & 1, b->sim[2].gate);
	assert_int_equal(nmisc >> 5 & 1, b->sim[2].out);
}

/* Lets `clks` pass; returns edges of counter 0, *first the CLK of the first. */
static int64_t sim_run(struct box *b, unsigned clks, int64_t *first)
{
	int64_t edges = 0;

	for (; clks > 0; clks--) {
		const bool was = b->sim[0].out;

		b->clk++;
		for (unsigned i = 0; i < 3; i++)
			sim_clk(&b->sim[i]);
		if (!was && b->sim[0].out && edges++ == 0)
			*first = b->clk;
	}
	return edges;
}

static void step(struct box *b, const struct op *op, unsigned i)
{
	const int64_t next = pit_counter_next(&b->p.counter[0], b->p.now);
	struct pit_counter copy = b->p.counter[0];
	int64_t first = 0;
	const int64_t edges = sim_run(b, op->clks, &first);
	const int64_t now = clk_ns(b->clk) + 5 + 10 * i;

	assert_int_equal(pit_counter_run(&copy, b->p.now, now), edges);
	if (edges)
		assert_in_range(next, clk_ns(first), clk_ns(first) + 838);
	else
		assert_true(next > now);
	b->pulses = 0;
	pit_advance(&b->p, now);
	assert_int_equal(b->pulses, edges > 0);
	compare(b, now);

	const bool was = b->sim[0].out;
	const bool writes_0 = op->counter == 0 && op->kind <= 1;
	b->pulses = 0;
	apply(b, op, now);
	compare(b, now);
	/* Only OUT's own edges; a control word and a count are two writes. */
	if (!writes_0)
		assert_int_equal(b->pulses, 0);
	else if (op->kind == 1)
		assert_int_equal(b->pulses, !was && b->sim[0].out);
}

static void random_operations_match_the_simulation(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		struct box b;

		fresh(&b);
		for (unsigned i = 0; i < OPS; i++) {
			const struct op op = random_op();

			step(&b, &op, i);
		}
	}
}

/* --- a save and a restore ------------------------------------------------ */

/* See pit_counter_get(). */
static bool is_saved_whole(const struct pit *p)
{
	for (unsigned i = 0; i < 3; i++) {
		const struct pit_counter *c = &p->counter[i];

		if (c->reload && (c->reload_low || !c->s.gate ||
				  c->s.mode == 1 || c->s.mode == 5))
			return false;
	}
	return true;
}

static void both_do(struct box *a, struct box *b, const struct op *op,
		    int64_t now)
{
	uint8_t got[2][3][3];

	assert_int_equal(pit_counter_next(&a->p.counter[0], a->p.now),
			 pit_counter_next(&b->p.counter[0], b->p.now));
	apply(a, op, now);
	apply(b, op, now);
	assert_int_equal(a->pulses, b->pulses);
	read_latched(a, now, got[0]);
	read_latched(b, now, got[1]);
	for (unsigned i = 0; i < 3; i++)
		if (a->p.counter[i].s.count_load_time > -(1ll << 61) &&
		    a->p.counter[i].s.count_load_time < 1ll << 61)
			assert_memory_equal(got[0][i], got[1][i], 3);
}

static void restored_is_the_same(void **state)
{
	unsigned whole = 0;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		const unsigned save = rnd(60);
		struct kvm_pit_state2 s;
		struct box a, b;
		int64_t now = 0;

		fresh(&a);
		for (unsigned i = 0; i < save; i++) {
			const struct op op = random_op();

			a.clk += op.clks;
			now = clk_ns(a.clk) + 5 + 10 * i;
			apply(&a, &op, now);
		}
		if (!is_saved_whole(&a.p))
			continue;
		whole++;
		pit_get(&a.p, now, &s);
		b = a;
		memset(b.p.counter, 0x5a, sizeof(b.p.counter));
		b.p.wires.ctx = &b;
		pit_set(&b.p, now, &s);
		pit_advance(&b.p, now); /* a one-shot that is over */
		a.pulses = b.pulses = 0;
		for (unsigned i = save; i < OPS; i++) {
			const struct op op = random_op();

			a.clk += op.clks;
			both_do(&a, &b, &op, clk_ns(a.clk) + 5 + 10 * i);
		}
	}
	assert_true(whole > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_match_the_simulation),
		cmocka_unit_test(restored_is_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
