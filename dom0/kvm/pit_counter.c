/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pit_counter.c - one counter of an 8254. With d CLKs since the cycle began
 * and a count of N, OUT and the counting element are formulas, one row of
 * each switch a mode. d is negative before a cycle that is known to come.
 */
#include "pit_counter.h"
#include <string.h>

/* Load times that no clock shows, far from those and from overflow. */
#define FAR	(1ll << 61)
#define NO_LOAD (1ll << 62)    /* control word, but no count yet */
#define NO_TRIG (-(1ll << 62)) /* modes 1, 5: a count, but no trigger yet */

/* Which byte is next; also of a latched count (0: none). As KVM's. */
enum rw_state {
	LSB = 1,
	MSB,
	WORD0,
	WORD1,
};

#define STATUS_OUT	 0x80
#define STATUS_NULL	 0x40
#define STATUS_RW	 4 /* shift */
#define STATUS_MODE	 1 /* shift */

#define NS_PER_SEC 1000000000ll
#define COUNT_MAX  65536

/* --- time ---------------------------------------------------------------- */

/* Whole seconds apart: the products stay far below 2^63. */
int64_t pit_ticks(int64_t ns)
{
	int64_t sec = ns / NS_PER_SEC, rest = ns % NS_PER_SEC;

	if (rest < 0) {
		rest += NS_PER_SEC;
		sec--;
	}
	return sec * PIT_HZ + rest * PIT_HZ / NS_PER_SEC;
}

int64_t pit_ns(int64_t ticks)
{
	const int64_t rest = ticks % PIT_HZ * NS_PER_SEC;

	return ticks / PIT_HZ * NS_PER_SEC + (rest + PIT_HZ - 1) / PIT_HZ;
}

static bool loaded(const struct pit_counter *c)
{
	return c->s.mode <= 5 && c->s.count_load_time < FAR;
}

/* Modes 1 and 5: what the gate does is start them. */
static bool triggered(const struct pit_counter *c)
{
	return c->s.mode == 1 || c->s.mode == 5;
}

static bool periodic(const struct pit_counter *c)
{
	return c->s.mode == 2 || c->s.mode == 3;
}

static bool frozen(const struct pit_counter *c)
{
	return !c->s.gate && !triggered(c);
}

/* Only of a loaded counter. */
static int64_t elapsed(const struct pit_counter *c, int64_t now)
{
	return pit_ticks(frozen(c) ? c->frozen_ns :
				     now - c->s.count_load_time);
}

/* Mode 3: CLKs of the first, high half. */
static int64_t high_half(int64_t count)
{
	return (count + 1) / 2;
}

/* --- what a mode does ---------------------------------------------------- */

bool pit_counter_out(const struct pit_counter *c, int64_t now)
{
	const int64_t n = c->s.count;

	if (!loaded(c))
		return c->s.mode != 0;
	const int64_t d = elapsed(c, now);
	switch (c->s.mode) {
	case 0:
	case 1:
		return d >= n;
	case 2:
		return frozen(c) || (d < 0 ? d != -1 : d % n != n - 1);
	case 3:
		return frozen(c) || (d >= 0 && d % n < high_half(n));
	default:
		return d != n;
	}
}

/* Modes 0, 1, 4, 5: after the end it counts on, from FFFF or 9999. */
static uint32_t falling_count(const struct pit_counter *c, int64_t d)
{
	const int64_t wrap = c->s.bcd ? 10000 : COUNT_MAX;
	const int64_t value = (c->s.count - d % wrap) % wrap;

	return (uint32_t)(value < 0 ? value + wrap : value);
}

/* Mode 3: by two, from the even part, in each half. */
static uint32_t square_count(int64_t n, int64_t d)
{
	const int64_t phase = d % n, high = high_half(n);

	return (uint32_t)((n & ~1) - 2 * (phase < high ? phase : phase - high));
}

/* The counting element in CLKs; 0 is the whole range. */
static uint32_t value_of(const struct pit_counter *c, int64_t now)
{
	const int64_t n = c->s.count;

	if (!loaded(c))
		return c->s.count;
	const int64_t d = elapsed(c, now);
	if (periodic(c) && d < 0)
		return (uint32_t)(c->s.mode == 2 ? -d : -2 * d);
	switch (c->s.mode) {
	case 2:
		return (uint32_t)(n - d % n);
	case 3:
		return square_count(n, d);
	}
	return falling_count(c, d);
}

/* Rising edges of OUT since the cycle's load, the one that began it, too. */
static int64_t rises(const struct pit_counter *c, int64_t now)
{
	const int64_t n = c->s.count;

	if (!loaded(c) || frozen(c))
		return 0;
	const int64_t d = elapsed(c, now);
	switch (c->s.mode) {
	case 0:
	case 1:
		return d >= n;
	case 2:
	case 3:
		return n < 2 || d < 0 ? 0 : d / n + 1;
	default:
		return d > n;
	}
}

