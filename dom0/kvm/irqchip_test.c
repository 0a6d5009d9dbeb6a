/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * irqchip_test.c - the chips as a VM has them, by the functions its run loop
 * and its ioctls call, with one CPU that this file is.
 */
#include "irqchip_inside.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static struct irqchip *chip;
static atomic_uint delivered[256];
static uint64_t vectors[4];
static unsigned published; /* times */
static unsigned raised;	   /* INT */
static int64_t clock_ns;
static int taken = 1; /* what deliver answers */

static bool is_published(uint8_t vector)
{
	return vectors[vector / 64] >> vector % 64 & 1;
}

/* What is level-triggered never comes before its EOI is known to be wanted. */
static int on_deliver(void *ctx, const struct irq_msg *msg)
{
	assert_ptr_equal(ctx, &chip);
	if (msg->trigger && chip->full)
		assert_true(is_published(msg->vector));
	delivered[msg->vector]++;
	return taken;
}

static void on_intr(void *ctx, bool level)
{
	assert_ptr_equal(ctx, &chip);
	raised += level;
}

static void on_vectors(void *ctx, const uint64_t set[4])
{
	assert_ptr_equal(ctx, &chip);
	assert_memory_not_equal(set, vectors, sizeof(vectors));
	memcpy(vectors, set, sizeof(vectors));
	published++;
}

static int64_t on_now(void *ctx)
{
	assert_ptr_equal(ctx, &chip);
	return clock_ns;
}

static const struct irqchip_wires wires = {
	on_deliver, on_intr, on_vectors, on_now, &chip,
};

static int setup(void **state)
{
	(void)state;
	memset(vectors, 0, sizeof(vectors));
	for (unsigned v = 0; v < 256; v++)
		delivered[v] = 0;
	published = raised = 0;
	clock_ns = 1000000;
	taken = 1;
	chip = irqchip_create(&wires);
	return chip ? 0 : -1;
}

static int setup_split(void **state)
{
	setup(state);
	irqchip_destroy(chip);
	chip = irqchip_create_split(&wires, 24);
	return chip ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	irqchip_destroy(chip);
	return 0;
}

static void out(uint16_t port, uint8_t value)
{
	assert_true(irqchip_port_write(chip, port, 1, value));
}

static uint32_t in(uint16_t port, unsigned len)
{
	uint32_t value;

	assert_true(irqchip_port_read(chip, port, len, &value));
	return value;
}

static void entry(unsigned pin, uint32_t rte)
{
	assert_true(irqchip_mmio_write(chip, IOAPIC_BASE, 4, 0x10 + 2 * pin));
	assert_true(irqchip_mmio_write(chip, IOAPIC_BASE + 0x10, 4, rte));
}

static void init_pics(void)
{
	static const uint8_t init[][2] = {
		{ 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 0x04 }, { 0x21, 0x01 },
		{ 0xa0, 0x11 }, { 0xa1, 0x38 }, { 0xa1, 0x02 }, { 0xa1, 0x01 },
	};

	for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		out(init[i][0], init[i][1]);
}

/* Counter 0, mode 2. */
static void start_timer(unsigned count)
{
	out(0x43, 0x34);
	out(0x40, count & 0xff);
	out(0x40, (uint8_t)(count >> 8));
}

/* --- lines -------------------------------------------------------------- */

static void by_the_pic(void **state)
{
	(void)state;
	init_pics();
	assert_int_equal(irqchip_acknowledge(chip), -1);
	assert_int_equal(irqchip_line(chip, 4, true), 1);
	assert_int_equal(raised, 1);
	assert_true(irqchip_intr(chip));
	assert_int_equal(irqchip_acknowledge(chip), 0x34);
	assert_false(irqchip_intr(chip));
	assert_int_equal(irqchip_acknowledge(chip), -1);
	out(0x20, 0x20);
	assert_int_equal(irqchip_edge(chip, 12), 1);
	assert_int_equal(irqchip_acknowledge(chip), 0x3c);
	assert_int_equal(irqchip_line(chip, 100, true), -1);
}

static void by_the_ioapic(void **state)
{
	(void)state;
	out(0x21, 0xff);
	assert_int_equal(irqchip_line(chip, 4, true), -1);
	irqchip_line(chip, 4, false);
	entry(4, 0x44);
	assert_int_equal(irqchip_edge(chip, 4), 1);
	assert_int_equal(delivered[0x44], 1);
	assert_int_equal(published, 0); /* edges end unheard */
}

