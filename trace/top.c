/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.c - see top.h. Addresses are counted only for what has been chosen, so
 * memory stays small however long it runs.
 */
#include "top.h"
#include "events.h"
#include "top_live.h"
#include "memory.h"

#include <inttypes.h>

static bool chosen(const struct top *t, const struct trace_kvm_exit *x)
{
	return t->level != TOP_REASONS && x->dom == t->chosen.dom &&
	       x->kind == t->chosen.kind &&
	       (!t->chosen.has_sub || x->sub == t->chosen.sub);
}

static void count_address(struct rows *r, const struct worlds_handled *h)
{
	const struct trace_kvm_exit *x = h->exit;

	rows_count(r, &(struct row_key){ .dom = x->dom, .kind = x->kind,
		.has_sub = true, .sub = x->guest_rip }, h);
}

static void handled(void *ctx, const struct worlds_handled *h)
{
	struct top *t = ctx;

	t->exits++;
	rows_add(&t->now, h, true);
	rows_add(&t->all, h, true);
	if (chosen(t, h->exit)) {
		count_address(&t->address_now, h);
		count_address(&t->address_all, h);
	}
}

static const struct worlds_ops ops = { .handled = handled };

int top_open(struct top *t, const char *folder)
{
	worlds_init(&t->worlds, &ops, t);
	if (!folder)
		return top_live_open(t);
	if (capture_open(&t->capture, folder, false))
		return -1;
	if (t->capture.use_bt) {
		capture_problem(&t->capture, "%s: not a capture of this "
				"version of Luvalley, and only these can be "
				"followed; try: luvtrace stat %s", folder,
				folder);
		return -1;
	}
	return 0;
}

static void record(void *ctx, unsigned cpu, const struct trace_header *h)
{
	struct top *t = ctx;

	worlds_record(&t->worlds, cpu, h);
}

static void show(struct rows *last, struct rows *now)
{
	rows_free(last);
	*last = *now;
	*now = (struct rows){ 0 };
}

void top_read(struct top *t)
{
	uint64_t first = 0, last = 0;
	const uint64_t before = t->end;

	if (t->live) {
		top_live_read(t);
		return;
	}
	t->exits = 0;
	capture_poll(&t->capture, record, t);
	if (!worlds_span(&t->worlds, &first, &last) || last == before)
		return; /* nothing new: what was shown stays */
	t->begin = before ? before : first;
	t->end = last;
	t->seconds = capture_ns(&t->capture, t->end - t->begin) / 1e9;
	t->all_seconds = capture_ns(&t->capture, last - first) / 1e9;
	show(&t->last, &t->now);
	show(&t->address_last, &t->address_now);
}

/* --- lines ---------------------------------------------------------------- */

static const struct rows *shown(const struct top *t)
{
	if (t->level == TOP_ADDRESSES)
		return t->total ? &t->address_all : &t->address_last;
	return t->total ? &t->all : &t->last;
}

static bool belongs(const struct top *t, const struct row_key *k)
{
	switch (t->level) {
	case TOP_REASONS:
		return !k->has_sub;
	case TOP_KEYS:
		return k->has_sub && k->dom == t->chosen.dom &&
		       k->kind == t->chosen.kind;
	case TOP_ADDRESSES:
		return true;
	}
	return false;
}

static void name(const struct top *t, const struct row_key *k, char *out,
		 size_t len)
{
	char dom[EVENTS_NAME], sub[EVENTS_NAME];
	const char *symbol;
	uint64_t at;

	if (t->level == TOP_REASONS) {
		events_dom(dom, k->dom);
		snprintf(out, len, "%-6s %s", dom, events_kind(k->kind));
	} else if (k->rest) {
		snprintf(out, len, "(more)");
	} else if (t->level == TOP_KEYS) {
		events_sub(sub, k->dom, k->kind, k->sub);
		snprintf(out, len, "%s", sub);
	} else {
		symbol = symbols_find(&t->symbols, k->dom, k->sub, &at);
		if (symbol)
			snprintf(out, len, "%s+0x%" PRIx64, symbol, at);
		else
			snprintf(out, len, "0x%" PRIx64, k->sub);
	}
}

static double weight(const struct top_line *l, enum top_sort sort)
{
	switch (sort) {
	case TOP_BY_TIME:
		return (double)l->row->time.sum;
	case TOP_BY_P99:
		return (double)histogram_quantile(&l->row->time, 0.99);
	default:
		return (double)l->row->time.count;
	}
}

static enum top_sort sort_by;

