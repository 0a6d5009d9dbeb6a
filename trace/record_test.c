/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record_test.c - what luvtrace record and clock say to wrong options, and to a
 * machine without the VMM, which the one that builds this is.
 */
#include "test.h"

static void says(const char *arguments, int want, const char *sentence)
{
	char command[300];
	int status;
	char *said;

	snprintf(command, sizeof(command), "%s%s 2>&1", LUVTRACE, arguments);
	said = run(command, &status);
	if (status != want)
		fail_msg("%s: status %d, not %d: %s", arguments, status, want,
			 said);
	assert_has(said, sentence);
	free(said);
}

static void wrong_filters_get_a_sentence(void **state)
{
	(void)state;
	says("record -d 0,x", 2, "x is no list of domains: give numbers, as in 0,1.");
	says("record -d ''", 2, "is no list of domains");
	says("record -d 0,", 2, "is no list of domains");
	says("record -d -1", 2, "-1 is no list of domains");
	says("record -d 0,65", 2, "65 is none of the domains: they are 0 to 64.");
	says("record -c 1,5000", 2, "5000 is none of the CPUs");
	says("record -k cpuid,bogus", 2, "bogus is no reason of an exit; see luvctl stat.");
	says("record -k ,", 2, "-k wants reasons of exits");
	says("record -m slow", 2, "usage: luvtrace record");
	says("record -b 0", 2, "usage: luvtrace record");
	says("clock now", 2, "usage: luvtrace clock");
}

static void no_vmm_gets_a_sentence(void **state)
{
	(void)state;
	says("record -d 0,64 -k cpuid,io -c 0,1 -b 1 -s 1", 1,
	     "boot this machine with Luvalley");
	says("clock", 1, ": boot this machine with Luvalley.\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_filters_get_a_sentence),
		cmocka_unit_test(no_vmm_gets_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
