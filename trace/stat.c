/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stat.c - luvtrace stat: count the exits of a capture.
 */
#include "stat.h"
#include "events.h"
#include "memory.h"

#include <getopt.h>
#include <stdlib.h>

static void handled(void *ctx, const struct worlds_handled *h)
{
	struct stat *s = ctx;
	const struct trace_kvm_exit *x = h->exit;

	if (s->dom >= 0 && x->dom != s->dom)
		return;
	if (!s->by_reason)
		rows_add(&s->rows, h, s->sub_keys);
	else if (s->dom >= 0 || x->dom) /* for KVM the host is no VM */
		rows_count(&s->rows, &(struct row_key){
			.isa = x->isa, .reason = x->exit_reason }, h);
}

uint64_t stat_total(const struct stat *s, unsigned dom)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->rows.slots; i++)
		if (s->rows.slot[i] && !s->rows.slot[i]->key.has_sub &&
		    s->rows.slot[i]->key.dom == dom)
			sum += s->rows.slot[i]->time.sum;
	return sum;
}

static uint64_t kind_total(const struct stat *s, const struct row *row)
{
	struct row_key key = row->key;

	key.has_sub = key.rest = false;
	key.sub = 0;
	return rows_get((struct rows *)&s->rows, &key)->time.sum;
}

/* What the rows are ordered by, worked out once. */
struct order {
	struct row *row;
	uint64_t kind_total;
};

static int compare(const void *a, const void *b)
{
	const struct order *x = a, *y = b;
	const struct row_key *k = &x->row->key, *l = &y->row->key;

	if (k->dom != l->dom)
		return k->dom < l->dom ? -1 : 1;
	if (x->kind_total != y->kind_total)
		return x->kind_total > y->kind_total ? -1 : 1;
	if (k->kind != l->kind)
		return k->kind < l->kind ? -1 : 1;
	if (k->has_sub != l->has_sub)
		return k->has_sub ? 1 : -1;
	if (x->row->time.sum != y->row->time.sum)
		return x->row->time.sum > y->row->time.sum ? -1 : 1;
	return k->sub < l->sub ? -1 : k->sub > l->sub;
}

struct row **stat_sorted(const struct stat *s)
{
	struct order *o = memory_zeroed(s->rows.count, sizeof(*o));
	struct row **list = memory_zeroed(s->rows.count, sizeof(struct row *));
	size_t n = 0;

	for (size_t i = 0; i < s->rows.slots; i++)
		if (s->rows.slot[i]) {
			o[n].row = s->rows.slot[i];
			o[n].kind_total = kind_total(s, o[n].row);
			n++;
		}
	qsort(o, n, sizeof(*o), compare);
	for (size_t i = 0; i < n; i++)
		list[i] = o[i].row;
	free(o);
	return list;
}

static enum status usage(FILE *f)
{
	fputs("usage: luvtrace stat [options] FOLDER\n"
	      "  -k, --keys    a row for each port, MSR, page, ... too\n"
	      "  -d, --dom N   only this domain (0 is dom0)\n"
	      "  -n, --top N   only so many reasons, or sub-keys of each\n"
	      "  --ticks       times in TSC ticks, not microseconds\n"
	      "  --json        for programs; times in ticks\n"
	      "  --kvm         the table of `perf kvm stat report`\n"
	      "  --bt          read with libbabeltrace2 whatever it is\n"
	      "A handling time ends when the vCPU goes on: it has dom0's part "
	      "in it.\n", f);
	return f == stdout ? STATUS_OK : STATUS_USAGE;
}

enum status tool_stat(int argc, char **argv)
{
	static const struct worlds_ops ops = { .handled = handled };
	static const struct option longs[] = {
		{ "keys", 0, NULL, 'k' }, { "dom", 1, NULL, 'd' },
		{ "top", 1, NULL, 'n' }, { "ticks", 0, NULL, 't' },
		{ "json", 0, NULL, 'j' }, { "kvm", 0, NULL, 'v' },
		{ "bt", 0, NULL, 'b' }, { "help", 0, NULL, 'h' }, { 0 },
	};
	struct stat s = { .dom = -1 };
	enum status status = STATUS_BAD;
	uint64_t n;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "kd:n:h", longs, NULL)) != -1)
		switch (c) {
		case 'k': s.sub_keys = true; break;
		case 't': s.ticks = true; break;
		case 'j': json = true; break;
		case 'v': s.by_reason = true; break;
		case 'b': s.tool.use_bt = true; break;
		case 'h': return usage(stdout);
		case 'd':
			if (!tool_number(optarg, UINT16_MAX, &n))
				return usage(stderr);
			s.dom = (int)n;
			break;
		case 'n':
			if (!tool_number(optarg, UINT32_MAX, &s.top))
				return usage(stderr);
			break;
		default: return usage(stderr);
		}
	if (optind != argc - 1 || (s.by_reason && (json || s.sub_keys)))
		return usage(stderr);
	if (tool_read(&s.tool, argv[optind], &ops, &s)) {
		status = tool_status(&s.tool);
		if (json && stat_json(&s))
			status = STATUS_BAD;
		else if (s.by_reason)
			stat_print_kvm(&s);
		else if (!json)
			stat_print(&s);
	}
	rows_free(&s.rows);
	tool_close(&s.tool);
	return status;
}
