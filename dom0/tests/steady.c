/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steady.c - which exits a dom0 makes that has started long ago:
 *	steady [--report] [--seconds S | --ticks N]
 * Counts the exits of every CPU while dom0 idles, and while every CPU of it
 * computes, uses memory, makes system calls and switches processes. Only
 * CPUID and the hypercalls that ask for the counters may exit; --report
 * prints the same and never fails.
 */
#include "test.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#define MEMORY_LEN (1u << 20)

/* How long a phase lasts: whichever of the two is not 0. */
struct span {
	double seconds;
	uint64_t ticks;
};

struct phase {
	const char *name;
	void (*run)(void);
	uint64_t count[EXIT_KINDS]; /* exits, all CPUs */
	double seconds;
	uint64_t ticks;
};

static struct luv_info vmm;
static struct span span = { .seconds = 2 };

/* --- time ----------------------------------------------------------------- */

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct moment {
	double seconds;
	uint64_t ticks;
};

static struct moment now(void)
{
	return (struct moment){ seconds_now(), ticks_now() };
}

static bool over(const struct moment *start)
{
	if (span.ticks)
		return ticks_now() - start->ticks >= span.ticks;
	return seconds_now() - start->seconds >= span.seconds;
}

/* --- what dom0 does ------------------------------------------------------- */

static void idle(void)
{
	struct moment start = now();
	struct timespec nap = { 0, 10000000 };

	if (!span.ticks) {
		nap.tv_sec = (time_t)span.seconds;
		nap.tv_nsec = (long)((span.seconds - (double)nap.tv_sec) * 1e9);
	}
	while (!over(&start))
		nanosleep(&nap, NULL);
}

static uint64_t integers(uint64_t x)
{
	for (int i = 0; i < 100000; i++)
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	return x;
}

static void system_calls(void)
{
	for (int i = 0; i < 1000; i++)
		syscall(SYS_getppid);
}

/* A byte to the other process and back: two process switches. */
static void ping_pong(int to, int from)
{
	char c = 0;

	for (int i = 0; i < 100; i++)
		if (write(to, &c, 1) != 1 || read(from, &c, 1) != 1)
			_exit(1);
}

static void echo(int to, int from)
{
	char c;

	while (read(from, &c, 1) == 1 && write(to, &c, 1) == 1)
		;
	_exit(0);
}

/* The load of one CPU; with a partner process on the same CPU. */
static void work(unsigned cpu)
{
	struct moment start = now();
	volatile uint64_t result = 1;
	unsigned char *memory = malloc(MEMORY_LEN);
	int there[2], back[2];

	if (!memory || !pin(cpu) || pipe(there) || pipe(back))
		_exit(1);
	if (fork() == 0) {
		close(there[1]);
		close(back[0]);
		echo(back[1], there[0]);
	}
	close(there[0]);
	close(back[1]);
	while (!over(&start)) {
		result = integers(result);
		memset(memory, (int)result, MEMORY_LEN);
		system_calls();
		ping_pong(there[1], back[0]);
	}
	close(there[1]);
	wait(NULL);
	_exit(0);
}

static void compute(void)
{
	int status;

	for (unsigned cpu = 0; cpu < cpus_online(); cpu++)
		if (fork() == 0)
			work(cpu);
	while (wait(&status) > 0)
		expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		       "a process of the load failed");
}

/* --- counting ------------------------------------------------------------- */

static void add_exits(uint64_t count[EXIT_KINDS], bool negative)
{
	struct luv_cpu_stat stat;

	for (uint32_t i = 0; i < vmm.cpus; i++) {
		if (!expect(luv_cpu_stat(i, &stat) > 0,
			    "cpu_stat of CPU %u fails", i))
			continue;
		for (unsigned k = 0; k < EXIT_KINDS; k++)
			count[k] += negative ? -stat.exits[k].count
					     : stat.exits[k].count;
	}
}

static void run_phase(struct phase *p)
{
	struct moment start = now(), end;

	add_exits(p->count, true);
	p->run();
	add_exits(p->count, false);
	end = now();
	p->seconds = end.seconds - start.seconds;
	p->ticks = end.ticks - start.ticks;
}

static bool is_expected(unsigned kind)
{
	return kind == EXIT_CPUID || kind == EXIT_HYPERCALL;
}

static void judge(const struct phase *p)
{
	for (unsigned k = 0; k < EXIT_KINDS; k++)
		if (!is_expected(k))
			expect(p->count[k] == 0,
			       "%s: expected no exit of kind %s, got %" PRIu64,
			       p->name, luv_exit_name(k), p->count[k]);
}

/* --- output --------------------------------------------------------------- */

static void print_table(const struct phase *p, size_t phases)
{
	printf("%-20s", "exits of all CPUs");
	for (size_t i = 0; i < phases; i++)
		printf(" %12s", p[i].name);
	putchar('\n');
	for (unsigned k = 0; k < EXIT_KINDS; k++) {
		uint64_t sum = 0;

		for (size_t i = 0; i < phases; i++)
			sum += p[i].count[k];
		if (!sum && !is_expected(k))
			continue;
		printf("%-20s", luv_exit_name(k));
		for (size_t i = 0; i < phases; i++)
			printf(" %12" PRIu64, p[i].count[k]);
		putchar('\n');
	}
	printf("%-20s", "seconds");
	for (size_t i = 0; i < phases; i++)
		printf(" %12.3f", p[i].seconds);
	putchar('\n');
}

static void print_json(const struct phase *p, size_t phases)
{
	printf("LUV json {\"steady_cpus\":%u", vmm.cpus);
	for (size_t i = 0; i < phases; i++) {
		printf(",\"steady_%s_seconds\":%.3f,\"steady_%s_ticks\":%"
		       PRIu64 ",\"steady_%s_exits\":{", p[i].name, p[i].seconds,
		       p[i].name, p[i].ticks, p[i].name);
		for (unsigned k = 1; k < EXIT_KINDS; k++)
			printf("%s\"%s\":%" PRIu64, k > 1 ? "," : "",
			       luv_exit_name(k), p[i].count[k]);
		putchar('}');
	}
	puts("}");
}

/* --- the run -------------------------------------------------------------- */

static bool arguments(int argc, char **argv, bool *report)
{
	for (int i = 1; i < argc; i++) {
		char *end = "";

		if (!strcmp(argv[i], "--report")) {
			*report = true;
		} else if (!strcmp(argv[i], "--seconds") && i + 1 < argc) {
			span = (struct span){ strtod(argv[++i], &end), 0 };
			if (*end || span.seconds <= 0)
				return false;
		} else if (!strcmp(argv[i], "--ticks") && i + 1 < argc) {
			span = (struct span){ 0, strtoull(argv[++i], &end, 0) };
			if (*end || !span.ticks)
				return false;
		} else {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	static struct phase phases[] = {
		{ .name = "idle", .run = idle },
		{ .name = "computing", .run = compute },
	};
	const size_t count = sizeof(phases) / sizeof(phases[0]);
	bool report = false;

	if (!arguments(argc, argv, &report)) {
		fprintf(stderr, "usage: steady [--report] "
				"[--seconds S | --ticks N]\n");
		return 2;
	}
	test_open(&vmm);
	for (size_t i = 0; i < count; i++)
		run_phase(&phases[i]);
	print_table(phases, count);
	print_json(phases, count);
	fflush(stdout);
	if (!report)
		for (size_t i = 0; i < count; i++)
			judge(&phases[i]);
	return test_end("steady", NULL);
}
