/* SPDX-License-Identifier: BSD-2-Clause */
/* cpuid_test.c - what this machine's CPUID becomes for a guest. */
#include "cpuid.h"
#include "fpu.h"
#include "hyper.h"
#include "ioctl.h"
#include "say.h"

#include <errno.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

int say_level;
static uint64_t xcr0 = 7;
static struct kvm_cpuid_entry2 rows[256];
static unsigned count;

void say(const char *format, ...)
{
	(void)format;
}

uint64_t fpu_xcr0_mask(void)
{
	return xcr0;
}

long hyper_buffer(unsigned nr, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t r10, void *buf, size_t len)
{
	(void)nr;
	(void)rdi;
	(void)rsi;
	(void)rdx;
	(void)r10;
	(void)buf;
	(void)len;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	count = cpuid_supported(rows, 256);
	return 0;
}

static const struct kvm_cpuid_entry2 *find(uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < count; i++)
		if (rows[i].function == leaf && rows[i].index == subleaf)
			return &rows[i];
	return NULL;
}

/* The VMM takes so many. */
static void it_fits(void **state)
{
	(void)state;
	assert_true(count > 10 && count <= LUV_CPUIDS);
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < i; j++)
			assert_false(rows[i].function == rows[j].function &&
				     rows[i].index == rows[j].index);
}

static void no_nesting_and_no_counters(void **state)
{
	(void)state;
	assert_false(find(1, 0)->ecx & (1u << 5 | 1u << 3 | 1u << 15));
	assert_false(find(0x80000001, 0)->ecx & 1u << 2);
	if (find(0xa, 0))
		assert_int_equal(find(0xa, 0)->eax, 0);
}

static void pv_leaves(void **state)
{
	(void)state;
	assert_int_equal(find(0x40000000, 0)->eax, 0x40000001);
	assert_memory_equal(&find(0x40000000, 0)->ebx, "KVMKVMKVM\0\0\0", 12);
	/* Nothing that needs a structure we do not fill. */
	assert_int_equal(find(0x40000001, 0)->eax &
				 ~(1u | 2u | 8u | 1u << 6 | 1u << 24), 0);
}

static void leaf_d_is_what_the_vmm_switches(void **state)
{
	(void)state;
	if (!find(0xd, 0))
		skip();
	assert_int_equal(find(0xd, 0)->eax & ~7u, 0);
	assert_true(find(0xd, 0)->ecx <= FPU_BYTES);
	assert_null(find(0xd, 5));
	if (find(7, 0))
		assert_false(find(7, 0)->ebx & 1u << 16);
}

static void too_little_room(void **state)
{
	static uint64_t room[(256 * sizeof(struct kvm_cpuid_entry2)) / 8 + 1];
	struct kvm_cpuid2 *c = (struct kvm_cpuid2 *)(void *)room;

	(void)state;
	c->nent = 3;
	assert_int_equal(system_get_supported_cpuid(NULL, (uintptr_t)c),
			 -E2BIG);
	c->nent = 256;
	assert_int_equal(system_get_supported_cpuid(NULL, (uintptr_t)c), 0);
	assert_int_equal(c->nent, count);
	assert_int_equal(cpuid_supported(NULL, 0), count);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(it_fits), T(no_nesting_and_no_counters), T(pv_leaves),
		T(leaf_d_is_what_the_vmm_switches), T(too_little_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
