/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.h - what luvtop shows: the exits of the last interval, or of all time,
 * by reason, within one reason by sub-key, within one of these by address.
 */
#pragma once

#include "capture.h"
#include "rows.h"
#include "symbols.h"
#include "worlds.h"

enum top_level { TOP_REASONS, TOP_KEYS, TOP_ADDRESSES };
enum top_sort { TOP_BY_COUNT, TOP_BY_TIME, TOP_BY_P99, TOP_SORTS };

struct top_live;

struct top {
	struct capture capture;
	struct top_live *live; /* NULL: a capture is shown */
	struct worlds worlds;
	struct symbols symbols;
	struct rows now, last, all; /* being counted, shown, since the start */
	/* Of the reason or the key that is chosen. */
	struct rows address_now, address_last, address_all;
	enum top_level level;
	enum top_sort sort;
	bool total;	     /* show `all` */
	struct row_key chosen; /* above TOP_REASONS */
	uint64_t begin, end; /* of the interval shown: timestamps */
	double seconds;	     /* its length; 0: nothing came */
	double all_seconds;
	uint64_t exits;	     /* of the interval */
	int width;	     /* of a line; 0: any */
};

/* A line of the table. */
struct top_line {
	char name[80];
	const struct row *row;
	double rate, share; /* exits/s; per cent of handling time */
};

/* NULL: the VMM's histograms. 0, or -1 with a sentence in t->capture.problem. */
int top_open(struct top *t, const char *folder);
/* An interval ends: read what has come, and show it from now on. */
void top_read(struct top *t);
/* The lines of now, sorted; free() them. */
struct top_line *top_lines(const struct top *t, size_t *n);
/* Go into this row, and back. False: there is nothing. */
bool top_into(struct top *t, const struct row *row);
bool top_back(struct top *t);
/* "dom1 io port 0x3f8": where we are; "" at TOP_REASONS. */
void top_where(const struct top *t, char *out, size_t len);
void top_close(struct top *t);
