/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample.h - some of the numbers of a long series, and how sure a median or a
 * mean computed from them is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SAMPLE_MAX (1u << 18)

/* Every `step`th number, in their order; zeros are an empty one. */
struct sample {
	double *value;	/* at most SAMPLE_MAX */
	size_t count, room;
	uint64_t seen, step; /* step 0 is 1 */
	/* After sample_finish(): */
	double mean, median;
	double worth;	/* how many independent numbers would tell as much */
	double error;	/* standard error of the mean */
};

void sample_add(struct sample *s, double value);
/* No more come: compute, and sort value[]. */
void sample_finish(struct sample *s);
void sample_free(struct sample *s);

/* An estimate and its confidence interval. */
struct sample_estimate { double value, low, high; };

enum sample_what { SAMPLE_MEDIAN, SAMPLE_MEAN };

/*
 * sample_ratio - b / a of the medians or means of two that are finished:
 * percentile bootstrap with SAMPLE_DRAWS draws. With fewer than SAMPLE_LEAST
 * numbers in either, low is 0 and high infinite.
 *   confidence  such as 0.95
 */
#define SAMPLE_DRAWS 2000
#define SAMPLE_LEAST 5
struct sample_estimate sample_ratio(const struct sample *a,
				    const struct sample *b,
				    enum sample_what what, double confidence);