static void level_and_eoi(void **state)
{
	(void)state;
	assert_int_equal(irqchip_line(chip, 20, true), -1);
	entry(20, 0x8055); /* was high: goes out at once */
	assert_int_equal(delivered[0x55], 1);
	assert_int_equal(published, 1);
	assert_int_equal(irqchip_line(chip, 20, true), 0);
	assert_false(irqchip_eoi(chip, 0x55));
	assert_int_equal(delivered[0x55], 2);
	/* Masked while in service: the EOI is still wanted. */
	entry(20, 0x18055);
	assert_true(is_published(0x55));
	irqchip_line(chip, 20, false);
	irqchip_eoi(chip, 0x55);
	assert_int_equal(published, 1);
	entry(20, 0x8055);
	assert_int_equal(published, 1);
	entry(20, 0x18055);
	assert_false(is_published(0x55));
	assert_int_equal(delivered[0x55], 2);
}

/* Another vector is published before it is sent, the old one goes after. */
static void vector_changes(void **state)
{
	(void)state;
	taken = -1;
	entry(20, 0x8055);
	irqchip_line(chip, 20, true);
	taken = 1;
	entry(20, 0x8066);
	assert_int_equal(delivered[0x66], 1);
	assert_true(is_published(0x66));
	assert_false(is_published(0x55));
}

/* --- resampling --------------------------------------------------------- */

static unsigned acked[24];

static void on_acked(void *ctx, uint32_t gsi)
{
	assert_ptr_equal(ctx, acked);
	acked[gsi]++;
}

static void resample(void **state)
{
	(void)state;
	memset(acked, 0, sizeof(acked));
	entry(10, 0x8077);
	assert_int_equal(irqchip_resample(chip, 4096, on_acked, acked),
			 -EINVAL);
	assert_int_equal(irqchip_resample(chip, 10, on_acked, acked), 0);
	irqchip_raise(chip, 10);
	assert_int_equal(delivered[0x77], 1);
	irqchip_eoi(chip, 0x77);
	assert_int_equal(acked[10], 1);
	assert_int_equal(delivered[0x77], 1); /* it was lowered */
	irqchip_line(chip, 10, true); /* somebody else on the line */
	irqchip_raise(chip, 10);
	irqchip_resample(chip, 10, NULL, NULL);
	irqchip_eoi(chip, 0x77);
	assert_int_equal(acked[10], 1);
	assert_int_equal(delivered[0x77], 3);
	irqchip_line(chip, 10, false);
	irqchip_eoi(chip, 0x77);
	assert_int_equal(delivered[0x77], 3);
}

static void resample_edges(void **state)
{
	(void)state;
	memset(acked, 0, sizeof(acked));
	entry(11, 0x78);
	assert_false(is_published(0x78));
	irqchip_resample(chip, 11, on_acked, acked);
	assert_true(is_published(0x78));
	irqchip_raise(chip, 11);
	irqchip_eoi(chip, 0x78);
	irqchip_raise(chip, 11);
	assert_int_equal(delivered[0x78], 2);
	assert_int_equal(acked[11], 1);
	irqchip_resample(chip, 11, NULL, NULL);
	assert_false(is_published(0x78));
	/* The PIC's EOI is one, too. */
	init_pics();
	irqchip_resample(chip, 3, on_acked, acked);
	irqchip_raise(chip, 3);
	assert_int_equal(irqchip_acknowledge(chip), 0x33);
	assert_int_equal(acked[3], 0);
	out(0x20, 0x20);
	assert_int_equal(acked[3], 1);
}

/* --- routing, messages, split ------------------------------------------- */

static int route_msi(uint32_t gsi, uint32_t data, uint32_t flags)
{
	struct kvm_irq_routing *r = calloc(1, sizeof(*r) +
						      sizeof(r->entries[0]));

	r->nr = 1;
	r->flags = flags;
	r->entries[0].gsi = gsi;
	r->entries[0].type = KVM_IRQ_ROUTING_MSI;
	r->entries[0].u.msi.address_lo = 0xfee01000;
	r->entries[0].u.msi.data = data;
	const int error = irqchip_set_routing(chip, r);
	free(r);
	return error;
}

static void split(void **state)
{
	struct kvm_irqchip all = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_pit_state2 pit;
	uint64_t value;
	uint32_t word;

	(void)state;
	assert_false(irqchip_port_read(chip, 0x20, 1, &word));
	assert_false(irqchip_port_write(chip, 0x40, 1, 0));
	assert_false(irqchip_mmio_read(chip, IOAPIC_BASE, 4, &value));
	assert_false(irqchip_mmio_write(chip, IOAPIC_BASE, 4, 0));
	assert_int_equal(irqchip_get(chip, &all), -ENXIO);
	assert_int_equal(irqchip_set(chip, &all), -ENXIO);
	assert_int_equal(irqchip_create_pit(chip, 0), -ENOENT);
	assert_int_equal(irqchip_get_pit2(chip, &pit), -ENXIO);
	assert_int_equal(irqchip_resample(chip, 1, on_acked, NULL), -EINVAL);
	assert_int_equal(irqchip_acknowledge(chip), -1);
	assert_int_equal(route_msi(5, 0x8041, 1), -EINVAL);
	assert_int_equal(route_msi(5, 0x8041, 0), 0);
	assert_true(is_published(0x41));
	assert_int_equal(irqchip_edge(chip, 5), 1);
	assert_int_equal(irqchip_line(chip, 5, true), 1);
	assert_int_equal(delivered[0x41], 2);
	assert_true(irqchip_eoi(chip, 0x41));
	assert_int_equal(route_msi(5, 0x8041, 0), 0);
	assert_int_equal(published, 1);
	assert_int_equal(route_msi(24, 0x8041, 0), 0); /* not a pin */
	assert_false(is_published(0x41));
}

