/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram.c - log-linear buckets: group 0 has the numbers below 2^LINEAR,
 * one each; group g > 0 has those of one power of two, in 2^LINEAR steps.
 */
#include "histogram.h"
#include "memory.h"

#include <math.h>
#include <stdlib.h>

#define BUCKETS (1u << HISTOGRAM_LINEAR)
#define PARTS	16u /* that a range of values is divided into */

static unsigned group_of(uint64_t value)
{
	return value < BUCKETS ? 0 : (unsigned)(63 - __builtin_clzll(value)) -
		HISTOGRAM_LINEAR + 1;
}

static uint64_t width(unsigned group)
{
	return group ? (uint64_t)1 << (group - 1) : 1;
}

static uint64_t start(unsigned group)
{
	return group ? (uint64_t)BUCKETS << (group - 1) : 0;
}

static void count(struct histogram *h, unsigned g, unsigned bucket, uint64_t n)
{
	if (!h->group[g])
		h->group[g] = memory_zeroed(BUCKETS, sizeof(*h->group[g]));
	h->group[g][bucket] += n;
}

static void extremes(struct histogram *h, uint64_t min, uint64_t max)
{
	if (!h->count || min < h->min)
		h->min = min;
	if (!h->count || max > h->max)
		h->max = max;
}

static void count_value(struct histogram *h, uint64_t value, uint64_t n)
{
	const unsigned g = group_of(value);

	count(h, g, (unsigned)((value - start(g)) / width(g)), n);
}

void histogram_add(struct histogram *h, uint64_t value)
{
	const double delta = (double)value - h->mean;

	count_value(h, value, 1);
	extremes(h, value, value);
	h->count++;
	h->sum += value;
	h->mean += delta / (double)h->count;
	h->m2 += delta * ((double)value - h->mean);
}

void histogram_add_range(struct histogram *h, uint64_t from, uint64_t to,
			 uint64_t n)
{
	const uint64_t step = (to - from) / PARTS + 1;
	const double middle = (double)from + (double)(to - from) / 2;

	if (!n)
		return;
	for (unsigned i = 0; i < PARTS; i++) {
		const uint64_t part = n * (i + 1) / PARTS - n * i / PARTS;
		const uint64_t at = from + i * step + step / 2;

		if (part)
			count_value(h, at < to ? at : to - 1, part);
	}
	extremes(h, from, to - 1);
	h->count += n;
	h->sum += (uint64_t)(middle * (double)n);
	h->mean += (middle - h->mean) * (double)n / (double)h->count;
}

/* Chan's way to join two means and variances. */
void histogram_merge(struct histogram *h, const struct histogram *from)
{
	const double n = (double)(h->count + from->count);
	const double delta = from->mean - h->mean;

	if (!from->count)
		return;
	for (unsigned g = 0; g < HISTOGRAM_GROUPS; g++)
		for (unsigned i = 0; from->group[g] && i < BUCKETS; i++)
			if (from->group[g][i])
				count(h, g, i, from->group[g][i]);
	extremes(h, from->min, from->max);
	h->m2 += from->m2 + delta * delta * (double)h->count *
		(double)from->count / n;
	h->mean += delta * (double)from->count / n;
	h->count += from->count;
	h->sum += from->sum;
}

struct quantile {
	uint64_t rank, seen, value;
};

static void find_rank(void *ctx, uint64_t from, uint64_t wide, uint64_t n)
{
	struct quantile *q = ctx;

	if (q->seen <= q->rank)
		q->value = from + wide / 2;
	q->seen += n;
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
	struct quantile find = { 0 };

	if (!h->count)
		return 0;
	find.rank = (uint64_t)(q * (double)(h->count - 1) + 0.5);
	histogram_each(h, find_rank, &find);
	if (find.rank == h->count - 1 || find.value > h->max)
		return h->max;
	return find.rank == 0 || find.value < h->min ? h->min : find.value;
}

double histogram_relative_error(const struct histogram *h)
{
	const double n = (double)h->count;

	if (h->count < 2 || h->mean <= 0)
		return 0;
	return sqrt(h->m2 / (n - 1) / n) / h->mean;
}

void histogram_each(const struct histogram *h,
		    void (*fn)(void *ctx, uint64_t from, uint64_t width,
			       uint64_t count), void *ctx)
{
	for (unsigned g = 0; g < HISTOGRAM_GROUPS; g++)
		for (unsigned i = 0; h->group[g] && i < BUCKETS; i++)
			if (h->group[g][i])
				fn(ctx, start(g) + i * width(g), width(g),
				   h->group[g][i]);
}

void histogram_free(struct histogram *h)
{
	for (unsigned g = 0; g < HISTOGRAM_GROUPS; g++)
		free(h->group[g]);
	*h = (struct histogram){ 0 };
}