static int compare(const void *a, const void *b)
{
	const struct top_line *x = a, *y = b;
	const double v = weight(x, sort_by), w = weight(y, sort_by);

	return v > w ? -1 : v < w ? 1 : strcmp(x->name, y->name);
}

struct top_line *top_lines(const struct top *t, size_t *n)
{
	const struct rows *r = shown(t);
	struct top_line *line = memory_zeroed(r->count, sizeof(*line));
	const double seconds = t->total ? t->all_seconds : t->seconds;
	uint64_t sum = 0;

	*n = 0;
	for (size_t i = 0; i < r->slots; i++)
		if (r->slot[i] && belongs(t, &r->slot[i]->key)) {
			struct top_line *l = &line[(*n)++];

			l->row = r->slot[i];
			name(t, &l->row->key, l->name, sizeof(l->name));
			sum += l->row->time.sum;
		}
	for (size_t i = 0; i < *n; i++) {
		const struct histogram *h = &line[i].row->time;

		line[i].rate = seconds > 0 ? (double)h->count / seconds : 0;
		line[i].share = sum ? 100.0 * (double)h->sum / (double)sum : 0;
	}
	sort_by = t->sort;
	qsort(line, *n, sizeof(*line), compare);
	return line;
}

/* --- drilling ------------------------------------------------------------- */

struct again {
	struct top *t;
	struct worlds worlds;
};

static void handled_again(void *ctx, const struct worlds_handled *h)
{
	struct top *t = ((struct again *)ctx)->t;
	const uint64_t at = h->exit->header.timestamp;

	/* What is later than what has been read will be read by top_read(). */
	if (at > t->end || !chosen(t, h->exit))
		return;
	count_address(&t->address_all, h);
	if (at >= t->begin)
		count_address(&t->address_last, h);
}

static void record_again(void *ctx, unsigned cpu, const struct trace_header *h)
{
	worlds_record(&((struct again *)ctx)->worlds, cpu, h);
}

/* The addresses of what has just been chosen, from the begin. */
static void read_again(struct top *t)
{
	static const struct worlds_ops again_ops = { .handled = handled_again };
	struct again a = { .t = t };
	struct capture c;

	rows_free(&t->address_now);
	rows_free(&t->address_last);
	rows_free(&t->address_all);
	worlds_init(&a.worlds, &again_ops, &a);
	if (!capture_open(&c, t->capture.folder, false))
		capture_poll(&c, record_again, &a);
	capture_close(&c);
	worlds_free(&a.worlds);
}

/* The histograms have rows of some kinds' subjects, and no addresses. */
static bool has_keys(const struct top *t, const struct row_key *key)
{
	const struct trace_kvm_exit like = { .kind = key->kind };

	if (!t->live)
		return events_has_sub(&like);
	for (size_t i = 0; i < t->all.slots; i++)
		if (t->all.slot[i] && t->all.slot[i]->key.has_sub &&
		    t->all.slot[i]->key.dom == key->dom &&
		    t->all.slot[i]->key.kind == key->kind)
			return true;
	return false;
}

bool top_into(struct top *t, const struct row *row)
{
	if (t->level == TOP_ADDRESSES || row->key.rest)
		return false;
	if (t->live && (t->level == TOP_KEYS || !has_keys(t, &row->key)))
		return false;
	t->chosen = row->key;
	t->level = t->level == TOP_REASONS && has_keys(t, &t->chosen) ?
		TOP_KEYS : TOP_ADDRESSES;
	if (t->level == TOP_ADDRESSES)
		read_again(t);
	return true;
}

bool top_back(struct top *t)
{
	if (t->level == TOP_REASONS)
		return false;
	t->level = t->level == TOP_ADDRESSES && t->chosen.has_sub ? TOP_KEYS :
		TOP_REASONS;
	t->chosen.has_sub = false;
	t->chosen.sub = 0;
	return true;
}

void top_where(const struct top *t, char *out, size_t len)
{
	char dom[EVENTS_NAME], sub[EVENTS_NAME] = "";

	out[0] = '\0';
	if (t->level == TOP_REASONS)
		return;
	events_dom(dom, t->chosen.dom);
	if (t->chosen.has_sub)
		events_sub(sub, t->chosen.dom, t->chosen.kind, t->chosen.sub);
	snprintf(out, len, "%s %s %s", dom, events_kind(t->chosen.kind), sub);
}

void top_close(struct top *t)
{
	top_live_close(t);
	rows_free(&t->now);
	rows_free(&t->last);
	rows_free(&t->all);
	rows_free(&t->address_now);
	rows_free(&t->address_last);
	rows_free(&t->address_all);
	symbols_free(&t->symbols);
	worlds_free(&t->worlds);
	capture_close(&t->capture);
}
