/* SPDX-License-Identifier: BSD-2-Clause */
/* clock_test.c - the scale of pvclock, and the record as a guest reads it. */
#include "clock.h"
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static uint8_t ram[4096];

bool memory_read(struct memory *m, uint64_t gpa, void *buf, unsigned len)
{
	(void)m;
	if (gpa + len > sizeof(ram))
		return false;
	memcpy(buf, ram + gpa, len);
	return true;
}

bool memory_write(struct memory *m, uint64_t gpa, const void *buf, unsigned len)
{
	(void)m;
	if (gpa + len > sizeof(ram))
		return false;
	memcpy(ram + gpa, buf, len);
	return true;
}

__extension__ typedef unsigned __int128 product;

/* As Linux does: pvclock_scale_delta(). */
static uint64_t to_ns(uint64_t ticks, uint32_t mul, int8_t shift)
{
	if (shift < 0)
		ticks >>= -shift;
	else
		ticks <<= shift;
	return (uint64_t)((product)ticks * mul >> 32);
}

static void scale(void **state)
{
	static const uint32_t khz[] = { 1000, 999999, 1000000, 1000001, 2000000,
					2445000, 3999999, 4000000, 5200000 };

	(void)state;
	for (size_t i = 0; i < sizeof(khz) / sizeof(khz[0]); i++) {
		uint64_t second = khz[i] * UINT64_C(1000), ns;
		uint32_t mul;
		int8_t shift;

		clock_scale(khz[i], &mul, &shift);
		assert_true(mul >= UINT32_C(1) << 31);
		ns = to_ns(second, mul, shift);
		assert_in_range(ns, 999999990, 1000000010);
	}
}

static void the_record_tells_the_time(void **state)
{
	struct kvm_clock_data set = { .clock = 5000000000 }, got;
	uint32_t version, mul;
	uint64_t stamp, base, now;
	struct clock c;
	int8_t shift;

	(void)state;
	clock_init_vm(&c);
	assert_int_equal(clock_set(&c, &set), 0);
	ram[100] = 6; /* an even version was there */
	assert_true(clock_tell_guest(&c, NULL, 100, 1000));
	memcpy(&version, ram + 100, 4);
	memcpy(&stamp, ram + 108, 8);
	memcpy(&base, ram + 116, 8);
	memcpy(&mul, ram + 124, 4);
	shift = (int8_t)ram[128];
	assert_true(!(version & 1) && version != 6);
	assert_int_equal(ram[129], 1);
	clock_get(&c, &got);
	now = base + to_ns(clock_tsc() + 1000 - stamp, mul, shift);
	assert_in_range(now, got.clock - 20000000, got.clock + 20000000);
	assert_in_range(now, 5000000000, 7000000000);
	assert_false(clock_tell_guest(&c, NULL, 1 << 20, 0));
}

/* Where it does not fit no part of it is written. */
static void a_record_that_does_not_fit(void **state)
{
	static const uint8_t none[8];
	struct clock c;

	(void)state;
	clock_init_vm(&c);
	memset(ram + sizeof(ram) - 8, 0, 8);
	assert_false(clock_tell_guest(&c, NULL, sizeof(ram) - 8, 0));
	assert_false(clock_tell_wall(&c, NULL, sizeof(ram) - 8));
	assert_memory_equal(ram + sizeof(ram) - 8, none, sizeof(none));
}

static void the_wall_clock_is_the_boots(void **state)
{
	struct kvm_clock_data set = { .clock = 10000000000 };
	uint32_t sec;
	struct clock c;

	(void)state;
	clock_init_vm(&c);
	clock_set(&c, &set);
	assert_true(clock_tell_wall(&c, NULL, 0));
	memcpy(&sec, ram + 4, 4);
	assert_in_range(sec, time(NULL) - 12, time(NULL) - 9);
	set.flags = KVM_CLOCK_REALTIME;
	assert_int_equal(clock_set(&c, &set), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scale),
		cmocka_unit_test(the_record_tells_the_time),
		cmocka_unit_test(a_record_that_does_not_fit),
		cmocka_unit_test(the_wall_clock_is_the_boots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
