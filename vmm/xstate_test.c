/* SPDX-License-Identifier: BSD-2-Clause */
/* xstate_test.c - CPUs as their CPUID leaf 0Dh has them. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
#include "xstate.h"

#define AREA 4096

/* Size and offset of what the processors to date have, in the standard form. */
static const struct cpuid all[32] = {
	[2] = { 256, 576, 0, 0 },    /* AVX */
	[3] = { 64, 960, 0, 0 },     /* BNDREGS */
	[4] = { 64, 1024, 0, 0 },    /* BNDCSR */
	[5] = { 64, 1088, 0, 0 },    /* opmask */
	[6] = { 512, 1152, 0, 0 },   /* ZMM_Hi256 */
	[7] = { 1024, 1664, 0, 0 },  /* Hi16_ZMM */
	[9] = { 8, 2688, 0, 0 },     /* PKRU */
	[17] = { 64, 2752, 2, 0 },   /* TILECFG */
	[18] = { 8192, 2816, 6, 0 }, /* TILEDATA: XFD */
};

static uint32_t have;
static struct cpuid component[32];

static struct cpuid ask(uint32_t leaf, uint32_t sub)
{
	if (leaf == 1)
		return (struct cpuid){ .c = have ? BIT(26) : 0 };
	assert_int_equal(leaf, 0xd);
	if (sub == 0)
		return (struct cpuid){ .a = have };
	assert_in_range(sub, 2, 31);
	return component[sub];
}

static void is(uint32_t has, uint64_t mask, uint32_t size)
{
	struct xstate x;

	have = has;
	x = xstate_of(ask, AREA);
	assert_int_equal(x.mask, mask);
	assert_int_equal(x.size, size);
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(component); i++)
		component[i] = all[i];
	return 0;
}

static void what_cpus_have(void **state)
{
	(void)state;
	is(0, 0, 512);
	is(0x3, 0x3, 576);
	is(0x7, 0x7, 832);		/* Haswell */
	is(0x1f, 0x1f, 1088);		/* Skylake */
	is(0x2e7, 0x2e7, 2696);		/* Skylake-SP, Ice Lake */
	is(0x207, 0x207, 2696);		/* Zen 3: no AVX-512, but its room */
}

/* 11008 bytes: its halves come together, and the tiles need XFD. */
static void amx(void **state)
{
	(void)state;
	is(0x602e7, 0x2e7, 2696);
	component[18].c = 2; /* nor do they fit */
	is(0x602e7, 0x2e7, 2696);
	component[18] = (struct cpuid){ 64, 2816, 2, 0 };
	is(0x602e7, 0x602e7, 2880);
}

static void half_a_group(void **state)
{
	(void)state;
	is(0x2f, 0x7, 832); /* BNDREGS and the opmask alone */
	component[7].b = AREA - 1023;
	is(0x2e7, 0x207, 2696);
	component[7].b--;
	is(0x2e7, 0x2e7, AREA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_cpus_have, setup),
		cmocka_unit_test_setup(amx, setup),
		cmocka_unit_test_setup(half_a_group, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
