/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioapic_test.c - the 82093AA's registers, edges, levels and Remote IRR; what
 * Linux does to an entry; random operations against the data sheet's invariants
 * and across a save and a restore.
 */
#include "ioapic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct box {
	struct ioapic io;
	struct irq_msg last;
	unsigned sent;
	int answer;	   /* of the local APICs */
	uint32_t eois;	   /* a bit per pin */
	int lower_on_eoi; /* pin, or -1 */
};

static int on_deliver(void *ctx, const struct irq_msg *msg)
{
	struct box *b = ctx;

	b->last = *msg;
	b->sent++;
	return b->answer;
}

static void on_eoi(void *ctx, unsigned pin)
{
	struct box *b = ctx;

	b->eois |= 1u << pin;
	if (b->lower_on_eoi == (int)pin)
		ioapic_set_irq(&b->io, pin, false);
}

static void fresh(struct box *b, uint8_t version)
{
	const struct ioapic_wires wires = { on_deliver, on_eoi, b };

	memset(b, 0, sizeof(*b));
	b->answer = 1;
	b->lower_on_eoi = -1;
	ioapic_init(&b->io, version, &wires);
}

static uint32_t reg(struct box *b, unsigned index)
{
	ioapic_write(&b->io, IOAPIC_BASE, 4, index);
	return (uint32_t)ioapic_read(&b->io, IOAPIC_BASE + 0x10, 4);
}

static void set_reg(struct box *b, unsigned index, uint32_t value)
{
	ioapic_write(&b->io, IOAPIC_BASE, 4, index);
	ioapic_write(&b->io, IOAPIC_BASE + 0x10, 4, value);
}

/* As Linux: the high half first. */
static void entry(struct box *b, unsigned pin, uint64_t rte)
{
	set_reg(b, 0x11 + 2 * pin, (uint32_t)(rte >> 32));
	set_reg(b, 0x10 + 2 * pin, (uint32_t)rte);
}

#define LEVEL  0x8000u
#define MASKED 0x10000u
#define RIRR   0x4000u

static void registers(void **state)
{
	struct box b;

	(void)state;
	fresh(&b, IOAPIC_VERSION);
	assert_int_equal(reg(&b, 1), 0x00170011);
	set_reg(&b, 1, ~0u);
	assert_int_equal(reg(&b, 1), 0x00170011);
	set_reg(&b, 0, ~0u);
	assert_int_equal(reg(&b, 0), 0x0f000000);
	assert_int_equal(reg(&b, 2), 0x0f000000);
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		assert_int_equal(reg(&b, 0x10 + 2 * pin), MASKED);
		set_reg(&b, 0x10 + 2 * pin, ~0u);
		set_reg(&b, 0x11 + 2 * pin, ~0u);
		assert_int_equal(reg(&b, 0x10 + 2 * pin), 0x1afff);
		assert_int_equal(reg(&b, 0x11 + 2 * pin), 0xff000000);
	}
	for (unsigned index = 0; index < 256; index++)
		if ((index > 2 && index < 0x10) || index >= 0x40) {
			set_reg(&b, index, 0);
			assert_int_equal(reg(&b, index), 0xffffffff);
		}
}

