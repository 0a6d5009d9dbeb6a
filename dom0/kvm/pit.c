/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pit.c - ports, IRQ0 and lost ticks of the 8254; its counters are
 * pit_counter.c.
 */
#include "pit.h"
#include <assert.h>
#include <string.h>

#define COUNTER0 0x40 /* to 42h */
#define CONTROL	 0x43
#define NMISC	 0x61

#define READ_BACK	     3 /* as a counter number */
#define READ_BACK_NO_COUNT   0x20
#define READ_BACK_NO_STATUS  0x10
#define CONTROL_RW	     0x30 /* 0: latch the count */

/* NMI Status and Control Register. */
#define NMISC_GATE2   0x01
#define NMISC_SPEAKER 0x02
#define NMISC_REFRESH 0x10 /* toggles with each refresh request */
#define NMISC_OUT2    0x20

#define REFRESH_TICKS 18 /* what firmware gives counter 1: 15.085 us */

/* --- IRQ0 ----------------------------------------------------------------- */

/* One rising edge. Returns as wires.irq. */
static int pulse(struct pit *p)
{
	p->wires.irq(p->wires.ctx, false);
	p->line = true;
	return p->wires.irq(p->wires.ctx, true);
}

/* Faster than anybody can be woken: not to be made up for, either. */
static bool too_fast(const struct pit *p)
{
	const uint32_t period = pit_counter_period(&p->counter[0]);

	return period && pit_ns(period) < PIT_MIN_PERIOD_NS;
}

static void tick(struct pit *p, int64_t edges)
{
	const int taken = pulse(p);

	if (p->reinject && taken >= 0 && !too_fast(p))
		p->missed += (uint64_t)edges - 1 + (taken == 0);
}

/* OUT may have changed by other means than time. */
static void follow_out(struct pit *p)
{
	const bool out = pit_counter_out(&p->counter[0], p->now);

	if (out == p->line)
		return;
	if (p->hpet_legacy)
		p->line = out;
	else if (out)
		tick(p, 1);
	else
		p->wires.irq(p->wires.ctx, p->line = false);
}

void pit_advance(struct pit *p, int64_t now)
{
	const int64_t from = p->now;
	int64_t edges = p->refire;

	if (now < from)
		now = from;
	p->now = now;
	p->refire = false;
	edges += pit_counter_run(&p->counter[0], from, now);
	pit_counter_run(&p->counter[1], from, now);
	pit_counter_run(&p->counter[2], from, now);
	if (edges > 0 && !p->hpet_legacy)
		tick(p, edges);
	follow_out(p);
}

int64_t pit_next_event_ns(const struct pit *p)
{
	if (p->hpet_legacy)
		return PIT_NEVER;
	if (p->refire)
		return p->now;
	const int64_t next = pit_counter_next(&p->counter[0], p->now);
	const int64_t soonest = p->now + PIT_MIN_PERIOD_NS;
	return too_fast(p) && next < soonest ? soonest : next;
}

void pit_reinject(struct pit *p, bool on)
{
	p->reinject = on;
	p->missed = 0;
}

void pit_acked(struct pit *p)
{
	if (!p->missed || p->hpet_legacy)
		return;
	p->missed--;
	if (pulse(p) == 0)
		p->missed++;
	follow_out(p);
}

void pit_forget_missed(struct pit *p)
{
	p->missed = 0;
}

/* --- ports ---------------------------------------------------------------- */

static void read_back(struct pit *p, uint8_t word)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!(word & 2u << i))
			continue;
		if (!(word & READ_BACK_NO_COUNT))
			pit_counter_latch_count(&p->counter[i], p->now);
		if (!(word & READ_BACK_NO_STATUS))
			pit_counter_latch_status(&p->counter[i], p->now);
	}
}

