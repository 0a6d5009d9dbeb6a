/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flame.c - luvtrace flame: where guests exit, as folded stacks.
 */
#include "stacks.h"
#include "tool.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

struct flame {
	struct tool tool;
	struct stacks stacks;
	struct symbols symbols;
};

static void handled(void *ctx, const struct worlds_handled *h)
{
	stacks_add(&((struct flame *)ctx)->stacks, h);
}

static void line(void *ctx, const char *stack, uint64_t weight)
{
	const struct flame *f = ctx;

	if (f->stacks.weight != STACKS_COUNT)
		weight = (uint64_t)llround(capture_ns(&f->tool.capture,
						      weight));
	if (weight)
		printf("%s %" PRIu64 "\n", stack, weight);
}

static enum status usage(FILE *f)
{
	fputs("usage: luvtrace flame [options] FOLDER\n"
	      "  -S [DOM=]FILE[+OFFSET]  names: System.map, kallsyms or ELF; "
	      "may be repeated\n"
	      "  -w time|vmm|count       handling time in ns, that in the VMM, "
	      "or exits\n"
	      "  -p, --process           a frame for each CR3\n"
	      "  -k, --keys              a frame for port, MSR, page, ...\n"
	      "  --bt                    read with libbabeltrace2 whatever it "
	      "is\n"
	      "Prints folded stacks, for flamegraph.pl and others.\n", f);
	return f == stdout ? STATUS_OK : STATUS_USAGE;
}

static bool weight(struct flame *f, const char *name)
{
	static const char *const names[] = {
		[STACKS_TIME] = "time", [STACKS_VMM] = "vmm",
		[STACKS_COUNT] = "count" };

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(names[i], name) == 0) {
			f->stacks.weight = (enum stacks_weight)i;
			return true;
		}
	return false;
}

static enum status flame(struct flame *f, const char *folder)
{
	static const struct worlds_ops ops = { .handled = handled };

	if (!tool_read(&f->tool, folder, &ops, f))
		return STATUS_BAD;
	stacks_each(&f->stacks, line, f);
	return tool_status(&f->tool);
}

enum status tool_flame(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "process", 0, NULL, 'p' }, { "keys", 0, NULL, 'k' },
		{ "bt", 0, NULL, 'b' }, { "help", 0, NULL, 'h' }, { 0 },
	};
	struct flame f = { .stacks = { .symbols = &f.symbols } };
	enum status status = STATUS_OK;
	const char *wrong;
	int c;

	while ((c = getopt_long(argc, argv, "S:w:pkh", longs, NULL)) != -1)
		switch (c) {
		case 'p': f.stacks.process = true; break;
		case 'k': f.stacks.key = true; break;
		case 'b': f.tool.use_bt = true; break;
		case 'h': return usage(stdout);
		case 'S':
			wrong = symbols_load(&f.symbols, optarg);
			if (wrong) {
				fprintf(stderr, "luvtrace: %s\n", wrong);
				status = STATUS_BAD;
			}
			break;
		case 'w':
			if (weight(&f, optarg))
				break;
			/* fall through */
		default: status = STATUS_USAGE;
		}
	if (status == STATUS_USAGE || optind != argc - 1)
		status = usage(stderr);
	else if (!status)
		status = flame(&f, argv[optind]);
	stacks_free(&f.stacks);
	symbols_free(&f.symbols);
	tool_close(&f.tool);
	return status;
}