static void access_sizes(void **state)
{
	struct box b;

	(void)state;
	fresh(&b, IOAPIC_VERSION);
	entry(&b, 3, 0x5500000000010931);
	ioapic_write(&b.io, IOAPIC_BASE, 1, 0xffffff16);
	assert_int_equal(ioapic_read(&b.io, IOAPIC_BASE, 1), 0x16);
	assert_int_equal(ioapic_read(&b.io, IOAPIC_BASE + 0x10, 1), 0x31);
	assert_int_equal(ioapic_read(&b.io, IOAPIC_BASE + 0x10, 2), 0x0931);
	assert_int_equal(ioapic_read(&b.io, IOAPIC_BASE + 0x11, 1), 0x09);
	assert_int_equal(ioapic_read(&b.io, IOAPIC_BASE + 0x12, 2), 0x0001);
	assert_int_equal(ioapic_read(&b.io, IOAPIC_BASE + 0x10, 8), 0x10931);
	assert_int_equal(ioapic_read(&b.io, IOAPIC_BASE + 0x20, 4), 0);
	assert_int_equal(ioapic_read(&b.io, IOAPIC_BASE + 0xff, 8), 0);
	ioapic_write(&b.io, IOAPIC_BASE + 0x10, 2, 0x12345678);
	assert_int_equal(reg(&b, 0x16), 0x678);
	ioapic_write(&b.io, IOAPIC_BASE + 0x11, 1, 0);
	ioapic_write(&b.io, IOAPIC_BASE + 0xff, 8, ~0ull);
	assert_int_equal(reg(&b, 0x16), 0x678);
	assert_true(ioapic_owns(&b.io, IOAPIC_BASE));
	assert_true(ioapic_owns(&b.io, IOAPIC_BASE + 0xff));
	assert_false(ioapic_owns(&b.io, IOAPIC_BASE + 0x100));
	assert_false(ioapic_owns(&b.io, IOAPIC_BASE - 1));
}

static void messages(void **state)
{
	struct box b;

	(void)state;
	for (unsigned mode = 0; mode < 8; mode++)
		for (unsigned bits = 0; bits < 4; bits++) {
			const bool level = bits & 1, logical = bits & 2;

			fresh(&b, IOAPIC_VERSION);
			entry(&b, 7, 0xab00000000000071ull | mode << 8 |
				     (logical ? 0x800 : 0) |
				     (level ? LEVEL : 0));
			assert_int_equal(ioapic_set_irq(&b.io, 7, true), 1);
			assert_int_equal(b.sent, 1);
			assert_int_equal(b.last.dest, 0xab);
			assert_int_equal(b.last.dest_mode, logical);
			assert_int_equal(b.last.delivery_mode, mode);
			assert_int_equal(b.last.vector, 0x71);
			assert_true(b.last.level);
			assert_false(b.last.redir_hint);
			/* Only fixed and lowest priority have levels. */
			assert_int_equal(b.last.trigger, level && mode < 2);
			assert_int_equal(!!(reg(&b, 0x1e) & RIRR),
					 level && mode < 2);
		}
}

static void edges(void **state)
{
	struct box b;

	(void)state;
	fresh(&b, IOAPIC_VERSION);
	assert_int_equal(ioapic_set_irq(&b.io, 4, true), -1);
	ioapic_set_irq(&b.io, 4, false);
	entry(&b, 4, 0x34);
	assert_int_equal(b.sent, 0); /* lost while masked */
	assert_int_equal(ioapic_set_irq(&b.io, 4, true), 1);
	assert_int_equal(ioapic_set_irq(&b.io, 4, true), 0);
	assert_int_equal(b.sent, 1);
	ioapic_eoi(&b.io, 0x34);
	assert_int_equal(b.sent, 1);
	assert_int_equal(b.eois, 1 << 4);
	ioapic_set_irq(&b.io, 4, false);
	b.answer = 0;
	assert_int_equal(ioapic_set_irq(&b.io, 4, true), 0);
	assert_int_equal(b.sent, 2);
	/* Unmasking a line that is high is not an edge. */
	entry(&b, 4, MASKED | 0x34);
	entry(&b, 4, 0x34);
	assert_int_equal(b.sent, 2);
}

