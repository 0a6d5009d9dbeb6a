/* SPDX-License-Identifier: BSD-2-Clause */
/* process_test.c - /proc/PID/stat, whatever a process calls itself. */
#include "process.h"

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
	char what;

	(void)state;
	assert_true(process_parse("42 (a) R b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 "
				  "14 15 16 17 18 98765 20 21", &start, &what));
	assert_int_equal(start, 98765);
	assert_int_equal(what, 'S');
	assert_false(process_parse("42 (a) S 1 2 3", &start, &what));
	assert_false(process_parse("", &start, &what));
}

static void life(void **state)
{
	uint64_t tag = process_tag(getpid()), child;
	pid_t pid;

	(void)state;
	assert_true((uint32_t)tag == (uint32_t)getpid());
	assert_true(process_lives(tag));
	assert_false(process_lives(tag ^ UINT64_C(1) << 32));
	pid = fork();
	if (pid == 0)
		_exit(0);
	child = process_tag(pid);
	usleep(100000);
	assert_false(process_lives(child)); /* a zombie is dead */
	waitpid(pid, NULL, 0);
	assert_false(process_lives(child));
	assert_int_equal(process_tag(pid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse),
		cmocka_unit_test(life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
