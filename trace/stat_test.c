/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stat_test.c - luvtrace stat as a program: both readers agree; a capture of
 * stock KVM as LTTng lays it out; damaged and wrong input.
 */
#include "ctf.h"
#include "test.h"

#define STAT LUVTRACE "stat "

/* --- a capture of KVM, with what of LTTng's layout is not ours ------------- */

static const char lttng_metadata[] =
"/* CTF 1.8 */\n"
"typealias integer { size = 8; align = 8; signed = false; } := uint8_t;\n"
"typealias integer { size = 16; align = 8; signed = false; } := uint16_t;\n"
"typealias integer { size = 32; align = 8; signed = false; } := uint32_t;\n"
"typealias integer { size = 64; align = 8; signed = false; } := uint64_t;\n"
"trace { major = 1; minor = 8; uuid = \"00000000-0000-0000-0000-000000000000\";"
" byte_order = le; packet.header := struct { uint32_t magic;"
" uint8_t uuid[16]; uint32_t stream_id; uint64_t stream_instance_id; }; };\n"
"env { domain = \"kernel\"; tracer_name = \"lttng-modules\"; };\n"
"clock { name = \"monotonic\"; freq = 1000000000; offset = 1700000000; };\n"
"typealias integer { size = 32; align = 8; map = clock.monotonic.value; }"
" := uint32_clock_t;\n"
"typealias integer { size = 64; align = 8; map = clock.monotonic.value; }"
" := uint64_clock_t;\n";
static const char lttng_streams[] =
"struct event_header { enum : uint16_t { compact = 0 ... 65534,"
" extended = 65535 } id; variant <id> { struct { uint32_clock_t timestamp; }"
" compact; struct { uint32_t id; uint64_clock_t timestamp; } extended; } v; }"
" align(8);\n"
"stream { id = 0; event.header := struct event_header;"
" packet.context := struct { uint64_clock_t timestamp_begin;"
" uint64_clock_t timestamp_end; uint64_t content_size; uint64_t packet_size;"
" uint64_t packet_seq_num; uint64_t events_discarded; uint32_t cpu_id; };"
" event.context := struct { integer { size = 32; align = 8; signed = true; }"
" _pid; }; };\n"
"event { name = \"sched_switch\"; id = 0; stream_id = 0;"
" fields := struct { uint8_t _next_comm[4]; }; };\n"
"event { name = \"kvm_x86_entry\"; id = 7; stream_id = 0;"
" fields := struct { uint32_t _vcpu_id; }; };\n"
"event { name = \"kvm_x86_exit\"; id = 8; stream_id = 0; fields := struct {"
" uint32_t _exit_reason; integer { size = 64; align = 8; base = 16; }"
" _guest_rip; uint32_t _isa; uint64_t _info1; uint64_t _info2; }; };\n";

static char stream[4096];
static size_t used;

static void put(const void *p, size_t bytes)
{
	memcpy(stream + used, p, bytes);
	used += bytes;
}

static void put32(uint32_t v)
{
	put(&v, sizeof(v));
}

static void put64(uint64_t v)
{
	put(&v, sizeof(v));
}

static void event(uint16_t id, uint32_t time, uint32_t pid)
{
	put(&id, sizeof(id));
	put32(time);
	put32(pid);
}

static void kvm_entry(uint32_t time, uint32_t pid, uint32_t vcpu)
{
	event(7, time, pid);
	put32(vcpu);
}

static void kvm_exit(uint32_t time, uint32_t pid, uint32_t reason,
		     uint64_t info1)
{
	event(8, time, pid);
	put32(reason);
	put64(0xffffffff81000000);
	put32(LUV_ISA_VMX);
	put64(info1);
	put64(0);
}

static void stream_begin(void)
{
	used = 4 + 16 + 4 + 8 + 6 * 8 + 4;
}

static void stream_end(const char *folder, uint32_t cpu)
{
	const uint64_t bits = used * 8;
	const uint32_t magic = CTF_MAGIC;
	char path[300];
	FILE *f;

	memset(stream, 0, 32);
	used = 0;
	put(&magic, 4);
	used = 4 + 16 + 4;
	put64(cpu); /* the instance */
	put64(1000);
	put64(100000);
	put64(bits);
	put64(bits);
	put64(0);
	put64(0);
	put32(cpu);
	snprintf(path, sizeof(path), "%s/channel0_%u", folder, cpu);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(stream, bits / 8, 1, f), 1);
	fclose(f);
}

static void write_metadata(const char *folder)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/metadata", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%s%s", lttng_metadata, lttng_streams);
	fclose(f);
}

