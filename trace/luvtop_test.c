/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvtop_test.c - luvtop follows a capture that grows; and its screen, on a
 * pseudo-terminal: into a reason, a key, an address, and back.
 */
#include "test.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <unistd.h>

#define LUVTOP BIN "/luvtop "

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

/* --- the screen --------------------------------------------------------------- */

static int terminal;
static char seen[1 << 20];
static size_t seen_len;

/* Until the program has written `what` after what was seen so far. */
static void wait_for(const char *what)
{
	const size_t from = seen_len;
	struct pollfd p = { .fd = terminal, .events = POLLIN };

	while (poll(&p, 1, 10000) > 0) {
		const ssize_t n = read(terminal, seen + seen_len,
				       sizeof(seen) - 1 - seen_len);

		if (n <= 0)
			break;
		seen_len += (size_t)n;
		seen[seen_len] = '\0';
		if (strstr(seen + from, what))
			return;
	}
	fail_msg("the screen has no \"%s\": %s", what, seen + from);
}

static void press(const char *keys)
{
	assert_int_equal(write(terminal, keys, strlen(keys)), strlen(keys));
}

static void screen(void **state)
{
	char folder[] = "/tmp/luvtop_test.XXXXXX", command[600];
	const struct winsize size = { .ws_row = 40, .ws_col = 132 };
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(command, sizeof(command), SYNTH "-n 30000 -m %s/map %s/t",
		 folder, folder);
	free(output(command));
	pid = forkpty(&terminal, NULL, NULL, &size);
	if (pid == 0) {
		snprintf(command, sizeof(command), LUVTOP "-S %s/map %s/t",
			 folder, folder);
		setenv("TERM", "xterm", 1);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
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
	press("q");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(terminal);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	free(output(command));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch),
		cmocka_unit_test(growing),
		cmocka_unit_test(wrong_input),
		cmocka_unit_test(screen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