/* As pit_counter_next(), of the count in use. */
static int64_t next_rise(const struct pit_counter *c, int64_t now)
{
	const int64_t n = c->s.count;
	int64_t tick;

	if (!loaded(c) || frozen(c))
		return PIT_NEVER;
	if (periodic(c)) {
		if (n < 2)
			return PIT_NEVER;
		tick = rises(c, now) * n;
	} else {
		if (rises(c, now))
			return PIT_NEVER;
		tick = c->s.mode <= 1 ? n : n + 1;
	}
	return c->s.count_load_time + pit_ns(tick);
}

/* --- a count comes into use ---------------------------------------------- */

static void use_reload(struct pit_counter *c, int64_t load_time)
{
	c->s.count = c->reload;
	c->s.count_load_time = load_time;
	c->reload = 0;
}

/* When the cycle that the reload belongs to began, or would have. */
static int64_t reload_origin(const struct pit_counter *c)
{
	return c->reload_low ? c->reload_at - pit_ns(high_half(c->reload)) :
			       c->reload_at;
}

static bool reload_due(const struct pit_counter *c, int64_t now)
{
	return c->reload && periodic(c) && !frozen(c) && now >= c->reload_at;
}

int64_t pit_counter_run(struct pit_counter *c, int64_t from, int64_t to)
{
	int64_t edges = 0;

	if (reload_due(c, to)) {
		edges = rises(c, c->reload_at) - rises(c, from);
		from = c->reload_at;
		use_reload(c, reload_origin(c));
	}
	return edges + rises(c, to) - rises(c, from);
}

int64_t pit_counter_next(const struct pit_counter *c, int64_t now)
{
	const int64_t next = next_rise(c, now);
	struct pit_counter later = *c;

	if (!c->reload || !periodic(c) || next <= c->reload_at)
		return next;
	use_reload(&later, reload_origin(c));
	return next_rise(&later, c->reload_at);
}

uint32_t pit_counter_period(const struct pit_counter *c)
{
	return periodic(c) && loaded(c) ? c->s.count : 0;
}

/* Modes 2 and 3 finish what they are at: a period, or a half of one. */
static void load_later(struct pit_counter *c, int64_t now, uint32_t count)
{
	const int64_t n = c->s.count, d = elapsed(c, now);
	int64_t end = d - d % n + n;

	if (!c->reload) {
		c->reload_low = c->s.mode == 3 && d % n < high_half(n);
		if (c->reload_low)
			end += high_half(n) - n;
		c->reload_at = c->s.count_load_time + pit_ns(end);
	}
	c->reload = count;
}

static void load(struct pit_counter *c, int64_t now, uint32_t count)
{
	if (triggered(c) && loaded(c) && c->s.count_load_time != NO_TRIG) {
		c->reload = count;
		return;
	}
	if (periodic(c) && loaded(c) && !frozen(c) && c->s.count >= 2 &&
	    elapsed(c, now) >= 0) {
		load_later(c, now, count);
		return;
	}
	c->s.count = count;
	c->reload = 0;
	/* Restored before its cycle began: that is when it begins. */
	if (periodic(c) && loaded(c) && !frozen(c) && elapsed(c, now) < 0)
		return;
	c->frozen_ns = 0;
	c->s.count_load_time = triggered(c) ? NO_TRIG : now;
}

void pit_counter_gate(struct pit_counter *c, int64_t now, bool gate)
{
	if (gate == c->s.gate)
		return;
	if (!gate && loaded(c))
		c->frozen_ns = now - c->s.count_load_time;
	c->s.gate = gate;
	if (!gate || !loaded(c))
		return;
	if (c->s.mode == 0 || c->s.mode == 4) {
		c->s.count_load_time = now - c->frozen_ns;
		return;
	}
	if (c->reload)
		c->s.count = c->reload;
	c->reload = 0;
	c->s.count_load_time = now;
}

/* --- ports ---------------------------------------------------------------- */

void pit_counter_control(struct pit_counter *c, uint8_t word)
{
	const uint8_t mode = word >> 1 & 7;

	c->s.rw_mode = word >> 4 & 3;
	c->s.mode = mode > 5 ? mode & 3 : mode;
	c->s.bcd = word & 1;
	c->s.read_state = c->s.rw_mode;
	c->s.write_state = c->s.rw_mode;
	c->s.count_latched = 0;
	c->s.status_latched = 0;
	c->reload = 0;
	c->frozen_ns = 0;
	c->s.count_load_time = NO_LOAD;
}

static uint32_t from_bcd(uint32_t v)
{
	return (v >> 12) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 +
	       (v & 15);
}

static uint16_t to_bcd(uint32_t v)
{
	return (uint16_t)((v / 1000 % 10) << 12 | (v / 100 % 10) << 8 |
			  (v / 10 % 10) << 4 | v % 10);
}

static uint16_t shown(const struct pit_counter *c, int64_t now)
{
	const uint32_t value = value_of(c, now);

	return c->s.bcd ? to_bcd(value) : (uint16_t)value;
}

static void written(struct pit_counter *c, int64_t now, uint32_t value)
{
	const uint32_t count = c->s.bcd ? from_bcd(value) : value;

	load(c, now, count ? count : c->s.bcd ? 10000 : COUNT_MAX);
}

