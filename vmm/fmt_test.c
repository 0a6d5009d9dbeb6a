/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fmt_test.c - every conversion against the host's snprintf. Where C leaves
 * something open (%p, a null string) the wanted text is written out.
 */
#include "fmt.h"
#include "string.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* Formats are put together at run time: the compilers cannot check them. */
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

/* Without the attribute that lets compilers check formats. */
static int call_v(char *buf, size_t size, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	const int n = fmt_vsnprintf(buf, size, format, ap);
	va_end(ap);
	return n;
}

/* The same text and length as the host's, in buffers of every size. */
#define SAME(...)                                                              \
	do {                                                                   \
		char want_[512], got_[512];                                    \
		const int n_ = snprintf(want_, sizeof(want_), __VA_ARGS__);    \
		memset(got_, '#', sizeof(got_));                               \
		assert_int_equal(fmt_snprintf(got_, sizeof(got_),              \
					      __VA_ARGS__), n_);               \
		assert_string_equal(got_, want_);                              \
		for (int size_ = 1; size_ < n_ + 2; size_++) {                 \
			snprintf(want_, (size_t)size_, __VA_ARGS__);           \
			memset(got_, '#', sizeof(got_));                       \
			assert_int_equal(fmt_snprintf(got_, (size_t)size_,     \
						      __VA_ARGS__), n_);       \
			assert_string_equal(got_, want_);                      \
			assert_int_equal(got_[size_], '#');                    \
		}                                                              \
		assert_int_equal(fmt_snprintf(NULL, 0, __VA_ARGS__), n_);      \
	} while (0)

#define IS(text, ...)                                                          \
	do {                                                                   \
		char got_[128];                                                \
		assert_int_equal(call_v(got_, sizeof(got_), __VA_ARGS__),       \
				 (int)strlen(text));                           \
		assert_string_equal(got_, text);                               \
	} while (0)

static const char *const flags[] = { "", "-", "0", "-0", "0-", "00", "--" };
static const char *const widths[] = { "", "1", "2", "7", "24" };

static void numbers(void **state)
{
	static const int64_t values[] = {
		0, 1, -1, 9, 10, -10, 255, 256, 4095, 65535, 0x7fffffff,
		-0x7fffffffll - 1, 0xffffffff, 0x100000000, INT64_MAX,
		INT64_MIN, 0x123456789abcdef, -1234567890123456789 };
	static const char *const letters[] = { "d", "i", "u", "x" };
	static const char *const sizes[] = { "", "l", "ll", "z" };

	(void)state;
	for (unsigned v = 0; v < ARRAY_SIZE(values); v++)
	for (unsigned f = 0; f < ARRAY_SIZE(flags); f++)
	for (unsigned w = 0; w < ARRAY_SIZE(widths); w++)
	for (unsigned l = 0; l < ARRAY_SIZE(letters); l++)
	for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++) {
		char format[32];

		snprintf(format, sizeof(format), "<%%%s%s%s%s>", flags[f],
			 widths[w], sizes[s], letters[l]);
		if (s == 0)
			SAME(format, (int)values[v]);
		else
			SAME(format, values[v]);
	}
}

static void alternate_form(void **state)
{
	(void)state;
	SAME("%#x %#x %#lx %#llx", 0, 255, 0ul, ULLONG_MAX);
	SAME("[%#10x][%-#10x][%#010x][%0#10x][%#2x]", 255, 255, 255, 255, 255);
	SAME("[%#010x][%#-10lx]", 0, 0ul);
}

static void characters(void **state)
{
	(void)state;
	SAME("%c%c%c", 'a', ' ', 0x100 + 'b');
	SAME("[%3c][%-3c][%1c][%*c]", 'x', 'y', 'z', 4, 'w');
	SAME("%% [%c] %%%d%%", '%', 5);
	SAME("%s", "");
	IS("", "");
	SAME("no conversions at all");
}

