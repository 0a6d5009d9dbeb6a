/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot_test.c - the tools on a real capture, sample/boot.tar.xz: each reads
 * all of it, and they agree with each other and with babeltrace2.
 */
#include "test.h"

#define UNPACKED IN_TMP "tar -xJf " SAMPLE " -C $T && cd $T && "

static void babeltrace2_reads_it(void **state)
{
	char *said = output(UNPACKED "babeltrace2 boot 2> err | awk -F'[ :{]+' "
			    "'{ n[$5]++ } END { for (e in n) print e, n[e] }' "
			    "| sort && cat err");

	(void)state;
	assert_string_equal(said, "clock 2\nhypercall 626\nipi 90\n"
			    "kvm_exit 17745\nkvm_inj_virq 887\n"
			    "stage2_map 687\nstage2_unmap 12\n"
			    "vcpu_create 1\nvm_create 1\nvm_destroy 1\n"
			    "world_switch 12852\n");
	free(said);
}

/* From the first exit of each CPU on, every number is there once. */
static void no_exit_is_missing(void **state)
{
	char *said = output(UNPACKED "for f in cpu0 cpu1; do mkdir $f.t && "
		"cp boot/metadata boot/$f $f.t && babeltrace2 $f.t | sed -n "
		"'s/.* seq = \\([0-9]*\\),.*/\\1/p' > $f.seq && seq 0 "
		"$(($(wc -l < $f.seq) - 1)) | cmp - $f.seq && "
		"wc -l < $f.seq; done");

	(void)state;
	assert_string_equal(said, "16459\n1286\n");
	free(said);
}

static void readers_agree(void **state)
{
	char *said = output(UNPACKED LUVTRACE "stat -k boot > a && "
			    LUVTRACE "stat -k --bt boot > b && cmp a b && "
			    "cat a");

	(void)state;
	assert_has(said, "\ndom0   cpuid                              2066 ");
	assert_has(said, "\ndom1   hlt                                  17 ");
	assert_has(said, "         vcpu_run                         6455 ");
	assert_has(said, "         port 0x3f8 ");
	assert_has(said, "39.760870 s, TSC 2596.122 MHz. Nothing was lost.\n");
	free(said);
}

static void others_read_it(void **state)
{
	char *said = output(UNPACKED LUVTRACE "diff boot boot > d && "
			    LUVTRACE "stat --kvm boot > k && "
			    LUVTRACE "flame boot > f && test -s f && "
			    LUVTRACE "report -o r.html boot && test -s r.html && "
			    LUVTRACE "export --csv boot | wc -l && "
			    LUVTRACE "export --perfetto boot > p && test -s p && "
			    LUVTRACE "repair -o whole boot && "
			    "babeltrace2 whole | wc -l");

	(void)state;
	assert_has(said, "32904\n"); /* as many as babeltrace2 has of boot */
	assert_has(said, "17746\n"); /* exits, and a line of names */
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(babeltrace2_reads_it),
		cmocka_unit_test(no_exit_is_missing),
		cmocka_unit_test(readers_agree),
		cmocka_unit_test(others_read_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
