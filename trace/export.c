/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * export.c - luvtrace export: its command line, and CSV.
 */
#include "export.h"
#include "events.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

struct csv {
	struct tool *tool;
	const struct events_event *event;
	uint64_t id;
	FILE *out;
};

static void csv_record(void *ctx, unsigned cpu, const struct trace_header *h)
{
	const struct csv *c = ctx;
	char text[64];

	if (h->id != c->id)
		return;
	fprintf(c->out, "%" PRId64 ",%" PRIu32 ",%" PRIu64,
		capture_time(&c->tool->capture, h->timestamp),
		c->tool->capture.cpu_id[cpu], h->timestamp);
	for (uint32_t i = 0; i < c->event->fields; i++)
		if (!events_zeros(&c->event->field[i])) {
			events_text(text, sizeof(text), &c->event->field[i], h);
			fprintf(c->out, ",%s", text);
		}
	putc('\n', c->out);
}

static void csv_head(const struct csv *c)
{
	fputs("time_ns,cpu,timestamp_ticks", c->out);
	for (uint32_t i = 0; i < c->event->fields; i++) {
		const struct events_field *f = &c->event->field[i];

		if (!events_zeros(f))
			fprintf(c->out, *f->unit ? ",%s_%s" : ",%s", f->name,
				f->unit);
	}
	putc('\n', c->out);
}

enum status export_csv(struct tool *t, const char *folder, const char *event,
		       FILE *out)
{
	static const struct worlds_ops none = { 0 };
	struct csv c = { .tool = t, .out = out };

	while ((c.event = events_get(c.id)) && strcmp(c.event->name, event))
		c.id++;
	if (!c.event) {
		fprintf(stderr, "luvtrace: there is no event \"%s\"; "
			"trace/events.def has their names\n", event);
		return STATUS_USAGE;
	}
	csv_head(&c);
	t->record = csv_record;
	return tool_read(t, folder, &none, &c) ? tool_status(t) : STATUS_BAD;
}

static enum status usage(FILE *f)
{
	fputs("usage: luvtrace export --csv|--chrome|--perfetto [options] "
	      "FOLDER > FILE\n"
	      "  --csv         a line for each event, all fields\n"
	      "  -e EVENT      of these events (kvm_exit)\n"
	      "  --chrome      JSON for chrome://tracing and others\n"
	      "  --perfetto    protobuf for ui.perfetto.dev, smaller\n"
	      "  --bt          read with libbabeltrace2 whatever it is\n", f);
	return f == stdout ? STATUS_OK : STATUS_USAGE;
}

static enum status finish(enum status status, FILE *out)
{
	if (fflush(out) || ferror(out)) {
		perror("luvtrace: writing");
		return STATUS_BAD;
	}
	return status;
}

enum status tool_export(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "csv", 0, NULL, 'v' }, { "chrome", 0, NULL, 'c' },
		{ "perfetto", 0, NULL, 'p' }, { "bt", 0, NULL, 'b' },
		{ "event", 1, NULL, 'e' }, { "help", 0, NULL, 'h' }, { 0 },
	};
	const char *event = "kvm_exit";
	struct tool t = { 0 };
	enum status status;
	int c, format = 0;

	while ((c = getopt_long(argc, argv, "e:h", longs, NULL)) != -1)
		switch (c) {
		case 'v':
		case 'c':
		case 'p': format = c; break;
		case 'e': event = optarg; break;
		case 'b': t.use_bt = true; break;
		case 'h': return usage(stdout);
		default: return usage(stderr);
		}
	if (!format || optind != argc - 1)
		return usage(stderr);
	if (format == 'v')
		status = export_csv(&t, argv[optind], event, stdout);
	else if (format == 'c')
		status = export_chrome(&t, argv[optind], stdout);
	else
		status = export_perfetto(&t, argv[optind], stdout);
	tool_close(&t);
	return finish(status, stdout);
}
