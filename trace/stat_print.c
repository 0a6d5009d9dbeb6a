/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stat_print.c - the numbers of stat.c as text and as JSON.
 */
#include "stat.h"
#include "events.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct { double q; const char *name; } quantiles[] = {
	{ 0.5, "p50" }, { 0.9, "p90" }, { 0.99, "p99" }, { 0.999, "p99.9" },
};
#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

/* --- text ----------------------------------------------------------------- */

static void time_cell(const struct stat *s, uint64_t ticks)
{
	if (s->ticks)
		printf(" %10" PRIu64, ticks);
	else
		printf(" %10.3f", capture_ns(&s->tool.capture, ticks) / 1000);
}

static void print_head(const struct stat *s)
{
	printf("%-6s %-28s %10s %10s %6s %6s %10s", "DOMAIN", "EXIT", "COUNT",
	       "RATE/s", "TIME%", "VMM%", "MIN");
	for (size_t i = 0; i < QUANTILES; i++)
		printf(" %10s", quantiles[i].name);
	printf(" %10s  (%s)\n", "MAX", s->ticks ? "ticks" : "us");
}

static void print_name(const struct row_key *k)
{
	char dom[EVENTS_NAME], sub[EVENTS_NAME];

	events_dom(dom, k->dom);
	events_sub(sub, k->dom, k->kind, k->sub);
	if (k->rest)
		strcpy(sub, "(more)");
	if (k->has_sub)
		printf("%-6s   %-26s", "", sub);
	else
		printf("%-6s %-28s", dom, events_kind(k->kind));
}

static void print_row(const struct stat *s, const struct row *r)
{
	print_name(&r->key);
	printf(" %10" PRIu64 " %10.0f %6.2f", r->time.count,
	       (double)r->time.count / tool_seconds(&s->tool),
	       tool_percent(r->time.sum, stat_total(s, r->key.dom)));
	if (s->tool.capture.foreign)
		printf(" %6s", "-"); /* KVM and its host are one */
	else
		printf(" %6.2f", tool_percent(r->vmm, r->time.sum));
	time_cell(s, r->time.min);
	for (size_t i = 0; i < QUANTILES; i++)
		time_cell(s, histogram_quantile(&r->time, quantiles[i].q));
	time_cell(s, r->time.max);
	putchar('\n');
}

static void print_rows(const struct stat *s)
{
	struct row **list = stat_sorted(s);
	uint64_t kinds = 0, subs = 0;
	int dom = -1;

	for (size_t i = 0; i < s->rows.count; i++) {
		const struct row_key *k = &list[i]->key;

		if (k->dom != dom)
			kinds = 0;
		dom = k->dom;
		if (!k->has_sub)
			subs = 0;
		kinds += !k->has_sub;
		subs += k->has_sub;
		if (!s->top || (kinds <= s->top && subs <= s->top))
			print_row(s, list[i]);
	}
	free(list);
}

struct dom_time {
	uint64_t guest, vmm, dom0;
	unsigned vcpus;
};

static struct dom_time dom_time(const struct stat *s, unsigned dom)
{
	struct dom_time t = { 0 };

	for (size_t i = 0; i < s->tool.worlds.slots; i++) {
		const struct worlds_vcpu *v = &s->tool.worlds.vcpu[i];

		if (!v->used || v->key >> 16 != dom)
			continue;
		t.guest += v->guest;
		t.vmm += v->vmm;
		t.dom0 += v->dom0;
		t.vcpus++;
	}
	return t;
}

/* The domain after `dom`, or -1; -1 is before the first. */
static int next_dom(const struct stat *s, int dom)
{
	int next = -1;

	for (size_t i = 0; i < s->tool.worlds.slots; i++) {
		const struct worlds_vcpu *v = &s->tool.worlds.vcpu[i];
		const int d = (int)(v->key >> 16);

		if (v->used && d > dom && (next < 0 || d < next) &&
		    (s->dom < 0 || d == s->dom))
			next = d;
	}
	return next;
}

