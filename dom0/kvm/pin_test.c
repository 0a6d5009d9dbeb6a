/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pin_test.c - the pins of many pieces, over more than one ring; the kernel is
 * real, and the test is skipped where it refuses io_uring.
 */
#include "pin.h"
#include "say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define PIECE  4096u
#define PIECES 200u

int say_level;
static unsigned said;
static int32_t token[PIECES];

void say(const char *format, ...)
{
	(void)format;
	said++;
}

/* The address sanitizer's do nothing. */
int mlock(const void *addr, size_t len)
{
	return (int)syscall(SYS_mlock, addr, len);
}

int munlock(const void *addr, size_t len)
{
	return (int)syscall(SYS_munlock, addr, len);
}

static uint8_t *memory(size_t len)
{
	uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static bool add_all(uint8_t *p)
{
	for (unsigned i = 0; i < PIECES; i++) {
		token[i] = pin_add(p + i * PIECE, PIECE);
		if (token[i] <= 0)
			return false;
	}
	return true;
}

static void each_has_a_token_of_its_own(void **state)
{
	uint8_t *p = memory(PIECES * PIECE);
	int32_t freed;

	(void)state;
	if (!add_all(p))
		skip();
	assert_int_equal(said, 0);
	for (unsigned i = 0; i < PIECES; i++)
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(token[i], token[k]);
	/* The lowest free one is next, in whichever ring it is. */
	freed = token[70];
	pin_remove(token[150]);
	pin_remove(freed);
	assert_int_equal(pin_add(p, PIECE), freed);
	assert_int_equal(pin_add(p, PIECE), token[150]);
	for (unsigned i = 0; i < PIECES; i++)
		pin_remove(token[i]);
	munmap(p, PIECES * PIECE);
}

/* A row of /proc/PID/status, in KiB; -1: there is none. */
static long status_kib(const char *row)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kib = -1;

	while (f && kib < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, row, strlen(row)))
			kib = strtol(line + strlen(row), NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

static long pinned_kib(void)
{
	return status_kib("VmPin:");
}

static long locked_pages(void)
{
	return status_kib("VmLck:") * 1024 / PIECE;
}

/* What cannot be written cannot be a buffer. Two may want the same page. */
static void what_is_only_locked_is_unlocked(void **state)
{
	uint8_t *p = memory(8 * PIECE);
	int32_t all, part, again;

	(void)state;
	mprotect(p, 8 * PIECE, PROT_READ);
	said = 0;
	all = pin_add(p, 8 * PIECE);
	assert_true(all < 0);
	assert_int_equal(said, 1);
	assert_int_equal(locked_pages(), 8);
	part = pin_add(p + 2 * PIECE, 2 * PIECE);
	again = pin_add(p + 3 * PIECE, 3 * PIECE);
	assert_true(part < 0 && part != all && again < 0 && again != part);
	pin_remove(all);
	assert_int_equal(locked_pages(), 4);
	pin_remove(part);
	assert_int_equal(locked_pages(), 3);
	assert_int_equal(pin_add(p, PIECE), all);
	pin_remove(all);
	pin_remove(again);
	assert_int_equal(locked_pages(), 0);
	munmap(p, 8 * PIECE);
}

/* Of a ring that both had, one's buffers would take the other's places. */
static void a_child_has_rings_of_its_own(void **state)
{
	uint8_t *p = memory(2 * PIECE);
	int32_t mine = pin_add(p, PIECE);
	int status = -1;
	long before = pinned_kib();
	pid_t pid;

	(void)state;
	if (mine <= 0 || before < 4)
		skip();
	pid = fork();
	if (pid == 0) {
		pin_forked();
		if (pin_add(p + PIECE, PIECE) != 1)
			_exit(1);
		_exit(pinned_kib() == PIECE / 1024 ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(pinned_kib(), before);
	pin_remove(mine);
	munmap(p, 2 * PIECE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_a_token_of_its_own),
		cmocka_unit_test(what_is_only_locked_is_unlocked),
		cmocka_unit_test(a_child_has_rings_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