void pit_counter_latch_count(struct pit_counter *c, int64_t now)
{
	if (c->s.count_latched)
		return;
	c->s.latched_count = shown(c, now);
	c->s.count_latched = c->s.rw_mode ? c->s.rw_mode : LSB;
}

/* The status's "null count": what was written is not counting yet. */
static bool null_count(const struct pit_counter *c, int64_t now)
{
	if (!loaded(c) || c->reload)
		return true;
	if (triggered(c))
		return c->s.count_load_time == NO_TRIG;
	return periodic(c) && elapsed(c, now) < 0;
}

void pit_counter_latch_status(struct pit_counter *c, int64_t now)
{
	if (c->s.status_latched)
		return;
	c->s.status = (uint8_t)((pit_counter_out(c, now) ? STATUS_OUT : 0) |
				(null_count(c, now) ? STATUS_NULL : 0) |
				c->s.rw_mode << STATUS_RW |
				(c->s.mode & 7) << STATUS_MODE | c->s.bcd);
	c->s.status_latched = 1;
}

/* Gives the byte of `value` that `*state` is at, and moves it. */
static uint8_t byte_of(uint16_t value, uint8_t *state,
		       const uint8_t after[5])
{
	const uint8_t at = *state;

	*state = after[at];
	return (uint8_t)(at == MSB || at == WORD1 ? value >> 8 : value);
}

uint8_t pit_counter_read(struct pit_counter *c, int64_t now)
{
	static const uint8_t latched[5] = { [WORD0] = MSB };
	static const uint8_t running[5] = { 0, LSB, MSB, WORD1, WORD0 };

	if (c->s.status_latched) {
		c->s.status_latched = 0;
		return c->s.status;
	}
	if (c->s.count_latched)
		return byte_of(c->s.latched_count, &c->s.count_latched,
			       latched);
	return byte_of(shown(c, now), &c->s.read_state, running);
}

/* The first byte of two stops a counter in mode 0. */
void pit_counter_write(struct pit_counter *c, int64_t now, uint8_t value)
{
	switch (c->s.write_state) {
	case WORD0:
		c->s.write_latch = value;
		c->s.write_state = WORD1;
		if (c->s.mode == 0)
			c->s.count_load_time = NO_LOAD;
		break;
	case WORD1:
		c->s.write_state = WORD0;
		written(c, now, (uint32_t)value << 8 | c->s.write_latch);
		break;
	case MSB:
		written(c, now, (uint32_t)value << 8);
		break;
	default:
		written(c, now, value);
		break;
	}
}

/* --- state ---------------------------------------------------------------- */

void pit_counter_init(struct pit_counter *c, int64_t now, bool gate)
{
	memset(c, 0, sizeof(*c));
	c->s.mode = PIT_UNPROGRAMMED;
	c->s.count = COUNT_MAX;
	c->s.count_load_time = now;
	c->s.gate = gate;
}

void pit_counter_get(const struct pit_counter *c, int64_t now,
		     struct kvm_pit_channel_state *state)
{
	*state = c->s;
	if (!loaded(c))
		return;
	if (frozen(c))
		state->count_load_time = now - c->frozen_ns;
	if (!c->reload || (triggered(c) && elapsed(c, now) < c->s.count))
		return;
	state->count = c->reload;
	if (triggered(c))
		state->count_load_time = NO_TRIG;
	else if (!frozen(c))
		state->count_load_time = reload_origin(c);
	if (c->reload_low && state->count_load_time > now)
		state->count_load_time = now;
}

/* A time far away is one that does not exist. */
static int64_t plausible(const struct pit_counter *c, int64_t now,
			 int64_t load_time)
{
	const int64_t ahead = periodic(c) && c->s.gate ? pit_ns(COUNT_MAX) + 1 :
							 0;

	if (load_time >= FAR)
		return NO_LOAD;
	if (load_time <= -FAR)
		return NO_TRIG;
	return load_time > now + ahead ? now : load_time;
}

void pit_counter_set(struct pit_counter *c, int64_t now,
		     const struct kvm_pit_channel_state *state)
{
	memset(c, 0, sizeof(*c));
	c->s = *state;
	if (c->s.count == 0 || c->s.count > COUNT_MAX)
		c->s.count = COUNT_MAX;
	if (c->s.count_latched > WORD1)
		c->s.count_latched = 0;
	c->s.status_latched = !!c->s.status_latched;
	if (c->s.read_state > WORD1)
		c->s.read_state = 0;
	if (c->s.write_state > WORD1)
		c->s.write_state = 0;
	c->s.rw_mode &= 3;
	if (c->s.mode > 5)
		c->s.mode = PIT_UNPROGRAMMED;
	c->s.bcd = !!c->s.bcd;
	c->s.gate = !!c->s.gate;
	c->s.count_load_time = plausible(c, now, state->count_load_time);
	if (loaded(c) && frozen(c))
		c->frozen_ns = now - c->s.count_load_time;
}
