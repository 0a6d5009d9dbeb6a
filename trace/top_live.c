/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_live.c - see top_live.h. Of each domain the VMM's rows of now and of the
 * interval before; what is shown of an interval is their difference.
 */
#include "top_live.h"
#include "events.h"
#include "libluv.h"
#include "memory.h"

#include <time.h>

#define TOTAL	    2 /* has_sub of a row that has all of its kind */
#define FIRST_RATE_MS 50

struct domain {
	uint64_t tag; /* a VM's */
	struct luv_hist *row;
	size_t rows;
};

struct top_live {
	uint32_t cpus;
	uint64_t tsc, tsc_began;
	double began; /* s, when the TSC was tsc_began */
	struct domain now[LUV_VMS + 1], before[LUV_VMS + 1];
};

/* --- the VMM's rows ------------------------------------------------------- */

static void add(struct domain *d, const struct luv_hist *h)
{
	struct luv_hist *r = luv_hist_find(d->row, d->rows, h);

	if (r) {
		luv_hist_add(r, h);
		return;
	}
	d->row = memory_grown(d->row, d->rows + 1, sizeof(*d->row));
	d->row[d->rows++] = *h;
}

static long collect(struct domain *d, uint64_t who, uint64_t vcpu)
{
	static struct luv_hist row[LUV_HIST_ALL];
	const long n = luv_hist_all(who, vcpu, row, LUV_HIST_ALL);

	for (long i = 0; i < n; i++) {
		add(d, &row[i]);
		row[i].has_sub = TOTAL;
		row[i].sub = 0;
		add(d, &row[i]);
	}
	return n;
}

/* False: they changed each time; as before then. */
static bool collect_all(struct top_live *l)
{
	struct luv_vm_stat vm;

	for (uint32_t i = 0; i < l->cpus; i++)
		if (collect(&l->now[0], i, 0) < 0)
			return false;
	for (unsigned i = 0; i < LUV_VMS; i++) {
		if (luv_vm_stat(i, &vm) < 0)
			continue;
		l->now[i + 1].tag = vm.tag;
		for (unsigned k = 0; k < LUV_VCPUS; k++)
			if (collect(&l->now[i + 1], LUV_HIST_VM | i, k) ==
			    -LUV_EAGAIN)
				return false;
	}
	return true;
}

static void forget(struct domain *d)
{
	free(d->row);
	*d = (struct domain){ 0 };
}

/* --- differences ---------------------------------------------------------- */

static void subtract(struct luv_hist *from, const struct luv_hist *h)
{
	from->count -= h->count;
	from->ticks -= h->ticks;
	for (unsigned b = 0; b < LUV_HIST_BUCKETS; b++)
		from->bucket[b] -= h->bucket[b];
}

/* A subject that has less than before was forgotten in between. */
static struct luv_hist change(const struct luv_hist *r,
			      const struct domain *before)
{
	const struct luv_hist *old =
		before ? luv_hist_find(before->row, before->rows, r) : NULL;
	struct luv_hist d = *r;

	if (old && old->count <= d.count)
		subtract(&d, old);
	return d;
}

static void put(struct rows *to, struct row_key key, const struct luv_hist *h)
{
	struct histogram *time;

	if (!h->count)
		return;
	time = &rows_get(to, &key)->time;
	for (unsigned b = 0; b < LUV_HIST_BUCKETS; b++)
		histogram_add_range(time, luv_hist_from(b),
				    luv_hist_from(b + 1), h->bucket[b]);
	time->sum = h->ticks;
}

static uint64_t sub_of(unsigned dom, const struct luv_hist *h)
{
	if (h->kind == EXIT_STAGE2)
		return h->sub * 4096;
	return h->kind == EXIT_HYPERCALL && !dom ? h->sub ^ LUV_MAGIC : h->sub;
}

