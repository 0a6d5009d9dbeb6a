/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pit_test.c - what SeaBIOS and Linux do to the PIT, latches, reloads, IRQ0
 * and its lost ticks, port 61h. Each mode, CLK by CLK, is in pit_model_test.c;
 * saved state in pit_state_test.c.
 */
#include "pit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEC 1000000000ll

static struct pit pit;
static int64_t now;
static unsigned pulses; /* rising edges on the wire */
static bool line;
static int answer;

static int on_irq(void *ctx, bool level)
{
	assert_ptr_equal(ctx, &pit);
	pulses += level && !line;
	line = level;
	return level ? answer : 1;
}

static void out(uint16_t port, uint8_t value)
{
	assert_true(pit_write(&pit, port, now, value));
}

static uint8_t in(uint16_t port)
{
	uint8_t value = 0xa5;

	assert_true(pit_read(&pit, port, now, &value));
	return value;
}

static void fresh(void)
{
	now = 5 * SEC;
	pulses = 0;
	line = false;
	answer = 1;
	pit_init(&pit, now, KVM_PIT_SPEAKER_DUMMY,
		 &(struct pit_wires){ on_irq, &pit });
}

/* Sleeps until `end` as the VM's thread does; returns how often it woke. */
static unsigned sleep_until(int64_t end)
{
	unsigned woken = 0;

	for (; pit_next_event_ns(&pit) <= end; woken++) {
		assert_true(pit_next_event_ns(&pit) > now);
		now = pit_next_event_ns(&pit);
		pit_advance(&pit, now);
	}
	now = end;
	pit_advance(&pit, now);
	return woken;
}

static void word(uint16_t port, unsigned value)
{
	out(port, (uint8_t)value);
	out(port, (uint8_t)(value >> 8));
}

static void unprogrammed(void **state)
{
	(void)state;
	fresh();
	assert_int_equal(pit_next_event_ns(&pit), PIT_NEVER);
	assert_int_equal(sleep_until(now + 100 * SEC), 0);
	assert_int_equal(pulses, 0);
	assert_int_equal(in(0x43), 0);
}

static void ticks_and_ns_are_inverse(void **state)
{
	(void)state;
	assert_int_equal(pit_ticks(SEC), PIT_HZ);
	assert_int_equal(pit_ticks(-1), -1);
	assert_int_equal(pit_ticks(-SEC), -PIT_HZ);
	for (unsigned i = 0; i < 100000; i++) {
		const int64_t t = ((int64_t)rand() << 22 ^ rand()) &
				  ((1ll << 50) - 1);

		assert_int_equal(pit_ticks(pit_ns(t)), t);
		assert_int_equal(pit_ticks(pit_ns(t) - 1), t - 1);
		assert_int_equal(pit_ticks(-pit_ns(t)),
				 t % PIT_HZ ? -t - 1 : -t);
	}
}

/* Mode 2, count 0: 18.2 Hz, and no drift in ten years. */
static void seabios_timer(void **state)
{
	(void)state;
	fresh();
	const int64_t start = now;
	out(0x43, 0x34);
	assert_int_equal(pit_next_event_ns(&pit), PIT_NEVER);
	word(0x40, 0);
	assert_int_equal(pit_next_event_ns(&pit), start + pit_ns(65536));
	assert_int_equal(sleep_until(start + 10 * SEC), 182);
	assert_int_equal(pulses, 182);
	now = start + 10 * 365 * 86400 * SEC;
	pit_advance(&pit, now);
	assert_int_equal(182 + 1 + pit.missed,
			 10 * 365 * 86400ll * PIT_HZ / 65536);
}

static void linux_periodic_oneshot_shutdown(void **state)
{
	(void)state;
	fresh();
	out(0x43, 0x34); /* pit_set_periodic(), HZ = 250 */
	word(0x40, 4773);
	int64_t start = now;
	assert_int_equal(sleep_until(start + SEC), 249);
	out(0x43, 0x30); /* pit_shutdown() */
	word(0x40, 0);
	assert_int_equal(pulses, 249);
	assert_false(line);
	start = now;
	assert_int_equal(sleep_until(start + SEC), 1);
	assert_true(line);
	out(0x43, 0x38); /* pit_set_oneshot(), then pit_next_event() */
	pulses = 0;
	for (unsigned i = 0; i < 10; i++) {
		word(0x40, 1000 + i);
		assert_int_equal(pit_next_event_ns(&pit),
				 now + pit_ns(1001 + i));
		assert_int_equal(sleep_until(now + SEC), 1);
	}
	assert_int_equal(pulses, 10);
}

