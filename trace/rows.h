/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows.h - a row of numbers for each domain and kind of exit, and within it
 * for each sub-key. Sub-keys beyond ROWS_MAX are counted together.
 */
#pragma once

#include "histogram.h"
#include "worlds.h"

#include <stdbool.h>
#include <stddef.h>

#define ROWS_MAX 100000u

struct row_key {
	uint64_t sub;	/* only if has_sub */
	uint32_t reason; /* only if the rows are by it */
	uint16_t dom;
	uint8_t kind, isa;
	bool has_sub, rest; /* rest: sub-keys that got no row of their own */
};

struct row {
	struct row_key key;
	struct histogram time; /* of handling: ticks */
	uint64_t vmm;	       /* of these, in the VMM: ticks */
};

struct rows {
	struct row **slot; /* a hash; NULL: free */
	size_t slots, count;
};

/* The row of this key; made if there is none. */
struct row *rows_get(struct rows *r, const struct row_key *key);
/* Count an exit in the row of this key. */
void rows_count(struct rows *r, const struct row_key *key,
		const struct worlds_handled *h);
/* Count it by domain and kind and, if wanted, by sub-key too. */
void rows_add(struct rows *r, const struct worlds_handled *h, bool sub_keys);
/* All rows, ordered by `compare` of two struct row *; free() it. */
struct row **rows_sorted(const struct rows *r,
			 int (*compare)(const void *, const void *));
void rows_free(struct rows *r);
