/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hist.h - how long exits keep a vCPU in the VMM: for each vCPU, kind of exit
 * and what it is about (port, MSR, CPUID leaf, hypercall, page) a histogram,
 * always on. A vCPU's handlers choose the row, exit_account() counts in it.
 * Rows of a kind with subjects are in a page of HIST_ROWS, there when it is
 * needed. A new subject takes the place of the rarest of HIST_WAYS; what that
 * had counted goes to the kind's own row, so that nothing is ever forgotten.
 *
 * Buckets are log-linear: two to each power of two. luv_hist (luvalley.h)
 * says which ticks each counts.
 */
#pragma once

#include "types.h"
#include <luvalley/luvalley.h>
#include <stdatomic.h>
#include <stdbool.h>

#define HIST_PAGES 96u	   /* for domUs' subjects; 6 more for each CPU */
#define HIST_ROWS  16u	   /* in a page */
#define HIST_WAYS  4u	   /* places that a subject can have */
#define HIST_FREE  (~0ull) /* no subject */

struct hist_row {
	uint64_t sub; /* [p] */
	uint64_t count, ticks; /* [p] written, others read */
	uint32_t bucket[LUV_HIST_BUCKETS];
	uint64_t reserved;
};
_Static_assert(sizeof(struct hist_row) * HIST_ROWS == PAGE_SIZE, "a page");
_Static_assert(EXIT_KINDS <= 2 * HIST_ROWS, "two pages");

/* The kinds with subjects. X(class, kind) */
#define HIST_CLASSES(X)                                                        \
	X(0, CPUID) X(1, HYPERCALL) X(2, IO) X(3, RDMSR) X(4, WRMSR) X(5, STAGE2)
#define HIST_SUBS 6

static inline int hist_class(unsigned kind)
{
	switch (kind) {
#define X(class, kind) case EXIT_##kind: return class;
	HIST_CLASSES(X)
#undef X
	default:
		return -1;
	}
}

/* All of a vCPU's. */
struct hist {
	struct hist_row *row;		  /* [p] of the exit that is handled */
	struct hist_row *kinds[2];	  /* [I] HIST_ROWS each */
	struct hist_row *subs[HIST_SUBS]; /* [p] written, others read */
	_Atomic uint32_t moves;		  /* [a] odd while a row moves */
};

/*
 * At boot: so many pages may be for subjects, of all vCPUs; none before. What
 * domUs need for their tables must not go to histograms.
 */
void hist_allow(unsigned pages);
/* The pages every vCPU has. False: no memory. */
bool hist_init(struct hist *h);
void hist_free(struct hist *h);
uint64_t hist_pages(const struct hist *h);
/* The subject's row, made if it is new, or the kind's own. */
struct hist_row *hist_find(struct hist *h, unsigned kind, uint64_t sub);
/* What all exits of a kind come to. */
struct luv_exit_stat hist_kind(const struct hist *h, unsigned kind);
/*
 * Rows from position *at on, at most `max`, into `to`; *at becomes where to go
 * on. Returns how many; 0: that was all. -LUV_EAGAIN: since position 0 one has
 * moved, and would be seen twice, or not at all.
 */
int hist_read(const struct hist *h, uint64_t *at, struct luv_hist *to,
	      unsigned max);

#define HIST_FIRST 12u /* half + 2 * log of 0 ticks */
_Static_assert(LUV_HIST_UNIT == 16, "HIST_FIRST");

static inline void hist_count(struct hist_row *row, uint64_t ticks)
{
	uint64_t n = (uint32_t)ticks + 2ull * LUV_HIST_UNIT;
	unsigned log = (unsigned)__builtin_clzll(n) ^ 63;
	uint32_t half = (uint32_t)(n >> (log - 1)); /* 2 or 3 */

	row->count++;
	row->ticks += ticks;
	row->bucket[half + 2 * log - HIST_FIRST]++;
}

static inline struct hist_row *hist_row(const struct hist *h, unsigned kind)
{
	return &h->kinds[kind / HIST_ROWS][kind % HIST_ROWS];
}

static inline unsigned hist_hash(uint64_t sub)
{
	return (uint32_t)sub * 0x9e3779b1u >> 28;
}
_Static_assert(HIST_ROWS == 16, "28 leaves 4 bits");
