/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pit_counter.h - one counter of an 8254 as a function of time: nothing
 * happens between two calls, what is asked for is calculated.
 * Owned by pit.c; ports, IRQ0 and the speaker are there.
 *
 * Intel 8254 data sheet: "Programming the 8254", "Read Operations", "Mode
 * Definitions", "Operation Common to All Modes". The CLK that loads a count
 * is not modelled: a count of N ends N, not N + 1, CLKs after its write.
 *
 * Time is CLOCK_MONOTONIC in nanoseconds, because count_load_time is that in
 * KVM's state; 0 <= time < 2^61, and no call's may be before that of an
 * earlier one.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define PIT_HZ	  1193182
#define PIT_NEVER INT64_MAX

struct pit_counter {
	/*
	 * count is in CLKs, 1 to 65536, also of a BCD counter. mode is 0 to
	 * 5, or PIT_UNPROGRAMMED. count_load_time is when the cycle began
	 * that count belongs to, or one of two times that do not exist:
	 * pit_counter.c.
	 */
	struct kvm_pit_channel_state s;
	uint32_t reload;   /* count written, but not yet in use, or 0 */
	bool reload_low;   /* mode 3: it begins with the low half */
	int64_t reload_at; /* when modes 2 and 3 begin to use it */
	int64_t frozen_ns; /* modes 0, 2, 3, 4, gate low: time since load */
};

#define PIT_UNPROGRAMMED 0xff /* KVM's: OUT is high, nothing counts */

/* CLKs in `ns`, rounded down; and the first ns of CLK number `ticks`. */
int64_t pit_ticks(int64_t ns);
int64_t pit_ns(int64_t ticks);

void pit_counter_init(struct pit_counter *c, int64_t now, bool gate);

/*
 * pit_counter_run - put a reload that is due in (from, to] into use.
 * Call it before anything else at `to`; nothing else was called since `from`.
 * Returns the number of rising edges of OUT in (from, to].
 */
int64_t pit_counter_run(struct pit_counter *c, int64_t from, int64_t to);

/* First rising edge of OUT after `now` if nobody interferes, or PIT_NEVER. */
int64_t pit_counter_next(const struct pit_counter *c, int64_t now);

/* CLKs from one rising edge to the next, 0 if there is at most one. */
uint32_t pit_counter_period(const struct pit_counter *c);

bool pit_counter_out(const struct pit_counter *c, int64_t now);
void pit_counter_gate(struct pit_counter *c, int64_t now, bool gate);

/* A control word for this counter that is not a latch command. */
void pit_counter_control(struct pit_counter *c, uint8_t word);

void pit_counter_latch_count(struct pit_counter *c, int64_t now);
void pit_counter_latch_status(struct pit_counter *c, int64_t now);
uint8_t pit_counter_read(struct pit_counter *c, int64_t now);
void pit_counter_write(struct pit_counter *c, int64_t now, uint8_t value);

/*
 * State. What it cannot hold of a count that waits: mode 3, written in a long
 * high half: that half is cut to the new count's; modes 2 and 3, gate low:
 * it reads as loaded already; modes 1 and 5, written while the old one still
 * counts: the old one stays. What `state` has of nonsense is made sense of; a
 * load time in the future that no cycle of modes 2 and 3 explains, as of
 * another host's clock, is now.
 */
void pit_counter_get(const struct pit_counter *c, int64_t now,
		     struct kvm_pit_channel_state *state);
void pit_counter_set(struct pit_counter *c, int64_t now,
		     const struct kvm_pit_channel_state *state);
