/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.h - the records of many streams as one, in order of time.
 */
#pragma once

#include "ctf.h"

/*
 * Receives a record, valid during the call.
 *   cpu  which stream, as struct capture numbers them
 */
typedef void (*merge_fn)(void *ctx, unsigned cpu, const struct trace_header *h);

struct merge_stream {
	/* The next record, valid until the next call; NULL: no more. */
	const struct trace_header *(*next)(void *source);
	void *source;
	unsigned cpu;
	const struct trace_header *head; /* private */
};

/* Until all streams say that there is no more. Reorders s[]. */
void merge_run(struct merge_stream *s, size_t n, merge_fn fn, void *ctx);
