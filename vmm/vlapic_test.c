/* SPDX-License-Identifier: BSD-2-Clause */
#include "vlapic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ON 0x1ffu /* SVR: enabled, spurious vector 255 */

static struct vlapic a;

static void put(unsigned reg, uint64_t value, uint64_t now)
{
	struct vlapic_effect e;

	assert_true(vlapic_write(&a, reg, value, now, &e));
}

static uint64_t get(unsigned reg, uint64_t now)
{
	uint64_t value = ~0ull;

	assert_true(vlapic_read(&a, reg, now, &value));
	return value;
}

static int setup(void **state)
{
	(void)state;
	memset(&a, 0xff, sizeof(a));
	vlapic_reset(&a, 3, false);
	put(VLAPIC_SVR, ON, 0);
	return 0;
}

static void x2apic(void)
{
	assert_true(vlapic_set_base(&a, a.base | VLAPIC_BASE_X2APIC));
}

static void after_reset(void **state)
{
	(void)state;
	vlapic_reset(&a, 3, false);
	assert_int_equal(get(VLAPIC_ID, 0), 3u << 24);
	assert_int_equal(get(VLAPIC_SVR, 0), 0xff);
	assert_int_equal(get(VLAPIC_LVT0, 0), 0x10000);
	assert_int_equal(get(VLAPIC_DFR, 0), 0xffffffff);
	assert_false(vlapic_takes_extint(&a));
	assert_false(vlapic_request(&a, 0x40, false)); /* software-disabled */
	vlapic_reset(&a, 0, true);
	assert_true(vlapic_takes_extint(&a));
}

static void highest_vector_first(void **state)
{
	(void)state;
	assert_true(vlapic_request(&a, 0x31, false));
	assert_true(vlapic_request(&a, 0xe0, false));
	assert_false(vlapic_request(&a, 0xe0, false)); /* waits already */
	assert_false(vlapic_request(&a, 15, false));
	assert_int_equal(vlapic_pending(&a), 0xe0);
	vlapic_accept(&a, 0xe0);
	assert_int_equal(vlapic_pending(&a), -1); /* behind what is served */
	assert_int_equal(get(VLAPIC_PPR, 0), 0xe0);
	assert_true(vlapic_request(&a, 0xe5, false)); /* same class */
	assert_int_equal(vlapic_pending(&a), -1);
	assert_true(vlapic_request(&a, 0xf1, false));
	assert_int_equal(vlapic_pending(&a), 0xf1);
	vlapic_accept(&a, 0xf1);
	put(VLAPIC_EOI, 0, 0);
	put(VLAPIC_EOI, 0, 0);
	assert_int_equal(vlapic_pending(&a), 0xe5);
}

static void tpr_holds_off(void **state)
{
	(void)state;
	vlapic_request(&a, 0x52, false);
	put(VLAPIC_TPR, 0x5f, 0);
	assert_int_equal(vlapic_pending(&a), -1);
	assert_int_equal(vlapic_class_behind_tpr(&a), 5);
	put(VLAPIC_TPR, 0x4f, 0);
	assert_int_equal(vlapic_pending(&a), 0x52);
	assert_int_equal(vlapic_class_behind_tpr(&a), 0);
	vlapic_accept(&a, 0x52);
	vlapic_request(&a, 0x51, false); /* behind ISR, not TPR */
	put(VLAPIC_TPR, 0xff, 0);
	assert_int_equal(vlapic_class_behind_tpr(&a), 0);
}

static void eoi_names_the_vector(void **state)
{
	struct vlapic_effect e;

	(void)state;
	assert_true(vlapic_write(&a, VLAPIC_EOI, 0, 0, &e));
	assert_int_equal(e.eoi, 0);
	vlapic_request(&a, 0x61, true);
	vlapic_accept(&a, 0x61);
	assert_int_equal(get(VLAPIC_TMR + 3, 0), 1u << 1);
	assert_true(vlapic_write(&a, VLAPIC_EOI, 0, 0, &e));
	assert_int_equal(e.eoi, 0x61);
	vlapic_request(&a, 0x61, false);
	assert_int_equal(get(VLAPIC_TMR + 3, 0), 0);
}

