/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample.c - the bootstrap. Few numbers are drawn with replacement as the book
 * says. Of many, the median of a draw is the number at a rank that is normally
 * distributed about the middle, and the mean is normally distributed, so one
 * normal variate stands for a whole draw.
 *
 * Exits come in bursts: n of them tell less than n independent ones would. By
 * how much is seen from the variance of the means of long blocks, and n is
 * taken to be that much smaller.
 */
#include "sample.h"
#include "memory.h"

#include <math.h>

#define FEW    200u /* numbers: draw them really */
#define BLOCKS 32u

void sample_add(struct sample *s, double value)
{
	if (!s->step)
		s->step = 1;
	if (s->seen++ % s->step)
		return;
	if (s->count == SAMPLE_MAX) { /* forget every other one */
		s->count /= 2;
		for (size_t i = 0; i < s->count; i++)
			s->value[i] = s->value[2 * i];
		s->step *= 2;
		if ((s->seen - 1) % s->step)
			return;
	}
	if (s->count == s->room) {
		s->room = s->room ? s->room * 2 : 16;
		s->value = memory_grown(s->value, s->room, sizeof(*s->value));
	}
	s->value[s->count++] = value;
}

void sample_free(struct sample *s)
{
	free(s->value);
	*s = (struct sample){ 0 };
}

static double random_unit(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	uint64_t z = *state;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Box and Muller's. */
static double random_normal(uint64_t *state)
{
	const double u = 1 - random_unit(state), v = random_unit(state);

	return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double mean_of(const double *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += v[i];
	return n ? sum / (double)n : 0;
}

static double variance_of(const double *v, size_t n)
{
	const double mean = mean_of(v, n);
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (v[i] - mean) * (v[i] - mean);
	return n > 1 ? sum / (double)(n - 1) : 0;
}

static double median_of(const double *sorted, size_t n)
{
	if (!n)
		return 0;
	return n % 2 ? sorted[n / 2] :
		(sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* How many independent numbers these, in their order, are worth. */
static double worth(const struct sample *s)
{
	const size_t block = s->count / BLOCKS;
	const double n = (double)s->count;
	const double all = variance_of(s->value, s->count);
	double mean[BLOCKS], factor;

	if (block < 10 || all <= 0)
		return n;
	for (size_t i = 0; i < BLOCKS; i++)
		mean[i] = mean_of(s->value + i * block, block);
	factor = variance_of(mean, BLOCKS) * (double)block / all;
	return factor > 1 ? n / factor : n;
}

void sample_finish(struct sample *s)
{
	const size_t n = s->count;

	s->mean = mean_of(s->value, n);
	s->worth = worth(s);
	s->error = n ? sqrt(variance_of(s->value, n) / s->worth) : 0;
	if (n)
		qsort(s->value, n, sizeof(double), compare);
	s->median = median_of(s->value, n);
}

/* The median or mean of one draw; `room` is for as many numbers as s has. */
static double draw_few(const struct sample *s, enum sample_what what,
		       double *room, uint64_t *random)
{
	for (size_t i = 0; i < s->count; i++)
		room[i] = s->value[(size_t)(random_unit(random) *
					    (double)s->count)];
	if (what == SAMPLE_MEAN)
		return mean_of(room, s->count);
	qsort(room, s->count, sizeof(double), compare);
	return median_of(room, s->count);
}

static double draw(const struct sample *s, enum sample_what what,
		   uint64_t *random)
{
	const double n = (double)s->count;
	double room[FEW], rank;

	if (s->count <= FEW)
		return draw_few(s, what, room, random);
	if (what == SAMPLE_MEAN)
		return s->mean + random_normal(random) * s->error;
	rank = n / 2 + random_normal(random) * n / 2 / sqrt(s->worth);
	if (rank < 0)
		rank = 0;
	return s->value[rank < n - 1 ? (size_t)rank : s->count - 1];
}

static double value_of(const struct sample *s, enum sample_what what)
{
	return what == SAMPLE_MEAN ? s->mean : s->median;
}

struct sample_estimate sample_ratio(const struct sample *a,
				    const struct sample *b,
				    enum sample_what what, double confidence)
{
	static double ratio[SAMPLE_DRAWS];
	const unsigned cut = (unsigned)((1 - confidence) / 2 *
					(SAMPLE_DRAWS - 1) + 0.5);
	uint64_t random = 1;

	if (a->count < SAMPLE_LEAST || b->count < SAMPLE_LEAST)
		return (struct sample_estimate){
			value_of(b, what) / value_of(a, what), 0, INFINITY };
	for (unsigned i = 0; i < SAMPLE_DRAWS; i++) {
		const double base = draw(a, what, &random);

		ratio[i] = draw(b, what, &random) / base;
	}
	qsort(ratio, SAMPLE_DRAWS, sizeof(double), compare);
	return (struct sample_estimate){
		value_of(b, what) / value_of(a, what), ratio[cut],
		ratio[SAMPLE_DRAWS - 1 - cut] };
}