static void print_doms(const struct stat *s)
{
	char name[EVENTS_NAME];

	printf("\n%-6s %6s %8s %8s %8s   of its vCPUs' time\n", "DOMAIN",
	       "VCPUS", "GUEST%", "VMM%", s->tool.capture.foreign ? "HOST%" :
	       "DOM0%");
	for (int d = -1; (d = next_dom(s, d)) >= 0;) {
		struct dom_time t = dom_time(s, (unsigned)d);
		uint64_t all;

		if (s->tool.capture.foreign) {
			t.dom0 += t.vmm;
			t.vmm = 0;
		}
		all = t.guest + t.vmm + t.dom0;
		events_dom(name, (unsigned)d);
		printf("%-6s %6u %8.2f %8.2f %8.2f\n", name, t.vcpus,
		       tool_percent(t.guest, all), tool_percent(t.vmm, all),
		       tool_percent(t.dom0, all));
	}
}

static void print_cpus(const struct stat *s)
{
	printf("\n%-6s %8s %8s %8s %8s   of the CPU's time; exits\n", "CPU",
	       "DOM0%", "DOMU%", s->tool.capture.foreign ? "HOST%" : "VMM%",
	       "?%");
	for (unsigned i = 0; i < s->tool.worlds.cpus; i++) {
		const struct worlds_cpu *c = &s->tool.worlds.cpu[i];
		const uint64_t all = c->last - c->first;

		if (c->seen)
			printf("%-6" PRIu32 " %8.2f %8.2f %8.2f %8.2f   "
			       "%" PRIu64 "\n", s->tool.capture.cpu_id[i],
			       tool_percent(c->guest[0], all),
			       tool_percent(c->guest[1], all),
			       tool_percent(c->vmm, all),
			       tool_percent(c->unknown, all), c->exits);
	}
}

void stat_print(const struct stat *s)
{
	print_head(s);
	print_rows(s);
	print_doms(s);
	print_cpus(s);
	printf("\n%.6f s", tool_seconds(&s->tool));
	if (!s->tool.capture.foreign)
		printf(", TSC %.3f MHz", (double)s->tool.capture.meta.tsc_hz /
		       1e6);
	printf(". ");
	tool_losses(&s->tool, stdout);
	if (s->tool.worlds.unpaired)
		printf("%" PRIu64 " exits have no end here and are not in the "
		       "times.\n", s->tool.worlds.unpaired);
}

/* --- `perf kvm stat report` ----------------------------------------------- */

static int by_count(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a;
	const struct row *y = *(struct row *const *)b;

	if (x->time.count != y->time.count)
		return x->time.count > y->time.count ? -1 : 1;
	return x->key.reason < y->key.reason ? -1 : 1;
}

static double us(const struct stat *s, uint64_t ticks)
{
	return capture_ns(&s->tool.capture, ticks) / 1000;
}

void stat_print_kvm(const struct stat *s)
{
	struct row **list = rows_sorted(&s->rows, by_count);
	uint64_t samples = 0, time = 0;

	for (size_t i = 0; i < s->rows.count; i++) {
		samples += list[i]->time.count;
		time += list[i]->time.sum;
	}
	printf("\n\nAnalyze events for all VMs, all VCPUs:\n\n");
	printf("%20s %10s %9s %9s %11s %11s %16s \n\n", "VM-EXIT", "Samples",
	       "Samples%", "Time%", "Min Time", "Max Time", "Avg time");
	for (size_t i = 0; i < s->rows.count; i++) {
		const struct histogram *h = &list[i]->time;
		char name[EVENTS_NAME];

		events_reason(name, list[i]->key.isa, list[i]->key.reason);
		printf("%20s %10" PRIu64 " %8.2f%% %8.2f%% %9.2fus %9.2fus "
		       "%9.2fus ( +-%7.2f%% )\n", name, h->count,
		       tool_percent(h->count, samples),
		       tool_percent(h->sum, time), us(s, h->min), us(s, h->max),
		       us(s, h->sum) / (double)h->count,
		       100 * histogram_relative_error(h));
	}
	printf("\nTotal Samples:%" PRIu64 ", Total events handled time:%.2fus."
	       "\n\n", samples, us(s, time));
	free(list);
}

