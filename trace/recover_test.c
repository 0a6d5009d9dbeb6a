/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_test.c - from a ring as it lay, from what is damaged, and from an
 * image of memory comes what babeltrace2 opens.
 */
#include "test.h"

#define RECOVER LUVTRACE "recover "
#define COUNT	"babeltrace2 $T/out 2>/dev/null | wc -l"
/* The file's packets of 16 KiB from the third on, then the first two. */
#define ROTATE(file)                                                           \
	"{ tail -c +32769 " file "; head -c 32768 " file "; } > $T/x && "      \
	"mv $T/x " file

static void a_ring_as_it_lay(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 4000 -c 2 -b 16 $T/t && "
		"babeltrace2 $T/t > $T/a && " ROTATE("$T/t/cpu0") " && "
		"! babeltrace2 $T/t > $T/b 2>&1; " RECOVER "-o $T/out $T/t && "
		"babeltrace2 $T/out | diff - $T/a && echo same");

	(void)state;
	assert_has(said, "packets of 2 CPUs\n");
	assert_has(said, "same");
	free(said);
}

/* A bad magic number, and a record whose event does not exist. */
static void damaged(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 4000 -c 1 -b 16 $T/t && "
		"printf 'xxxx' | dd of=$T/t/cpu0 bs=1 seek=16384 conv=notrunc "
		"2>/dev/null && printf '\\377' | dd of=$T/t/cpu0 bs=1 "
		"seek=$((32768 + 104)) conv=notrunc 2>/dev/null && "
		RECOVER "-o $T/out $T/t && " COUNT);

	(void)state;
	assert_has(said, "damaged parts were left out");
	assert_true(atoi(strchr(said, '\n') + 1) > 3000);
	free(said);
}

static void memory_image(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 4000 -c 2 -b 16 $T/t && "
		"head -c 1048576 /dev/urandom > $T/image && "
		"cat $T/t/cpu1 >> $T/image && head -c 40960 /dev/zero >> "
		"$T/image && cat $T/t/cpu0 >> $T/image && "
		"head -c 5000 /dev/urandom >> $T/image && "
		RECOVER "--tsc-hz 2600000000 -o $T/out $T/image && "
		LUVTRACE "stat $T/t > $T/a && " LUVTRACE "stat $T/out | "
		"diff - $T/a && " COUNT);

	(void)state;
	assert_has(said, "packets of 2 CPUs");
	assert_has(said, "\n4000\n");
	free(said);
}

static void wrong_input(void **state)
{
	int status;
	char *said = run(IN_TMP RECOVER "-o $T/out /etc/passwd", &status);

	(void)state;
	assert_int_equal(status, 1);
	assert_has(said, "no packet of a trace in it");
	free(said);
	said = run(IN_TMP RECOVER "-o $T/out $T/none", &status);
	assert_int_equal(status, 1);
	assert_has(said, "No such file");
	free(said);
	said = run(IN_TMP SYNTH "-n 99 $T/t && " RECOVER "-o $T $T/t",
		   &status);
	assert_int_equal(status, 1);
	assert_has(said, "File exists");
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_as_it_lay),
		cmocka_unit_test(damaged),
		cmocka_unit_test(memory_image),
		cmocka_unit_test(wrong_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
