/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram.h - how numbers are distributed, in memory that does not grow with
 * how many there are: buckets of constant relative width (log-linear), so that
 * every quantile is within 1 % of the truth. Count, sum, extremes and variance
 * are exact.
 */
#pragma once

#include <stdint.h>

#define HISTOGRAM_LINEAR 6u /* 2^6 buckets to each doubling */
#define HISTOGRAM_GROUPS (64 - HISTOGRAM_LINEAR + 1)

struct histogram {
	uint64_t count, sum, min, max;
	double mean, m2; /* Welford's */
	uint64_t *group[HISTOGRAM_GROUPS]; /* NULL: empty */
};

/* Zeros are an empty histogram. Out of memory ends the program. */
void histogram_add(struct histogram *h, uint64_t value);
/*
 * Add n values of which only `from <= value < to` is known: as if they were
 * spread over it evenly. Sum and mean are then estimates, and the variance is
 * without them.
 */
void histogram_add_range(struct histogram *h, uint64_t from, uint64_t to,
			 uint64_t n);
/* Add all of `from`. */
void histogram_merge(struct histogram *h, const struct histogram *from);
/* The value with this share of all at or below it; 0 <= q <= 1. */
uint64_t histogram_quantile(const struct histogram *h, double q);
/* Standard deviation of the mean as a part of the mean. */
double histogram_relative_error(const struct histogram *h);
/* Call `fn` with every bucket that is not empty, in order. */
void histogram_each(const struct histogram *h,
		    void (*fn)(void *ctx, uint64_t from, uint64_t width,
			       uint64_t count), void *ctx);
void histogram_free(struct histogram *h);