static void write_lttng(const char *folder)
{
	write_metadata(folder);
	/* CPU 0: two vCPUs of one process take turns. */
	stream_begin();
	kvm_entry(2000, 500, 0);
	kvm_exit(3000, 500, 12, 0); /* HLT, until 9000 */
	event(0, 3100, 500);
	put32(0);
	kvm_entry(4000, 500, 1);
	kvm_exit(6000, 500, 30, 0x3f80001); /* IN from 3f8h, until 6500 */
	kvm_entry(6500, 500, 1);
	kvm_exit(8000, 500, 32, 0);
	kvm_entry(9000, 500, 0);
	kvm_exit(9500, 500, 10, 0); /* CPUID, until 9700 */
	kvm_entry(9700, 500, 0);
	kvm_exit(9900, 500, 48, 0);
	stream_end(folder, 0);
	/* CPU 5 */
	stream_begin();
	kvm_entry(1500, 600, 0);
	kvm_exit(2500, 600, 12, 0); /* HLT, until 4500 */
	kvm_entry(4500, 600, 0);
	kvm_exit(5000, 600, 12, 0);
	stream_end(folder, 5);
}

/* A vCPU that is entered next on a CPU where no exit was yet. */
static void write_moved(const char *folder)
{
	write_metadata(folder);
	stream_begin();
	kvm_entry(1000, 700, 0);
	kvm_exit(2000, 700, 12, 0); /* HLT, until 2600 */
	stream_end(folder, 0);
	stream_begin();
	kvm_entry(2600, 700, 0);
	kvm_exit(3000, 700, 10, 0); /* CPUID, until 3100 */
	kvm_entry(3100, 700, 0);
	kvm_exit(3300, 700, 12, 0);
	stream_end(folder, 1);
}

static char *stat_of(void (*write)(const char *), const char *options)
{
	char folder[] = "/tmp/stat_test.XXXXXX", command[1000], *said;

	assert_non_null(mkdtemp(folder));
	write(folder);
	snprintf(command, sizeof(command), STAT "%s %s", options, folder);
	said = output(command);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	free(output(command));
	return said;
}

/*
 * Line for line what perf 6.1 prints for these events, but for the exits at
 * the end, which nobody entered again.
 */
static void perf_kvm_table(void **state)
{
	static const char want[] =
"\n\nAnalyze events for all VMs, all VCPUs:\n\n"
"             VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time"
"         Avg time \n\n"
"                 HLT          2    50.00%    91.95%      2.00us      6.00us"
"      4.00us ( +-  50.00% )\n"
"               CPUID          1    25.00%     2.30%      0.20us      0.20us"
"      0.20us ( +-   0.00% )\n"
"      IO_INSTRUCTION          1    25.00%     5.75%      0.50us      0.50us"
"      0.50us ( +-   0.00% )\n"
"\nTotal Samples:4, Total events handled time:8.70us.\n\n";
	char *said = stat_of(write_lttng, "--kvm");

	(void)state;
	assert_string_equal(said, want);
	free(said);
}

static void kvm_by_vm_and_port(void **state)
{
	char *said = stat_of(write_lttng, "-k");

	(void)state;
	assert_has(said, "dom1   hlt                                   1 ");
	assert_has(said, "dom2   hlt                                   1 ");
	assert_has(said, "port 0x3f8                          1 ");
	assert_has(said, "\n5 "); /* the machine's number of the CPU */
	assert_has(said, "3 exits have no end here");
	free(said);
}

static void moved_to_another_cpu(void **state)
{
	char *said = stat_of(write_moved, "--kvm");

	(void)state;
	assert_has(said, "                 HLT          1    50.00%    85.71%"
		   "      0.60us      0.60us      0.60us ");
	assert_has(said, "               CPUID          1    50.00%    14.29%"
		   "      0.10us      0.10us      0.10us ");
	free(said);
	said = stat_of(write_moved, "");
	assert_has(said, "dom1        1    69.57     0.00    30.43\n");
	assert_has(said, "1 exits have no end here");
	free(said);
}

/* --- our own ---------------------------------------------------------------- */

static void readers_agree(void **state)
{
	(void)state;
	free(output(IN_TMP SYNTH "-n 30000 -b 16 -c 3 $T/t && "
		    STAT "-k --json $T/t > $T/a && "
		    STAT "-k --json --bt $T/t > $T/b && "
		    "cmp $T/a $T/b && grep -q tsc_hz $T/a"));
	free(output(IN_TMP SYNTH "-n 30000 -b 16 -l 5 -i svm $T/t && "
		    STAT "$T/t > $T/a && " STAT "--bt $T/t > $T/b; "
		    "head -n 30 $T/a > $T/c; head -n 30 $T/b | cmp - $T/c"));
}

