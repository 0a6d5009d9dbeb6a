/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * diff.c - luvtrace diff: what an exit costs in two captures, and how sure it
 * is that the difference is one. Exits are matched by kind, which is the same
 * for both vendors; dom0 is compared with dom0 and all domUs with all domUs.
 */
#include "events.h"
#include "memory.h"
#include "sample.h"
#include "tool.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>

struct side {
	struct tool tool;
	bool vmm_only;
	struct sample time[2][EXIT_KINDS]; /* ns, of dom0 and of domUs */
};

struct options {
	bool vmm_only, json, use_bt;
	double confidence;
};

static void handled(void *ctx, const struct worlds_handled *h)
{
	struct side *s = ctx;

	if (h->exit->kind < EXIT_KINDS)
		sample_add(&s->time[h->exit->dom != 0][h->exit->kind],
			   (double)(s->vmm_only ? h->vmm : h->ticks));
}

static bool read_side(struct side *s, const char *folder,
		      const struct options *o)
{
	static const struct worlds_ops ops = { .handled = handled };

	s->vmm_only = o->vmm_only;
	s->tool.use_bt = o->use_bt;
	if (!tool_read(&s->tool, folder, &ops, s))
		return false;
	for (unsigned d = 0; d < 2; d++)
		for (unsigned k = 0; k < EXIT_KINDS; k++) {
			struct sample *t = &s->time[d][k];

			for (size_t i = 0; i < t->count; i++)
				t->value[i] *= 1e9 /
					(double)s->tool.capture.meta.tsc_hz;
			sample_finish(t);
		}
	return true;
}

static void close_side(struct side *s)
{
	for (unsigned d = 0; d < 2; d++)
		for (unsigned k = 0; k < EXIT_KINDS; k++)
			sample_free(&s->time[d][k]);
	tool_close(&s->tool);
}

/* --- text ----------------------------------------------------------------- */

static const char *verdict(struct sample_estimate e)
{
	if (e.low > 1)
		return "slower";
	return e.high < 1 ? "faster" : "";
}

static void print_change(double a, double b, struct sample_estimate e)
{
	printf(" %10.3f %10.3f", a / 1000, b / 1000);
	if (isinf(e.high))
		printf(" %-30s", "   too few to compare");
	else
		printf(" %+8.2f%% [%+8.2f, %+8.2f]", (e.value - 1) * 100,
		       (e.low - 1) * 100, (e.high - 1) * 100);
}

static void print_row(const struct side *a, const struct side *b, unsigned dom,
		      unsigned kind, double confidence)
{
	const struct sample *x = &a->time[dom][kind], *y = &b->time[dom][kind];
	const struct sample_estimate
		median = sample_ratio(x, y, SAMPLE_MEDIAN, confidence),
		mean = sample_ratio(x, y, SAMPLE_MEAN, confidence);

	printf("%-5s %-19s %10.1f %10.1f", dom ? "domU" : "dom0",
	       events_kind(kind), (double)x->seen / tool_seconds(&a->tool),
	       (double)y->seen / tool_seconds(&b->tool));
	if (!x->count || !y->count) {
		printf("   only in %s\n", x->count ? "A" : "B");
		return;
	}
	print_change(x->median, y->median, median);
	print_change(x->mean, y->mean, mean);
	printf(" %s\n", verdict(median));
}

static void print(const struct side *a, const struct side *b,
		  const struct options *o)
{
	printf("Medians and means of the %s, with %g %% confidence "
	       "intervals of the change from A to B.\n\n", o->vmm_only ?
	       "time in the VMM (us)" : "handling time (us)",
	       o->confidence * 100);
	printf("%-5s %-19s %10s %10s %10s %10s %9s %-20s %10s %10s %9s\n", "",
	       "EXIT", "A /s", "B /s", "MEDIAN A", "B", "CHANGE", "", "MEAN A",
	       "B", "CHANGE");
	for (unsigned d = 0; d < 2; d++)
		for (unsigned k = 0; k < EXIT_KINDS; k++)
			if (a->time[d][k].count || b->time[d][k].count)
				print_row(a, b, d, k, o->confidence);
	printf("\nOf 100 rows without a difference about %.3g are called one.\n"
	       "A: ", 100 * (1 - o->confidence));
	tool_losses(&a->tool, stdout);
	printf("B: ");
	tool_losses(&b->tool, stdout);
}

