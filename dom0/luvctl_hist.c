/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvctl_hist.c - how long exits keep dom0 and each VM in the VMM: the rows of
 * all CPUs of dom0, and of all vCPUs of a VM, added up.
 */
#include "luvctl_hist.h"
#include "libluv.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct domain {
	struct luv_hist *row;
	size_t rows;
};

static void *need(void *p)
{
	if (!p) {
		fputs("luvctl: no memory.\n", stderr);
		exit(1);
	}
	return p;
}

static void add(struct domain *d, const struct luv_hist *h)
{
	struct luv_hist *r = luv_hist_find(d->row, d->rows, h);

	if (r) {
		luv_hist_add(r, h);
		return;
	}
	d->row = need(realloc(d->row, ++d->rows * sizeof(*r)));
	d->row[d->rows - 1] = *h;
}

/* All rows of a CPU of dom0, or a vCPU. */
static long read_rows(struct domain *d, uint64_t who, uint64_t vcpu)
{
	static struct luv_hist row[LUV_HIST_ALL];
	const long n = luv_hist_all(who, vcpu, row, LUV_HIST_ALL);

	for (long i = 0; i < n; i++)
		add(d, &row[i]);
	return n;
}

/* By kind; a kind's subjects by the time they took, the rest of it first. */
static int compare(const void *a, const void *b)
{
	const struct luv_hist *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->has_sub != y->has_sub)
		return x->has_sub < y->has_sub ? -1 : 1;
	return (x->ticks < y->ticks) - (x->ticks > y->ticks);
}

uint64_t luvctl_quantile(const struct luv_hist *row, double part)
{
	double left = part * (double)row->count;

	for (unsigned i = 0; i < LUV_HIST_BUCKETS; i++) {
		uint64_t from = luv_hist_from(i), to = luv_hist_from(i + 1);

		if (row->bucket[i] && row->bucket[i] >= left)
			return from + (uint64_t)((double)(to - from) * left /
						 row->bucket[i]);
		left -= row->bucket[i];
	}
	return luv_hist_from(LUV_HIST_BUCKETS);
}

static const char *subject(char text[64], const struct luv_hist *r, bool dom0)
{
	static const char *const what[EXIT_KINDS] = {
		[EXIT_CPUID] = "leaf", [EXIT_HYPERCALL] = "call",
		[EXIT_IO] = "port", [EXIT_RDMSR] = "MSR", [EXIT_WRMSR] = "MSR",
		[EXIT_STAGE2] = "page",
	};
	uint64_t sub = r->sub;

	if (!r->has_sub)
		return r->kind < EXIT_KINDS && what[r->kind] ? "(others)" : "";
	if (r->kind == EXIT_STAGE2)
		sub *= 4096;
	if (r->kind == EXIT_HYPERCALL && dom0)
		sub ^= LUV_MAGIC;
	snprintf(text, 64, "%s 0x%" PRIx64, r->kind < EXIT_KINDS &&
		 what[r->kind] ? what[r->kind] : "?", sub);
	return text;
}

static void print(const char *name, const struct domain *d, bool dom0)
{
	char text[64];

	for (size_t i = 0; i < d->rows; i++) {
		const struct luv_hist *r = &d->row[i];

		printf("%-6s %-20s %-18s %10" PRIu64 " %10" PRIu64 " %10" PRIu64
		       " %10" PRIu64 " %10" PRIu64 "\n", name,
		       luv_exit_name(r->kind), subject(text, r, dom0), r->count,
		       r->ticks / r->count, luvctl_quantile(r, 0.5),
		       luvctl_quantile(r, 0.9), luvctl_quantile(r, 0.99));
	}
}

static json_t *json(const char *name, const struct domain *d)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < d->rows; i++) {
		const struct luv_hist *r = &d->row[i];
		json_t *row = json_pack("{s:s, s:I, s:I}", "exit",
					luv_exit_name(r->kind), "count",
					(json_int_t)r->count, "ticks",
					(json_int_t)r->ticks);
		json_t *buckets = json_array();

		if (r->has_sub)
			json_object_set_new(row, "sub",
					    json_integer((json_int_t)r->sub));
		for (unsigned b = 0; b < LUV_HIST_BUCKETS; b++)
			if (r->bucket[b])
				json_array_append_new(buckets,
					json_pack("[I, I]", (json_int_t)
						  luv_hist_from(b),
						  (json_int_t)r->bucket[b]));
		json_object_set_new(row, "buckets", buckets);
		json_array_append_new(rows, row);
	}
	return json_pack("{s:s, s:o}", "domain", name, "rows", rows);
}

/* Sorted, shown, and gone. */
static void show(const char *name, struct domain *d, bool dom0, json_t *all)
{
	if (d->rows)
		qsort(d->row, d->rows, sizeof(*d->row), compare);
	if (all)
		json_array_append_new(all, json(name, d));
	else
		print(name, d, dom0);
	free(d->row);
	*d = (struct domain){ 0 };
}

long luvctl_hist(bool as_json)
{
	json_t *all = as_json ? json_array() : NULL;
	struct domain d = { 0 };
	struct luv_vm_stat vm;
	struct luv_info info;
	char name[16];
	long e = luv_identify(&info);

	if (e >= 0 && !as_json)
		printf("%-6s %-20s %-18s %10s %10s %10s %10s %10s  (TSC ticks "
		       "in the VMM)\n", "DOMAIN", "EXIT", "OF", "COUNT", "MEAN",
		       "p50", "p90", "p99");
	for (unsigned i = 0; e >= 0 && i < info.cpus; i++)
		e = read_rows(&d, i, 0);
	if (e < 0)
		return e;
	show("dom0", &d, true, all);
	for (unsigned i = 0; i < LUV_VMS; i++) {
		if (luv_vm_stat(i, &vm) < 0)
			continue;
		for (unsigned k = 0; k < LUV_VCPUS; k++) {
			e = read_rows(&d, LUV_HIST_VM | i, k);
			if (e == -LUV_EAGAIN)
				return e;
		}
		snprintf(name, sizeof(name), "dom%u", i + 1);
		show(name, &d, false, all);
	}
	if (all) {
		json_t *root = json_pack("{s:o}", "domains", all);

		json_dumpf(root, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(root);
	}
	return 0;
}
