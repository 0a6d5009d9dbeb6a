/* SPDX-License-Identifier: BSD-2-Clause */
/* msr_test.c - the MSR table, with a vCPU that is a structure only. */
#include "msr.h"
#include "ioctl.h"
#include "say.h"
#include "vcpu.h"

#include <errno.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

int say_level;
static struct vm vm;
static struct vcpu cpu;
static uint64_t tsc_now;

static unsigned said;

void say(const char *format, ...)
{
	(void)format;
	said++;
}

struct luv_vcpu *vcpu_state(struct vcpu *v)
{
	return &v->s;
}

struct luv_vcpu *vcpu_change(struct vcpu *v)
{
	v->s_dirty = true;
	return &v->s;
}

uint64_t clock_tsc(void)
{
	return tsc_now;
}

uint32_t clock_tsc_khz(void)
{
	return 1000000;
}

bool clock_tell_wall(struct clock *c, struct memory *m, uint64_t gpa)
{
	(void)c;
	(void)m;
	(void)gpa;
	return true;
}

static int setup(void **state)
{
	(void)state;
	memset(&cpu, 0, sizeof(cpu));
	memset(&vm, 0, sizeof(vm));
	cpu.vm = &vm;
	msr_init(&cpu.msr);
	return 0;
}

static uint64_t get(uint32_t msr)
{
	uint64_t value = 0;

	assert_true(msr_read(&cpu, msr, &value, true));
	return value;
}

/* QEMU reads and writes whatever the list says. */
static void what_is_listed_is_there(void **state)
{
	(void)state;
	assert_true(msr_list_count() > 30);
	for (unsigned i = 0; i < msr_list_count(); i++) {
		uint32_t msr = msr_list_index(i);
		uint64_t value = 0;

		assert_true(msr_read(&cpu, msr, &value, true));
		assert_true(msr_write(&cpu, msr, value, true));
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(msr_list_index(j), msr);
	}
}

static void registers_are_the_vcpus(void **state)
{
	(void)state;
	assert_true(msr_sets_register(0xc0000082, 0x1234));
	assert_false(msr_sets_register(0x200, 0));
	assert_true(msr_write(&cpu, 0xc0000082, 0x1234, true));
	assert_int_equal(cpu.s.lstar, 0x1234);
	assert_true(cpu.s_dirty);
	cpu.s.star = 5;
	assert_int_equal(get(0xc0000081), 5);
	assert_true(msr_write(&cpu, 0xc0000103, 7, false));
	assert_false(msr_write(&cpu, 0xc0000103, 1ull << 32, false));
	assert_int_equal(cpu.s.tsc_aux, 7);
}

/* Neither a client nor a guest: the processor would not take it, either. */
static void registers_refuse(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t good, bad;
	} rows[] = {
		{ 0x277, 0x0007040600070406, 0x0007040600070402 },
		{ 0x277, 0x0505050505050505, 0x0300000000000000 },
		{ 0x277, 0x0101010101010101, 0x0000000000080000 },
		{ 0x277, 0x0606060606060606, 0x8000000000000000 },
		{ 0xc0000103, 0xffffffff, 0x100000000 },
		{ 0xc0000084, 0x47700, 0x100000000 },
		{ 0xc0000082, 0xffff800000000000, 0x0000800000000000 },
		{ 0x4b564d04, 0x5001, 0x5002 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int host = 0; host < 2; host++) {
			assert_true(msr_write(&cpu, rows[i].msr, rows[i].good,
					      host));
			assert_false(msr_write(&cpu, rows[i].msr, rows[i].bad,
					       host));
			assert_int_equal(get(rows[i].msr), rows[i].good);
			assert_true(msr_sets_register(rows[i].msr,
						      rows[i].good));
			assert_false(msr_sets_register(rows[i].msr,
						       rows[i].bad));
		}
}

static void lma_is_not_written(void **state)
{
	(void)state;
	assert_true(msr_write(&cpu, 0xc0000080, 0xd01, true));
	assert_int_equal(get(0xc0000080), 0x901);
	cpu.s.efer = 0x500;
	assert_true(msr_write(&cpu, 0xc0000080, 0x900, true));
	assert_int_equal(get(0xc0000080), 0xd00);
	assert_false(msr_write(&cpu, 0xc0000080, 0x1100, true));
	assert_int_equal(get(0xc0000080), 0xd00);
}

static void every_kept_msr_is_its_own(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 16; i++)
		assert_true(msr_write(&cpu, 0x200 + i, 0x1000 * (i + 1), true));
	for (uint32_t i = 0; i < 8; i++)
		assert_true(msr_write(&cpu, 0x268 + i, i, true));
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(get(0x200 + i), 0x1000 * (i + 1));
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(get(0x268 + i), i);
	assert_int_equal(get(0x2ff), 0);
}

