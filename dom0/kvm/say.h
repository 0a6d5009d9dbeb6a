/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * say.h - sentences of the library for its user, on stderr, and for whoever
 * debugs it: LUVKVM_DEBUG=1 what is refused, =2 every ioctl, =3 every exit.
 */
#pragma once

extern int say_level;

/* Reads LUVKVM_DEBUG. */
void say_init(void);

/* "luvkvm: SENTENCE.\n", in one write. Keeps errno. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#define debug(level, ...)                                                      \
	do {                                                                   \
		if (__builtin_expect(say_level >= (level), 0))                 \
			say(__VA_ARGS__);                                      \
	} while (0)