/* --- JSON ----------------------------------------------------------------- */

static json_t *u64(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *json_row(const struct stat *s, const struct row *r)
{
	json_t *o = json_pack("{s:i s:s s:o s:f s:f s:o s:o s:o s:o}", "dom",
			      (int)r->key.dom, "exit", events_kind(r->key.kind),
			      "count", u64(r->time.count), "rate",
			      (double)r->time.count / tool_seconds(&s->tool),
			      "time_percent", tool_percent(r->time.sum,
				      stat_total(s, r->key.dom)),
			      "ticks", u64(r->time.sum), "vmm_ticks",
			      u64(r->vmm), "min", u64(r->time.min), "max",
			      u64(r->time.max));
	char sub[EVENTS_NAME];

	for (size_t i = 0; i < QUANTILES; i++)
		json_object_set_new(o, quantiles[i].name,
			u64(histogram_quantile(&r->time, quantiles[i].q)));
	if (r->key.has_sub && !r->key.rest) {
		events_sub(sub, r->key.dom, r->key.kind, r->key.sub);
		json_object_set_new(o, "key", json_string(sub));
		json_object_set_new(o, "sub", u64(r->key.sub));
	} else if (r->key.rest) {
		json_object_set_new(o, "key", json_string("(more)"));
	}
	return o;
}

static json_t *json_doms(const struct stat *s)
{
	json_t *a = json_array();

	for (int d = -1; (d = next_dom(s, d)) >= 0;) {
		const struct dom_time t = dom_time(s, (unsigned)d);

		json_array_append_new(a, json_pack("{s:i s:i s:o s:o s:o}",
			"dom", d, "vcpus", (int)t.vcpus, "guest_ticks",
			u64(t.guest), "vmm_ticks", u64(t.vmm), "dom0_ticks",
			u64(t.dom0)));
	}
	return a;
}

static json_t *json_cpus(const struct stat *s)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < s->tool.worlds.cpus; i++) {
		const struct worlds_cpu *c = &s->tool.worlds.cpu[i];

		if (c->seen)
			json_array_append_new(a, json_pack(
				"{s:o s:o s:o s:o s:o s:o s:o}", "cpu",
				u64(s->tool.capture.cpu_id[i]), "exits",
				u64(c->exits), "missing_exits", u64(c->gaps),
				"dom0_ticks", u64(c->guest[0]), "domu_ticks",
				u64(c->guest[1]), "vmm_ticks", u64(c->vmm),
				"unknown_ticks", u64(c->unknown)));
	}
	return a;
}

enum status stat_json(const struct stat *s)
{
	const struct capture *c = &s->tool.capture;
	struct row **list = stat_sorted(s);
	json_t *rows = json_array(), *root;
	int err;

	for (size_t i = 0; i < s->rows.count; i++)
		json_array_append_new(rows, json_row(s, list[i]));
	free(list);
	root = json_pack("{s:f s:o s:o s:o s:o s:o s:o s:o}", "seconds",
			 tool_seconds(&s->tool), "tsc_hz", u64(c->meta.tsc_hz),
			 "lost_events", u64(c->lost), "lost_packets",
			 u64(c->packets_lost), "unpaired",
			 u64(s->tool.worlds.unpaired), "exits", rows, "domains",
			 json_doms(s), "cpus", json_cpus(s));
	err = root ? json_dumpf(root, stdout, JSON_INDENT(1)) : -1;
	json_decref(root);
	if (err) {
		fputs("luvtrace: could not write JSON\n", stderr);
		return STATUS_BAD;
	}
	putchar('\n');
	return STATUS_OK;
}
