/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tool.c - see tool.h.
 */
#include "tool.h"
#include "events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static void say_problems(const struct tool *t)
{
	for (unsigned i = 0; !t->quiet && i < t->capture.problems; i++)
		fprintf(stderr, "luvtrace: %s\n", t->capture.problem[i]);
}

static void record(void *ctx, unsigned cpu, const struct trace_header *h)
{
	struct tool *t = ctx;

	if (t->record)
		t->record(t->ctx, cpu, h);
	worlds_record(&t->worlds, cpu, h);
}

bool tool_read(struct tool *t, const char *folder,
	       const struct worlds_ops *ops, void *ctx)
{
	uint64_t first, last;

	t->ctx = ctx;
	worlds_init(&t->worlds, ops, ctx);
	if (capture_open(&t->capture, folder, t->use_bt)) {
		say_problems(t);
		return false;
	}
	t->worlds.foreign = t->capture.foreign;
	capture_run(&t->capture, record, t);
	worlds_end(&t->worlds);
	say_problems(t);
	if (worlds_span(&t->worlds, &first, &last))
		return true;
	if (t->quiet || t->capture.problems)
		return false;
	fprintf(stderr, "luvtrace: %s: there is no exit in it: was the trace "
		"made with kvm_exit events?\n", folder);
	return false;
}

void tool_close(struct tool *t)
{
	worlds_free(&t->worlds);
	capture_close(&t->capture);
}

enum status tool_status(const struct tool *t)
{
	return t->capture.problems ? STATUS_BAD : STATUS_OK;
}

/* Exits that a filter of the recording left out are gaps, but no losses. */
void tool_losses(const struct tool *t, FILE *f)
{
	const struct capture *c = &t->capture;
	uint64_t gaps = 0;

	for (unsigned i = 0; i < t->worlds.cpus; i++)
		gaps += t->worlds.cpu[i].gaps;
	if (c->problems)
		fputs("Not all of it could be read. ", f);
	if (!c->lost && !c->packets_lost) {
		fprintf(f, "Nothing was lost%s", c->foreign ?
			", as far as the tracer says" :
			c->problems ? " by the writer" : "");
		if (gaps)
			fprintf(f, "; %" PRIu64 " exits were not to be "
				"recorded, so that times are known in part",
				gaps);
		fputs(".\n", f);
		return;
	}
	fprintf(f, "LOST: %" PRIu64 " events discarded by the writer", c->lost);
	if (!c->foreign)
		fprintf(f, " (ring full %" PRIu64 ", nested %" PRIu64
			", no ring %" PRIu64 ")", c->lost_by[TRACE_cause_FULL],
			c->lost_by[TRACE_cause_NESTED],
			c->lost_by[TRACE_cause_NORING]);
	fprintf(f, ", %" PRIu64 " packets overwritten or missing; %" PRIu64
		" exits are not in this capture.\n", c->packets_lost, gaps);
}

double tool_seconds(const struct tool *t)
{
	uint64_t first, last;

	if (!worlds_span(&t->worlds, &first, &last) || last <= first)
		return 1e-9;
	return capture_ns(&t->capture, last - first) / 1e9;
}

double tool_percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

bool tool_number(const char *s, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(s, &end, 0);
	return *s >= '0' && *s <= '9' && !*end && !errno && *value <= max;
}