static void one_shot(void **state)
{
	(void)state;
	put(VLAPIC_LVTT, 0x40, 0);
	put(VLAPIC_TDCR, 0xb, 0); /* by 1 */
	put(VLAPIC_TMICT, 1000, 50);
	assert_int_equal(a.deadline, 1050);
	assert_int_equal(get(VLAPIC_TMCCT, 450), 600);
	vlapic_tick(&a, 1049);
	assert_int_equal(vlapic_pending(&a), -1);
	vlapic_tick(&a, 1050);
	assert_int_equal(vlapic_pending(&a), 0x40);
	assert_int_equal(a.deadline, 0);
	assert_int_equal(get(VLAPIC_TMCCT, 2000), 0);
	put(VLAPIC_TMICT, 1000, 0);
	put(VLAPIC_TMICT, 0, 0);
	assert_int_equal(a.deadline, 0);
}

static void dividers(void **state)
{
	static const struct { uint32_t dcr; unsigned by; } rows[] = {
		{ 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 },
		{ 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		put(VLAPIC_TMICT, 0, 0);
		put(VLAPIC_TDCR, rows[i].dcr, 0);
		put(VLAPIC_TMICT, 100, 0);
		assert_int_equal(a.deadline, 100 * rows[i].by);
	}
}

static void periodic(void **state)
{
	(void)state;
	put(VLAPIC_LVTT, 0x20041, 0);
	put(VLAPIC_TDCR, 0xb, 0);
	put(VLAPIC_TMICT, 100, 1000);
	vlapic_tick(&a, 1100);
	assert_int_equal(vlapic_pending(&a), 0x41);
	assert_int_equal(a.deadline, 1200);
	vlapic_tick(&a, 1555); /* late: one interrupt, back in step */
	assert_int_equal(a.deadline, 1600);
	put(VLAPIC_LVTT, 0x30041, 0); /* masked: it counts, in silence */
	vlapic_accept(&a, 0x41);
	put(VLAPIC_EOI, 0, 0);
	vlapic_tick(&a, 1600);
	assert_int_equal(vlapic_pending(&a), -1);
	assert_int_equal(a.deadline, 1700);
}

static void tsc_deadline(void **state)
{
	(void)state;
	vlapic_set_tsc_deadline(&a, 5000, 0, 0);
	assert_int_equal(a.deadline, 0); /* another mode */
	put(VLAPIC_LVTT, 0x40042, 0);
	put(VLAPIC_TMICT, 77, 0);
	assert_int_equal(a.deadline, 0); /* ignored in this one */
	vlapic_set_tsc_deadline(&a, 5000, 1000, 0);
	assert_int_equal(a.deadline, 4000);
	assert_int_equal(get(VLAPIC_TMCCT, 100), 0);
	vlapic_tick(&a, 3999);
	assert_int_equal(vlapic_pending(&a), -1);
	vlapic_tick(&a, 4000);
	assert_int_equal(vlapic_pending(&a), 0x42);
	assert_int_equal(a.tsc_deadline, 0);
	vlapic_set_tsc_deadline(&a, 9000, 1000, 0);
	put(VLAPIC_LVTT, 0x42, 0); /* another mode disarms */
	assert_int_equal(a.deadline, 0);
	vlapic_set_tsc_deadline(&a, 0, 0, 0);
}

/* "Never" is the largest number: it is not in the past. */
static void tsc_deadline_far(void **state)
{
	static const uint64_t far[] = { ~0ull, BIT(63), BIT(63) + 3000 };
	static const uint64_t offset[] = { 0, 1000, (uint64_t)-1000 };

	(void)state;
	put(VLAPIC_LVTT, 0x40042, 0);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 3; k++) {
			vlapic_set_tsc_deadline(&a, far[i], offset[k], 2000);
			vlapic_tick(&a, 2000 + BIT(40));
			assert_int_equal(vlapic_pending(&a), -1);
			assert_int_equal(a.tsc_deadline, far[i]);
		}
	vlapic_set_tsc_deadline(&a, 1, 1000, 2000); /* over, if not by far */
	vlapic_tick(&a, 2000);
	assert_int_equal(vlapic_pending(&a), 0x42);
}

