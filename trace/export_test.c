/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * export_test.c - what other programs get: CSV, JSON and protobuf read back by
 * readers that are not ours, and folded stacks.
 */
#include "test.h"

#include <jansson.h>

#define EXPORT LUVTRACE "export "
#define FLAME  LUVTRACE "flame "

static void csv(void **state)
{
	(void)state;
	free(output(IN_TMP SYNTH "-n 5000 $T/t && " EXPORT "--csv $T/t > $T/c && "
		    "test $(babeltrace2 $T/t | grep -c kvm_exit) = "
		    "$(($(wc -l < $T/c) - 1)) && "
		    "awk -F, 'NR == 1 { n = NF } NF != n { exit 1 }' $T/c && "
		    "sort -n -c $T/c && grep -q ',rdmsr,vmm,0x1b$' $T/c"));
	free(output(IN_TMP SYNTH "-n 500 -d 2 -c 3 $T/t && " EXPORT
		    "--csv -e vcpu_create $T/t > $T/c && "
		    "test $(wc -l < $T/c) = 7 && "
		    "head -n 1 $T/c | grep -qx "
		    "time_ns,cpu,timestamp_ticks,tag,dom,vcpu_id"));
}

/* One slice after the other on a CPU; a flow begins, goes on and ends. */
static void chrome(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 3000 -c 1 $T/t && "
			    EXPORT "--chrome $T/t");
	json_error_t why;
	json_t *root = json_loads(said, 0, &why), *event;
	size_t i, flows[128] = { 0 }, slices = 0;
	double last = 0;

	(void)state;
	if (!root)
		fail_msg("line %d: %s", why.line, why.text);
	json_array_foreach(json_object_get(root, "traceEvents"), i, event) {
		const char *ph = json_string_value(json_object_get(event, "ph"));
		const double ts = json_number_value(json_object_get(event,
								    "ts"));

		flows[(unsigned char)*ph & 127]++;
		if (*ph != 'X' || json_integer_value(json_object_get(event,
							"pid")) != 1)
			continue;
		assert_true(ts >= last - 0.001);
		last = ts + json_number_value(json_object_get(event, "dur"));
		slices++;
	}
	assert_true(slices > 1000);
	assert_true(flows['s'] > 100);
	assert_true(flows['s'] - flows['t'] <= 1);
	assert_true(flows['s'] - flows['f'] <= 2);
	json_decref(root);
	free(said);
}

/* protoc knows the wire format; the field numbers are those of Perfetto. */
static void perfetto(void **state)
{
	(void)state;
	free(output(IN_TMP SYNTH "-n 2000 -c 2 $T/t && " EXPORT
		"--perfetto $T/t > $T/p && protoc --decode_raw < $T/p > $T/d && "
		"grep -q '23: \"cpuid\"' $T/d && grep -q '2: \"CPU 1\"' $T/d && "
		"test $(grep -c '^    9: 1$' $T/d) = "
		"$(grep -c '^    9: 2$' $T/d) && "
		"grep -q '^    48: 0x' $T/d"));
}

static void folded(void **state)
{
	(void)state;
	/* Exits by name are as many as by address, and as babeltrace2 has. */
	free(output(IN_TMP SYNTH "-n 9000 -m $T/m $T/t && "
		FLAME "-w count -S $T/m $T/t > $T/a && "
		FLAME "-w count $T/t > $T/b && "
		"sum() { awk '{ n += $NF } END { print n }' $1; }; "
		"test $(sum $T/a) = $(sum $T/b) && "
		"! grep -q 0x $T/a && grep -q '^dom1;0xffffffff81' $T/b && "
		"grep -q '^dom1;guest_function_[0-9]*;io [0-9]*$' $T/a"));
	free(output(IN_TMP SYNTH "-n 9000 -m $T/m $T/t && "
		FLAME "-k -p -S 2=$T/m $T/t > $T/a && "
		"grep -q '^dom2;cr3 0x[0-9]*;guest_function_[0-9]*;io;port 0x' "
		"$T/a && ! grep -q 'dom1;.*guest' $T/a && "
		"awk '{ print $NF }' $T/a | sort -rn -c"));
}

static void wrong_input(void **state)
{
	int status;
	char *said = run(IN_TMP EXPORT "$T", &status);

	(void)state;
	assert_int_equal(status, 2);
	free(said);
	said = run(IN_TMP EXPORT "--csv -e nothing $T", &status);
	assert_int_equal(status, 2);
	assert_has(said, "no event \"nothing\"");
	free(said);
	said = run(IN_TMP FLAME "-S $T/none $T", &status);
	assert_int_equal(status, 1);
	assert_has(said, "none: No such file");
	free(said);
	said = run(IN_TMP SYNTH "-n 9000 $T/t && " EXPORT
		   "--csv $T/t > /dev/full", &status);
	assert_int_equal(status, 1);
	assert_has(said, "No space left");
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv),
		cmocka_unit_test(chrome),
		cmocka_unit_test(perfetto),
		cmocka_unit_test(folded),
		cmocka_unit_test(wrong_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
