/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvctl.c - what the VMM knows, for people and (--json) for programs.
 * Reads only: nothing here changes the VMM. Exit status: 0, 1 if the VMM is
 * not there or refuses, 2 for a wrong command line.
 */
#include "libluv.h"
#include "luvctl_hist.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALL_CPUS (-1L)

enum status { STATUS_OK, STATUS_VMM = 1, STATUS_USAGE = 2 };

struct options {
	bool json;
	long cpu;	 /* stat: one CPU, or ALL_CPUS */
	double interval; /* stat: seconds to count, 0 = since the VMM started */
};

struct command {
	const char *name;
	enum status (*run)(const struct options *opt);
	bool counts; /* takes --cpu and --interval */
	const char *help;
};

/* A snapshot of all CPUs; owned by who took it. */
struct stats {
	struct luv_cpu_stat *cpu;
	unsigned cpus;
};

/* --- failure -------------------------------------------------------------- */

static enum status vmm_failed(const char *what, long error)
{
	fprintf(stderr, "luvctl: %s: %s.\n", what, luv_strerror(error));
	return STATUS_VMM;
}

static enum status no_memory(void)
{
	fprintf(stderr, "luvctl: out of memory.\n");
	return STATUS_VMM;
}

/* --- formatting ----------------------------------------------------------- */

#define NUM_LEN 32 /* 20 digits, 6 separators, NUL */