static void messages(void **state)
{
	struct kvm_msi msi = { .address_lo = 0xfee7f00c, .data = 0xc199 };
	const struct irq_msg msg = routing_decode_msi(msi.address_lo, msi.data);

	(void)state;
	assert_int_equal(irqchip_msg_address(&msg), msi.address_lo);
	assert_int_equal(irqchip_msg_data(&msg), msi.data);
	msi.data = 0x4099;
	assert_int_equal(irqchip_msi(chip, &msi), 1);
	assert_int_equal(delivered[0x99], 1);
	msi.flags = KVM_MSI_VALID_DEVID;
	assert_int_equal(irqchip_msi(chip, &msi), 1);
	msi.flags = 2;
	assert_int_equal(irqchip_msi(chip, &msi), -EINVAL);
}

/* A route away from a pin takes the notice of its EOI along. */
static void routes_move(void **state)
{
	(void)state;
	memset(acked, 0, sizeof(acked));
	entry(11, 0x78);
	irqchip_resample(chip, 11, on_acked, acked);
	assert_true(is_published(0x78));
	assert_int_equal(route_msi(30, 0x60, 0), 0);
	assert_false(is_published(0x78));
	assert_int_equal(irqchip_line(chip, 11, true), -1);
	assert_int_equal(irqchip_edge(chip, 30), 1);
	assert_int_equal(delivered[0x60], 1);
}

/* --- ports and state ---------------------------------------------------- */

static void ports(void **state)
{
	uint32_t value;

	(void)state;
	assert_false(irqchip_port_read(chip, 0x22, 1, &value));
	assert_false(irqchip_port_read(chip, 0x40, 1, &value));
	assert_int_equal(irqchip_create_pit(chip, KVM_PIT_SPEAKER_DUMMY), 0);
	out(0x61, 0x03);
	assert_int_equal(in(0x61, 1) & 0x03, 0x03);
	/* A word is two bytes; beyond the chip nobody answers. */
	assert_true(irqchip_port_write(chip, 0x20, 2, 0xab0b));
	assert_int_equal(in(0x21, 1), 0xab);
	assert_int_equal(in(0x21, 4), 0xffffffab);
	assert_true(irqchip_port_write(chip, 0x4d0, 2, 0x0cf8));
	assert_int_equal(in(0x4d0, 2), 0x0cf8);
	assert_false(irqchip_port_read(chip, 0x60, 1, &value));
}

static void mmio(void **state)
{
	struct kvm_irqchip s = { .chip_id = KVM_IRQCHIP_IOAPIC };
	uint64_t value;

	(void)state;
	assert_false(irqchip_mmio_read(chip, IOAPIC_BASE - 1, 1, &value));
	assert_false(irqchip_mmio_read(chip, IOAPIC_BASE + IOAPIC_LEN, 1,
				       &value));
	entry(3, 0x18033);
	assert_true(irqchip_mmio_read(chip, IOAPIC_BASE + 0x10, 4, &value));
	assert_int_equal(value, 0x18033);
	/* State that has a level waiting, and the chip elsewhere. */
	assert_int_equal(irqchip_get(chip, &s), 0);
	s.chip.ioapic.base_address = 0xfec10000;
	s.chip.ioapic.redirtbl[3].bits = 0x8033;
	s.chip.ioapic.irr = 1 << 3;
	assert_int_equal(irqchip_set(chip, &s), 0);
	assert_int_equal(delivered[0x33], 1);
	assert_true(is_published(0x33));
	assert_false(irqchip_mmio_read(chip, IOAPIC_BASE, 4, &value));
	assert_true(irqchip_mmio_read(chip, 0xfec10010, 4, &value));
	assert_int_equal(value, 0xc033);
	s.chip_id = 3;
	assert_int_equal(irqchip_get(chip, &s), -EINVAL);
	assert_int_equal(irqchip_set(chip, &s), -EINVAL);
}

