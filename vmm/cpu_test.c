/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpu_test.c - the counters and the memory of the last exits, which are
 * inline functions of cpu.h.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
#include "cpu.h"

static void counts_and_ticks(void **state)
{
	struct cpu *cpu = calloc(1, sizeof(*cpu));
	struct vmexit x = { .tsc = 1000 };
	struct hist_row row = { 0 }, other = { 0 };

	(void)state;
	assert_non_null(cpu);
	cpu->dom0.cpu = cpu;
	cpu->dom0.hist.row = &row;
	exit_account(&cpu->dom0, &x, 1150);
	x.tsc = UINT64_MAX - 9; /* the TSC may wrap between the two */
	exit_account(&cpu->dom0, &x, 10);
	cpu->dom0.hist.row = &other;
	x.tsc = 5;
	exit_account(&cpu->dom0, &x, 5);
	assert_int_equal(row.count, 2);
	assert_int_equal(row.ticks, 150 + 20);
	assert_int_equal(other.count, 1);
	assert_int_equal(other.ticks, 0);
	assert_int_equal(cpu->entered, 5);
	free(cpu);
}

/* Each exit gets the next record, all are used, the oldest goes first. */
static void records_go_round(void **state)
{
	struct cpu *cpu = calloc(1, sizeof(*cpu));

	(void)state;
	assert_non_null(cpu);
	cpu->dom0.cpu = cpu;
	for (unsigned i = 0; i < 3 * EXIT_RECORDS + 5; i++) {
		struct vmexit *x = exit_record(&cpu->dom0);

		assert_ptr_equal(x, &cpu->records[i % EXIT_RECORDS]);
		assert_ptr_equal(cpu->dom0.exit, x);
		x->tsc = i;
	}
	for (unsigned i = 0; i < EXIT_RECORDS; i++)
		assert_int_equal(cpu->records[(5 + i) % EXIT_RECORDS].tsc,
				 2 * EXIT_RECORDS + 5 + i);
	assert_int_equal(cpu->record_at, 5 * sizeof(struct vmexit));
	free(cpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_and_ticks),
		cmocka_unit_test(records_go_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
