/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - luvtrace report: read a capture twice, first for its numbers and
 * length, then for the timeline, and write the page.
 */
#include "report.h"
#include "memory.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>

#define LIMIT 400000u /* exits */

struct options {
	double from, to; /* seconds from the begin; to: INFINITY */
	const char *out;
};

static bool within(const struct report *r, uint64_t timestamp)
{
	return timestamp >= r->from && timestamp <= r->to;
}

/* Keep the slowest; slow[0] is the fastest of them. */
static void note_slow(struct report *r, const struct worlds_handled *h)
{
	const uint64_t at = h->exit->header.timestamp;
	const uint64_t around = r->tool.capture.meta.tsc_hz / 50000; /* 20 us */
	struct report_slow new = { h->vmm, { at - around, at + h->vmm +
					     around } };
	unsigned i = 0;

	if (h->vmm <= r->slow[0].vmm)
		return;
	for (; i + 1 < REPORT_SLOW && r->slow[i + 1].vmm < new.vmm; i++)
		r->slow[i] = r->slow[i + 1];
	r->slow[i] = new;
}

static void count_exit(void *ctx, unsigned cpu, const struct trace_kvm_exit *x,
		       uint64_t flow)
{
	struct report *r = ctx;

	(void)cpu;
	(void)flow;
	r->exits += within(r, x->header.timestamp);
}

static void count_handled(void *ctx, const struct worlds_handled *h)
{
	struct report *r = ctx;

	if (!within(r, h->exit->header.timestamp))
		return;
	rows_add(&r->rows, h, true);
	stacks_add(&r->stacks, h);
	note_slow(r, h);
}

static void draw_guest(void *ctx, const struct worlds_guest *g)
{
	struct report *r = ctx;

	bins_add(&r->bins, g->cpu, bins_world(g->end->dom), g->begin,
		 g->end->header.timestamp);
	detail_guest(&r->detail, g);
}

static void draw_exit(void *ctx, unsigned cpu, const struct trace_kvm_exit *x,
		      uint64_t flow)
{
	struct report *r = ctx;

	(void)flow;
	bins_add(&r->bins, cpu, BINS_VMM, x->header.timestamp, x->entry_tsc);
	detail_add(&r->detail, cpu, x);
}

static void draw_handled(void *ctx, const struct worlds_handled *h)
{
	detail_handled(&((struct report *)ctx)->detail, h);
}

static bool first_reading(struct report *r, const char *folder)
{
	static const struct worlds_ops ops = { .exit = count_exit,
		.handled = count_handled };

	return tool_read(&r->tool, folder, &ops, r);
}

static bool second_reading(struct report *r, const char *folder)
{
	static const struct worlds_ops ops = { .guest = draw_guest,
		.exit = draw_exit, .handled = draw_handled };
	struct detail_window slow[REPORT_SLOW];
	struct tool again = { .use_bt = r->tool.use_bt, .quiet = true };
	unsigned n = 0;
	bool ok;

	for (unsigned i = 0; i < REPORT_SLOW; i++)
		if (r->slow[i].vmm)
			slow[n++] = r->slow[i].at;
	r->detail.symbols = &r->symbols;
	detail_windows(&r->detail, r->from, r->to, r->exits, r->limit, slow, n);
	bins_init(&r->bins, r->from, r->to, r->tool.capture.cpus);
	ok = tool_read(&again, folder, &ops, r);
	tool_close(&again);
	return ok;
}

/*
 * The part in ticks needs the begin of the capture, which is known after a
 * reading: for a part there is one more.
 */
static bool set_part(struct report *r, const char *folder,
		     const struct options *o)
{
	static const struct worlds_ops none = { 0 };
	struct tool t = { .use_bt = r->tool.use_bt, .quiet = true };
	const bool ok = tool_read(&t, folder, &none, NULL);
	uint64_t first, last;

	if (ok && worlds_span(&t.worlds, &first, &last)) {
		const double hz = (double)t.capture.meta.tsc_hz;
		const double from = o->from * hz, to = o->to * hz;
		const double length = (double)(last - first);

		r->from = first + (uint64_t)fmin(from, length);
		r->to = first + (uint64_t)fmin(to, length);
	}
	tool_close(&t);
	return ok;
}

