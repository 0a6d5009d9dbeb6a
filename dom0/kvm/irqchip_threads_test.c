/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * irqchip_threads_test.c - the PIT's own thread, on the real clock; and all
 * of a VM's threads in the irqchip at once, for the sanitizers to watch.
 */
#include "irqchip_inside.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static struct irqchip *chip;
static uint64_t vectors[4]; /* [L] irqchip.lock */
static atomic_uint delivered[256];
static atomic_uint raised;

static int on_deliver(void *ctx, const struct irq_msg *msg)
{
	(void)ctx;
	if (msg->trigger)
		assert_true(vectors[msg->vector / 64] >> msg->vector % 64 & 1);
	return delivered[msg->vector]++ % 3 != 0;
}

static void on_intr(void *ctx, bool level)
{
	(void)ctx;
	raised += level;
}

static void on_vectors(void *ctx, const uint64_t set[4])
{
	(void)ctx;
	memcpy(vectors, set, sizeof(vectors));
}

static const struct irqchip_wires wires = { on_deliver, on_intr, on_vectors,
					    NULL, NULL };

static int setup(void **state)
{
	static const uint8_t init[][2] = {
		{ 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 0x04 }, { 0x21, 0x01 },
	};

	(void)state;
	memset(vectors, 0, sizeof(vectors));
	raised = 0;
	chip = irqchip_create(&wires);
	for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		irqchip_port_write(chip, init[i][0], 1, init[i][1]);
	return irqchip_create_pit(chip, KVM_PIT_SPEAKER_DUMMY);
}

static int teardown(void **state)
{
	(void)state;
	irqchip_destroy(chip);
	return 0;
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 300000 }, NULL);
}

static void start_timer(unsigned count)
{
	irqchip_port_write(chip, 0x43, 1, 0x34);
	irqchip_port_write(chip, 0x40, 1, count & 0xff);
	irqchip_port_write(chip, 0x40, 1, count >> 8);
}

static unsigned take_all(void)
{
	unsigned n = 0;

	while (irqchip_intr(chip) && irqchip_acknowledge(chip) == 0x30) {
		n++;
		irqchip_port_write(chip, 0x20, 1, 0x20);
	}
	return n;
}

/* Late or not, with reinjection as many come as time has passed. */
static void ticks_of_a_thread(void **state)
{
	const int64_t period = pit_ns(1193), before = now();
	int64_t n = 0, due;

	(void)state;
	assert_false(chip->wakeup.started);
	start_timer(1193);
	const int64_t begin = now();
	assert_true(chip->wakeup.started);
	do { /* a busy machine is late, but a lost tick would stay lost */
		nap();
		due = (now() - begin) / period;
		n += take_all();
	} while (due < 100 || (n + 2 < due && due < 10000));
	assert_true(n + 2 >= due);
	assert_true(n <= (now() - before) / period + 1);
	/* Mode 0, stopped by its first byte: no more. */
	irqchip_port_write(chip, 0x43, 1, 0x30);
	irqchip_port_write(chip, 0x40, 1, 0);
	take_all();
	const unsigned so_far = raised;
	nap();
	assert_int_equal(raised, so_far);
}

static void one_shot(void **state)
{
	(void)state;
	irqchip_port_write(chip, 0x43, 1, 0x30);
	irqchip_port_write(chip, 0x40, 1, 0x00);
	const int64_t begin = now();
	irqchip_port_write(chip, 0x40, 1, 0x10); /* 4096: 3.43 ms */
	while (!irqchip_intr(chip))
		nap();
	assert_true(now() - begin >= pit_ns(4096));
	assert_int_equal(raised, 1);
}

/* --- everybody ---------------------------------------------------------- */

#define ROUNDS 2000

static void on_acked(void *ctx, uint32_t gsi)
{
	(void)ctx;
	assert_int_equal(gsi, 10);
}

static void *a_vcpu(void *arg)
{
	uint32_t word;
	uint64_t wide;

	for (unsigned i = 0; i < ROUNDS; i++) {
		const uint32_t v = 0x50 + i % 24;

		irqchip_mmio_write(chip, IOAPIC_BASE, 4, 0x10 + i % 24 * 2);
		irqchip_mmio_write(chip, IOAPIC_BASE + 0x10, 4,
				   v | i % 5 << 14 | (i % 7 == 0) << 16);
		irqchip_eoi(chip, (uint8_t)v);
		irqchip_mmio_read(chip, IOAPIC_BASE + 0x10, 4, &wide);
		irqchip_port_write(chip, 0x21, 1, i % 3);
		irqchip_port_read(chip, 0x40, 1, &word);
		take_all();
		if (i % 500 == 0)
			start_timer(300 + i);
	}
	return arg;
}

static void *a_device(void *arg)
{
	const struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x90 };

	for (unsigned i = 0; i < ROUNDS; i++) {
		irqchip_line(chip, i % 24, i / 24 % 2);
		irqchip_edge(chip, (i + 7) % 24);
		irqchip_raise(chip, 10);
		irqchip_msi(chip, &msi);
	}
	return arg;
}

static void *a_client(void *arg)
{
	struct kvm_irqchip s = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_pit_state2 pit;
	struct kvm_irq_routing *r =
		calloc(1, sizeof(*r) + 24 * sizeof(r->entries[0]));

	for (unsigned i = 0; i < 24; i++) {
		r->entries[i].gsi = i;
		r->entries[i].type = KVM_IRQ_ROUTING_IRQCHIP;
		r->entries[i].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		r->entries[i].u.irqchip.pin = i;
	}
	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		r->nr = i % 25;
		irqchip_set_routing(chip, r);
		irqchip_get(chip, &s);
		irqchip_set(chip, &s);
		irqchip_get_pit2(chip, &pit);
		irqchip_set_pit2(chip, &pit);
		irqchip_reinject(chip, i % 2);
		irqchip_resample(chip, 10, i % 2 ? on_acked : NULL, NULL);
	}
	free(r);
	return arg;
}

static void everybody(void **state)
{
	static void *(*const fn[])(void *) = { a_vcpu, a_vcpu, a_device,
					       a_device, a_client };
	pthread_t t[5];

	(void)state;
	start_timer(300);
	for (unsigned i = 0; i < 5; i++)
		pthread_create(&t[i], NULL, fn[i], NULL);
	for (unsigned i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(delivered[0x90], 2 * ROUNDS);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ticks_of_a_thread),
		T(one_shot),
		T(everybody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