/* A field more in every kvm_entry: read by names then. */
static void another_version(void **state)
{
	(void)state;
	free(output(IN_TMP SYNTH "-n 3000 $T/t && " STAT "$T/t > $T/a && "
		    "sed -i 's/x64_t rip;/x64_t nip;/' $T/t/metadata && "
		    STAT "$T/t > $T/b && cmp $T/a $T/b"));
}

static void counts_are_right(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 20000 -c 2 $T/t && "
		"babeltrace2 $T/t | grep 'dom = 1,.*\"cpuid\"' | "
		"grep -c kvm_exit > $T/n && " STAT "$T/t | awk '$1 == \"dom1\" "
		"&& $2 == \"cpuid\" { print $3 }' | diff - $T/n && echo same");

	(void)state;
	assert_string_equal(said, "same\n");
	free(said);
}

static void losses_are_said(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 4000 -c 1 -b 16 -l 10 $T/t && "
			    STAT "$T/t");

	(void)state;
	assert_has(said, "LOST: ");
	assert_has(said, "ring full ");
	assert_has(said, "exits are not in this capture");
	free(said);
}

static void what_was_not_wanted_is_not_lost(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 4000 -k cpuid $T/t && "
			    STAT "$T/t");

	(void)state;
	assert_has(said, "Nothing was lost; ");
	assert_has(said, "exits were not to be recorded");
	free(said);
}

/* --- wrong input ------------------------------------------------------------ */

static void fails(const char *command, int want, const char *sentence)
{
	int status;
	char *said = run(command, &status);

	if (status != want)
		fail_msg("%s: status %d, not %d: %s", command, status, want,
			 said);
	assert_has(said, sentence);
	free(said);
}

static void wrong_input(void **state)
{
	(void)state;
	fails(IN_TMP STAT, 2, "usage: luvtrace stat");
	fails(IN_TMP STAT "$T/none", 1, "No such file");
	fails(IN_TMP STAT "$T", 1, "no capture here");
	fails(IN_TMP STAT "/etc/passwd", 1, "name the folder of a capture");
	fails(IN_TMP "echo PERFILE2 > $T/perf.data; " STAT "$T/perf.data", 1,
	      "perf.data --to-ctf FOLDER");
	fails(IN_TMP "printf '\\027\\010\\104tracing6' > $T/trace.dat; " STAT
	      "$T/trace.dat", 1, "trace-cmd's own format");
	fails(IN_TMP "echo nonsense > $T/metadata; " STAT "$T", 1,
	      "libbabeltrace2 says: ");
	fails(IN_TMP SYNTH "-n 9 $T/t && rm $T/t/cpu*; " STAT "$T/t", 1,
	      "only `metadata`");
	fails(IN_TMP BIN "/luvtrace nothing", 2, "usage: luvtrace COMMAND");
}

/* What is whole is shown, the rest is said, and the status tells. */
static void cut_capture(void **state)
{
	fails(IN_TMP SYNTH "-n 9000 -c 2 -b 16 $T/t && truncate -s 100000 "
	      "$T/t/cpu1 && " STAT "$T/t", 1, "cpu1: ends within packet");
	(void)state;
	fails(IN_TMP SYNTH "-n 9000 -c 2 -b 16 $T/t && truncate -s 100000 "
	      "$T/t/cpu1 && " STAT "$T/t", 1, "dom2   hlt");
	fails(IN_TMP SYNTH "-n 9000 -c 2 -b 16 $T/t && truncate -s 100000 "
	      "$T/t/cpu1 && " STAT "$T/t", 1, "Not all of it could be read");
}

/* libbabeltrace2 refuses the folder; the files that are whole are shown. */
static void cut_capture_of_others(void **state)
{
	char folder[] = "/tmp/stat_test.XXXXXX", command[1000];

	(void)state;
	assert_non_null(mkdtemp(folder));
	write_lttng(folder);
	snprintf(command, sizeof(command), IN_TMP "cp -r %s $T/t && "
		 "truncate -s 100 $T/t/channel0_0 && " STAT "$T/t", folder);
	fails(command, 1, "1 of its 2 files can be read");
	fails(command, 1, "dom1   hlt                                   1 ");
	snprintf(command, sizeof(command), "rm -r %s", folder);
	free(output(command));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(perf_kvm_table),
		cmocka_unit_test(kvm_by_vm_and_port),
		cmocka_unit_test(moved_to_another_cpu),
		cmocka_unit_test(readers_agree),
		cmocka_unit_test(another_version),
		cmocka_unit_test(counts_are_right),
		cmocka_unit_test(losses_are_said),
		cmocka_unit_test(what_was_not_wanted_is_not_lost),
		cmocka_unit_test(wrong_input),
		cmocka_unit_test(cut_capture),
		cmocka_unit_test(cut_capture_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
