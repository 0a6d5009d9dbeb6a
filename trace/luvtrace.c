/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvtrace.c - the command line: luvtrace COMMAND ... Exit status: 0; 1 if a
 * capture, or a part of it, could not be read; 2 for a wrong command line.
 */
#include "tool.h"

#include <string.h>

static const struct {
	const char *name, *help;
	enum status (*run)(int argc, char **argv);
} commands[] = {
#define X(name, help) { #name, help, tool_##name },
	TOOL_COMMANDS(X)
#undef X
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

int main(int argc, char **argv)
{
	FILE *to = stderr;

	for (size_t i = 0; argc > 1 && i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return (int)commands[i].run(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		to = stdout;
	fputs("usage: luvtrace COMMAND ...     (luvtrace COMMAND --help: its "
	      "options)\n", to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
	return to == stdout ? STATUS_OK : STATUS_USAGE;
}