static void pic_state(void **state)
{
	struct kvm_irqchip s = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	(void)state;
	init_pics();
	irqchip_line(chip, 5, true);
	assert_int_equal(irqchip_get(chip, &s), 0);
	assert_int_equal(s.chip.pic.irr, 0x20);
	assert_int_equal(irqchip_acknowledge(chip), 0x35);
	assert_int_equal(irqchip_set(chip, &s), 0);
	assert_int_equal(raised, 2);
	assert_int_equal(irqchip_acknowledge(chip), 0x35);
}

/* --- the PIT ------------------------------------------------------------ */

static void ticks(void **state)
{
	(void)state;
	init_pics();
	assert_int_equal(irqchip_advance(chip), PIT_NEVER);
	assert_int_equal(irqchip_create_pit(chip, 0), 0);
	assert_int_equal(irqchip_create_pit(chip, 0), -EEXIST);
	assert_int_equal(irqchip_advance(chip), PIT_NEVER);
	start_timer(1193);
	clock_ns = irqchip_advance(chip);
	assert_int_equal(raised, 0);
	irqchip_advance(chip);
	assert_int_equal(raised, 1);
	assert_int_equal(irqchip_acknowledge(chip), 0x30);
	/* Three more before its EOI: all are made up for. */
	clock_ns += 3 * pit_ns(1193);
	irqchip_advance(chip);
	for (unsigned i = 0; i < 3; i++) {
		out(0x20, 0x20);
		assert_int_equal(irqchip_acknowledge(chip), 0x30);
	}
	out(0x20, 0x20);
	assert_int_equal(irqchip_acknowledge(chip), -1);
}

static void unmasking_forgets(void **state)
{
	(void)state;
	assert_int_equal(irqchip_create_pit(chip, 0), 0);
	out(0x21, 0xff);
	entry(0, 0x50);
	assert_true(is_published(0x50)); /* edges, but of IRQ0 */
	start_timer(1193);
	clock_ns += 10 * pit_ns(1193);
	irqchip_advance(chip);
	assert_int_equal(delivered[0x50], 1);
	assert_int_equal(chip->pit.missed, 9);
	entry(0, 0x10050);
	assert_int_equal(chip->pit.missed, 9);
	entry(0, 0x50);
	assert_int_equal(chip->pit.missed, 0);
	clock_ns += 5 * pit_ns(1193);
	irqchip_advance(chip);
	assert_int_equal(chip->pit.missed, 4);
	irqchip_eoi(chip, 0x50);
	assert_int_equal(chip->pit.missed, 3);
	out(0x21, 0xfd); /* another line */
	assert_int_equal(chip->pit.missed, 3);
	out(0x21, 0xfc);
	assert_int_equal(chip->pit.missed, 0);
	assert_int_equal(irqchip_reinject(chip, false), 0);
	assert_false(is_published(0x50));
}

static void pit_state(void **state)
{
	struct kvm_pit_state2 all;
	struct kvm_pit_state old;

	(void)state;
	assert_int_equal(irqchip_get_pit(chip, &old), -ENXIO);
	assert_int_equal(irqchip_set_pit(chip, &old), -ENXIO);
	assert_int_equal(irqchip_set_pit2(chip, &all), -ENXIO);
	assert_int_equal(irqchip_reinject(chip, true), -ENXIO);
	assert_int_equal(irqchip_create_pit(chip, KVM_PIT_SPEAKER_DUMMY), 0);
	out(0x61, 0x02);
	start_timer(5000);
	assert_int_equal(irqchip_get_pit(chip, &old), 0);
	assert_int_equal(old.channels[0].count, 5000);
	old.channels[0].count = 6000;
	assert_int_equal(irqchip_set_pit(chip, &old), 0);
	assert_int_equal(irqchip_get_pit2(chip, &all), 0);
	assert_int_equal(all.channels[0].count, 6000);
	assert_int_equal(all.flags, KVM_PIT_FLAGS_SPEAKER_DATA_ON);
	all.flags = 0;
	assert_int_equal(irqchip_set_pit2(chip, &all), 0);
	assert_int_equal(in(0x61, 1) & 0x02, 0);
	assert_int_equal(irqchip_advance(chip),
			 all.channels[0].count_load_time + pit_ns(6000));
}

int main(void)
{
#define T(f)	   cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T_SPLIT(f) cmocka_unit_test_setup_teardown(f, setup_split, teardown)
	const struct CMUnitTest tests[] = {
		T(by_the_pic),	     T(by_the_ioapic), T(level_and_eoi),
		T(vector_changes),   T(resample),      T(resample_edges),
		T_SPLIT(split),	     T(messages),      T(routes_move),
		T(ports),	     T(mmio),	       T(pic_state),
		T(ticks),	     T(unmasking_forgets), T(pit_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
