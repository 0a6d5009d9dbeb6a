/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * repair_test.c - babeltrace2 opens what luvtrace repair makes of packets out
 * of order and of what is damaged.
 */
#include "test.h"

#define REPAIR LUVTRACE "repair "
#define COUNT  "babeltrace2 $T/out 2>/dev/null | wc -l"

/* As a ring lies in memory: from its third packet on, then the first two. */
static void out_of_order(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 4000 -c 2 -b 16 $T/t && "
		"babeltrace2 $T/t > $T/a && { tail -c +32769 $T/t/cpu0; "
		"head -c 32768 $T/t/cpu0; } > $T/x && mv $T/x $T/t/cpu0 && "
		"! babeltrace2 $T/t > $T/b 2>&1; " REPAIR "-o $T/out $T/t && "
		"babeltrace2 $T/out | diff - $T/a && echo same");

	(void)state;
	assert_has(said, "same");
	free(said);
}

/* A bad magic number, a record of no event, a cut end. */
static void damaged(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 4000 -c 1 -b 16 $T/t && "
		"printf 'xxxx' | dd of=$T/t/cpu0 bs=1 seek=16384 conv=notrunc "
		"2>/dev/null && printf '\\377' | dd of=$T/t/cpu0 bs=1 "
		"seek=$((32768 + 104)) conv=notrunc 2>/dev/null && "
		"truncate -s -10000 $T/t/cpu0 && "
		REPAIR "-o $T/out $T/t 2> $T/why; cat $T/why >&2; " COUNT);

	(void)state;
	assert_has(said, "cpu0: byte 16384: no packet begins");
	assert_has(said, "damaged places in this file: 3");
	assert_true(atoi(strrchr(said, 's') + 2) > 3000);
	free(said);
}

static void wrong_input(void **state)
{
	int status;
	char *said = run(IN_TMP REPAIR "-o $T/out $T", &status);

	(void)state;
	assert_int_equal(status, 1);
	assert_has(said, "no capture here");
	free(said);
	said = run(IN_TMP SYNTH "-n 99 $T/t && " REPAIR "-o $T $T/t", &status);
	assert_int_equal(status, 1);
	assert_has(said, "File exists");
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_of_order),
		cmocka_unit_test(damaged),
		cmocka_unit_test(wrong_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