static void levels(void **state)
{
	struct box b;

	(void)state;
	fresh(&b, IOAPIC_VERSION);
	entry(&b, 11, LEVEL | MASKED | 0x3b);
	assert_int_equal(ioapic_set_irq(&b.io, 11, true), -1);
	entry(&b, 11, LEVEL | 0x3b);
	assert_int_equal(b.sent, 1); /* seen when unmasked */
	assert_int_equal(reg(&b, 0x26), LEVEL | RIRR | 0x3b);
	assert_int_equal(ioapic_set_irq(&b.io, 11, true), 0);
	entry(&b, 11, LEVEL | 0x3b);
	assert_int_equal(b.sent, 1);
	ioapic_eoi(&b.io, 0x3c);
	assert_int_equal(b.sent, 1);
	ioapic_eoi(&b.io, 0x3b);
	assert_int_equal(b.sent, 2); /* still high */
	ioapic_set_irq(&b.io, 11, false);
	assert_int_equal(reg(&b, 0x26), LEVEL | RIRR | 0x3b);
	ioapic_eoi(&b.io, 0x3b);
	assert_int_equal(b.sent, 2);
	assert_int_equal(reg(&b, 0x26), LEVEL | 0x3b);
	/* Nobody there: no Remote IRR, to be tried again. */
	b.answer = -1;
	assert_int_equal(ioapic_set_irq(&b.io, 11, true), -1);
	assert_int_equal(reg(&b, 0x26), LEVEL | 0x3b);
	b.answer = 0;
	assert_int_equal(ioapic_set_irq(&b.io, 11, true), 0);
	assert_int_equal(reg(&b, 0x26), LEVEL | RIRR | 0x3b);
}

/* Whoever hears of the EOI lowers the line before it is looked at. */
static void resample(void **state)
{
	struct box b;

	(void)state;
	fresh(&b, IOAPIC_VERSION);
	b.lower_on_eoi = 10;
	entry(&b, 10, LEVEL | 0x41);
	entry(&b, 12, LEVEL | 0x41); /* shares the vector */
	ioapic_set_irq(&b.io, 10, true);
	ioapic_set_irq(&b.io, 12, true);
	assert_int_equal(b.sent, 2);
	entry(&b, 10, LEVEL | MASKED | 0x41);
	ioapic_eoi(&b.io, 0x41);
	assert_int_equal(b.eois, 1 << 10 | 1 << 12);
	assert_int_equal(b.sent, 3);
	assert_int_equal(reg(&b, 0x24), LEVEL | MASKED | 0x41);
	assert_int_equal(reg(&b, 0x28), LEVEL | RIRR | 0x41);
	b.eois = 0;
	ioapic_eoi(&b.io, 0x41);
	assert_int_equal(b.eois, 1 << 12); /* pin 10 is masked and idle */
}

/* Linux, __eoi_ioapic_pin(), clear_IO_APIC_pin(): no EOI register. */
static void linux_clears_remote_irr(void **state)
{
	struct box b;

	(void)state;
	fresh(&b, IOAPIC_VERSION);
	entry(&b, 9, LEVEL | 0x39);
	ioapic_set_irq(&b.io, 9, true);
	set_reg(&b, 0x22, LEVEL | MASKED | 0x39);
	assert_int_equal(reg(&b, 0x22), LEVEL | MASKED | RIRR | 0x39);
	set_reg(&b, 0x22, MASKED | 0x39);
	assert_int_equal(reg(&b, 0x22), MASKED | 0x39);
	set_reg(&b, 0x22, LEVEL | MASKED | 0x39);
	assert_int_equal(b.sent, 1);
	set_reg(&b, 0x22, LEVEL | 0x39);
	assert_int_equal(b.sent, 2);
}

static void eoi_register(void **state)
{
	struct box b;

	(void)state;
	for (unsigned with = 0; with < 2; with++) {
		fresh(&b, with ? IOAPIC_WITH_EOI : IOAPIC_VERSION);
		entry(&b, 9, LEVEL | 0x39);
		ioapic_set_irq(&b.io, 9, true);
		ioapic_write(&b.io, IOAPIC_BASE + 0x40, 4, 0x38);
		assert_int_equal(b.sent, 1);
		ioapic_write(&b.io, IOAPIC_BASE + 0x40, 4, 0x39);
		assert_int_equal(b.sent, 1 + with);
	}
}

static bool has(const uint64_t vectors[4], unsigned v)
{
	return vectors[v / 64] >> v % 64 & 1;
}

