/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pic_test.c - the 8259A's data sheet mode by mode, and what firmware and
 * Linux write. Random operations are in pic_fuzz_test.c.
 */
#include "pic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct pic pic;
static unsigned changes; /* of INT */
static bool intr;
static uint32_t eois; /* a bit per line */
static int lower_on_eoi; /* line that a device lowers then, or -1 */

static void on_intr(void *ctx, bool level)
{
	assert_ptr_equal(ctx, &pic);
	assert_int_not_equal(intr, level);
	intr = level;
	changes++;
}

static void on_eoi(void *ctx, unsigned line)
{
	(void)ctx;
	eois |= 1u << line;
	if (lower_on_eoi == (int)line)
		pic_set_irq(&pic, line, false);
}

static const struct pic_wires wires = { on_intr, on_eoi, &pic };

static void out(uint16_t port, uint8_t value)
{
	assert_true(pic_write(&pic, port, value));
	assert_int_equal(intr, pic_intr(&pic));
}

static uint8_t in(uint16_t port)
{
	uint8_t value = 0xa5;

	assert_true(pic_read(&pic, port, &value));
	assert_int_equal(intr, pic_intr(&pic));
	return value;
}

static void pulse(unsigned line)
{
	pic_set_irq(&pic, line, true);
	pic_set_irq(&pic, line, false);
}

static uint8_t isr(uint16_t port)
{
	out(port, 0x0b);
	return in(port);
}

static uint8_t irr(uint16_t port)
{
	out(port, 0x0a);
	return in(port);
}

static void fresh(void)
{
	pic_init(&pic, &wires);
	changes = eois = 0;
	intr = false;
	lower_on_eoi = -1;
}

/* Linux's init_8259A(), vectors 30h and 38h; icw4 of both chips. */
static void start(uint8_t icw4)
{
	fresh();
	out(0x21, 0xff);
	out(0x20, 0x11);
	out(0x21, 0x30);
	out(0x21, 0x04);
	out(0x21, icw4);
	out(0xa0, 0x11);
	out(0xa1, 0x38);
	out(0xa1, 0x02);
	out(0xa1, icw4);
	out(0x21, 0x00);
	out(0xa1, 0x00);
}

static void linux_init(void **state)
{
	(void)state;
	start(0x01);
	out(0x21, 0xfb);
	out(0xa1, 0xff);
	assert_int_equal(in(0x21), 0xfb);
	assert_int_equal(in(0xa1), 0xff);
	/* probe_8259A(): the mask is memory. */
	out(0xa1, 0x5a);
	assert_int_equal(in(0xa1), 0x5a);
	/* mask_and_ack_8259A() of IRQ 12. */
	out(0xa1, 0xef);
	pulse(12);
	assert_true(intr);
	assert_int_equal(pic_acknowledge(&pic), 0x3c);
	assert_false(intr);
	out(0xa1, 0xff);
	out(0xa0, 0x64);
	out(0x20, 0x62);
	assert_int_equal(isr(0x20) | isr(0xa0), 0);
}

/* The BIOS's vectors; ICW1 clears the masks, ICW2 drops the low bits. */
static void seabios_init(void **state)
{
	(void)state;
	fresh();
	out(0x21, 0xaa);
	out(0x20, 0x11);
	assert_int_equal(in(0x21), 0);
	out(0xa0, 0x11);
	out(0x21, 0x08);
	out(0xa1, 0x77);
	out(0x21, 0x04);
	out(0xa1, 0x02);
	out(0x21, 0x01);
	out(0xa1, 0x01);
	out(0x21, 0xfb);
	out(0xa1, 0xff);
	assert_false(intr);
	out(0x21, 0xfa);
	pulse(0);
	assert_int_equal(pic_acknowledge(&pic), 0x08);
	out(0x20, 0x20);
	out(0xa1, 0xfe);
	pulse(8);
	assert_int_equal(pic_acknowledge(&pic), 0x70);
	assert_int_equal(isr(0x20), 0x04);
	assert_int_equal(isr(0xa0), 0x01);
}

