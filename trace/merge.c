/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.c - a binary heap of streams, the one with the earliest record on top.
 */
#include "merge.h"

#include <stdbool.h>

static bool before(const struct merge_stream *a, const struct merge_stream *b)
{
	if (a->head->timestamp != b->head->timestamp)
		return a->head->timestamp < b->head->timestamp;
	return a->cpu < b->cpu;
}

static void swap(struct merge_stream *a, struct merge_stream *b)
{
	const struct merge_stream t = *a;

	*a = *b;
	*b = t;
}

static void sift_down(struct merge_stream *s, size_t n, size_t i)
{
	for (;;) {
		size_t least = i;

		for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < n; c++)
			if (before(&s[c], &s[least]))
				least = c;
		if (least == i)
			return;
		swap(&s[i], &s[least]);
		i = least;
	}
}

static size_t first_records(struct merge_stream *s, size_t n)
{
	size_t live = 0;

	for (size_t i = 0; i < n; i++) {
		s[i].head = s[i].next(s[i].source);
		if (s[i].head)
			swap(&s[live++], &s[i]);
	}
	for (size_t i = live; i-- > 0;)
		sift_down(s, live, i);
	return live;
}

void merge_run(struct merge_stream *s, size_t n, merge_fn fn, void *ctx)
{
	n = first_records(s, n);
	while (n) {
		fn(ctx, s->cpu, s->head);
		s->head = s->next(s->source);
		if (!s->head)
			swap(s, &s[--n]);
		sift_down(s, n, 0);
	}
}
