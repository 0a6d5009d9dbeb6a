/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * synth_test.c - babeltrace2, a program that knows nothing of us, opens a
 * capture as it is, without a word of complaint, and finds every event.
 */
#include "test.h"

#define BT "babeltrace2 --no-delta --clock-cycles "

static void opens_unchanged(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 20001 -c 3 -b 16 $T/t && "
			    "babeltrace2 $T/t -c sink.utils.counter");

	(void)state;
	assert_has(said, "20001 Event messages");
	assert_has(said, "0 Discarded event messages");
	assert_has(said, "3 Stream beginning messages");
	assert_null(strstr(said, "PLUGIN"));
	free(said);
}

static void fields_have_names(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 3000 -c 1 -i svm $T/t && "
			    "" BT "$T/t | grep -m1 '\"io\"'");

	(void)state;
	assert_has(said, "kvm_exit: ");
	assert_has(said, "guest_rip = 0xFFFFFFFF810");
	assert_has(said, "isa = ( \"SVM\" : container = 2 )");
	assert_has(said, "exit_reason = 0x7B");
	assert_has(said, "\"ring3\"");
	free(said);
}

static void losses_are_seen(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 3000 -c 1 -b 16 -l 7 $T/t && "
			    "babeltrace2 $T/t 2>&1 >/dev/null");

	(void)state;
	assert_has(said, "Tracer discarded 7 events");
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