static void icw_variants(void **state)
{
	(void)state;
	fresh();
	/* No ICW4: AEOI and SFNM go. Single: no ICW3 either. */
	out(0x20, 0x11), out(0x21, 0x20), out(0x21, 4), out(0x21, 0x13);
	assert_true(pic.chip[0].auto_eoi);
	assert_true(pic.chip[0].special_fully_nested_mode);
	out(0x20, 0x10), out(0x21, 0x28), out(0x21, 4), out(0x21, 0x5a);
	assert_int_equal(in(0x21), 0x5a);
	assert_false(pic.chip[0].auto_eoi);
	assert_false(pic.chip[0].special_fully_nested_mode);
	out(0x20, 0x12), out(0x21, 0x30), out(0x21, 0xa5);
	assert_int_equal(in(0x21), 0xa5);
	out(0x20, 0x13), out(0x21, 0x38), out(0x21, 0x01), out(0x21, 0x0f);
	assert_int_equal(in(0x21), 0x0f);
	assert_int_equal(pic.chip[0].irq_base, 0x38);
}

static void icw1_resets(void **state)
{
	(void)state;
	start(0x01);
	out(0x4d0, 0x20);
	pic_set_irq(&pic, 3, true);
	pic_set_irq(&pic, 5, true);
	pic_set_irq(&pic, 1, true);
	assert_int_equal(pic_acknowledge(&pic), 0x31);
	out(0x20, 0xc4); /* priorities */
	out(0x20, 0x68); /* special mask */
	out(0x20, 0x0b);
	out(0x20, 0x11);
	/* An edge is forgotten, and not seen again until the line was low. */
	assert_int_equal(in(0x20), 0x20);
	assert_int_equal(eois, 0x02);
	pic_set_irq(&pic, 3, true);
	assert_int_equal(irr(0x20), 0x20);
	pic_set_irq(&pic, 3, false);
	pic_set_irq(&pic, 3, true);
	assert_int_equal(irr(0x20), 0x28);
	assert_int_equal(isr(0x20), 0);
	assert_int_equal(pic.chip[0].priority_add, 0);
	assert_int_equal(pic.chip[0].special_mask, 0);
}

static void fully_nested(void **state)
{
	(void)state;
	start(0x01);
	pulse(5);
	pulse(3);
	assert_int_equal(pic_acknowledge(&pic), 0x33);
	assert_false(intr); /* 5 is lower than 3 */
	pulse(1);
	assert_true(intr);
	assert_int_equal(pic_acknowledge(&pic), 0x31);
	assert_int_equal(isr(0x20), 0x0a);
	assert_int_equal(irr(0x20), 0x20);
	out(0x20, 0x20); /* ends 1 */
	assert_int_equal(isr(0x20), 0x08);
	assert_false(intr);
	out(0x20, 0x20); /* ends 3 */
	assert_int_equal(pic_acknowledge(&pic), 0x35);
	out(0x20, 0x65); /* specific */
	assert_int_equal(isr(0x20), 0);
	assert_int_equal(eois, 0x2a);
	out(0x20, 0x20); /* of nothing */
	assert_int_equal(eois, 0x2a);
}

static void edge_and_level(void **state)
{
	(void)state;
	start(0x01);
	assert_int_equal(pic_set_irq(&pic, 5, true), 1);
	assert_int_equal(pic_set_irq(&pic, 5, true), 0);
	assert_int_equal(pic_acknowledge(&pic), 0x35);
	out(0x20, 0x20);
	assert_false(intr); /* still high, but no edge */
	pic_set_irq(&pic, 5, false);
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	assert_int_equal(in(0x4d0), 0xf8); /* 0, 1, 2 are edge */
	assert_int_equal(in(0x4d1), 0xde); /* 8 and 13, too */
	pic_set_irq(&pic, 5, true);
	assert_int_equal(pic_acknowledge(&pic), 0x35);
	assert_int_equal(irr(0x20), 0x20);
	out(0x20, 0x20);
	assert_true(intr); /* again while it is high */
	pic_set_irq(&pic, 5, false);
	assert_false(intr);
	/* A device that lowers its line at the EOI is not heard twice. */
	pic_set_irq(&pic, 6, true);
	assert_int_equal(pic_acknowledge(&pic), 0x36);
	lower_on_eoi = 6;
	changes = 0;
	out(0x20, 0x66);
	assert_int_equal(changes, 0);
}

