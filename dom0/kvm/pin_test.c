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
#include <stdlib.h>
#include <setjmp.h>
#include <sys/mman.h>
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_a_token_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
