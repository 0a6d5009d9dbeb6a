/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * string.h - the part of the C standard's header that the VMM uses.
 * Freestanding builds link string.c; hosted unit tests get libc's functions
 * through these same prototypes. Both compilers may also call the mem*
 * functions on their own, so they exist even where nobody names them.
 */
#pragma once

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