/* pit_calibrate_tsc(): counter 2 in mode 0, 50 ms, OUT seen at port 61h. */
static void linux_tsc_calibration(void **state)
{
	(void)state;
	fresh();
	out(0x61, (in(0x61) & ~0x02) | 0x01);
	out(0x43, 0xb0);
	word(0x42, PIT_HZ / 20);
	const int64_t end = now + pit_ns(PIT_HZ / 20);
	assert_int_equal(in(0x61) & 0x23, 0x01);
	now = end - 1;
	assert_int_equal(in(0x61) & 0x20, 0);
	now = end;
	assert_int_equal(in(0x61) & 0x20, 0x20);
	/* quick_pit_calibrate(): FFFFh, and watches the high byte fall. */
	out(0x43, 0xb0);
	word(0x42, 0xffff);
	const int64_t start = now;
	for (unsigned msb = 0xff; msb > 0xe0; msb--) {
		now = start + pit_ns(0xffff - (msb << 8));
		in(0x42);
		assert_int_equal(in(0x42), msb);
		now++;
		now = start + pit_ns(0x10000 - (msb << 8));
		in(0x42);
		assert_int_equal(in(0x42), msb - 1);
	}
	/* The gate stops it where it is. */
	out(0x61, 0x00);
	now += SEC;
	in(0x42);
	assert_int_equal(in(0x42), 0xe0);
}

static void latch(void **state)
{
	(void)state;
	fresh();
	out(0x43, 0x34);
	word(0x40, 0x1234);
	out(0x43, 0x00);
	now += pit_ns(0x100);
	out(0x43, 0x00); /* ignored: the first is not read yet */
	assert_int_equal(in(0x40), 0x34);
	assert_int_equal(in(0x40), 0x12);
	assert_int_equal(in(0x40), 0x34); /* running */
	assert_int_equal(in(0x40), 0x11);
	out(0x43, 0x00);
	out(0x43, 0x14); /* reprogrammed: the latch is gone */
	out(0x40, 0x80);
	assert_int_equal(in(0x40), 0x80);
	out(0x43, 0x24); /* high byte only */
	out(0x40, 0x56);
	now += pit_ns(1);
	assert_int_equal(in(0x40), 0x55);
	out(0x43, 0x00);
	assert_int_equal(in(0x40), 0x55);
}

static void read_back(void **state)
{
	(void)state;
	fresh();
	out(0x43, 0x36);
	word(0x40, 0x1000);
	out(0x43, 0x74);
	out(0x43, 0xe6); /* status of counters 0 and 1 */
	assert_int_equal(in(0x40), 0xb6);
	assert_int_equal(in(0x41), 0xf4); /* null count */
	out(0x43, 0xc2); /* both of counter 0: the status comes first */
	now += pit_ns(0x900);
	out(0x43, 0xc2);
	assert_int_equal(in(0x40), 0xb6);
	assert_int_equal(in(0x40), 0x00);
	assert_int_equal(in(0x40), 0x10);
	out(0x43, 0xe2); /* the low half by now */
	assert_int_equal(in(0x40), 0x36);
	out(0x43, 0xd2); /* count only */
	assert_int_equal(in(0x40), 0x00);
	assert_int_equal(in(0x40), 0x0e);
	out(0x43, 0xf0); /* neither */
	out(0x43, 0xc0); /* of nobody */
	assert_int_equal(pit.counter[0].s.count_latched, 0);
	assert_int_equal(pit.counter[0].s.status_latched, 0);
}

static void bcd(void **state)
{
	(void)state;
	fresh();
	out(0x43, 0x35);
	word(0x40, 0x9876);
	now += pit_ns(877);
	assert_int_equal(in(0x40), 0x99);
	assert_int_equal(in(0x40), 0x89);
	word(0x40, 0);
	out(0x43, 0x35);
	word(0x40, 0); /* 10000 */
	assert_int_equal(pit_next_event_ns(&pit), now + pit_ns(10000));
	now += pit_ns(1);
	assert_int_equal(in(0x40), 0x99);
	assert_int_equal(in(0x40), 0x99);
}

/* A new count waits for the end of the period, or of the half. */
static void deferred_reload(void **state)
{
	(void)state;
	fresh();
	out(0x43, 0x34);
	const int64_t start = now;
	word(0x40, 1000);
	now = start + pit_ns(400);
	word(0x40, 3000);
	assert_int_equal(pit_next_event_ns(&pit), start + pit_ns(1000));
	assert_int_equal(in(0x40), 600 & 0xff);
	assert_int_equal(in(0x40), 600 >> 8);
	sleep_until(start + pit_ns(1000));
	assert_int_equal(pulses, 1);
	assert_in_range(pit_next_event_ns(&pit), start + pit_ns(4000),
			start + pit_ns(4000) + 1);

	fresh();
	out(0x43, 0x36);
	word(0x40, 1000);
	now = start + pit_ns(400); /* high until 500, then 1500 low */
	word(0x40, 3000);
	assert_in_range(pit_next_event_ns(&pit), start + pit_ns(2000),
			start + pit_ns(2000) + 1);
	sleep_until(start + pit_ns(2000) + 1);
	assert_int_equal(pulses, 1);
	now = start + pit_ns(4000); /* low from 3500 to 5000, as it was */
	word(0x40, 10);
	assert_in_range(pit_next_event_ns(&pit), start + pit_ns(5000),
			start + pit_ns(5000) + 2);
}

