/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.h - allocation that ends the program when there is no memory: what
 * tools do that have nothing to save.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void *memory_checked(void *p)
{
	if (!p) {
		fputs("out of memory\n", stderr);
		exit(1);
	}
	return p;
}

static inline void *memory_zeroed(size_t n, size_t size)
{
	return memory_checked(calloc(n ? n : 1, size));
}

/* An array of n elements becomes one of `more`. */
static inline void *memory_grown(void *p, size_t more, size_t size)
{
	return memory_checked(more > SIZE_MAX / size ? NULL :
			      realloc(p, more ? more * size : 1));
}

static inline char *memory_string(const char *s)
{
	return memory_checked(strdup(s));
}
