/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvm_test.c - the tools on a real trace of Linux's KVM, sample/kvm.tar.xz: by
 * perf, made CTF by perf; perf.table is what `perf kvm stat report` said.
 */
#include "test.h"

#define UNPACKED IN_TMP "tar -xJf " SAMPLE_KVM " -C $T && cd $T && "

static void the_table_is_perfs(void **state)
{
	char *said = output(UNPACKED LUVTRACE "stat --kvm trace | sort > a && "
			    "sort perf.table | diff - a && wc -l < a");

	(void)state;
	assert_true(atoi(said) > 10);
	free(said);
}

static void others_read_it(void **state)
{
	char *said = output(UNPACKED "tar -xJf " SAMPLE " && "
			    LUVTRACE "diff trace boot && "
			    LUVTRACE "flame trace > f && test -s f && "
			    LUVTRACE "report -o r.html trace && test -s r.html && "
			    LUVTRACE "export --csv trace | wc -l > n && test -s n && "
			    LUVTRACE "export --chrome trace > c && test -s c && "
			    LUVTRACE "export --perfetto trace > p && test -s p");

	(void)state;
	assert_has(said, "\ndomU  hlt ");
	assert_has(said, "A: Nothing was lost, as far as the tracer says.\n");
	free(said);
}

/* What only Luvalley's captures have. */
static void some_do_not(void **state)
{
	int status;
	char *said = run(UNPACKED BIN "/luvtop -b -n 1 trace", &status);

	(void)state;
	assert_int_equal(status, 1);
	assert_has(said, "try: luvtrace stat trace");
	free(said);
	said = run(UNPACKED LUVTRACE "repair -o r trace", &status);
	assert_int_equal(status, 1);
	assert_has(said, "not a capture of this version of Luvalley");
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_perfs),
		cmocka_unit_test(others_read_it),
		cmocka_unit_test(some_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