static void late_and_fast(void **state)
{
	(void)state;
	fresh();
	out(0x43, 0x34);
	word(0x40, 1193);
	now += 10 * SEC;
	pit_advance(&pit, now);
	assert_int_equal(pulses, 1);
	assert_int_equal(pit.missed, 10 * PIT_HZ / 1193 - 1);
	pit_advance(&pit, now - SEC); /* another thread, a little behind */
	assert_int_equal(pit.now, now);
	/* 10 us: served every 200, never made up for. */
	out(0x43, 0x34);
	assert_int_equal(pit.missed, 0);
	word(0x40, 12);
	assert_int_equal(pit_next_event_ns(&pit), now + PIT_MIN_PERIOD_NS);
	assert_int_equal(sleep_until(now + SEC), 5000);
	assert_int_equal(pit.missed, 0);
	out(0x43, 0x34);
	word(0x40, 1); /* illegal */
	assert_int_equal(pit_next_event_ns(&pit), PIT_NEVER);
	word(0x40, 2000);
	assert_int_equal(pit_next_event_ns(&pit), now + pit_ns(2000));
}

static void reinject(void **state)
{
	(void)state;
	fresh();
	out(0x43, 0x34);
	word(0x40, 1193);
	answer = 0; /* the last one was not taken yet */
	now += pit_ns(3 * 1193);
	pit_advance(&pit, now);
	assert_int_equal(pit.missed, 3);
	answer = 1;
	pulses = 0;
	for (unsigned i = 0; i < 5; i++)
		pit_acked(&pit);
	assert_int_equal(pulses, 3);
	answer = -1; /* masked: nobody misses them */
	now += pit_ns(3 * 1193);
	pit_advance(&pit, now);
	assert_int_equal(pit.missed, 0);
	answer = 1;
	now += pit_ns(3 * 1193);
	pit_advance(&pit, now);
	assert_int_equal(pit.missed, 2);
	answer = 0; /* an EOI, but the other chip's copy still waits */
	pit_acked(&pit);
	assert_int_equal(pit.missed, 2);
	pit_forget_missed(&pit);
	assert_int_equal(pit.missed, 0);
	pit_reinject(&pit, false);
	now += pit_ns(10 * 1193);
	pit_advance(&pit, now);
	assert_int_equal(pit.missed, 0);
}

static void port_61(void **state)
{
	struct kvm_pit_state2 s;
	unsigned toggles = 0;
	uint8_t value = 0;

	(void)state;
	fresh();
	assert_int_equal(in(0x61) & 0x03, 0);
	out(0x61, 0xff);
	assert_int_equal(in(0x61) & ~0x30, 0x03);
	pit_get(&pit, now, &s);
	assert_int_equal(s.flags, KVM_PIT_FLAGS_SPEAKER_DATA_ON);
	assert_int_equal(s.channels[2].gate, 1);
	/* The refresh bit toggles every 15.085 us. */
	uint8_t last = in(0x61) & 0x10;
	for (unsigned us = 0; us < 15085; us++) {
		now += 1000;
		const uint8_t bit = in(0x61) & 0x10;
		toggles += bit != last;
		last = bit;
	}
	assert_in_range(toggles, 998, 1001);
	pit_init(&pit, now, 0, &(struct pit_wires){ on_irq, &pit });
	for (uint32_t port = 0; port < 0x10000; port++) {
		const bool own = port >= 0x40 && port < 0x44;

		assert_int_equal(pit_read(&pit, (uint16_t)port, now, &value),
				 own);
		assert_int_equal(pit_write(&pit, (uint16_t)port, now, 0), own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unprogrammed),
		cmocka_unit_test(ticks_and_ns_are_inverse),
		cmocka_unit_test(seabios_timer),
		cmocka_unit_test(linux_periodic_oneshot_shutdown),
		cmocka_unit_test(linux_tsc_calibration),
		cmocka_unit_test(latch),
		cmocka_unit_test(read_back),
		cmocka_unit_test(bcd),
		cmocka_unit_test(deferred_reload),
		cmocka_unit_test(late_and_fast),
		cmocka_unit_test(reinject),
		cmocka_unit_test(port_61),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