static void eoi_vectors(void **state)
{
	uint64_t v[4] = { 0, 0, 0, 1ull << 63 };
	struct box b;

	(void)state;
	fresh(&b, IOAPIC_VERSION);
	entry(&b, 0, 0x30);
	entry(&b, 1, 0x31);
	entry(&b, 2, LEVEL | 0x80);
	entry(&b, 3, LEVEL | MASKED | 0x81);
	entry(&b, 4, LEVEL | 0xfe);
	ioapic_set_irq(&b.io, 4, true);
	entry(&b, 4, LEVEL | MASKED | 0xfe);
	entry(&b, 5, LEVEL | IRQ_NMI << 8 | 0x82);
	ioapic_eoi_vectors(&b.io, 1 << 1 | 1 << 6, v);
	assert_true(has(v, 0xff)); /* added to */
	assert_true(has(v, 0x31) && has(v, 0x80) && has(v, 0xfe));
	assert_false(has(v, 0x30) || has(v, 0x81) || has(v, 0x82));
	assert_false(has(v, 0));
}

/* --- random operations --------------------------------------------------- */

static unsigned rnd(unsigned n)
{
	return (unsigned)rand() % n;
}

/* Few vectors, so that pins share them; few pins, so that much happens. */
static void random_step(struct box *b, unsigned op, unsigned pin,
			uint32_t value)
{
	pin %= 6;
	switch (op) {
	case 0:
	case 1:
		ioapic_set_irq(&b->io, pin, value & 1);
		break;
	case 2:
		ioapic_eoi(&b->io, (uint8_t)(0x40 + value % 4));
		break;
	case 3:
		b->answer = (int)(value % 5) - 1;
		break;
	case 4:
		set_reg(b, 0x10 + 2 * pin, (value & 0x18c00) |
			(value & 0x2000 ? IRQ_NMI << 8 : 0) |
			(0x40 + value % 4));
		break;
	default:
		set_reg(b, 0x11 + 2 * pin, value);
		break;
	}
}

/* The data sheet's invariants of one pin, after every operation. */
static void check_pin(const struct box *b, unsigned pin)
{
	const uint64_t rte = b->io.rte[pin];
	const bool level = rte & LEVEL && (rte >> 8 & 7) <= IRQ_LOWEST;

	/* An edge has no Remote IRR. */
	if (!level)
		assert_false(rte & RIRR);
	/* A level that nobody masks waits for nothing but its EOI. */
	if (level && !(rte & MASKED) && b->io.line >> pin & 1 &&
	    b->answer >= 0 && !(rte & RIRR))
		fail_msg("pin %u is stuck: %#llx", pin,
			 (unsigned long long)rte);
}

static void random_operations_keep_the_invariants(void **state)
{
	unsigned sent = 0;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct box b;

		fresh(&b, IOAPIC_VERSION);
		for (unsigned i = 0; i < 200; i++) {
			unsigned op = rnd(6);

			if (op == 3) /* an APIC that comes late is not told */
				op = 4;
			random_step(&b, op, rnd(6), (uint32_t)rand());
			for (unsigned pin = 0; pin < 6; pin++)
				check_pin(&b, pin);
		}
		sent += b.sent;
	}
	assert_true(sent > 10000);
}

static void restored_is_the_same(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct kvm_ioapic_state s, again;
		struct box a, b;

		fresh(&a, IOAPIC_VERSION);
		fresh(&b, IOAPIC_VERSION);
		for (unsigned i = rnd(100); i > 0; i--) {
			/* Nobody refuses: a refused level is tried again. */
			random_step(&a, rnd(3), rnd(6), (uint32_t)rand());
			random_step(&a, 4 + rnd(2), rnd(6), (uint32_t)rand());
			random_step(&b, rnd(6), rnd(6), (uint32_t)rand());
		}
		/* What the state cannot hold: see ioapic.h. */
		for (unsigned pin = 0; pin < 6; pin++)
			if (!(a.io.rte[pin] & (LEVEL | MASKED)) ||
			    (a.io.rte[pin] >> 8 & 7) > IRQ_LOWEST)
				ioapic_set_irq(&a.io, pin, false);
		a.sent = b.sent = 0;
		a.answer = b.answer = 1;
		ioapic_get(&a.io, &s);
		ioapic_set(&b.io, &s);
		assert_int_equal(b.sent, 0);
		ioapic_get(&b.io, &again);
		assert_memory_equal(&s, &again, sizeof(s));
		for (unsigned i = 0; i < 100; i++) {
			const unsigned op = rnd(6), pin = rnd(6);
			const uint32_t value = (uint32_t)rand();

			random_step(&a, op, pin, value);
			random_step(&b, op, pin, value);
			assert_int_equal(a.sent, b.sent);
			assert_memory_equal(a.io.rte, b.io.rte,
					    sizeof(a.io.rte));
		}
	}
}

