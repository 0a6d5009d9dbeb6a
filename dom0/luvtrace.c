/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvtrace.c - luvtrace for a dom0 without libbabeltrace2: it records only.
 * What it records is read by trace/luvtrace.c, there or elsewhere.
 */
#include "../trace/tool.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "record") == 0)
		return (int)tool_record(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "clock") == 0)
		return (int)tool_clock(argc - 1, argv + 1);
	fputs("usage: luvtrace record ..., luvtrace clock  (this one records only)\n",
	      stderr);
	return STATUS_USAGE;
}
