/* SPDX-License-Identifier: BSD-2-Clause */
/* process_test.c - /proc/PID/stat, whatever a process calls itself. */
#include "process.h"

#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void parse(void **state)
{
	uint32_t start;
	bool dead;

	(void)state;
	assert_true(process_parse("42 (a) R b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 "
				  "14 15 16 1 18 98765 20 21", &start, &dead));
	assert_int_equal(start, 98765);
	assert_false(dead);
	assert_true(process_parse("42 (a) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 "
				  "14 15 16 1 18 98765 20 21", &start, &dead));
	assert_true(dead);
	/* The first thread has ended, another not. */
	assert_true(process_parse("42 (a) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 "
				  "14 15 16 2 18 98765 20 21", &start, &dead));
	assert_false(dead);
	assert_false(process_parse("42 (a) S 1 2 3", &start, &dead));
	assert_false(process_parse("", &start, &dead));
}

static void life(void **state)
{
	uint64_t tag = process_tag(getpid()), child;
	struct stat st;
	pid_t pid;

	(void)state;
	if (stat("/proc/self/ns/pid", &st) || st.st_ino != 0xeffffffc)
		skip(); /* a container */
	assert_true((uint32_t)tag == (uint32_t)getpid());
	assert_false(process_died(tag));
	assert_true(process_died(tag ^ UINT64_C(1) << 32));
	pid = fork();
	if (pid == 0)
		_exit(0);
	child = process_tag(pid);
	usleep(100000);
	assert_true(process_died(child)); /* a zombie is dead */
	waitpid(pid, NULL, 0);
	assert_true(process_died(child));
	assert_int_equal(process_tag(pid), 0);
}

static void *go_on(void *unused)
{
	(void)unused;
	usleep(300000);
	_exit(0);
}

/* Its other threads may be in the middle of KVM_RUN. */
static void first_thread_ends(void **state)
{
	pthread_t thread;
	uint64_t child;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pthread_create(&thread, NULL, go_on, NULL);
		pthread_exit(NULL);
	}
	child = process_tag(pid);
	if (!child)
		skip();
	usleep(100000);
	assert_false(process_died(child));
	usleep(400000);
	assert_true(process_died(child));
	waitpid(pid, NULL, 0);
}

/* In a child: whether it takes this process, which lives, for alive. */
static void child_cannot_say(bool (*leave)(void))
{
	const uint64_t tag = process_tag(getpid());
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (!leave())
			_exit(77);
		pid = fork();
		if (pid == 0)
			_exit(!process_died(tag) && !process_tag(getpid()) ?
				      0 : 1);
		waitpid(pid, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	waitpid(pid, &status, 0);
	if (WEXITSTATUS(status) == 77) /* not root */
		skip();
	assert_int_equal(status, 0);
}

static bool leave_proc(void)
{
	return !chroot("/tmp");
}

static bool leave_pids(void)
{
	return !unshare(CLONE_NEWPID);
}

static void without_proc(void **state)
{
	(void)state;
	child_cannot_say(leave_proc);
}

static void among_other_pids(void **state)
{
	(void)state;
	child_cannot_say(leave_pids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse),
		cmocka_unit_test(life),
		cmocka_unit_test(first_thread_ends),
		cmocka_unit_test(without_proc),
		cmocka_unit_test(among_other_pids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
