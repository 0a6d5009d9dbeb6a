/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * routing_test.c - the default table, replacements good and bad, MSI decoding,
 * fan-out to real chips, sources of a line, and random tables against a
 * search through the entries. What QEMU's split mode costs is printed.
 */
#include "routing.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static struct pic pic;
static struct ioapic ioapic;
static struct routing r; /* too large for a stack */
static struct irq_msg last;
static unsigned sent;
static int answer;

static int on_deliver(void *ctx, const struct irq_msg *msg)
{
	assert_ptr_equal(ctx, &sent);
	last = *msg;
	sent++;
	return answer;
}

static void on_intr(void *ctx, bool level)
{
	(void)ctx;
	(void)level;
}

static void fresh(bool split)
{
	const struct routing_wires wires = { on_deliver, &sent };

	pic_init(&pic, &(struct pic_wires){ on_intr, NULL, NULL });
	ioapic_init(&ioapic, IOAPIC_VERSION,
		    &(struct ioapic_wires){ on_deliver, NULL, &sent });
	routing_init(&r, split ? NULL : &pic, split ? NULL : &ioapic, &wires);
	sent = 0;
	answer = 1;
}

static struct kvm_irq_routing_entry to_pin(uint32_t gsi, uint32_t chip,
					   uint32_t pin)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { chip, pin },
	};
}

static struct kvm_irq_routing_entry to_msi(uint32_t gsi, uint32_t address,
					   uint32_t data)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = address, .data = data },
	};
}

static struct kvm_irq_routing *table; /* room for ROUTING_GSIS + 1 */

static int setup(void **state)
{
	(void)state;
	table = calloc(1, sizeof(*table) +
			  (ROUTING_GSIS + 1) * sizeof(table->entries[0]));
	return table ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(table);
	return 0;
}

static void add(struct kvm_irq_routing_entry e)
{
	table->entries[table->nr++] = e;
}

static void msi(void **state)
{
	(void)state;
	struct irq_msg m = routing_decode_msi(0xfee00000, 0);
	assert_int_equal(m.dest, 0);
	assert_true(m.level);
	assert_false(m.trigger || m.dest_mode || m.redir_hint || m.vector ||
		     m.delivery_mode);
	for (unsigned bit = 0; bit < 64; bit++) {
		m = routing_decode_msi(1ull << bit, 0);
		assert_int_equal(m.dest, bit >= 12 && bit < 20 ?
				 1u << (bit - 12) : 0);
		assert_int_equal(m.dest_mode, bit == 2);
		assert_int_equal(m.redir_hint, bit == 3);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		m = routing_decode_msi(0xfee00000, 1u << bit);
		assert_int_equal(m.vector, bit < 8 ? 1u << bit : 0);
		assert_int_equal(m.delivery_mode, bit >= 8 && bit < 11 ?
				 1u << (bit - 8) : 0);
		assert_int_equal(m.trigger, bit == 15);
		assert_true(m.level);
	}
	m = routing_decode_msi(0xfee01fe0, 0x4041); /* 15-bit destination */
	assert_int_equal(m.dest, 1);
}

/* Unmasks pin n with vector 40h + n. */
static void unmask(unsigned pin)
{
	ioapic_write(&ioapic, IOAPIC_BASE, 4, 0x10 + 2 * pin);
	ioapic_write(&ioapic, IOAPIC_BASE + 0x10, 4, 0x40 + pin);
}

static uint8_t pic_irr(uint16_t port)
{
	uint8_t irr = 0;

	pic_write(&pic, port, 0x0a);
	pic_read(&pic, port, &irr);
	return irr;
}

static void default_table(void **state)
{
	(void)state;
	fresh(false);
	assert_int_equal(routing_set_irq(&r, 3, 0, true), -1);
	routing_default(&r);
	for (uint32_t gsi = 0; gsi < IOAPIC_PINS; gsi++) {
		const unsigned chip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER :
						KVM_IRQCHIP_PIC_SLAVE;

		sent = 0;
		unmask(gsi);
		/* The PIC and the I/O APIC take it; line 2 is the cascade. */
		assert_int_equal(routing_set_irq(&r, gsi, 0, true),
				 gsi < 16 && gsi != 2 ? 2 : 1);
		assert_int_equal(sent, 1);
		assert_int_equal(last.vector, 0x40 + gsi);
		assert_int_equal(routing_gsi(&r, KVM_IRQCHIP_IOAPIC, gsi), gsi);
		if (gsi < 16)
			assert_int_equal(routing_gsi(&r, chip, gsi % 8), gsi);
		assert_null(routing_msi(&r, gsi));
	}
	assert_int_equal(pic_irr(0x20), 0xff); /* 2 is the slave's INT */
	assert_int_equal(pic_irr(0xa0), 0xff);
	assert_int_equal(routing_set_irq(&r, 24, 0, true), -1);
	assert_int_equal(routing_set_irq(&r, ~0u, 0, true), -1);
	assert_int_equal(routing_gsi(&r, KVM_IRQCHIP_PIC_SLAVE, 8), -1);
	assert_int_equal(routing_gsi(&r, 3, 0), -1);
	assert_int_equal(routing_gsi(&r, KVM_IRQCHIP_IOAPIC, 24), -1);
}

