/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvtop.c - exits as they happen: follows a capture folder while it is being
 * written, or the VMM's histograms. On a terminal (top_screen.c), or as text, for logs. Exit status as
 * luvtrace's.
 */
#include "memory.h"
#include "tool.h"
#include "top_screen.h"

#include <getopt.h>
#include <inttypes.h>
#include <time.h>

struct options {
	double interval; /* seconds */
	bool batch;
	uint64_t count;	 /* of intervals; 0: no end */
};

static void print_lines(const struct top *t)
{
	size_t n;
	struct top_line *line = top_lines(t, &n);
	char text[200];

	top_screen_summary(t, text, sizeof(text));
	puts(text);
	top_screen_head(t, text, sizeof(text));
	puts(text);
	for (size_t i = 0; i < n; i++) {
		top_screen_line(t, &line[i], text, sizeof(text));
		puts(text);
	}
	putchar('\n');
	fflush(stdout);
	free(line);
}

static void batch(struct top *t, const struct options *o)
{
	const struct timespec pause = {
		(time_t)o->interval,
		(long)((o->interval - (double)(time_t)o->interval) * 1e9) };

	for (uint64_t i = 0; !o->count || i < o->count; i++) {
		if (i)
			nanosleep(&pause, NULL);
		top_read(t);
		print_lines(t);
	}
}

static enum status usage(FILE *f)
{
	fputs("usage: luvtop [options] [FOLDER]\n"
	      "Without FOLDER: the VMM's histograms, which are always on.\n"
	      "  -i SECONDS              interval (1)\n"
	      "  -a                      show all since the begin, not the "
	      "last interval\n"
	      "  -b                      text, no screen\n"
	      "  -n N                    end after N intervals\n"
	      "  -S [DOM=]FILE[+OFFSET]  names: System.map, kallsyms or ELF\n"
	      "Keys: arrows choose, Enter goes into reason, key, address; "
	      "Backspace back;\n"
	      "s sorts, a shows all, p pauses, ^L draws again, q ends.\n", f);
	return f == stdout ? STATUS_OK : STATUS_USAGE;
}

static enum status parse(int argc, char **argv, struct top *t,
			 struct options *o)
{
	static const struct option longs[] = {
		{ "help", 0, NULL, 'h' }, { 0 } };
	const char *wrong;
	int c;

	while ((c = getopt_long(argc, argv, "i:abn:S:h", longs, NULL)) != -1)
		switch (c) {
		case 'i': o->interval = atof(optarg); break;
		case 'a': t->total = true; break;
		case 'b': o->batch = true; break;
		case 'h':
			usage(stdout);
			exit(STATUS_OK);
		case 'n':
			if (!tool_number(optarg, UINT32_MAX, &o->count))
				return usage(stderr);
			break;
		case 'S':
			wrong = symbols_load(&t->symbols, optarg);
			if (!wrong)
				break;
			fprintf(stderr, "luvtop: %s\n", wrong);
			return STATUS_BAD;
		default: return usage(stderr);
		}
	return optind >= argc - 1 && o->interval >= 0.01 &&
		o->interval <= 3600 ? STATUS_OK : usage(stderr);
}

static enum status follow(struct top *t, const char *folder,
			  const struct options *o)
{
	enum status status = STATUS_OK;

	if (!top_open(t, folder)) {
		if (o->batch)
			batch(t, o);
		else if (top_screen(t, o->interval, o->count))
			capture_problem(&t->capture, "no screen on this "
					"terminal; try -b");
	}
	for (unsigned i = 0; i < t->capture.problems; i++) {
		fprintf(stderr, "luvtop: %s\n", t->capture.problem[i]);
		status = STATUS_BAD;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct top *t = memory_zeroed(1, sizeof(*t));
	struct options o = { .interval = 1 };
	enum status status = parse(argc, argv, t, &o);

	if (!status)
		status = follow(t, optind < argc ? argv[optind] : NULL, &o);
	top_close(t);
	free(t);
	return (int)status;
}
