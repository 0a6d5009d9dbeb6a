/* SPDX-License-Identifier: BSD-2-Clause */
/* huge_test.c - of the real kernel; skipped where it has or tells nothing. */
#include "huge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#define PAGE 4096ul

/* 2 MiB at their place. */
static uint8_t *memory(int advice)
{
	uint8_t *p = mmap(NULL, 2 * HUGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	p += -(uintptr_t)p & (HUGE_SIZE - 1);
	madvise(p, HUGE_SIZE, advice);
	return p;
}

static void small_pages(void **state)
{
	uint8_t *p = memory(MADV_NOHUGEPAGE);

	(void)state;
	assert_false(huge_page_at(p));
	memset(p, 1, HUGE_SIZE);
	assert_false(huge_page_at(p));
}

static void a_huge_page(void **state)
{
	uint8_t *p = memory(MADV_HUGEPAGE);

	(void)state;
	assert_false(huge_page_begins(p)); /* nothing there */
	assert_false(huge_page_at(p));
	*p = 1;
	if (!huge_page_at(p))
		skip();
	assert_true(huge_page_begins(p));
	assert_false(huge_page_begins(p + PAGE));
	assert_false(huge_page_at(p + PAGE));
	/* Another page in one place. */
	madvise(p + 300 * PAGE, PAGE, MADV_DONTNEED);
	assert_false(huge_page_at(p));
	p[300 * PAGE] = 1;
	assert_false(huge_page_at(p));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pages),
		cmocka_unit_test(a_huge_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
