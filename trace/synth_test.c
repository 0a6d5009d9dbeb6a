/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * synth_test.c - babeltrace2, a program that knows nothing of us, opens a
 * capture as it is, without a word of complaint, and finds every event.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* BIN: the folder of the programs under test. */
#define IN_TMP "T=$(mktemp -d) && trap 'rm -rf \"$T\"' EXIT && "
#define SYNTH  BIN "/synth "
#define BT     "babeltrace2 --no-delta --clock-cycles "

/* What `command` prints on both its outputs; its exit status is 0. */
static char *output(const char *command)
{
	char *text = NULL;
	size_t len = 0;
	FILE *p = popen(command, "r");

	assert_non_null(p);
	(void)!getdelim(&text, &len, '\0', p);
	if (pclose(p))
		fail_msg("%s: %s", command, text);
	return text;
}

static void opens_unchanged(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 20001 -c 3 -b 16 $T/t && exec 2>&1 "
			    "&& babeltrace2 $T/t -c sink.utils.counter");

	(void)state;
	assert_non_null(strstr(said, "20001 Event messages"));
	assert_non_null(strstr(said, "0 Discarded event messages"));
	assert_non_null(strstr(said, "3 Stream beginning messages"));
	assert_null(strstr(said, "PLUGIN"));
	free(said);
}

static void fields_have_names(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 3000 -c 1 -i svm $T/t && exec 2>&1 "
			    "&& " BT "$T/t | grep -m1 '\"io\"'");

	(void)state;
	assert_non_null(strstr(said, "kvm_exit: "));
	assert_non_null(strstr(said, "guest_rip = 0xFFFFFFFF810"));
	assert_non_null(strstr(said, "isa = ( \"SVM\" : container = 2 )"));
	assert_non_null(strstr(said, "exit_reason = 0x7B"));
	assert_non_null(strstr(said, "\"ring3\""));
	free(said);
}

static void losses_are_seen(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 3000 -c 1 -b 16 -l 7 $T/t && "
			    "babeltrace2 $T/t 2>&1 >/dev/null");

	(void)state;
	assert_non_null(strstr(said, "Tracer discarded 7 events"));
	free(said);
}

static void same_arguments_same_bytes(void **state)
{
	(void)state;
	free(output(IN_TMP SYNTH "-n 5000 $T/a && " SYNTH "-n 5000 $T/b && "
		    SYNTH "-n 5000 -s 2 $T/c && diff -r $T/a $T/b && "
		    "! cmp -s $T/a/cpu0 $T/c/cpu0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_unchanged),
		cmocka_unit_test(fields_have_names),
		cmocka_unit_test(losses_are_seen),
		cmocka_unit_test(same_arguments_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