static void write_control(struct pit *p, uint8_t word)
{
	const unsigned i = word >> 6;

	if (i == READ_BACK) {
		read_back(p, word);
	} else if (!(word & CONTROL_RW)) {
		pit_counter_latch_count(&p->counter[i], p->now);
	} else {
		pit_counter_control(&p->counter[i], word);
		if (i == 0)
			p->missed = 0;
	}
}

static uint8_t read_nmisc(const struct pit *p)
{
	const struct pit_counter *c = &p->counter[2];
	uint8_t value = c->s.gate ? NMISC_GATE2 : 0;

	if (p->speaker_data)
		value |= NMISC_SPEAKER;
	if (pit_ticks(p->now) / REFRESH_TICKS & 1)
		value |= NMISC_REFRESH;
	if (pit_counter_out(c, p->now))
		value |= NMISC_OUT2;
	return value;
}

bool pit_read(struct pit *p, uint16_t port, int64_t now, uint8_t *value)
{
	const bool nmisc = port == NMISC && p->has_speaker;

	if (!nmisc && (port & ~3) != COUNTER0)
		return false;
	pit_advance(p, now);
	if (nmisc)
		*value = read_nmisc(p);
	else if (port == CONTROL) /* "no-operation" */
		*value = 0;
	else
		*value = pit_counter_read(&p->counter[port & 3], p->now);
	return true;
}

bool pit_write(struct pit *p, uint16_t port, int64_t now, uint8_t value)
{
	const bool nmisc = port == NMISC && p->has_speaker;

	if (!nmisc && (port & ~3) != COUNTER0)
		return false;
	pit_advance(p, now);
	if (nmisc) {
		p->speaker_data = value & NMISC_SPEAKER;
		pit_counter_gate(&p->counter[2], p->now, value & NMISC_GATE2);
	} else if (port == CONTROL) {
		write_control(p, value);
	} else {
		pit_counter_write(&p->counter[port & 3], p->now, value);
	}
	follow_out(p);
	return true;
}

/* --- state ---------------------------------------------------------------- */

void pit_init(struct pit *p, int64_t now, uint32_t flags,
	      const struct pit_wires *wires)
{
	memset(p, 0, sizeof(*p));
	p->wires = *wires;
	p->has_speaker = flags & KVM_PIT_SPEAKER_DUMMY;
	p->reinject = true;
	p->now = now;
	p->line = true; /* as OUT of a counter not programmed */
	for (unsigned i = 0; i < 3; i++)
		pit_counter_init(&p->counter[i], now, i != 2);
}

void pit_get(struct pit *p, int64_t now, struct kvm_pit_state2 *state)
{
	pit_advance(p, now);
	memset(state, 0, sizeof(*state));
	for (unsigned i = 0; i < 3; i++)
		pit_counter_get(&p->counter[i], p->now, &state->channels[i]);
	if (p->hpet_legacy)
		state->flags |= KVM_PIT_FLAGS_HPET_LEGACY;
	if (p->speaker_data)
		state->flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
}

/* Has ended, and does not begin again by itself. */
static bool is_over(const struct pit *p)
{
	const struct pit_counter *c = &p->counter[0];

	return (c->s.mode == 0 || c->s.mode == 4) &&
	       c->s.count_load_time <= p->now &&
	       pit_counter_next(c, p->now) == PIT_NEVER;
}

void pit_set(struct pit *p, int64_t now, const struct kvm_pit_state2 *state)
{
	if (now > p->now)
		p->now = now;
	for (unsigned i = 0; i < 3; i++) {
		struct kvm_pit_channel_state s = state->channels[i];

		if (i != 2)
			s.gate = 1; /* soldered */
		pit_counter_set(&p->counter[i], p->now, &s);
	}
	p->hpet_legacy = state->flags & KVM_PIT_FLAGS_HPET_LEGACY;
	p->speaker_data = state->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	p->missed = 0;
	p->line = pit_counter_out(&p->counter[0], p->now);
	p->refire = is_over(p);
}