static void modes(void **state)
{
	struct vlapic_effect e;
	uint64_t value, base = a.base;

	(void)state;
	assert_false(vlapic_set_base(&a, VLAPIC_BASE_X2APIC)); /* without EN */
	assert_false(vlapic_set_base(&a, base | 1));
	x2apic();
	assert_int_equal(get(VLAPIC_ID, 0), 3);
	assert_int_equal(get(VLAPIC_LDR, 0), 1u << 3);
	assert_false(vlapic_read(&a, VLAPIC_ICR2, 0, &value));
	assert_false(vlapic_read(&a, VLAPIC_DFR, 0, &value));
	assert_false(vlapic_read(&a, VLAPIC_EOI, 0, &value));
	assert_false(vlapic_write(&a, VLAPIC_EOI, 1, 0, &e));
	assert_false(vlapic_write(&a, VLAPIC_ID, 0, 0, &e));
	assert_false(vlapic_write(&a, VLAPIC_TPR, 0x100, 0, &e));
	assert_false(vlapic_write(&a, VLAPIC_SVR, 1ull << 32, 0, &e));
	assert_false(vlapic_set_base(&a, base)); /* x2APIC to xAPIC */
	assert_true(vlapic_set_base(&a, base & ~VLAPIC_BASE_EN));
	assert_true(vlapic_takes_extint(&a));
	assert_false(vlapic_set_base(&a, base | VLAPIC_BASE_X2APIC));
	assert_true(vlapic_set_base(&a, base));
}

static void icr(void **state)
{
	struct vlapic_effect e;

	(void)state;
	put(VLAPIC_ICR2, 0xff000000, 0);
	assert_true(vlapic_write(&a, VLAPIC_ICR, 0x000c4500, 0, &e));
	assert_true(e.ipi && e.icr == 0xffffffff000c4500);
	assert_int_equal(get(VLAPIC_ICR, 0), 0x000c4500);
	put(VLAPIC_ICR2, 0x02000000, 0);
	assert_true(vlapic_write(&a, VLAPIC_ICR, 0x1030, 0, &e));
	assert_true(e.icr == 0x0000000200000030); /* never busy */
	x2apic();
	assert_true(vlapic_write(&a, VLAPIC_ICR, 0x500000031, 0, &e));
	assert_true(e.icr == 0x500000031);
	assert_true(get(VLAPIC_ICR, 0) == 0x500000031);
	assert_true(vlapic_write(&a, VLAPIC_SELF_IPI, 0x44, 0, &e));
	assert_true(e.ipi && (e.icr & 0xff) == 0x44 && (e.icr >> 18 & 3) == 1);
}

static void addresses(void **state)
{
	(void)state;
	assert_true(vlapic_matches(&a, 3, false));
	assert_false(vlapic_matches(&a, 2, false));
	assert_true(vlapic_matches(&a, 0xff, false));
	put(VLAPIC_LDR, 0x08000000, 0); /* flat */
	assert_true(vlapic_matches(&a, 0x0c, true));
	assert_false(vlapic_matches(&a, 0x04, true));
	put(VLAPIC_DFR, 0, 0); /* cluster */
	put(VLAPIC_LDR, 0x21000000, 0);
	assert_true(vlapic_matches(&a, 0x23, true));
	assert_false(vlapic_matches(&a, 0x13, true));
	assert_false(vlapic_matches(&a, 0x22, true));
	x2apic();
	a.id = 0x25;
	assert_true(vlapic_matches(&a, 0x20020, true));
	assert_false(vlapic_matches(&a, 0x10020, true));
	assert_false(vlapic_matches(&a, 0xff, false));
	assert_true(vlapic_matches(&a, ~0u, false));
	a.base &= ~VLAPIC_BASE_EN;
	assert_false(vlapic_matches(&a, ~0u, false));
}

