/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * diff_test.c - luvtrace diff finds the one kind that was made slower, across
 * vendors, and nothing where the captures differ by chance alone.
 */
#include "test.h"

#define DIFF LUVTRACE "diff "

static void across_vendors(void **state)
{
	(void)state;
	free(output(IN_TMP SYNTH "-n 40000 -i vmx $T/a && " SYNTH
		"-n 40000 -i svm -s 7 -x cpuid:1.25 $T/b && " DIFF
		"--vmm --confidence 99.9 $T/a $T/b > $T/d && "
		"grep -q 'dom0 *cpuid.*slower' $T/d && "
		"grep -q 'domU *cpuid.*slower' $T/d && "
		"test $(grep -c 'slower$' $T/d) = 2 && "
		"test $(grep -c 'faster$' $T/d) = 0"));
}

static void with_itself(void **state)
{
	(void)state;
	free(output(IN_TMP SYNTH "-n 20000 $T/a && " DIFF "$T/a $T/a > $T/d && "
		    "grep -q '+0.00%' $T/d && ! grep -q 'er$' $T/d"));
}

static void as_json(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 20000 $T/a && " DIFF
			    "--json $T/a $T/a");

	(void)state;
	assert_has(said, "\"exit\": \"cpuid\"");
	assert_has(said, "\"ratio\": 1.0");
	free(said);
}

static void wrong_input(void **state)
{
	int status;
	char *said = run(IN_TMP DIFF "$T", &status);

	(void)state;
	assert_int_equal(status, 2);
	free(said);
	said = run(IN_TMP SYNTH "-n 100 $T/a && " DIFF "$T/a $T/none", &status);
	assert_int_equal(status, 1);
	assert_has(said, "none: No such file");
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(across_vendors),
		cmocka_unit_test(with_itself),
		cmocka_unit_test(as_json),
		cmocka_unit_test(wrong_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
