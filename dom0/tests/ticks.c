/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ticks.c - the TSC, the idle time and the exits of dom0:
 *	ticks NAME                               now, since power-on
 *	ticks [-f] [-n N] NAME COMMAND [ARG...]  over N runs (1) of COMMAND
 * -f runs it as SCHED_FIFO: then the timer has no say in who runs when. One
 * JSON line; its keys begin with NAME. Without Luvalley there are no exits
 * in it, and all else is the same: a machine is measured bare and above
 * Luvalley by the same program. COMMAND's output is thrown away, for a
 * serial console is a wait.
 */
#include "test.h"

#include <sys/wait.h>

struct sample {
	uint64_t tsc;
	uint64_t idle_ns;			/* all CPUs, since boot */
	struct luv_exit_stat exits[EXIT_KINDS]; /* all CPUs */
};

/* The shortest and the longest of the N runs. */
struct spread {
	uint64_t min, max;
};

static bool have_vmm;
static bool fifo;

/*
 * How long the CPUs were halted, waiting for a disk or for nothing: the
 * kernel's own sums, which are in nanoseconds here and in hundredths of a
 * second in /proc/stat.
 */
static uint64_t idle_ns(void)
{
	FILE *f = fopen("/proc/timer_list", "r");
	uint64_t sum = 0, ns;
	char line[256];

	require(f, "opening /proc/timer_list");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " .idle_sleeptime : %" SCNu64, &ns) == 1 ||
		    sscanf(line, " .iowait_sleeptime : %" SCNu64, &ns) == 1)
			sum += ns;
	fclose(f);
	return sum;
}

static uint64_t boot_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void add_exits(struct luv_exit_stat sum[EXIT_KINDS])
{
	struct luv_cpu_stat stat;

	for (uint64_t cpu = 0; luv_cpu_stat(cpu, &stat) > 0; cpu++) {
		for (unsigned k = 0; k < EXIT_KINDS; k++) {
			sum[k].count += stat.exits[k].count;
			sum[k].ticks += stat.exits[k].ticks;
		}
	}
}

/* The TSC is read last before what is measured, and first after it. */
static struct sample sample_before(void)
{
	struct sample s = { .idle_ns = idle_ns() };

	if (have_vmm)
		add_exits(s.exits);
	s.tsc = ticks_now();
	return s;
}

static struct sample sample_after(uint64_t tsc)
{
	struct sample s = { .tsc = tsc };

	if (have_vmm)
		add_exits(s.exits);
	s.idle_ns = idle_ns();
	return s;
}

static bool run_once(char **argv)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		static const struct sched_param first = { .sched_priority = 1 };
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (fifo && sched_setscheduler(0, SCHED_FIFO, &first))
			_exit(126);
		execvp(argv[0], argv);
		_exit(127);
	}
	require(pid > 0 && waitpid(pid, &status, 0) == pid, "fork and wait");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_all(char **argv, unsigned long runs, struct spread *spread)
{
	bool good = true;

	*spread = (struct spread){ UINT64_MAX, 0 };
	while (runs-- > 0) {
		uint64_t start = ticks_now(), ticks;

		good &= run_once(argv);
		ticks = ticks_now() - start;
		if (ticks < spread->min)
			spread->min = ticks;
		if (ticks > spread->max)
			spread->max = ticks;
	}
	return good;
}

/* What comes after the first key, which the caller has printed. */
static void print_rest(const char *name, const struct sample *from,
		       const struct sample *to)
{
	uint64_t count = 0, ticks = 0;

	printf(",\"%s_idle_ns\":%" PRIu64, name, to->idle_ns - from->idle_ns);
	for (unsigned k = 0; have_vmm && k < EXIT_KINDS; k++) {
		uint64_t n = to->exits[k].count - from->exits[k].count;

		if (n)
			printf(",\"%s_exits_%s\":%" PRIu64, name,
			       luv_exit_name(k), n);
		count += n;
		ticks += to->exits[k].ticks - from->exits[k].ticks;
	}
	if (have_vmm)
		printf(",\"%s_exits\":%" PRIu64 ",\"%s_exit_ticks\":%" PRIu64,
		       name, count, name, ticks);
	puts("}");
}

static enum verdict mark(const char *name, uint64_t tsc)
{
	static const struct sample power_on;
	uint64_t ns = boot_ns();
	struct sample now;

	have_vmm = luv_open() == 0;
	now = sample_after(tsc);
	printf("LUV json {\"%s_tsc\":%" PRIu64 ",\"%s_boot_ns\":%" PRIu64,
	       name, tsc, name, ns);
	print_rest(name, &power_on, &now);
	return TEST_PASS;
}

static enum verdict measure(const char *name, char **argv, unsigned long runs)
{
	struct sample before, after;
	struct spread spread;
	bool good;

	have_vmm = luv_open() == 0;
	before = sample_before();
	good = run_all(argv, runs, &spread);
	after = sample_after(ticks_now());
	printf("LUV json {\"%s_ticks\":%" PRIu64 ",\"%s_min_ticks\":%" PRIu64
	       ",\"%s_max_ticks\":%" PRIu64, name, after.tsc - before.tsc, name,
	       spread.min, name, spread.max);
	print_rest(name, &before, &after);
	return expect(good, "%s failed", argv[0]) ? TEST_PASS : TEST_FAIL;
}

int main(int argc, char **argv)
{
	uint64_t tsc = ticks_now();
	unsigned long runs = 1;
	int c;

	while ((c = getopt(argc, argv, "+fn:")) != -1) {
		if (c == 'f')
			fifo = true;
		else if (c == 'n')
			runs = strtoul(optarg, NULL, 10);
		else
			runs = 0;
	}
	if (optind == argc || runs == 0) {
		fprintf(stderr, "usage: ticks [-f] [-n N] NAME "
				"[COMMAND ARG...]\n");
		return 2;
	}
	if (optind == argc - 1)
		return mark(argv[optind], tsc);
	return measure(argv[optind], argv + optind + 1, runs);
}