/* --- JSON ----------------------------------------------------------------- */

static json_t *json_estimate(const struct sample *x, const struct sample *y,
			     enum sample_what what, double confidence)
{
	const struct sample_estimate e = sample_ratio(x, y, what, confidence);
	json_t *o = json_pack("{s:f s:f}", "a_ns", what == SAMPLE_MEAN ?
			      x->mean : x->median, "b_ns",
			      what == SAMPLE_MEAN ? y->mean : y->median);

	if (!isinf(e.high))
		json_object_update_new(o, json_pack("{s:f s:f s:f}", "ratio",
			e.value, "low", e.low, "high", e.high));
	return o;
}

static json_t *json_row(const struct side *a, const struct side *b,
			unsigned d, unsigned k, double confidence)
{
	const struct sample *x = &a->time[d][k], *y = &b->time[d][k];

	return json_pack("{s:s s:s s:I s:I s:o s:o}", "dom",
			 d ? "domU" : "dom0", "exit", events_kind(k), "a_count",
			 (json_int_t)x->seen, "b_count", (json_int_t)y->seen, "median",
			 json_estimate(x, y, SAMPLE_MEDIAN, confidence), "mean",
			 json_estimate(x, y, SAMPLE_MEAN, confidence));
}

static enum status print_json(const struct side *a, const struct side *b,
			      const struct options *o)
{
	json_t *rows = json_array(), *root;
	int err;

	for (unsigned d = 0; d < 2; d++)
		for (unsigned k = 0; k < EXIT_KINDS; k++)
			if (a->time[d][k].count || b->time[d][k].count)
				json_array_append_new(rows, json_row(a, b, d, k,
							o->confidence));
	root = json_pack("{s:f s:f s:f s:o}", "confidence", o->confidence,
			 "a_seconds", tool_seconds(&a->tool), "b_seconds",
			 tool_seconds(&b->tool), "exits", rows);
	err = root ? json_dumpf(root, stdout, JSON_INDENT(1)) : -1;
	json_decref(root);
	putchar('\n');
	return err ? STATUS_BAD : STATUS_OK;
}

static enum status usage(FILE *f)
{
	fputs("usage: luvtrace diff [options] FOLDER-A FOLDER-B\n"
	      "  --vmm             time in the VMM alone\n"
	      "  --confidence P    in per cent, 95\n"
	      "  --json            for programs\n"
	      "  --bt              read with libbabeltrace2 whatever it is\n"
	      "\"slower\", \"faster\": no change of the median is not within "
	      "the interval.\n", f);
	return f == stdout ? STATUS_OK : STATUS_USAGE;
}

static enum status diff(const struct options *o, char **folder)
{
	struct side *side = memory_zeroed(2, sizeof(*side));
	enum status status = STATUS_BAD;
	const bool a = read_side(&side[0], folder[0], o);
	const bool b = read_side(&side[1], folder[1], o);

	if (a && b) {
		status = tool_status(&side[0].tool) |
			 tool_status(&side[1].tool);
		if (!o->json)
			print(&side[0], &side[1], o);
		else if (print_json(&side[0], &side[1], o))
			status = STATUS_BAD;
	}
	close_side(&side[0]);
	close_side(&side[1]);
	free(side);
	return status;
}

enum status tool_diff(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "vmm", 0, NULL, 'v' }, { "confidence", 1, NULL, 'c' },
		{ "json", 0, NULL, 'j' }, { "bt", 0, NULL, 'b' },
		{ "help", 0, NULL, 'h' }, { 0 },
	};
	struct options o = { .confidence = 0.95 };
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		switch (c) {
		case 'v': o.vmm_only = true; break;
		case 'j': o.json = true; break;
		case 'b': o.use_bt = true; break;
		case 'c': o.confidence = atof(optarg) / 100; break;
		case 'h': return usage(stdout);
		default: return usage(stderr);
		}
	if (optind != argc - 2 || !(o.confidence >= 0.5 &&
				    o.confidence <= 0.9999))
		return usage(stderr);
	return diff(&o, argv + optind);
}
