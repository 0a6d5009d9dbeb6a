/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worlds_test.c - small histories, played by hand, with who had the CPU when.
 */
#include "worlds.h"
#include "test.h"

static struct worlds w;
static struct { unsigned n; uint64_t ticks, vmm; bool left; unsigned cpu; } got;

static void handled(void *ctx, const struct worlds_handled *h)
{
	(void)ctx;
	got.n++;
	got.ticks = h->ticks;
	got.vmm = h->vmm;
	got.left = h->left;
	got.cpu = h->again_cpu;
}

static const struct worlds_ops ops = { .handled = handled };

static int begin(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	worlds_init(&w, &ops, NULL);
	return 0;
}

static int end(void **state)
{
	(void)state;
	worlds_free(&w);
	return 0;
}

static void leaves(unsigned cpu, uint64_t seq, unsigned dom, uint64_t exit,
		   uint64_t entry, enum trace_outcome_value outcome)
{
	const struct trace_kvm_exit x = {
		.header = { TRACE_kvm_exit, exit }, .seq = seq,
		.entry_tsc = entry, .dom = (uint16_t)dom,
		.outcome = (uint8_t)outcome };

	worlds_record(&w, cpu, &x.header);
}

static const struct worlds_vcpu *vcpu(uint32_t key)
{
	for (size_t i = 0; i < w.slots; i++)
		if (w.vcpu[i].used && w.vcpu[i].key == key)
			return &w.vcpu[i];
	fail_msg("no vCPU %x", key);
	return NULL;
}

/* dom0 runs dom1, which exits to ring 3 and is run again. */
static void round_trip(void **state)
{
	(void)state;
	leaves(0, 0, 0, 100, 110, TRACE_outcome_DOMU);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.ticks, 10);
	leaves(0, 1, 1, 200, 215, TRACE_outcome_RING3);
	assert_int_equal(got.n, 1); /* not known yet */
	leaves(0, 2, 0, 300, 310, TRACE_outcome_DOMU);
	leaves(0, 3, 1, 400, 405, TRACE_outcome_VMM);
	/* dom1's exit at 200 ended at 310, where it was entered again. */
	assert_int_equal(got.n, 4);
	assert_int_equal(w.cpu[0].guest[0], 300 - 215);
	assert_int_equal(w.cpu[0].guest[1], 200 - 110 + 400 - 310);
	assert_int_equal(w.cpu[0].vmm, 10 + 15 + 10 + 5);
	assert_int_equal(w.cpu[0].unknown, 0);
	assert_int_equal(vcpu(1 << 16)->guest, 90 + 90);
	assert_int_equal(vcpu(1 << 16)->vmm, 15 + 5);
	assert_int_equal(vcpu(1 << 16)->dom0, 310 - 215);
	worlds_end(&w);
	assert_int_equal(w.unpaired, 0);
}

/* A vCPU that dom0 moves to another CPU meanwhile. */
static void moves_to_another_cpu(void **state)
{
	(void)state;
	leaves(1, 0, 0, 90, 95, TRACE_outcome_VMM);
	leaves(0, 0, 1, 200, 215, TRACE_outcome_DOM0);
	leaves(1, 1, 0, 250, 260, TRACE_outcome_DOMU);
	leaves(0, 1, 0, 270, 280, TRACE_outcome_VMM);
	got.n = 0;
	leaves(1, 2, 1, 300, 320, TRACE_outcome_RING3);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.ticks, 60);
	assert_int_equal(got.vmm, 15);
	assert_true(got.left);
	assert_int_equal(got.cpu, 1);
	worlds_end(&w);
	assert_int_equal(w.unpaired, 1); /* the exit at 300 */
}

/* Missing records: their time is nobody's, and nothing is paired over them. */
static void losses_belong_to_nobody(void **state)
{
	(void)state;
	leaves(0, 0, 1, 100, 110, TRACE_outcome_RING3);
	leaves(0, 5, 1, 500, 510, TRACE_outcome_VMM);
	assert_int_equal(w.cpu[0].gaps, 4);
	assert_int_equal(w.cpu[0].unknown, 500 - 110);
	assert_int_equal(w.cpu[0].guest[1], 0);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.ticks, 10);
	assert_int_equal(w.unpaired, 1);
}

/* An exit that never ended: entry_tsc is 0. */
static void no_entry(void **state)
{
	(void)state;
	leaves(0, 0, 0, 100, 0, TRACE_outcome_STOP);
	assert_int_equal(got.n, 0);
	assert_int_equal(w.unpaired, 1);
	leaves(0, 1, 0, 200, 210, TRACE_outcome_VMM);
	assert_int_equal(w.cpu[0].unknown, 100);
	assert_int_equal(w.cpu[0].vmm, 10);
}

/* Nonsense of a damaged capture is not computed with. */
static void time_that_goes_back(void **state)
{
	uint64_t first, last;

	(void)state;
	assert_false(worlds_span(&w, &first, &last));
	leaves(0, 0, 1, 100, 50, TRACE_outcome_RING3);
	leaves(0, 1, 1, 90, UINT64_MAX, TRACE_outcome_RING3);
	leaves(0, 2, 1, 95, 99, TRACE_outcome_RING3);
	assert_int_equal(w.cpu[0].guest[1], 0);
	assert_true(worlds_span(&w, &first, &last));
}

/* Many vCPUs, so that the hash grows. */
static void many_vcpus(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		leaves(0, i, i, 100 + i * 10, 105 + i * 10,
		       TRACE_outcome_VMM);
	assert_int_equal(w.vcpus, 1000);
	assert_int_equal(vcpu(999u << 16)->guest, 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(round_trip), TEST(moves_to_another_cpu),
		TEST(losses_belong_to_nobody), TEST(no_entry),
		TEST(time_that_goes_back), TEST(many_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