static void strings(void **state)
{
	(void)state;
	SAME("[%s][%5s][%-5s][%2s]", "abc", "abc", "abc", "abc");
	SAME("[%.2s][%.0s][%.s][%.9s]", "abc", "abc", "abc", "abc");
	SAME("[%5.2s][%-5.2s][%*.*s]", "abc", "abc", 6, 1, "abc");
	SAME("[%.*s][%.*s]", 2, "abc", -1, "abc");
	SAME("[%*s][%*s]", 6, "abc", -6, "abc");
	IS("(null)", "%s", (char *)NULL);
	IS("[    (null)]", "[%10s]", (char *)NULL);
	IS("(nu", "%.3s", (char *)NULL);
}

/* With a precision, not one byte beyond it may be read: ASan watches. */
static void string_without_terminator(void **state)
{
	char *s = malloc(3);

	(void)state;
	memcpy(s, "abc", 3);
	IS("abc", "%.3s", s);
	IS("[   ab]", "[%5.*s]", 2, s);
	free(s);
}

static void stars(void **state)
{
	(void)state;
	SAME("[%*d][%-*d][%0*d][%*d]", 5, 42, 5, 42, 5, 42, -5, 42);
	SAME("[%*u][%*lx]", 0, 42u, 12, 42ul);
	SAME("[%0*d]", -6, 42);
}

static void pointers(void **state)
{
	int here;

	(void)state;
	SAME("%p", (void *)&here);
	SAME("[%20p][%-20p]", (void *)&here, (void *)&here);
	IS("0x0", "%p", (void *)NULL);
	IS("0xffffffff80000000", "%p", (void *)0xffffffff80000000ull);
}

static void many_arguments(void **state)
{
	(void)state;
	SAME("%d %s %x %lu %c %lld %u %zu %d %d %d %d", 1, "two", 3, 4ul, '5',
	     6ll, 7u, (size_t)8, 9, 10, 11, 12);
}

static void sizes_of_arguments(void **state)
{
	(void)state;
	/* 32-bit arguments leave garbage above: it must not show. */
	SAME("%x %d %u", 0xffffffff, -1, 0x80000000);
	SAME("%zu %zx", SIZE_MAX, SIZE_MAX);
}

static void unknown_conversions_show(void **state)
{
	(void)state;
	IS("%q", "%q");
	IS("a %-5q b", "a %-5q b");
	IS("100%", "100%");
	IS("%", "%");
	IS("%-08", "%-08");
	IS("%l", "%l");
	IS("%q7", "%q%d", 7);
}

static void always_terminates(void **state)
{
	char buf[4] = "###";

	(void)state;
	assert_int_equal(fmt_snprintf(buf, 1, "abc"), 3);
	assert_int_equal(buf[0], 0);
	assert_int_equal(buf[1], '#');
	assert_int_equal(fmt_snprintf(buf, 0, "abc"), 3);
	assert_int_equal(buf[1], '#');
	assert_int_equal(fmt_snprintf(buf, 4, "abc"), 3);
	assert_string_equal(buf, "abc");
	assert_int_equal(fmt_snprintf(buf, 4, "wxyz"), 4);
	assert_string_equal(buf, "wxy");
}

static void v_form(void **state)
{
	char buf[32];

	(void)state;
	assert_int_equal(call_v(buf, sizeof(buf), "%d-%s", 12, "x"), 4);
	assert_string_equal(buf, "12-x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(alternate_form),
		cmocka_unit_test(characters),
		cmocka_unit_test(strings),
		cmocka_unit_test(string_without_terminator),
		cmocka_unit_test(stars),
		cmocka_unit_test(pointers),
		cmocka_unit_test(many_arguments),
		cmocka_unit_test(sizes_of_arguments),
		cmocka_unit_test(unknown_conversions_show),
		cmocka_unit_test(always_terminates),
		cmocka_unit_test(v_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