static void the_guest_may_do_less(void **state)
{
	(void)state;
	assert_false(msr_write(&cpu, 0x2ff, ~0ull, false));
	assert_true(msr_write(&cpu, 0x2ff, 0xc06, false));
	assert_false(msr_write(&cpu, 0xce, 1, false));
	assert_true(msr_write(&cpu, 0xce, 1, true));
	/* Linux writes 0 there before it asks for the microcode's version. */
	assert_true(msr_write(&cpu, 0x8b, 0, false));
	assert_int_equal(get(0x8b), 0x01000065);
	assert_false(msr_write(&cpu, 0x12345, 0, false));
	assert_false(msr_read(&cpu, 0x12345, &(uint64_t){ 0 }, true));
}

static void banks_end_where_the_client_said(void **state)
{
	uint64_t cap = 10 | 1 << 8, value;

	(void)state;
	assert_int_equal(vcpu_ioctl_setup_mce(&cpu, (uintptr_t)&cap), 0);
	assert_int_equal(get(0x179), cap);
	assert_true(msr_read(&cpu, 0x400 + 39, &value, true));
	assert_false(msr_read(&cpu, 0x400 + 40, &value, true));
	cap = 33;
	assert_int_equal(vcpu_ioctl_setup_mce(&cpu, (uintptr_t)&cap), -EINVAL);
}

/* Two vCPUs written one after the other have one TSC. */
static void tscs_stay_together(void **state)
{
	uint64_t first;

	(void)state;
	tsc_now = 5000000000;
	assert_true(msr_write(&cpu, 0x10, 0, true));
	first = cpu.s.tsc_offset;
	assert_true(first == 0 - tsc_now);
	tsc_now += 700000;
	assert_true(msr_write(&cpu, 0x10, 0, true));
	assert_true(cpu.s.tsc_offset == first);
	assert_int_equal(get(0x10), 700000);
	tsc_now += 1ull << 40;
	assert_true(msr_write(&cpu, 0x10, 0, true));
	assert_true(cpu.s.tsc_offset == 0 - tsc_now);
	/* The guest gets what it writes. */
	assert_true(msr_write(&cpu, 0x10, 12345, false));
	assert_int_equal(get(0x10), 12345);
}

static void a_clock_is_filled_before_the_guest_runs(void **state)
{
	(void)state;
	assert_true(msr_write(&cpu, 0x4b564d01, 0x5001, false));
	assert_true(cpu.kvmclock == 0x5001 && cpu.kvmclock_stale);
	assert_int_equal(get(0x4b564d01), 0x5001);
	assert_true(msr_write(&cpu, 0x4b564d01, 0, false));
	assert_false(cpu.kvmclock_stale);
}

static void get_and_set_count(void **state)
{
	static const struct kvm_msr_entry rows[3] = {
		{ 0x200, 0, 7 }, { 0x9999, 0, 0 }, { 0x201, 0, 9 }
	};
	uint64_t room[8] = { 0 };
	struct kvm_msrs *m = (struct kvm_msrs *)(void *)room;

	(void)state;
	m->nmsrs = 3;
	memcpy(m->entries, rows, sizeof(rows));
	assert_int_equal(vcpu_ioctl_set_msrs(&cpu, (uintptr_t)m), 1);
	assert_int_equal(vcpu_ioctl_get_msrs(&cpu, (uintptr_t)m), 1);
	assert_int_equal(get(0x201), 0);
}

/* QEMU ends by an assertion where it is refused one of its hv-* options'. */
static void hyperv_is_told(void **state)
{
	uint64_t room[4] = { 0 };
	struct kvm_msrs *m = (struct kvm_msrs *)(void *)room;

	(void)state;
	m->nmsrs = 1;
	m->entries[0].index = 0x9999;
	said = 0;
	assert_int_equal(vcpu_ioctl_set_msrs(&cpu, (uintptr_t)m), 0);
	assert_int_equal(said, 0);
	m->entries[0].index = 0x40000021;
	assert_int_equal(vcpu_ioctl_set_msrs(&cpu, (uintptr_t)m), 0);
	assert_int_equal(said, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(what_is_listed_is_there), T(registers_are_the_vcpus),
		T(registers_refuse), T(lma_is_not_written),
		T(every_kept_msr_is_its_own), T(the_guest_may_do_less),
		T(banks_end_where_the_client_said), T(tscs_stay_together),
		T(a_clock_is_filled_before_the_guest_runs),
		T(get_and_set_count),
		T(hyperv_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