/* An edge-triggered line that becomes a level one is what it is. */
static void elcr_change(void **state)
{
	(void)state;
	start(0x01);
	pulse(9);
	pic_set_irq(&pic, 10, true);
	assert_int_equal(pic_acknowledge(&pic), 0x39);
	out(0xa0, 0x20), out(0x20, 0x20);
	assert_int_equal(pic_acknowledge(&pic), 0x3a);
	out(0xa0, 0x20), out(0x20, 0x20);
	assert_false(intr);
	pulse(11);
	pulse(14);
	out(0x4d1, 0x0c);
	assert_int_equal(irr(0xa0), 0x44);
}

static void masked(void **state)
{
	(void)state;
	start(0x01);
	out(0x21, 0x08);
	assert_int_equal(pic_set_irq(&pic, 3, true), -1);
	assert_false(intr);
	assert_int_equal(irr(0x20), 0x08);
	out(0x21, 0x00);
	assert_true(intr);
	assert_int_equal(pic_set_irq(&pic, 2, true), -1);
	assert_int_equal(irr(0x20), 0x08);
}

static void spurious(void **state)
{
	(void)state;
	start(0x01);
	/* Nothing at all. */
	assert_int_equal(pic_acknowledge(&pic), 0x37);
	assert_int_equal(isr(0x20), 0);
	/* Masked between INT and INTA. */
	pulse(3);
	out(0x21, 0x08);
	assert_int_equal(pic_acknowledge(&pic), 0x37);
	assert_int_equal(isr(0x20), 0);
	/* The real IRQ7 is in service: how a handler tells. */
	pulse(7);
	out(0x21, 0x08);
	assert_int_equal(pic_acknowledge(&pic), 0x37);
	assert_int_equal(isr(0x20), 0x80);
}

/* The slave withdraws after the master has promised: IRQ15, no ISR bit 7. */
static void spurious_15(void **state)
{
	(void)state;
	start(0x01);
	out(0x4d1, 0x02 << 1);
	pic_set_irq(&pic, 10, true);
	assert_true(intr);
	/* INTA's first cycle is the master's; then the line drops. */
	pic.chip[1].irr = 0;
	assert_int_equal(pic_acknowledge(&pic), 0x3f);
	assert_int_equal(isr(0x20), 0x04);
	assert_int_equal(isr(0xa0), 0x00);
	out(0x20, 0x62);
	assert_false(intr);
	/* Dropped before INTA: the master has no request, hence IRQ7. */
	pic_set_irq(&pic, 10, true);
	pic_set_irq(&pic, 10, false);
	assert_int_equal(pic_acknowledge(&pic), 0x37);
}

static void cascade(void **state)
{
	(void)state;
	start(0x01);
	pulse(12);
	assert_int_equal(irr(0x20), 0x04);
	assert_int_equal(pic_acknowledge(&pic), 0x3c);
	assert_int_equal(irr(0x20), 0x00);
	/* Within the slave better than 12, but the master has 2 in service. */
	pulse(9);
	assert_int_equal(irr(0x20), 0x04);
	assert_false(intr);
	pulse(3); /* lower than the cascade */
	assert_false(intr);
	pulse(1);
	assert_int_equal(pic_acknowledge(&pic), 0x31);
	out(0x20, 0x20);
	out(0x20, 0x20);
	assert_int_equal(pic_acknowledge(&pic), 0x39);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_int_equal(isr(0xa0), 0x10);
	assert_int_equal(pic_acknowledge(&pic), 0x33);
}

static void special_fully_nested(void **state)
{
	(void)state;
	start(0x01);
	out(0x20, 0x11), out(0x21, 0x30), out(0x21, 4), out(0x21, 0x11);
	pulse(12);
	assert_int_equal(pic_acknowledge(&pic), 0x3c);
	pulse(13); /* not better than 12 */
	assert_false(intr);
	pulse(3); /* the master's own lower ones still wait */
	assert_false(intr);
	pulse(9);
	assert_true(intr);
	assert_int_equal(pic_acknowledge(&pic), 0x39);
	assert_int_equal(isr(0xa0), 0x12);
	assert_int_equal(isr(0x20), 0x04);
	out(0xa0, 0x20);
	out(0xa0, 0x20);
	assert_true(intr);
	assert_int_equal(pic_acknowledge(&pic), 0x3d);
}

