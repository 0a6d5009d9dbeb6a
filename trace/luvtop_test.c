/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvtop_test.c - luvtop follows a capture that grows; and its screen, on a
 * pseudo-terminal: into a reason, a key, an address, and back. The same for the
 * VMM's histograms, of luvtop_vmm.c.
 */
#include "test.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#define LUVTOP BIN "/luvtop "
#define LIVE   BIN "/luvtop-live "

static void batch(void **state)
{
	(void)state;
	free(output(IN_TMP SYNTH "-n 9000 $T/t && " LUVTOP "-b -n 1 $T/t > $T/a "
		"&& " LUVTRACE "stat $T/t > $T/b && "
		"n() { awk '$1 == \"dom1\" && $2 == \"io\" { print $3 }' $1; }; "
		"test -n \"$(n $T/a)\" && test \"$(n $T/a)\" = \"$(n $T/b)\""));
}

/* Half of each file first, the rest later, a new file last. */
static void growing(void **state)
{
	char *said = output(IN_TMP SYNTH "-n 20000 -c 2 -b 16 $T/t && "
		"mkdir $T/g && cp $T/t/metadata $T/g && "
		"head -c 300000 $T/t/cpu0 > $T/g/cpu0; "
		"{ sleep 0.5; tail -c +300001 $T/t/cpu0 >> $T/g/cpu0; "
		"sleep 0.5; cp $T/t/cpu1 $T/g; } & " LUVTOP
		"-b -a -n 8 -i 0.25 $T/g > $T/a; wait; cp $T/a $T/all; "
		LUVTRACE "stat $T/t > $T/b; "
		"n() { awk '$1 == \"dom1\" && $2 == \"io\" { print $3 }' $1; }; "
		"n $T/all | sort -nu | wc -l; "
		"test $(n $T/all | tail -n 1) = $(n $T/b) && echo same");

	(void)state;
	/* Three sizes at least, and in the end all of it. */
	assert_true(atoi(said) >= 3);
	assert_has(said, "same");
	free(said);
}

static void wrong_input(void **state)
{
	int status;
	char *said = run(IN_TMP LUVTOP "-b $T", &status);

	(void)state;
	assert_int_equal(status, 1);
	assert_has(said, "no capture here");
	free(said);
	said = run(IN_TMP SYNTH "-n 99 $T/t && sed -i 's/x64_t rip/x64_t nip/' "
		   "$T/t/metadata && " LUVTOP "-b -n 1 $T/t", &status);
	assert_int_equal(status, 1);
	assert_has(said, "try: luvtrace stat");
	free(said);
	said = run(IN_TMP LUVTOP "-i 0 $T", &status);
	assert_int_equal(status, 2);
	free(said);
}

/* All since the begin, then what is new in each interval. */
static void histograms(void **state)
{
	char *said = output(LIVE "-b -n 2 -i 0.1");
	const char *second = strstr(said + 1, "histograms of the VMM");

	(void)state;
	assert_has(said, "DOMAIN EXIT ");
	assert_has(said, "MIN us");
	assert_has(said, "dom0   cpuid                               2002 ");
	assert_has(said, "dom1   io                                   301 ");
	assert_non_null(second);
	assert_has(second, "dom0   cpuid                               2000 ");
	assert_has(second, "dom1   io                                   300 ");
	free(said);
	/* What is forgotten is no exit of an interval. */
	said = output(LIVE "-b -n 3 -i 0.1 | awk '$2 == \"rdmsr\" { print $3 }'");
	assert_string_equal(said, "32\n10\n10\n");
	free(said);
}

static void no_vmm(void **state)
{
	int status;
	char *said = run(LUVTOP "-b -n 1 2>&1", &status);

	(void)state;
	assert_int_equal(status, 1);
	assert_has(said, "not running under Luvalley");
	assert_has(said, "or name the folder of a capture");
	free(said);
}

/* --- the screen --------------------------------------------------------------- */

static int terminal;
static char seen[1 << 20];
static size_t seen_len;

static void press(const char *keys)
{
	assert_int_equal(write(terminal, keys, strlen(keys)), strlen(keys));
}

static bool read_terminal(int ms)
{
	struct pollfd p = { .fd = terminal, .events = POLLIN };
	ssize_t n = poll(&p, 1, ms) > 0 ?
		read(terminal, seen + seen_len, sizeof(seen) - 1 - seen_len) :
		0;

	seen_len += n > 0 ? (size_t)n : 0;
	seen[seen_len] = '\0';
	return n > 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Until it is on the screen, all of which is drawn again now and then: else only
   what is new would be written. */
static void wait_for(const char *what)
{
	const size_t from = seen_len;
	const uint64_t began = now_ms();
	uint64_t draw = began;

	while (now_ms() < began + 20000) {
		if (now_ms() >= draw) {
			press("\f");
			draw += 1000;
		}
		if (read_terminal(100) && strstr(seen + from, what))
			return;
	}
	fail_msg("the screen has no \"%s\": %s", what, seen + from);
}

static pid_t start(const char *command, const char *term,
		   unsigned short columns)
{
	const struct winsize size = { .ws_row = 40, .ws_col = columns };
	const pid_t pid = forkpty(&terminal, NULL, NULL, &size);

	seen_len = 0;
	if (pid == 0) {
		setenv("TERM", term, 1);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void ends(pid_t pid)
{
	int status;

	press("q");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(terminal);
}

static void screen(void **state)
{
	char folder[] = "/tmp/luvtop_test.XXXXXX", command[600];
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(command, sizeof(command), SYNTH "-n 30000 -m %s/map %s/t",
		 folder, folder);
	free(output(command));
	snprintf(command, sizeof(command), LUVTOP "-S %s/map %s/t", folder,
		 folder);
	pid = start(command, "xterm", 132);
	wait_for("external-interrupt");
	press("\r"); /* dom0's hypercalls are the most frequent */
	wait_for("vcpu_run");
	press("\r");
	wait_for("guest_function_");
	press("\x7f");
	wait_for("vm_grant");
	press("\x7f");
	wait_for("stage-2-fault");
	press("a");
	wait_for("all");
	ends(pid);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	free(output(command));
}

/* On a terminal as a serial console's: 80 columns. */
static void screen_of_histograms(void **state)
{
	const pid_t pid = start(LIVE "-i 0.2", "vt100", 80);

	(void)state;
	wait_for("MAX us");
	wait_for("dom1   hlt");
	press("\r"); /* dom0's CPUIDs are the most frequent */
	wait_for("leaf 0xb");
	press("\r"); /* there are no addresses */
	press("\x7f");
	wait_for("dom1   io");
	press("\x1bOB\x1bOB\r");
	wait_for("port 0x3f8");
	press("\x7f" "a");
	wait_for("shown: all");
	ends(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch),
		cmocka_unit_test(growing),
		cmocka_unit_test(wrong_input),
		cmocka_unit_test(histograms),
		cmocka_unit_test(no_vmm),
		cmocka_unit_test(screen),
		cmocka_unit_test(screen_of_histograms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
