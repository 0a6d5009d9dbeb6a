/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test.h - for the tests beside the tools: cmocka, and running the programs
 * in BIN.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define IN_TMP	 "T=$(mktemp -d) && trap 'rm -rf \"$T\"' EXIT && exec 2>&1 && "
#define SYNTH	 BIN "/synth "
#define LUVTRACE BIN "/luvtrace "

/* What a shell command prints; free() it. *status: its exit status. */
static inline char *run(const char *command, int *status)
{
	char *text = NULL;
	size_t room = 0;
	FILE *p = popen(command, "r");

	assert_non_null(p);
	if (getdelim(&text, &room, '\0', p) < 0) {
		free(text);
		text = strdup("");
	}
	*status = pclose(p);
	*status = WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
	return text;
}

/* The same for a command that succeeds. */
static inline char *output(const char *command)
{
	int status;
	char *text = run(command, &status);

	if (status)
		fail_msg("%s: status %d: %s", command, status, text);
	return text;
}

static inline void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}