/* QEMU's for a PC: GSI 0 is pin 2 (ACPI's override), none on line 2. */
static void qemu_table(void **state)
{
	(void)state;
	fresh(false);
	table->nr = 0;
	for (uint32_t i = 0; i < 16; i++)
		if (i != 2)
			add(to_pin(i, i / 8, i % 8));
	for (uint32_t i = 0; i < 24; i++)
		if (i != 2)
			add(to_pin(i, KVM_IRQCHIP_IOAPIC, i == 0 ? 2 : i));
	add(to_msi(24, 0xfee03000, 0x4051));
	assert_int_equal(routing_set(&r, table), 0);
	unmask(2);
	routing_set_irq(&r, 0, 0, true);
	assert_int_equal(last.vector, 0x42);
	assert_int_equal(pic_irr(0x20), 0x01);
	assert_int_equal(routing_set_irq(&r, 2, 0, true), -1);
	assert_int_equal(routing_gsi(&r, KVM_IRQCHIP_IOAPIC, 2), 0);
	assert_int_equal(routing_gsi(&r, KVM_IRQCHIP_IOAPIC, 0), -1);

	answer = 3;
	assert_int_equal(routing_set_irq(&r, 24, 0, true), 3);
	assert_int_equal(last.vector, 0x51);
	assert_int_equal(last.dest, 3);
	sent = 0;
	assert_int_equal(routing_set_irq(&r, 24, 0, false), -1);
	assert_int_equal(sent, 0);
	assert_int_equal(routing_msi(&r, 24)->vector, 0x51);
}

static void sources(void **state)
{
	(void)state;
	fresh(false);
	routing_default(&r);
	pic_write(&pic, 0x4d1, 0x04);
	routing_set_irq(&r, 10, 0, true);
	routing_set_irq(&r, 10, 31, true);
	routing_set_irq(&r, 10, 0, false);
	assert_int_equal(pic_irr(0xa0), 0x04);
	/* A new table does not move the lines. */
	routing_default(&r);
	assert_int_equal(pic_irr(0xa0), 0x04);
	routing_set_irq(&r, 10, 31, false);
	assert_int_equal(pic_irr(0xa0), 0x00);
	/* Two GSIs on one pin are two names of it. */
	table->nr = 0;
	add(to_pin(100, KVM_IRQCHIP_PIC_SLAVE, 2));
	add(to_pin(101, KVM_IRQCHIP_PIC_SLAVE, 2));
	assert_int_equal(routing_set(&r, table), 0);
	routing_set_irq(&r, 100, 0, true);
	routing_set_irq(&r, 101, 1, true);
	routing_set_irq(&r, 101, 0, false);
	assert_int_equal(pic_irr(0xa0), 0x04);
	routing_set_irq(&r, 100, 1, false);
	assert_int_equal(pic_irr(0xa0), 0x00);
}

static void assert_refused(void)
{
	assert_int_equal(routing_set(&r, table), -EINVAL);
	/* What was there is there. */
	assert_int_equal(routing_msi(&r, 7)->vector, 0x77);
	assert_null(routing_msi(&r, 8));
	table->nr = 0;
	table->flags = 0;
}

static void bad_tables(void **state)
{
	struct kvm_irq_routing_entry e;

	(void)state;
	fresh(false);
	table->nr = 0;
	add(to_msi(7, 0xfee00000, 0x77));
	assert_int_equal(routing_set(&r, table), 0);

	table->flags = 1;
	assert_refused();
	add(to_msi(ROUTING_GSIS, 0, 0)), assert_refused();
	add(to_msi(~0u, 0, 0)), assert_refused();
	for (uint32_t i = 0; i <= ROUTING_GSIS; i++)
		add(to_msi(i % ROUTING_GSIS, 0, 0));
	assert_refused();
	add(to_pin(1, KVM_IRQCHIP_PIC_MASTER, 8)), assert_refused();
	add(to_pin(1, KVM_IRQCHIP_PIC_SLAVE, 8)), assert_refused();
	add(to_pin(1, KVM_IRQCHIP_IOAPIC, 24)), assert_refused();
	add(to_pin(1, KVM_NR_IRQCHIPS, 0)), assert_refused();
	add(to_pin(1, ~0u, 0)), assert_refused();
	/* Two pins of one chip; a message and anything. */
	add(to_pin(8, 0, 1)), add(to_pin(8, 0, 2)), assert_refused();
	add(to_pin(8, 0, 1)), add(to_msi(8, 0, 0)), assert_refused();
	add(to_msi(8, 0, 0)), add(to_pin(8, 0, 1)), assert_refused();
	add(to_msi(8, 0, 0)), add(to_msi(8, 0, 0)), assert_refused();
	for (uint32_t type = 0; type < 8; type++) {
		e = to_msi(8, 0, 0);
		e.type = type;
		if (type != KVM_IRQ_ROUTING_IRQCHIP &&
		    type != KVM_IRQ_ROUTING_MSI)
			add(e), assert_refused();
	}
	e = to_msi(8, 0, 0), e.flags = 2, add(e), assert_refused();
	e = to_pin(8, 0, 0), e.flags = 1, add(e), assert_refused();
	/* This one is allowed; and so is nothing. */
	e = to_msi(8, 0, 0), e.flags = KVM_MSI_VALID_DEVID, add(e);
	assert_int_equal(routing_set(&r, table), 0);
	assert_non_null(routing_msi(&r, 8));
	assert_null(routing_msi(&r, 7));
	table->nr = 0;
	assert_int_equal(routing_set(&r, table), 0);
	assert_null(routing_msi(&r, 8));
}

