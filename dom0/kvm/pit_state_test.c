/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pit_state_test.c - the PIT as KVM_GET_PIT2 and KVM_SET_PIT2 see it: clocks
 * that stood still or are another host's, KVM's own states, any bytes at all.
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

static void word(uint16_t port, unsigned value)
{
	out(port, (uint8_t)value);
	out(port, (uint8_t)(value >> 8));
}

static void hpet_legacy(void **state)
{
	struct kvm_pit_state2 s;

	(void)state;
	fresh();
	out(0x43, 0x34);
	word(0x40, 1193);
	pit_get(&pit, now, &s);
	assert_int_equal(s.flags, 0);
	s.flags = KVM_PIT_FLAGS_HPET_LEGACY;
	pit_set(&pit, now, &s);
	assert_int_equal(pit_next_event_ns(&pit), PIT_NEVER);
	now += SEC;
	out(0x43, 0x30);
	out(0x43, 0x34);
	word(0x40, 1193);
	assert_int_equal(pulses, 0);
	pit_get(&pit, now, &s);
	assert_int_equal(s.flags, KVM_PIT_FLAGS_HPET_LEGACY);
	s.flags = 0;
	pit_set(&pit, now, &s);
	assert_int_equal(pit_next_event_ns(&pit), now + pit_ns(1193));
}

/* As QEMU: what passes between stop and continue, passes for nobody. */
static void stopped_clock(void **state)
{
	struct kvm_pit_state2 s;

	(void)state;
	fresh();
	out(0x43, 0x34);
	word(0x40, 0);
	now += pit_ns(20000);
	pit_get(&pit, now, &s);
	now += 3600 * SEC;
	for (unsigned i = 0; i < 3; i++)
		s.channels[i].count_load_time += 3600 * SEC;
	pit_set(&pit, now, &s);
	assert_int_equal(pulses, 0);
	assert_int_equal(pit_next_event_ns(&pit), now + pit_ns(65536) -
			 pit_ns(20000));
}

static void strange_clocks(void **state)
{
	struct kvm_pit_state2 s;

	(void)state;
	fresh();
	out(0x43, 0x34);
	word(0x40, 1193);
	pit_get(&pit, now, &s);
	/* Of a host that has been up for longer: as if loaded now. */
	s.channels[0].count_load_time = now + 100 * SEC;
	pit_set(&pit, now, &s);
	assert_int_equal(pit_next_event_ns(&pit), now + pit_ns(1193));
	/* Of one that has been up for less: the phase, no missed ticks. */
	s.channels[0].count_load_time = -SEC;
	pit_set(&pit, now, &s);
	assert_true(pit_next_event_ns(&pit) <= now + pit_ns(1193));
	pit_advance(&pit, now);
	assert_int_equal(pulses + pit.missed, 0);
}

static void one_shot_over_fires_again(void **state)
{
	struct kvm_pit_state2 s;

	(void)state;
	fresh();
	out(0x43, 0x30);
	pit_get(&pit, now, &s);
	pit_set(&pit, now, &s);
	assert_int_equal(pit_next_event_ns(&pit), PIT_NEVER);
	word(0x40, 100);
	pit_get(&pit, now, &s);
	pit_set(&pit, now, &s); /* not over */
	assert_int_equal(pit_next_event_ns(&pit), now + pit_ns(100));
	now += SEC;
	pit_advance(&pit, now);
	assert_int_equal(pulses, 1);
	pit_get(&pit, now, &s);
	pit_set(&pit, now, &s);
	assert_int_equal(pit_next_event_ns(&pit), now);
	pit_advance(&pit, now);
	assert_int_equal(pulses, 2);
	assert_int_equal(pit_next_event_ns(&pit), PIT_NEVER);
}

/* What KVM_CREATE_PIT2 and QEMU's reset leave. */
static void states_of_kvm(void **state)
{
	struct kvm_pit_state2 s = { 0 };

	(void)state;
	fresh();
	for (unsigned i = 0; i < 3; i++) {
		s.channels[i].mode = 0xff;
		s.channels[i].gate = i != 2;
	}
	pit_set(&pit, now, &s);
	assert_int_equal(pit_next_event_ns(&pit), PIT_NEVER);
	for (unsigned i = 0; i < 3; i++) {
		s.channels[i].mode = 3;
		s.channels[i].count = 65536;
		s.channels[i].count_load_time = now;
	}
	pit_set(&pit, now, &s);
	assert_int_equal(pit_next_event_ns(&pit), now + pit_ns(65536));
}

static void nonsense_is_made_sense_of(void **state)
{
	(void)state;
	fresh();
	for (unsigned round = 0; round < 20000; round++) {
		struct kvm_pit_state2 s, again;

		for (unsigned i = 0; i < sizeof(s); i++)
			((uint8_t *)&s)[i] = (uint8_t)rand();
		if (round & 1)
			for (unsigned i = 0; i < 3; i++)
				s.channels[i].count_load_time =
					now - rand() % SEC;
		pit_set(&pit, now, &s);
		pit_get(&pit, now, &s);
		pit_set(&pit, now, &s);
		pit_get(&pit, now, &again);
		assert_memory_equal(&s, &again, sizeof(s));
		for (unsigned i = 0; i < 30; i++) {
			const uint16_t port = rand() % 8 ? 0x40 + rand() % 4 :
							   0x61;

			now += rand() % 8 ? rand() % 100000 : rand();
			if (rand() % 2)
				out(port, (uint8_t)rand());
			else
				in(port);
			assert_true(pit_next_event_ns(&pit) >= now);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stopped_clock),
		cmocka_unit_test(strange_clocks),
		cmocka_unit_test(one_shot_over_fires_again),
		cmocka_unit_test(states_of_kvm),
		cmocka_unit_test(nonsense_is_made_sense_of),
		cmocka_unit_test(hpet_legacy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