/* What a processor that virtualizes the APIC is told. */
static void for_a_processor(void **state)
{
	uint32_t page[256];

	(void)state;
	a.changed = false;
	vlapic_collect(&a);
	assert_false(a.changed);
	assert_int_equal(vlapic_status(&a), 0);
	vlapic_request(&a, 0x52, true);
	vlapic_request(&a, 0x61, false);
	vlapic_collect(&a);
	assert_true(a.changed);
	assert_false(vlapic_waits(&a));
	assert_int_equal(a.reg[VLAPIC_IRR + 2].v, 1u << 0x12);
	assert_int_equal(a.reg[VLAPIC_TMR + 2].v, 1u << 0x12);
	assert_int_equal(get(VLAPIC_IRR + 3, 0), 1u << 1);
	vlapic_request(&a, 0x62, false);
	assert_int_equal(get(VLAPIC_IRR + 3, 0), 3u << 1);
	assert_int_equal(vlapic_status(&a), 0x61);
	put(VLAPIC_TPR, 0x60, 0);
	assert_false(vlapic_deliverable(&a));
	put(VLAPIC_TPR, 0x50, 0);
	assert_true(vlapic_deliverable(&a));
	/* It delivers: RVI goes to SVI. */
	a.reg[VLAPIC_IRR + 3].v = 0;
	a.reg[VLAPIC_ISR + 3].v = 1u << 1;
	vlapic_collect(&a);
	assert_int_equal(vlapic_status(&a), 0x6162);
	assert_false(vlapic_deliverable(&a));
	put(VLAPIC_SVR, 0xff, 0); /* off: none of it */
	assert_int_equal(vlapic_status(&a), 0x6100);
	vlapic_get(&a, 0, page);
	vlapic_set(&a, 0, page);
	vlapic_collect(&a);
	put(VLAPIC_SVR, ON, 0);
	assert_int_equal(vlapic_status(&a), 0x6162);
	vlapic_init(&a);
	assert_int_equal(vlapic_status(&a), 0);
}

/* It has written the page already when the VMM hears of it. */
static void written_by_a_processor(void **state)
{
	(void)state;
	put(VLAPIC_LVTT, 0x40031, 0);
	vlapic_set_tsc_deadline(&a, 5000, 0, 0);
	a.reg[VLAPIC_LVTT].v = 0xfff00031;
	put(VLAPIC_LVTT, 0xfff00031, 0);
	assert_int_equal(a.deadline, 0);
	assert_int_equal(get(VLAPIC_LVTT, 0), 0x00000031);
	put(VLAPIC_LVTT, 0x40031, 0);
	a.reg[VLAPIC_TMICT].v = 77;
	put(VLAPIC_TMICT, 77, 0);
	assert_int_equal(get(VLAPIC_TMICT, 0), 0);
	a.reg[VLAPIC_ID].v = a.reg[VLAPIC_ESR].v = ~0u;
	put(VLAPIC_ID, ~0u, 0);
	put(VLAPIC_ESR, ~0u, 0);
	assert_int_equal(get(VLAPIC_ID, 0), 3u << 24);
	assert_int_equal(get(VLAPIC_ESR, 0), 0);
	x2apic();
	assert_int_equal(a.reg[VLAPIC_ID].v, 3);
	assert_int_equal(a.reg[VLAPIC_LDR].v, 1u << 3);
}

static void lvt_masks_with_svr(void **state)
{
	(void)state;
	put(VLAPIC_LVT1, 0x400, 0);
	assert_int_equal(get(VLAPIC_LVT1, 0), 0x400);
	put(VLAPIC_SVR, 0xff, 0);
	assert_int_equal(get(VLAPIC_LVT1, 0), 0x10400);
	put(VLAPIC_LVT1, 0x400, 0);
	assert_int_equal(get(VLAPIC_LVT1, 0), 0x10400);
}

static void saved_and_restored(void **state)
{
	uint32_t page[256], again[256];

	(void)state;
	vlapic_request(&a, 0x33, true);
	vlapic_request(&a, 0x99, false);
	vlapic_accept(&a, 0x99);
	put(VLAPIC_LVTT, 0x20050, 0);
	put(VLAPIC_TDCR, 0xb, 0);
	put(VLAPIC_TMICT, 1000, 0);
	put(VLAPIC_TPR, 0x20, 0);
	vlapic_get(&a, 400, page);
	assert_int_equal(page[VLAPIC_TMCCT * 4], 600);
	vlapic_reset(&a, 3, false);
	vlapic_set(&a, 10000, page);
	assert_int_equal(a.deadline, 10600);
	vlapic_get(&a, 10000, again);
	assert_memory_equal(page, again, sizeof(page));
	memset(page, 0xff, sizeof(page)); /* nonsense is made sense of */
	vlapic_set(&a, 0, page);
	vlapic_tick(&a, 1);
	vlapic_pending(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup(f, setup)
		T(after_reset), T(highest_vector_first), T(tpr_holds_off),
		T(eoi_names_the_vector), T(one_shot), T(dividers), T(periodic),
		T(tsc_deadline), T(tsc_deadline_far), T(modes), T(icr), T(addresses),
		T(for_a_processor), T(written_by_a_processor),
		T(lvt_masks_with_svr), T(saved_and_restored),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