static void split(void **state)
{
	uint64_t v[4] = { 0 };

	(void)state;
	fresh(true);
	for (uint32_t chip = 0; chip < 3; chip++) {
		table->nr = 0;
		add(to_pin(1, chip, 1));
		assert_int_equal(routing_set(&r, table), -EINVAL);
	}
	table->nr = 0;
	add(to_msi(4, 0xfee00000, 0x0034)); /* edge */
	add(to_msi(9, 0xfee00000, 0xc039)); /* level */
	add(to_msi(24, 0xfee00000, 0xc0ff)); /* not a pin */
	assert_int_equal(routing_set(&r, table), 0);
	routing_eoi_vectors(&r, 24, v);
	assert_int_equal(v[0], 1ull << 0x39);
	assert_true(!v[1] && !v[2] && !v[3]);
	routing_eoi_vectors(&r, ROUTING_GSIS + 10, v);
	assert_int_equal(v[3], 1ull << 63);
}

/* --- random -------------------------------------------------------------- */

static unsigned rnd(unsigned n)
{
	return (unsigned)rand() % n;
}

/* May be refused. */
static void random_table(void)
{
	const unsigned gsis = rnd(2) ? 40 : ROUTING_GSIS;

	table->nr = 0;
	for (unsigned i = rnd(30); i > 0; i--)
		if (rnd(2))
			add(to_pin(rnd(gsis), rnd(3), rnd(8)));
		else
			add(to_msi(rnd(gsis), 0xfee00000 | rnd(256) << 12,
				   0x20 + rnd(200)));
}

static void check_against(const struct kvm_irq_routing *t)
{
	uint32_t seen = 0; /* messages among the entries */

	for (uint32_t i = 0; i < t->nr; i++) {
		const struct kvm_irq_routing_entry *e = &t->entries[i];
		const struct irq_msg *m = routing_msi(&r, e->gsi);

		if (e->type == KVM_IRQ_ROUTING_MSI) {
			assert_int_equal(m->vector, e->u.msi.data);
			seen++;
		} else {
			assert_null(m);
		}
	}
	for (uint32_t gsi = 0; gsi < ROUTING_GSIS; gsi++)
		seen -= routing_msi(&r, gsi) != NULL;
	assert_int_equal(seen, 0); /* none left from an older table */
}

static struct kvm_irq_routing *copy_table(struct kvm_irq_routing *old)
{
	const size_t len = sizeof(*table) +
			   table->nr * sizeof(table->entries[0]);
	struct kvm_irq_routing *copy = realloc(old, len);

	assert_non_null(copy);
	return memcpy(copy, table, len);
}

static void random_tables(void **state)
{
	struct kvm_irq_routing *good = calloc(1, sizeof(*good));
	unsigned taken = 0;

	(void)state;
	fresh(false);
	for (unsigned round = 0; round < 3000; round++) {
		random_table();
		if (routing_set(&r, table) == 0) {
			good = copy_table(good);
			taken++;
		}
		check_against(good);
		for (unsigned i = 0; i < 20; i++)
			routing_set_irq(&r, rnd(48), rnd(32), rnd(2));
	}
	assert_in_range(taken, 500, 2500);
	free(good);
}

/* 716 tables of 1024 messages, as a boot of QEMU's split mode at its worst. */
static void cost_of_a_boot(void **state)
{
	struct timespec a, b;

	(void)state;
	fresh(true);
	table->nr = 0;
	for (uint32_t gsi = 0; gsi < 1024; gsi++)
		add(to_msi(gsi, 0xfee00000, 0x4030));
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned i = 0; i < 716; i++) {
		table->entries[i % 24].u.msi.data = 0x20 + i % 200;
		assert_int_equal(routing_set(&r, table), 0);
		assert_int_equal(routing_msi(&r, i % 24)->vector,
				 0x20 + i % 200);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	print_message("%.1f us a table of 1024, with sanitizers\n",
		      ((double)(b.tv_sec - a.tv_sec) * 1e9 +
		       (double)(b.tv_nsec - a.tv_nsec)) / 716e3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(msi),
		cmocka_unit_test(default_table),
		cmocka_unit_test(qemu_table),
		cmocka_unit_test(sources),
		cmocka_unit_test(bad_tables),
		cmocka_unit_test(split),
		cmocka_unit_test(random_tables),
		cmocka_unit_test(cost_of_a_boot),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
