/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wired_test.c - PIT, PIC, I/O APIC and routing wired up as a VM has them,
 * with one CPU that takes interrupts at once: ticks are not lost and do not
 * come twice, with either controller, and an irqfd is resampled.
 */
#include "pit.h"
#include "routing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum source { USERSPACE, RESAMPLER, PIT }; /* of routing_set_irq() */

static struct pic pic;
static struct ioapic ioapic;
static struct pit pit;
static struct routing routing;
static int64_t now;
static bool irr[256]; /* the local APIC, without priorities */
static unsigned resampled;
static bool device; /* level of the resampled device */

static int on_deliver(void *ctx, const struct irq_msg *msg)
{
	(void)ctx;
	if (irr[msg->vector])
		return 0;
	irr[msg->vector] = true;
	return 1;
}

static void on_intr(void *ctx, bool level)
{
	(void)ctx;
	(void)level;
}

static void on_gsi_eoi(int gsi)
{
	if (gsi == 0)
		pit_acked(&pit);
	if (gsi != 11)
		return;
	/* KVM_IRQFD_FLAG_RESAMPLE: lower, ask the device, which raises. */
	routing_set_irq(&routing, 11, RESAMPLER, false);
	resampled++;
	if (device)
		routing_set_irq(&routing, 11, RESAMPLER, true);
}

static void on_pic_eoi(void *ctx, unsigned l)
{
	(void)ctx;
	on_gsi_eoi(routing_gsi(&routing, l / 8, l % 8));
}

static void on_ioapic_eoi(void *ctx, unsigned pin)
{
	(void)ctx;
	on_gsi_eoi(routing_gsi(&routing, KVM_IRQCHIP_IOAPIC, pin));
}

static int on_irq0(void *ctx, bool level)
{
	(void)ctx;
	return routing_set_irq(&routing, 0, PIT, level);
}

static void out(uint16_t port, uint8_t value)
{
	if (!pic_write(&pic, port, value))
		assert_true(pit_write(&pit, port, now, value));
}

static void entry(unsigned pin, uint32_t rte)
{
	ioapic_write(&ioapic, IOAPIC_BASE, 4, 0x10 + 2 * pin);
	ioapic_write(&ioapic, IOAPIC_BASE + 0x10, 4, rte);
}

/* KVM's chips, Linux's vectors, a timer of 1 kHz; the default routing. */
static void boot(void)
{
	static const uint8_t init[][2] = {
		{ 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 0x04 }, { 0x21, 0x01 },
		{ 0xa0, 0x11 }, { 0xa1, 0x38 }, { 0xa1, 0x02 }, { 0xa1, 0x01 },
		{ 0x43, 0x34 }, { 0x40, 0xa9 }, { 0x40, 0x04 }, /* 1193 */
	};

	memset(irr, 0, sizeof(irr));
	now = 0;
	pic_init(&pic, &(struct pic_wires){ on_intr, on_pic_eoi, NULL });
	ioapic_init(&ioapic, IOAPIC_VERSION,
		    &(struct ioapic_wires){ on_deliver, on_ioapic_eoi, NULL });
	routing_init(&routing, &pic, &ioapic,
		     &(struct routing_wires){ on_deliver, NULL });
	routing_default(&routing);
	pit_init(&pit, now, 0, &(struct pit_wires){ on_irq0, NULL });
	for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		out(init[i][0], init[i][1]);
}

/* The CPU takes one interrupt of the PIC, or of the APIC, and ends it. */
static int take(void)
{
	if (pic_intr(&pic)) {
		const uint8_t vector = pic_acknowledge(&pic);

		if (vector >= 0x38)
			out(0xa0, 0x20);
		out(0x20, 0x20);
		return vector;
	}
	for (unsigned v = 0; v < 256; v++)
		if (irr[v]) {
			irr[v] = false;
			ioapic_eoi(&ioapic, (uint8_t)v);
			return (int)v;
		}
	return -1;
}

/* A second in which the thread wakes when it likes; returns ticks taken. */
static unsigned a_second(int vector)
{
	const int64_t end = now + 1000000000;
	unsigned ticks = 0;

	while (now < end) {
		now += rand() % 5000000;
		if (now > end)
			now = end;
		pit_advance(&pit, now);
		for (int v = take(); v >= 0; v = take())
			ticks += v == vector;
	}
	return ticks;
}

static void ticks_by_the_pic(void **state)
{
	(void)state;
	boot();
	assert_int_equal(a_second(0x30), PIT_HZ / 1193);
	pit_reinject(&pit, false);
	assert_in_range(a_second(0x30), 300, 700); /* the others are lost */
}

static void ticks_by_the_ioapic(void **state)
{
	(void)state;
	boot();
	out(0x21, 0xff);
	entry(0, 0x55);
	assert_int_equal(a_second(0x55), PIT_HZ / 1193);
	/* Masked everywhere: nobody misses anything when it comes back. */
	entry(0, 0x10055);
	assert_int_equal(a_second(0x55), 0);
	assert_int_equal(pit.missed, 0);
}

/* The guest's handler is late: the tick that coalesced comes after it. */
static void a_late_handler(void **state)
{
	(void)state;
	boot();
	out(0x21, 0xff);
	entry(0, 0x55);
	now += pit_ns(1193);
	pit_advance(&pit, now);
	now += pit_ns(1193);
	pit_advance(&pit, now);
	assert_int_equal(pit.missed, 1);
	assert_int_equal(take(), 0x55);
	assert_int_equal(take(), 0x55);
	assert_int_equal(take(), -1);
	assert_int_equal(pit.missed, 0);
}

static void resample(void **state)
{
	(void)state;
	for (unsigned by_pic = 0; by_pic < 2; by_pic++) {
		boot();
		out(0x4d1, 0x08);
		out(0xa1, by_pic ? 0x00 : 0xff);
		if (!by_pic)
			entry(11, 0x8066);
		const int vector = by_pic ? 0x3b : 0x66;

		resampled = 0;
		device = true;
		assert_int_equal(routing_set_irq(&routing, 11, RESAMPLER,
						 true), 1);
		assert_int_equal(take(), vector);
		assert_int_equal(resampled, 1);
		device = false;
		assert_int_equal(take(), vector);
		assert_int_equal(resampled, 2);
		assert_int_equal(take(), -1);
		/* An emulated device on the same line keeps it up. */
		routing_set_irq(&routing, 11, USERSPACE, true);
		assert_int_equal(take(), vector);
		assert_int_equal(take(), vector);
		routing_set_irq(&routing, 11, USERSPACE, false);
		take();
		assert_int_equal(take(), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_by_the_pic),
		cmocka_unit_test(ticks_by_the_ioapic),
		cmocka_unit_test(a_late_handler),
		cmocka_unit_test(resample),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
