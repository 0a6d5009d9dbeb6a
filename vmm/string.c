/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * string.c - memory and string functions of the freestanding build.
 *
 * The compiler turns loops that look like one of these functions into calls
 * of it, which here would be a call of itself. So copying and filling are
 * instructions it cannot see through, and the scanning loops hide their
 * pointer from it. Direction flag clear on entry and exit, as the ABI has it.
 */
#include "string.h"
#include <stdint.h>

/* Make the value of `p` unknown to the optimiser. */
#define HIDE(p) __asm__("" : "+r"(p))

/* Eight bytes a step: an emulator counts, and takes time for, each. */
static void copy_up(void *dst, const void *src, size_t n)
{
	size_t words = n / 8, rest = n % 8;

	__asm__ volatile("rep movsq"
			 : "+D"(dst), "+S"(src), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb"
			 : "+D"(dst), "+S"(src), "+c"(rest) : : "memory");
}

static void copy_down(void *dst, const void *src, size_t n)
{
	uint8_t *d = (uint8_t *)dst + n - 1;
	const uint8_t *s = (const uint8_t *)src + n - 1;

	__asm__ volatile("std\n\trep movsb\n\tcld"
			 : "+D"(d), "+S"(s), "+c"(n) : : "memory", "cc");
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	copy_up(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	/* Unsigned: true also for dst below src. */
	if ((uintptr_t)dst - (uintptr_t)src >= n)
		copy_up(dst, src, n);
	else
		copy_down(dst, src, n);
	return dst;
}

void *memset(void *dst, int byte, size_t n)
{
	uint64_t eight = (uint8_t)byte * 0x0101010101010101ull;
	size_t words = n / 8, rest = n % 8;
	void *d = dst;

	__asm__ volatile("rep stosq"
			 : "+D"(d), "+c"(words) : "a"(eight) : "memory");
	__asm__ volatile("rep stosb"
			 : "+D"(d), "+c"(rest) : "a"(eight) : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;

	for (; n > 0; n--, p++, q++) {
		HIDE(p);
		if (*p != *q)
			return *p - *q;
	}
	return 0;
}

size_t strlen(const char *s)
{
	const char *end = s;

	while (*end) {
		end++;
		HIDE(end);
	}
	return (size_t)(end - s);
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++) {
		HIDE(a);
		if (*a != *b || !*a)
			return (uint8_t)*a - (uint8_t)*b;
	}
	return 0;
}
