/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tool.h - what the commands of luvtrace share: reading a capture with the
 * exits worked out, and what every result must say about losses.
 */
#pragma once

#include "capture.h"
#include "worlds.h"

enum status { STATUS_OK, STATUS_BAD = 1, STATUS_USAGE = 2 };

struct tool {
	struct capture capture;
	struct worlds worlds;
	bool use_bt;	/* --bt */
	bool quiet;	/* what cannot be read has been said already */
	/* NULL, or sees every record before the worlds do. */
	void (*record)(void *ctx, unsigned cpu, const struct trace_header *h);
	void *ctx;
};

/*
 * tool_read - read all of a folder. Says on stderr what could not be read;
 * false: nothing could. tool_close() either way.
 */
bool tool_read(struct tool *t, const char *folder,
	       const struct worlds_ops *ops, void *ctx);
void tool_close(struct tool *t);

/* STATUS_OK, or STATUS_BAD if something could not be read. */
enum status tool_status(const struct tool *t);
/* One or more lines: what is missing in this capture, or that nothing is. */
void tool_losses(const struct tool *t, FILE *f);

/* Seconds from the first to the last exit; > 0. */
double tool_seconds(const struct tool *t);

/* Part of whole in per cent; 0 of 0 is 0. */
double tool_percent(uint64_t part, uint64_t whole);

/* A decimal number within limits; else false. */
bool tool_number(const char *s, uint64_t max, uint64_t *value);

/* The commands: argv[0] is the command's name. */
#define TOOL_COMMANDS(X)                                                       \
	X(record, "from the VMM of this dom0 into a folder")                   \
	X(clock, "a record of what time it is")                                \
	X(extract, "out of an image of a machine's memory")                   \
	X(stat, "exits by domain and reason, with their handling times")       \
	X(diff, "two captures compared, with confidence intervals")            \
	X(export, "CSV, Perfetto, Chrome's JSON")                              \
	X(flame, "where guests exit: folded stacks for a flame graph")         \
	X(report, "one HTML page: timeline, distributions, flame graph")       \
	X(repair, "what is whole of a damaged capture")
#define X(name, help) enum status tool_##name(int argc, char **argv);
TOOL_COMMANDS(X)
#undef X
