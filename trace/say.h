/* SPDX-License-Identifier: BSD-2-Clause */
/* say.h - what luvtrace's commands that need no reader tell their user. */
#pragma once

#include <stdarg.h>
#include <stdio.h>

/* One sentence on stderr, without its full stop. */
__attribute__((format(printf, 1, 2))) static inline void
say(const char *format, ...)
{
	va_list args;

	fputs("luvtrace: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs(".\n", stderr);
}