/* 1234567 -> "1,234,567" */
static const char *num(char out[NUM_LEN], uint64_t n)
{
	char digits[NUM_LEN];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *to = out;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

/* 1572864 -> "1.5 MiB" */
static const char *bytes(char out[NUM_LEN], uint64_t n)
{
	static const char *const unit[] = { "bytes", "KiB", "MiB", "GiB",
					    "TiB" };
	double value = (double)n;
	unsigned i = 0;

	while (value >= 1024 && i < sizeof(unit) / sizeof(unit[0]) - 1) {
		value /= 1024;
		i++;
	}
	snprintf(out, NUM_LEN, i ? "%.1f %s" : "%.0f %s", value, unit[i]);
	return out;
}

static uint64_t ratio(uint64_t part, uint64_t whole)
{
	return whole ? part / whole : 0;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static json_t *json_u64(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* Prints and frees; out of memory is the one way to fail. */
static enum status print_json(json_t *root)
{
	int err = root ? json_dumpf(root, stdout, JSON_INDENT(2)) : -1;

	json_decref(root);
	if (err)
		return no_memory();
	putchar('\n');
	return STATUS_OK;
}

/* --- reading the VMM ------------------------------------------------------ */

static void stats_free(struct stats *s)
{
	free(s->cpu);
	s->cpu = NULL;
	s->cpus = 0;
}

/* A negative LUV_E*, or 0 and *s holds CPUs `first` to `last` that exist. */
static long stats_read(struct stats *s, uint64_t first, uint64_t last)
{
	long err = 0;

	*s = (struct stats){ 0 };
	for (uint64_t i = first; i <= last; i++) {
		struct luv_cpu_stat *more;

		more = realloc(s->cpu, (s->cpus + 1) * sizeof(*more));
		if (!more)
			exit(no_memory());
		s->cpu = more;
		err = luv_cpu_stat(i, &s->cpu[s->cpus]);
		if (err < 0)
			break;
		s->cpus++;
	}
	if (s->cpus > 0 && err == -LUV_ENOENT)
		err = 0; /* the end of the list */
	if (err < 0)
		stats_free(s);
	return err < 0 ? err : 0;
}

static long stats_read_for(struct stats *s, const struct options *opt)
{
	if (opt->cpu == ALL_CPUS)
		return stats_read(s, 0, UINT32_MAX);
	return stats_read(s, (uint64_t)opt->cpu, (uint64_t)opt->cpu);
}

/* Leaves in *s what was counted since `old`. */
static void stats_subtract(struct stats *s, const struct stats *old)
{
	for (unsigned i = 0; i < s->cpus && i < old->cpus; i++) {
		for (unsigned k = 0; k < EXIT_KINDS; k++) {
			struct luv_exit_stat *e = &s->cpu[i].exits[k];

			e->count -= old->cpu[i].exits[k].count;
			e->ticks -= old->cpu[i].exits[k].ticks;
		}
	}
}

static void sleep_seconds(double seconds)
{
	struct timespec t = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static struct luv_exit_stat cpu_total(const struct luv_cpu_stat *cpu)
{
	struct luv_exit_stat sum = { 0 };

	for (unsigned k = 0; k < EXIT_KINDS; k++) {
		sum.count += cpu->exits[k].count;
		sum.ticks += cpu->exits[k].ticks;
	}
	return sum;
}

static struct luv_exit_stat kind_total(const struct stats *s, unsigned kind)
{
	struct luv_exit_stat sum = { 0 };

	for (unsigned i = 0; i < s->cpus; i++) {
		sum.count += s->cpu[i].exits[kind].count;
		sum.ticks += s->cpu[i].exits[kind].ticks;
	}
	return sum;
}

static struct luv_exit_stat grand_total(const struct stats *s)
{
	struct luv_exit_stat sum = { 0 };

	for (unsigned i = 0; i < s->cpus; i++) {
		struct luv_exit_stat one = cpu_total(&s->cpu[i]);

		sum.count += one.count;
		sum.ticks += one.ticks;
	}
	return sum;
}

/* --- info ----------------------------------------------------------------- */

static void print_size(const char *what, uint64_t n)
{
	char exact[NUM_LEN], rough[NUM_LEN];

	printf("%-18s %s (%s bytes)\n", what, bytes(rough, n), num(exact, n));
}

static void print_cpus(const struct stats *s)
{
	char ticks[NUM_LEN];

	printf("\n%5s %8s  %-14s %18s\n", "CPU", "APIC ID", "state",
	       "start ticks");
	for (unsigned i = 0; i < s->cpus; i++) {
		const struct luv_cpu_stat *c = &s->cpu[i];

		printf("%5u %8u  %-14s %18s\n", c->cpu, c->apic_id,
		       luv_cpu_state_name(c->state),
		       num(ticks, c->start_ticks));
	}
}

static enum status print_info(const struct luv_info *info,
			      const struct stats *s)
{
	char n[NUM_LEN];

	printf("%-18s %.12s %.32s\n", "VMM", info->signature, info->build);
	printf("%-18s %u\n", "ABI version", info->abi_version);
	printf("%-18s %s\n", "virtualization", luv_isa_name(info->isa));
	printf("%-18s %u\n", "CPUs", info->cpus);
	print_size("RAM", info->ram_len);
	printf("%-18s 0x%" PRIx64 " - 0x%" PRIx64 "\n", "VMM memory",
	       info->vmm_base, info->vmm_base + info->vmm_len - 1);
	print_size("  length", info->vmm_len);
	print_size("  used", info->vmm_used);
	print_size("  image", info->image_len);
	printf("%-18s %s bytes\n", "VMM log",
	       num(n, info->log_next - info->log_first));
	printf("%-18s %s ticks from VMM entry to dom0\n", "start",
	       num(n, info->start_ticks));
	printf("%-18s %s\n", "xAPIC writes",
	       info->apic_trap ? "exit" : "go to the hardware");
	print_cpus(s);
	return STATUS_OK;
}

static json_t *json_cpu(const struct luv_cpu_stat *c)
{
	return json_pack("{s:i, s:i, s:s, s:o}", "cpu", (int)c->cpu, "apic_id",
			 (int)c->apic_id, "state",
			 luv_cpu_state_name(c->state), "start_ticks",
			 json_u64(c->start_ticks));
}

static enum status json_info(const struct luv_info *info,
			     const struct stats *s)
{
	json_t *cpus = json_array();
	json_t *root;

	for (unsigned i = 0; i < s->cpus; i++)
		json_array_append_new(cpus, json_cpu(&s->cpu[i]));
	root = json_pack(
		"{s:s, s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, "
		"s:o}",
		"build", info->build, "abi_version", (int)info->abi_version,
		"isa", luv_isa_name(info->isa),
		"ram_bytes", json_u64(info->ram_len),
		"vmm_base_address", json_u64(info->vmm_base),
		"vmm_bytes", json_u64(info->vmm_len),
		"vmm_used_bytes", json_u64(info->vmm_used),
		"vmm_image_bytes", json_u64(info->image_len),
		"log_first_byte", json_u64(info->log_first),
		"log_next_byte", json_u64(info->log_next),
		"start_ticks", json_u64(info->start_ticks),
		"apic_trap", (int)info->apic_trap, "cpus", cpus);
	return print_json(root);
}

static enum status cmd_info(const struct options *opt)
{
	struct luv_info info;
	struct stats s;
	enum status status;
	long err = luv_identify(&info);

	if (err < 0)
		return vmm_failed("identify", err);
	info.build[sizeof(info.build) - 1] = '\0';
	err = stats_read(&s, 0, UINT32_MAX);
	if (err < 0)
		return vmm_failed("reading the CPUs", err);
	status = (opt->json ? json_info : print_info)(&info, &s);
	stats_free(&s);
	return status;
}

/* --- stat ----------------------------------------------------------------- */

static void print_kind(const char *name, struct luv_exit_stat e,
		       uint64_t all_exits)
{
	char count[NUM_LEN], ticks[NUM_LEN], each[NUM_LEN];

	printf("%-20s %14s %6.1f%% %20s %12s\n", name, num(count, e.count),
	       percent(e.count, all_exits), num(ticks, e.ticks),
	       num(each, ratio(e.ticks, e.count)));
}

static void print_cpu_counts(const struct luv_cpu_stat *c)
{
	struct luv_exit_stat sum = cpu_total(c);
	char count[NUM_LEN], ticks[NUM_LEN], each[NUM_LEN];

	printf("%5u %-14s %14s %28s %12s\n", c->cpu,
	       luv_cpu_state_name(c->state), num(count, sum.count),
	       num(ticks, sum.ticks), num(each, ratio(sum.ticks, sum.count)));
}

static enum status print_stat(const struct stats *s, const struct options *opt)
{
	struct luv_exit_stat all = grand_total(s);

	printf("%-20s %14s %7s %20s %12s\n", "exit kind", "count", "share",
	       "ticks", "ticks/exit");
	for (unsigned k = 0; k < EXIT_KINDS; k++) {
		struct luv_exit_stat e = kind_total(s, k);

		if (e.count > 0)
			print_kind(luv_exit_name(k), e, all.count);
	}
	print_kind("total", all, all.count);
	if (s->cpu[0].exit_kinds > EXIT_KINDS)
		printf("The VMM counts %u more kinds than luvctl knows.\n",
		       s->cpu[0].exit_kinds - EXIT_KINDS);
	if (opt->cpu != ALL_CPUS)
		return STATUS_OK;
	printf("\n%5s %-14s %14s %28s %12s\n", "CPU", "state", "exits",
	       "ticks", "ticks/exit");
	for (unsigned i = 0; i < s->cpus; i++)
		print_cpu_counts(&s->cpu[i]);
	return STATUS_OK;
}

/* {"cpuid": {"exits_count": 3, "exits_ticks": 4000}, ...}, all kinds */
static json_t *json_kinds(const struct luv_cpu_stat *c)
{
	json_t *kinds = json_object();

	for (unsigned k = 0; k < EXIT_KINDS; k++)
		json_object_set_new(
			kinds, luv_exit_name(k),
			json_pack("{s:o, s:o}", "exits_count",
				  json_u64(c->exits[k].count), "exits_ticks",
				  json_u64(c->exits[k].ticks)));
	return kinds;
}

static enum status json_stat(const struct stats *s, const struct options *opt)
{
	json_t *cpus = json_array();
	struct luv_cpu_stat sum = { 0 };

	for (unsigned k = 0; k < EXIT_KINDS; k++)
		sum.exits[k] = kind_total(s, k);
	for (unsigned i = 0; i < s->cpus; i++) {
		json_t *one = json_cpu(&s->cpu[i]);

		json_object_set_new(one, "kinds", json_kinds(&s->cpu[i]));
		json_array_append_new(cpus, one);
	}
	return print_json(json_pack("{s:f, s:o, s:o}", "interval_seconds",
				    opt->interval, "total", json_kinds(&sum),
				    "cpus", cpus));
}

static enum status cmd_stat(const struct options *opt)
{
	struct stats s, old;
	enum status status;
	long err = stats_read_for(&s, opt);

	if (err == -LUV_ENOENT) {
		fprintf(stderr, "luvctl: the VMM has no CPU %ld.\n", opt->cpu);
		return STATUS_VMM;
	}
	if (err == 0 && opt->interval > 0) {
		old = s;
		sleep_seconds(opt->interval);
		err = stats_read_for(&s, opt);
		if (err == 0)
			stats_subtract(&s, &old);
		stats_free(&old);
	}
	if (err < 0)
		return vmm_failed("reading the counters", err);
	status = (opt->json ? json_stat : print_stat)(&s, opt);
	stats_free(&s);
	return status;
}

/* --- log ------------------------------------------------------------------ */

/* A negative LUV_E*, or the length of *text, which the caller frees. */
static long log_read(char **text)
{
	struct luv_info info;
	uint64_t at;
	long len = 0;
	long got = luv_identify(&info);

	*text = NULL;
	if (got < 0)
		return got;
	at = info.log_first;
	for (;;) {
		char *more = realloc(*text, (size_t)len + LUV_MAX_COPY);

		if (!more)
			exit(no_memory());
		*text = more;
		got = luv_log(at, *text + len, LUV_MAX_COPY);
		if (got <= 0)
			break;
		len += got;
		at += (uint64_t)got;
	}
	if (got < 0) {
		free(*text);
		*text = NULL;
	}
	return got < 0 ? got : len;
}

static enum status cmd_log(const struct options *opt)
{
	enum status status = STATUS_OK;
	char *text;
	long len = log_read(&text);

	if (len < 0)
		return vmm_failed("reading the log", len);
	/* JSON is UTF-8; the log is ASCII unless the VMM has a bug. */
	for (long i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80 || text[i] == '\0')
			text[i] = '?';
	if (opt->json)
		status = print_json(json_pack("{s:s%}", "log", text,
					      (size_t)len));
	else
		fwrite(text, 1, (size_t)len, stdout);
	free(text);
	return status;
}

/* --- mem ------------------------------------------------------------------ */

static void print_row(const struct luv_mem *m)
{
	char size[NUM_LEN];

	printf("0x%016" PRIx64 "  0x%016" PRIx64 "  %12s  %s%s\n", m->base,
	       m->base + m->len - 1, bytes(size, m->len),
	       luv_mem_type_name(m->type), m->vmm ? " (the VMM)" : "");
}

static json_t *json_row(const struct luv_mem *m)
{
	return json_pack("{s:o, s:o, s:s, s:b}", "base_address",
			 json_u64(m->base), "len_bytes", json_u64(m->len),
			 "type", luv_mem_type_name(m->type), "vmm",
			 (int)m->vmm);
}

static enum status cmd_mem(const struct options *opt)
{
	struct luv_mem row[64];
	json_t *rows = json_array();
	uint64_t first = 0;
	long got;

	if (!opt->json)
		printf("%-18s  %-18s  %12s  %s\n", "first byte", "last byte",
		       "length", "type");
	while ((got = luv_memmap(first, row, 64)) > 0) {
		for (long i = 0; i < got; i++) {
			if (opt->json)
				json_array_append_new(rows, json_row(&row[i]));
			else
				print_row(&row[i]);
		}
		first += (uint64_t)got;
	}
	if (got == 0 && opt->json)
		return print_json(json_pack("{s:o}", "memory_map", rows));
	json_decref(rows);
	return got < 0 ? vmm_failed("reading the memory map", got) : STATUS_OK;
}

/* --- vms ------------------------------------------------------------------ */

/* Who it is by convention: PID | start time << 32. */
static uint32_t vm_pid(const struct luv_vm_stat *vm)
{
	return (uint32_t)vm->tag;
}

static uint64_t vm_exits(const struct luv_vm_stat *vm, uint64_t *ticks)
{
	uint64_t count = 0;

	*ticks = 0;
	for (unsigned i = 0; i < EXIT_KINDS; i++) {
		count += vm->exits[i].count;
		*ticks += vm->exits[i].ticks;
	}
	return count;
}

static void vm_print(const struct luv_vm_stat *vm)
{
	char ram[NUM_LEN], own[NUM_LEN], exits[NUM_LEN], each[NUM_LEN];
	uint64_t ticks, count = vm_exits(vm, &ticks);

	printf("VM %u: process %u, %u vCPU(s), RAM %s, VMM memory %s, %s exits\n",
	       vm->index, vm_pid(vm), vm->vcpus, bytes(ram, vm->ram),
	       bytes(own, vm->vmm_used), num(exits, count));
	for (unsigned i = 0; i < EXIT_KINDS; i++) {
		const struct luv_exit_stat *e = &vm->exits[i];

		if (e->count)
			printf("  %-20s %14s  %10s ticks each\n",
			       luv_exit_name(i), num(exits, e->count),
			       num(each, ratio(e->ticks, e->count)));
	}
}

static json_t *vm_json(const struct luv_vm_stat *vm)
{
	json_t *exits = json_object();

	for (unsigned i = 0; i < EXIT_KINDS; i++)
		if (vm->exits[i].count)
			json_object_set_new(exits, luv_exit_name(i),
				json_pack("{s:o, s:o}", "count",
					  json_u64(vm->exits[i].count), "ticks",
					  json_u64(vm->exits[i].ticks)));
	return json_pack("{s:i, s:o, s:o, s:i, s:o, s:o, s:o}", "index",
			 (int)vm->index, "pid", json_u64(vm_pid(vm)), "tag",
			 json_u64(vm->tag), "vcpus", (int)vm->vcpus, "ram_bytes",
			 json_u64(vm->ram), "vmm_bytes", json_u64(vm->vmm_used),
			 "exits", exits);
}

static enum status cmd_vms(const struct options *opt)
{
	json_t *rows = json_array();
	struct luv_vm_stat vm;
	unsigned found = 0;

	for (uint64_t i = 0; i < LUV_VMS; i++) {
		long got = luv_vm_stat(i, &vm);

		if (got == -LUV_ENOENT)
			continue;
		if (got < 0) {
			json_decref(rows);
			return vmm_failed("reading the virtual machines", got);
		}
		found++;
		if (opt->json)
			json_array_append_new(rows, vm_json(&vm));
		else
			vm_print(&vm);
	}
	if (opt->json)
		return print_json(json_pack("{s:o}", "vms", rows));
	json_decref(rows);
	if (!found)
		puts("There are no virtual machines.");
	return STATUS_OK;
}

/* --- hist ------------------------------------------------------------------ */

static enum status cmd_hist(const struct options *opt)
{
	long got = luvctl_hist(opt->json);

	return got < 0 ? vmm_failed("reading the histograms", got) : STATUS_OK;
}

/* --- command line --------------------------------------------------------- */

static const struct command commands[] = {
	{ "info", cmd_info, false, "version, CPUs and memory of the VMM" },
	{ "stat", cmd_stat, true, "exits by kind and by CPU" },
	{ "hist", cmd_hist, false, "how long exits take, by kind and subject" },
	{ "log", cmd_log, false, "the VMM's log" },
	{ "mem", cmd_mem, false, "the memory map as dom0 is told it" },
	{ "vms", cmd_vms, false, "virtual machines and their exits" },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	puts("usage: luvctl COMMAND [--json] [OPTION...]\n\ncommands:");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-6s %s\n", commands[i].name, commands[i].help);
	puts("\noptions:\n"
	     "  --json          JSON on standard output\n"
	     "  --cpu N         stat: only the VMM's CPU N\n"
	     "  --interval S    stat: only what happens in the next S seconds\n"
	     "  --help          this text");
}

static enum status usage_error(const char *sentence, const char *word)
{
	fprintf(stderr, "luvctl: ");
	fprintf(stderr, sentence, word);
	fprintf(stderr, " Try luvctl --help.\n");
	return STATUS_USAGE;
}

static bool parse_cpu(const char *text, long *cpu)
{
	char *end;

	errno = 0;
	*cpu = strtol(text, &end, 10);
	return *text && !*end && !errno && *cpu >= 0 && *cpu <= UINT32_MAX;
}

static bool parse_seconds(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	return *text && !*end && *seconds > 0 && *seconds < 1e6;
}

/* Returns STATUS_OK, or has said what is wrong. *help: print that only. */
static enum status parse_options(int argc, char **argv, struct options *opt,
				 bool *help)
{
	static const struct option names[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "interval", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", names, NULL)) != -1) {
		if (c == 'j')
			opt->json = true;
		else if (c == 'h')
			*help = true;
		else if (c == 'c' && !parse_cpu(optarg, &opt->cpu))
			return usage_error("--cpu needs a CPU number, not "
					   "\"%s\".", optarg);
		else if (c == 'i' && !parse_seconds(optarg, &opt->interval))
			return usage_error("--interval needs seconds, not "
					   "\"%s\".", optarg);
		else if (c == ':')
			return usage_error("%s needs a value.",
					   argv[optind - 1]);
		else if (c == '?')
			return usage_error("%s is not an option.",
					   argv[optind - 1]);
	}
	return STATUS_OK;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static enum status run(int argc, char **argv)
{
	struct options opt = { .cpu = ALL_CPUS };
	const struct command *command;
	bool help = false;
	enum status status = parse_options(argc, argv, &opt, &help);
	int err;

	if (status != STATUS_OK)
		return status;
	if (help) {
		print_help();
		return STATUS_OK;
	}
	if (optind == argc)
		return usage_error("a command is missing%s.", "");
	command = find_command(argv[optind]);
	if (!command)
		return usage_error("\"%s\" is not a command.", argv[optind]);
	if (optind + 1 < argc)
		return usage_error("\"%s\" is one word too many.",
				   argv[optind + 1]);
	if (!command->counts && (opt.cpu != ALL_CPUS || opt.interval > 0))
		return usage_error("%s takes neither --cpu nor --interval.",
				   command->name);
	err = luv_open();
	if (err < 0) {
		fprintf(stderr, "luvctl: %s.\n", luv_strerror(err));
		return STATUS_VMM;
	}
	return command->run(&opt);
}

int main(int argc, char **argv)
{
	enum status status = run(argc, argv);

	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "luvctl: writing the output failed.\n");
		return STATUS_VMM;
	}
	return (int)status;
}
