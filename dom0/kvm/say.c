/* SPDX-License-Identifier: BSD-2-Clause */
/* say.c - see say.h. */
#include "say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int say_level;

void say_init(void)
{
	const char *v = getenv("LUVKVM_DEBUG");

	say_level = v ? atoi(v) : 0;
}

void say(const char *format, ...)
{
	static const char prefix[] = "luvkvm: ";
	char line[400] = "luvkvm: ";
	size_t n = sizeof(prefix) - 1;
	int saved = errno, len;
	va_list args;

	va_start(args, format);
	len = vsnprintf(line + n, sizeof(line) - n - 2, format, args);
	va_end(args);
	if (len > 0)
		n += (size_t)len;
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '.';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0) {
		/* nobody to tell */
	}
	errno = saved;
}