/* A kind's row, those of its subjects, and what is left. */
static void put_kind(struct rows *to, unsigned dom, const struct domain *now,
		     const struct domain *before, const struct luv_hist *total)
{
	const struct luv_hist all = change(total, before);
	struct row_key key = { .dom = (uint16_t)dom,
			       .kind = (uint8_t)total->kind };
	struct luv_hist rest = all;
	bool subjects = false;

	put(to, key, &all);
	key.has_sub = true;
	for (size_t i = 0; i < now->rows; i++) {
		const struct luv_hist *r = &now->row[i];
		struct luv_hist d;

		if (r->kind != total->kind || r->has_sub != 1)
			continue;
		d = change(r, before);
		key.sub = sub_of(dom, r);
		put(to, key, &d);
		subtract(&rest, &d);
		subjects = true;
	}
	key.sub = 0;
	key.rest = true;
	if (subjects && (int64_t)rest.count > 0)
		put(to, key, &rest);
}

static void put_all(struct rows *to, const struct top_live *l, bool interval)
{
	for (unsigned dom = 0; dom <= LUV_VMS; dom++) {
		const struct domain *now = &l->now[dom];
		const struct domain *before = &l->before[dom];
		const bool same = interval && before->tag == now->tag;

		for (size_t i = 0; i < now->rows; i++)
			if (now->row[i].has_sub == TOTAL)
				put_kind(to, dom, now, same ? before : NULL,
					 &now->row[i]);
	}
}

/* --- time ----------------------------------------------------------------- */

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool look_at_tsc(struct top_live *l)
{
	struct luv_cpu_stat s;

	if (luv_cpu_stat(0, &s) < 0)
		return false;
	l->tsc = s.now;
	return true;
}

/* How fast it is, better with each interval. */
static void rate(struct top *t)
{
	const struct top_live *l = t->live;
	const double s = seconds_now() - l->began;

	if (s > 0 && l->tsc > l->tsc_began)
		t->capture.meta.tsc_hz =
			(uint64_t)((double)(l->tsc - l->tsc_began) / s);
}

/* --- luvtop --------------------------------------------------------------- */

static int failed(struct top *t, long error)
{
	capture_problem(&t->capture, "%s; or name the folder of a capture",
			luv_strerror(error));
	return -1;
}

int top_live_open(struct top *t)
{
	const struct timespec pause = { 0, FIRST_RATE_MS * 1000000 };
	struct luv_info info;
	long e = luv_open();

	if (e < 0)
		return failed(t, e);
	e = luv_identify(&info);
	if (e < 0)
		return failed(t, e);
	t->live = memory_zeroed(1, sizeof(*t->live));
	t->live->cpus = info.cpus;
	t->capture.meta.tsc_hz = 1;
	if (!look_at_tsc(t->live))
		return failed(t, -LUV_ENOENT);
	t->live->began = seconds_now();
	t->live->tsc_began = t->live->tsc;
	nanosleep(&pause, NULL);
	return 0;
}

void top_live_read(struct top *t)
{
	struct top_live *l = t->live;
	struct domain old[LUV_VMS + 1];

	memcpy(old, l->before, sizeof(old));
	memcpy(l->before, l->now, sizeof(old));
	memset(l->now, 0, sizeof(l->now));
	if (!collect_all(l) || !look_at_tsc(l)) {
		for (unsigned i = 0; i <= LUV_VMS; i++)
			forget(&l->now[i]);
		memcpy(l->now, l->before, sizeof(old));
		memcpy(l->before, old, sizeof(old));
		return;
	}
	for (unsigned i = 0; i <= LUV_VMS; i++)
		forget(&old[i]);
	rate(t);
	t->begin = t->end; /* 0 at first: everything */
	t->seconds = capture_ns(&t->capture, l->tsc - t->begin) / 1e9;
	t->all_seconds = capture_ns(&t->capture, l->tsc) / 1e9;
	rows_free(&t->last);
	rows_free(&t->all);
	put_all(&t->last, l, t->end != 0);
	put_all(&t->all, l, false);
	t->end = l->tsc;
}

void top_live_close(struct top *t)
{
	for (unsigned i = 0; t->live && i <= LUV_VMS; i++) {
		forget(&t->live->now[i]);
		forget(&t->live->before[i]);
	}
	free(t->live);
	t->live = NULL;
}