static void special_mask(void **state)
{
	(void)state;
	start(0x01);
	pulse(1);
	assert_int_equal(pic_acknowledge(&pic), 0x31);
	pulse(5);
	assert_false(intr);
	out(0x21, 0x02);
	assert_false(intr); /* masking alone does not help */
	out(0x20, 0x68);
	assert_true(intr);
	assert_int_equal(pic_acknowledge(&pic), 0x35);
	/* A non-specific EOI passes over the masked one. */
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0x02);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0x02);
	out(0x20, 0x08); /* without ESMM: no change */
	assert_true(pic.chip[0].special_mask);
	out(0x20, 0x48);
	pulse(5);
	assert_false(intr);
	out(0x20, 0x61);
	assert_true(intr);
}

static void rotation(void **state)
{
	(void)state;
	start(0x01);
	pulse(4);
	assert_int_equal(pic_acknowledge(&pic), 0x34);
	out(0x20, 0xa0); /* non-specific, 4 is lowest now */
	pulse(4);
	pulse(0);
	pulse(5);
	assert_int_equal(pic_acknowledge(&pic), 0x35);
	out(0x20, 0xe5); /* specific */
	assert_int_equal(isr(0x20), 0);
	assert_int_equal(pic_acknowledge(&pic), 0x30);
	out(0x20, 0x20);
	assert_int_equal(pic_acknowledge(&pic), 0x34);
	out(0x20, 0x20);
	out(0x20, 0xc2); /* set priority: 2 is lowest, no EOI */
	pulse(1);
	pulse(3);
	assert_int_equal(pic_acknowledge(&pic), 0x33);
	out(0x20, 0xa0);
	out(0x20, 0xa0); /* nothing in service: nothing rotates */
	assert_int_equal(pic.chip[0].priority_add, 4);
	out(0x20, 0x40); /* no operation */
	assert_int_equal(pic.chip[0].priority_add, 4);
}

static void auto_eoi(void **state)
{
	(void)state;
	start(0x03);
	pulse(3);
	pulse(9);
	assert_int_equal(pic_acknowledge(&pic), 0x39);
	assert_int_equal(isr(0x20) | isr(0xa0), 0);
	assert_int_equal(eois, 0x204);
	assert_int_equal(pic_acknowledge(&pic), 0x33);
	out(0x20, 0x80); /* rotate in automatic EOI mode */
	pulse(3);
	assert_int_equal(pic_acknowledge(&pic), 0x33);
	pulse(3);
	pulse(4);
	assert_int_equal(pic_acknowledge(&pic), 0x34);
	out(0x20, 0x00);
	assert_int_equal(pic_acknowledge(&pic), 0x33);
	assert_int_equal(pic.chip[0].priority_add, 5);
}

static void poll_command(void **state)
{
	(void)state;
	start(0x01);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20) & 0x80, 0);
	assert_int_equal(in(0x20), 0); /* one read only */
	pulse(6);
	pulse(10);
	out(0x20, 0x0c);
	assert_int_equal(in(0x21), 0x82);
	out(0xa0, 0x0c);
	assert_int_equal(in(0xa0), 0x82);
	assert_int_equal(isr(0x20), 0x04);
	assert_int_equal(isr(0xa0), 0x04);
	assert_false(intr);
	out(0xa0, 0x20), out(0x20, 0x20);
	out(0x20, 0x0f); /* with read register: the poll wins */
	assert_int_equal(in(0x20), 0x86);
}

static void other_ports(void **state)
{
	(void)state;
	start(0x01);
	for (uint32_t port = 0; port < 0x10000; port++) {
		const bool own = port == 0x20 || port == 0x21 || port == 0xa0 ||
				 port == 0xa1 || port == 0x4d0 || port == 0x4d1;
		uint8_t v = 0;

		assert_int_equal(pic_read(&pic, (uint16_t)port, &v), own);
		assert_int_equal(pic_write(&pic, (uint16_t)port, 0), own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_init),
		cmocka_unit_test(seabios_init),
		cmocka_unit_test(icw_variants),
		cmocka_unit_test(icw1_resets),
		cmocka_unit_test(fully_nested),
		cmocka_unit_test(edge_and_level),
		cmocka_unit_test(elcr_change),
		cmocka_unit_test(masked),
		cmocka_unit_test(spurious),
		cmocka_unit_test(spurious_15),
		cmocka_unit_test(cascade),
		cmocka_unit_test(special_fully_nested),
		cmocka_unit_test(special_mask),
		cmocka_unit_test(rotation),
		cmocka_unit_test(auto_eoi),
		cmocka_unit_test(poll_command),
		cmocka_unit_test(other_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