static bool collect(struct report *r, const char *folder,
		    const struct options *o)
{
	const bool part = o->from > 0 || !isinf(o->to);

	r->to = UINT64_MAX;
	if (part)
		set_part(r, folder, o);
	if (!first_reading(r, folder))
		return false;
	if (!part)
		worlds_span(&r->tool.worlds, &r->from, &r->to);
	if (!r->exits) {
		fputs("luvtrace: there are no exits in this part of the "
		      "capture\n", stderr);
		return false;
	}
	return second_reading(r, folder);
}

static enum status write_page(const struct report *r, const char *path)
{
	FILE *out = fopen(path, "w");
	const bool ok = out && report_page(r, out) == 0;
	const bool closed = out && fclose(out) == 0;

	if (ok && closed)
		return tool_status(&r->tool);
	fprintf(stderr, "luvtrace: %s: %s\n", path, strerror(errno));
	return STATUS_BAD;
}

static enum status usage(FILE *f)
{
	fputs("usage: luvtrace report [options] -o FILE.html FOLDER\n"
	      "  -S [DOM=]FILE[+OFFSET]  names of addresses, see luvtrace "
	      "flame\n"
	      "  --from S, --to S        this part, in seconds from its begin\n"
	      "  --limit N               exits shown one by one (400000); of "
	      "more, those\n"
	      "                          in 50 windows and around the slowest\n"
	      "  --bt                    read with libbabeltrace2 whatever it "
	      "is\n"
	      "One page that needs nothing else.\n", f);
	return f == stdout ? STATUS_OK : STATUS_USAGE;
}

static enum status parse(int argc, char **argv, struct report *r,
			 struct options *o)
{
	static const struct option longs[] = {
		{ "from", 1, NULL, 'f' }, { "to", 1, NULL, 't' },
		{ "limit", 1, NULL, 'l' }, { "bt", 0, NULL, 'b' },
		{ "help", 0, NULL, 'h' }, { 0 },
	};
	enum status status = STATUS_OK;
	const char *wrong;
	int c;

	while ((c = getopt_long(argc, argv, "o:S:h", longs, NULL)) != -1)
		switch (c) {
		case 'o': o->out = optarg; break;
		case 'f': o->from = atof(optarg); break;
		case 't': o->to = atof(optarg); break;
		case 'b': r->tool.use_bt = true; break;
		case 'h':
			usage(stdout);
			exit(STATUS_OK);
		case 'l':
			if (!tool_number(optarg, UINT32_MAX, &r->limit))
				return usage(stderr);
			break;
		case 'S':
			wrong = symbols_load(&r->symbols, optarg);
			if (wrong) {
				fprintf(stderr, "luvtrace: %s\n", wrong);
				status = STATUS_BAD;
			}
			break;
		default: return usage(stderr);
		}
	if (optind != argc - 1 || !o->out || !(o->from >= 0) ||
	    !(o->to > o->from))
		return usage(stderr);
	return status;
}

enum status tool_report(int argc, char **argv)
{
	struct report *r = memory_zeroed(1, sizeof(*r));
	struct options o = { .to = INFINITY };
	enum status status;

	r->limit = LIMIT;
	r->stacks = (struct stacks){ .key = true, .symbols = &r->symbols };
	status = parse(argc, argv, r, &o);
	if (!status)
		status = collect(r, argv[optind], &o) ?
			write_page(r, o.out) : STATUS_BAD;
	rows_free(&r->rows);
	stacks_free(&r->stacks);
	symbols_free(&r->symbols);
	bins_free(&r->bins);
	detail_free(&r->detail);
	tool_close(&r->tool);
	free(r);
	return status;
}