/* Else restoring would send a delivered edge again. */
static void delivered_edges_are_not_saved(void **state)
{
	struct kvm_ioapic_state s;
	struct box b;

	(void)state;
	fresh(&b, IOAPIC_VERSION);
	entry(&b, 4, 0x34);
	entry(&b, 5, LEVEL | 0x35);
	ioapic_set_irq(&b.io, 4, true);
	ioapic_set_irq(&b.io, 5, true);
	ioapic_set_irq(&b.io, 6, true);
	ioapic_get(&b.io, &s);
	assert_int_equal(s.irr, 1 << 5 | 1 << 6);
	assert_int_equal(s.redirtbl[5].fields.remote_irr, 1);
}

/* Of a KVM: an edge that came but was not sent is sent when restored. */
static void restore_sends_what_waits(void **state)
{
	struct kvm_ioapic_state s;
	struct box b;

	(void)state;
	fresh(&b, IOAPIC_VERSION);
	ioapic_get(&b.io, &s);
	s.irr = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7;
	s.redirtbl[4].bits = 0x44;
	s.redirtbl[5].bits = LEVEL | 0x45;
	s.redirtbl[6].bits = LEVEL | RIRR | 0x46;
	s.redirtbl[7].bits = MASKED | 0x47;
	ioapic_set(&b.io, &s);
	assert_int_equal(b.sent, 2);
	assert_int_equal(b.io.rte[5], LEVEL | RIRR | 0x45);
	ioapic_eoi(&b.io, 0x46);
	assert_int_equal(b.sent, 3);
}

static void nonsense_is_made_sense_of(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 5000; round++) {
		struct kvm_ioapic_state s, again;
		struct box b;

		fresh(&b, (uint8_t)rnd(256));
		for (unsigned i = 0; i < sizeof(s); i++)
			((uint8_t *)&s)[i] = (uint8_t)rnd(256);
		ioapic_set(&b.io, &s);
		ioapic_get(&b.io, &s);
		ioapic_set(&b.io, &s);
		ioapic_get(&b.io, &again);
		assert_memory_equal(&s, &again, sizeof(s));
		for (unsigned i = 0; i < 30; i++) {
			const uint64_t gpa = b.io.base + rnd(IOAPIC_LEN);
			const unsigned len = 1u << rnd(4);

			ioapic_write(&b.io, gpa, len, (uint64_t)rand());
			ioapic_write(&b.io, b.io.base, 1, rnd(256));
			ioapic_write(&b.io, b.io.base + 0x10, len,
				     (uint64_t)rand());
			ioapic_read(&b.io, gpa, len);
			ioapic_set_irq(&b.io, rnd(IOAPIC_PINS), rnd(2));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),
		cmocka_unit_test(access_sizes),
		cmocka_unit_test(messages),
		cmocka_unit_test(edges),
		cmocka_unit_test(levels),
		cmocka_unit_test(resample),
		cmocka_unit_test(linux_clears_remote_irr),
		cmocka_unit_test(eoi_register),
		cmocka_unit_test(eoi_vectors),
		cmocka_unit_test(random_operations_keep_the_invariants),
		cmocka_unit_test(restored_is_the_same),
		cmocka_unit_test(delivered_edges_are_not_saved),
		cmocka_unit_test(restore_sends_what_waits),
		cmocka_unit_test(nonsense_is_made_sense_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
