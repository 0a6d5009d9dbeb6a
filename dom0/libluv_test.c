/* SPDX-License-Identifier: BSD-2-Clause */
#include "libluv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct luv_info answer(uint32_t version)
{
	struct luv_info info = { .abi_version = version };

	memcpy(info.signature, LUV_SIGNATURE, sizeof(info.signature));
	return info;
}

static void said(long error, const char *what, const char *advice)
{
	assert_non_null(strstr(luv_strerror(error), what));
	assert_non_null(strstr(luv_strerror(error), advice));
}

static void ours(void **state)
{
	const struct luv_info info = answer(LUV_ABI_VERSION);

	(void)state;
	assert_int_equal(luv_check(&info, sizeof(info)), 0);
}

static void another_abi(void **state)
{
	const struct luv_info info = answer(LUV_ABI_VERSION + 6);

	(void)state;
	assert_int_equal(luv_check(&info, sizeof(info)), LUV_OTHER_ABI);
	said(LUV_OTHER_ABI, "the VMM speaks ABI version 7, this program "
	     "version 1: ", "use the one built together with that VMM");
}

static void too_little(void **state)
{
	const struct luv_info info = answer(LUV_ABI_VERSION);

	(void)state;
	assert_int_equal(luv_check(&info, 8), LUV_OTHER_ABI);
	said(LUV_OTHER_ABI, "answers identify with 8: ",
	     "use the program built together with it");
}

static void another_hypervisor(void **state)
{
	const struct luv_info info = { 0 };

	(void)state;
	assert_int_equal(luv_check(&info, -1), LUV_ABSENT);
	said(LUV_ABSENT, "another hypervisor answered the hypercall with -1: ",
	     "boot this machine with Luvalley");
}

/* On whatever it is that the test runs on. */
static void absent(void **state)
{
	(void)state;
	if (luv_open() == 0)
		skip();
	said(LUV_ABSENT, "not running under Luvalley, ",
	     "boot this machine with Luvalley");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours),
		cmocka_unit_test(another_abi),
		cmocka_unit_test(too_little),
		cmocka_unit_test(another_hypervisor),
		cmocka_unit_test(absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
