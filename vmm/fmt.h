/* SPDX-License-Identifier: BSD-2-Clause */
/* fmt.h - formatted text into a buffer, for consoles and dumps. Pure. */
#pragma once

#include "types.h"
#include <stdarg.h>

/*
 * fmt_vsnprintf - like C's vsnprintf for %% %c %s %d %i %u %x %p and %l/%ll/%z
 * sizes, with '-', '0', '#', width, precision of %s, and '*'. Always terminates if size > 0.
 * Returns the length the whole text has.
 */
int fmt_vsnprintf(char *buf, size_t size, const char *format, va_list ap);
int fmt_snprintf(char *buf, size_t size, const char *format, ...) PRINTF(3, 4);
