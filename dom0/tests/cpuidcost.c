/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpuidcost.c - what one exit costs dom0, in TSC ticks: usage cpuidcost [cpu].
 * CPUID is the cheapest exit there is, a hypercall that is not known the
 * cheapest call. On an emulator the numbers compare with each other only.
 */
#include "test.h"

#define RUNS   1000
#define WARMUP 100

struct row {
	const char *name;
	const char *key; /* of the JSON line */
	void (*run)(void);
};

static struct luv_info info;

static void run_empty(void)
{
}

static void run_cpuid(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
}

static void run_identify(void)
{
	luv_call(LUV_CALL_identify, (uintptr_t)&info, 16, 0, 0, 0);
}

static void run_unknown(void)
{
	luv_call(0xffff, 0, 0, 0, 0, 0);
}

static const struct row rows[] = {
	{ "nothing", "empty", run_empty },
	{ "CPUID", "cpuid", run_cpuid },
	{ "identify, 16 bytes", "identify16", run_identify },
	{ "unknown hypercall", "unknown_call", run_unknown },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void measure(const struct row *row, uint64_t sample[RUNS])
{
	for (int i = 0; i < WARMUP; i++)
		row->run();
	for (int i = 0; i < RUNS; i++) {
		uint64_t start = ticks_now();

		row->run();
		sample[i] = ticks_now() - start;
	}
	qsort(sample, RUNS, sizeof(sample[0]), compare);
}

int main(int argc, char **argv)
{
	static uint64_t sample[ROWS][RUNS];
	unsigned cpu = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

	test_open(&info);
	require(pin(cpu), "pinning to the CPU");
	luv_touch(&info, sizeof(info));
	for (size_t i = 0; i < ROWS; i++)
		measure(&rows[i], sample[i]);
	printf("%d runs on CPU %u, TSC ticks:\n%-20s %10s %10s %10s %10s\n",
	       RUNS, cpu, "", "min", "median", "p90", "max");
	for (size_t i = 0; i < ROWS; i++)
		printf("%-20s %10" PRIu64 " %10" PRIu64 " %10" PRIu64
		       " %10" PRIu64 "\n", rows[i].name, sample[i][0],
		       sample[i][RUNS / 2], sample[i][RUNS * 9 / 10],
		       sample[i][RUNS - 1]);
	printf("LUV json {\"exit_cost_runs\":%d", RUNS);
	for (size_t i = 0; i < ROWS; i++)
		printf(",\"%s_min_ticks\":%" PRIu64 ",\"%s_median_ticks\":%"
		       PRIu64 ",\"%s_p90_ticks\":%" PRIu64, rows[i].key,
		       sample[i][0], rows[i].key, sample[i][RUNS / 2],
		       rows[i].key, sample[i][RUNS * 9 / 10]);
	puts("}");
	return TEST_PASS;
}
