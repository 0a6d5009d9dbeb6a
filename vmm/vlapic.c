/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlapic.c - see vlapic.h. SDM "Local APIC", "Interrupt Acceptance for Fixed
 * Interrupts", "APIC Timer", "Extended XAPIC (x2APIC)".
 */
#include "vlapic.h"

#define VERSION	       0x00050014u /* 6 LVT entries */
#define LVT_MASKED     BIT(16)
#define LVT_VECTOR     0xffu
#define LVT_MODE       0x700u
#define MODE_EXTINT    0x700u
#define TIMER_MODE(l)  ((l) >> 17 & 3)
#define TIMER_PERIODIC 1
#define TIMER_DEADLINE 2
#define SVR_ENABLE     BIT(8)
#define SVR_RESET      0xffu
#define ICR_BUSY       BIT(12)
#define ICR_WRITABLE   0x000ccfffu
#define DFR_FLAT       0xfu
#define BASE_RESERVED  0xfff0000000000000ull
#define PAGE_ADDR      0x000ffffffffff000ull
#define FIRST_VECTOR   16
#define FAR	       BIT(60) /* ticks: years */

/* What may be written to each LVT register. */
static uint32_t lvt_bits(unsigned reg)
{
	switch (reg) {
	case VLAPIC_LVTT:
		return 0x000700ff;
	case VLAPIC_LVT0:
	case VLAPIC_LVT1:
		return 0x0001a7ff;
	case VLAPIC_LVT_ERROR:
		return 0x000100ff;
	default:
		return 0x000107ff;
	}
}

static bool is_lvt(unsigned reg)
{
	return reg >= VLAPIC_LVTT && reg <= VLAPIC_LVT_ERROR;
}

bool vlapic_enabled(const struct vlapic *a)
{
	return (a->base & VLAPIC_BASE_EN) && (a->reg[VLAPIC_SVR].v & SVR_ENABLE);
}

static uint32_t x2apic_ldr(uint32_t id)
{
	return (id >> 4) << 16 | 1u << (id & 15);
}

void vlapic_fixed(struct vlapic *a)
{
	bool x2 = vlapic_x2apic(a);

	a->reg[VLAPIC_ID].v = x2 ? a->id : a->id << 24;
	a->reg[VLAPIC_VERSION].v = VERSION;
	if (x2)
		a->reg[VLAPIC_LDR].v = x2apic_ldr(a->id);
}

COLD void vlapic_init(struct vlapic *a)
{
	for (unsigned r = 0; r < VLAPIC_REGS; r++)
		a->reg[r].v = 0;
	for (unsigned i = 0; i < 4; i++)
		a->irr[i] = a->tmr[i] = 0;
	for (unsigned r = VLAPIC_LVTT; r <= VLAPIC_LVT_ERROR; r++)
		a->reg[r].v = LVT_MASKED;
	vlapic_fixed(a);
	a->reg[VLAPIC_DFR].v = ~0u;
	a->reg[VLAPIC_SVR].v = SVR_RESET;
	if (a->base & VLAPIC_BASE_BSP) /* as firmware without an APIC needs */
		a->reg[VLAPIC_LVT0].v = MODE_EXTINT;
	a->served = 0;
	a->tsc_deadline = a->deadline = a->start = 0;
	a->timer_mode = 0;
}

COLD void vlapic_reset(struct vlapic *a, uint32_t id, bool bsp)
{
	a->id = id;
	a->base = VLAPIC_BASE_RESET | VLAPIC_BASE_EN |
		  (bsp ? VLAPIC_BASE_BSP : 0);
	vlapic_init(a);
}

/* --- vectors -------------------------------------------------------------- */

static int top_bit(uint64_t word)
{
	return 63 - __builtin_clzll(word);
}

static int highest_irr(const struct vlapic *a)
{
#pragma GCC unroll 4
	for (int i = 3; i >= 0; i--) {
		uint64_t w = atomic_load_explicit(&a->irr[i],
						  memory_order_relaxed);
		if (w)
			return i * 64 + top_bit(w);
	}
	return -1;
}

static inline int highest_isr(const struct vlapic *a)
{
	int i;

	if (!a->served)
		return -1;
	i = top_bit(a->served);
	return i * 32 + top_bit(a->reg[VLAPIC_ISR + i].v);
}

/* ISR was written as a whole, or by the processor. */
static void look_at_isr(struct vlapic *a)
{
	a->served = 0;
	for (unsigned i = 0; i < 8; i++)
		a->served |= (uint8_t)((a->reg[VLAPIC_ISR + i].v != 0) << i);
}

static uint32_t ppr(const struct vlapic *a)
{
	uint32_t tpr = a->reg[VLAPIC_TPR].v & 0xff;
	int isr = highest_isr(a);
	uint32_t served = isr < 0 ? 0 : (uint32_t)isr & 0xf0;

	return (tpr & 0xf0) >= served ? tpr : served;
}

bool vlapic_request(struct vlapic *a, unsigned vector, bool level)
{
	uint64_t bit = BIT(vector % 64);

	if (vector < FIRST_VECTOR || vector > 255 || !vlapic_enabled(a))
		return false;
	if (level)
		atomic_fetch_or(&a->tmr[vector / 64], bit);
	else
		atomic_fetch_and(&a->tmr[vector / 64], ~bit);
	return !(atomic_fetch_or(&a->irr[vector / 64], bit) & bit);
}

unsigned vlapic_class_behind_tpr(const struct vlapic *a)
{
	int irr = highest_irr(a), isr = highest_isr(a);

	if (irr < 0 || !vlapic_enabled(a) || irr / 16 <= isr / 16 ||
	    irr / 16 > (int)(a->reg[VLAPIC_TPR].v >> 4 & 15))
		return 0;
	return (unsigned)irr / 16;
}

int vlapic_pending(const struct vlapic *a)
{
	int vector = highest_irr(a);

	if (vector < 0 || !vlapic_enabled(a) || ((uint32_t)vector & 0xf0) <=
						 (ppr(a) & 0xf0))
		return -1;
	return vector;
}

void vlapic_accept(struct vlapic *a, unsigned vector)
{
	atomic_fetch_and(&a->irr[vector / 64], ~BIT(vector % 64));
	a->reg[VLAPIC_ISR + vector / 32].v |= 1u << vector % 32;
	a->served |= (uint8_t)(1u << vector / 32);
}

void vlapic_collect(struct vlapic *a)
{
	look_at_isr(a);
	if (!vlapic_waits(a))
		return;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t irr = atomic_exchange(&a->irr[i], 0), tmr = a->tmr[i];

		a->reg[VLAPIC_IRR + 2 * i].v |= (uint32_t)irr;
		a->reg[VLAPIC_IRR + 2 * i + 1].v |= irr >> 32;
		a->reg[VLAPIC_TMR + 2 * i].v = (uint32_t)tmr;
		a->reg[VLAPIC_TMR + 2 * i + 1].v = tmr >> 32;
	}
	a->changed = true;
}

static int highest(const struct vlapic *a, unsigned reg)
{
	for (int i = 7; i >= 0; i--)
		if (a->reg[reg + i].v)
			return i * 32 + top_bit(a->reg[reg + i].v);
	return 0;
}

unsigned vlapic_status(const struct vlapic *a)
{
	unsigned rvi = vlapic_enabled(a) ? highest(a, VLAPIC_IRR) : 0;

	return rvi | highest(a, VLAPIC_ISR) << 8;
}

bool vlapic_deliverable(const struct vlapic *a)
{
	return (vlapic_status(a) & 0xf0) > (ppr(a) & 0xf0);
}

uint8_t vlapic_eoi(struct vlapic *a)
{
	int vector = highest_isr(a);

	if (vector < 0)
		return 0;
	a->reg[VLAPIC_ISR + vector / 32].v &= ~(1u << (vector & 31));
	if (!a->reg[VLAPIC_ISR + vector / 32].v)
		a->served &= (uint8_t)~(1u << vector / 32);
	return (uint8_t)vector;
}

bool vlapic_takes_extint(const struct vlapic *a)
{
	uint32_t lvt0 = a->reg[VLAPIC_LVT0].v;

	return !(a->base & VLAPIC_BASE_EN) ||
	       (!(lvt0 & LVT_MASKED) && (lvt0 & LVT_MODE) == MODE_EXTINT);
}

bool vlapic_matches(const struct vlapic *a, uint32_t dest, bool logical)
{
	uint32_t ldr;

	if (!(a->base & VLAPIC_BASE_EN))
		return false;
	if (dest == ~0u || (!vlapic_x2apic(a) && (dest & 0xff) == 0xff))
		return true;
	if (!logical)
		return dest == a->id;
	if (vlapic_x2apic(a)) {
		ldr = x2apic_ldr(a->id);
		return (dest >> 16) == (ldr >> 16) &&
		       (dest & ldr & 0xffff) != 0;
	}
	ldr = a->reg[VLAPIC_LDR].v >> 24;
	if (a->reg[VLAPIC_DFR].v >> 28 == DFR_FLAT)
		return (dest & ldr) != 0;
	return (dest & 0xf0) == (ldr & 0xf0) && (dest & ldr & 0x0f);
}

/* --- the timer ------------------------------------------------------------ */

static unsigned divide_shift(const struct vlapic *a)
{
	uint32_t d = a->reg[VLAPIC_TDCR].v;

	return (((d & 3) | (d & 8) >> 1) + 1) & 7; /* 111b divides by 1 */
}

static uint64_t period(const struct vlapic *a)
{
	return (uint64_t)a->reg[VLAPIC_TMICT].v << divide_shift(a);
}

static void arm_count(struct vlapic *a, uint64_t now)
{
	a->start = now;
	a->deadline = period(a) ? now + period(a) : 0;
}

static uint32_t current_count(const struct vlapic *a, uint64_t now)
{
	if (!a->deadline || now >= a->deadline ||
	    TIMER_MODE(a->reg[VLAPIC_LVTT].v) == TIMER_DEADLINE)
		return 0;
	return (uint32_t)((a->deadline - now) >> divide_shift(a));
}

void vlapic_set_tsc_deadline(struct vlapic *a, uint64_t value,
			     uint64_t tsc_offset, uint64_t now)
{
	uint64_t guest_now = now + tsc_offset;

	if (TIMER_MODE(a->reg[VLAPIC_LVTT].v) != TIMER_DEADLINE)
		return;
	a->tsc_deadline = value;
	a->deadline = value ? value - tsc_offset : 0;
	if (value && !a->deadline)
		a->deadline = 1; /* 0 is "off" */
	if (value > guest_now && value - guest_now > FAR)
		a->deadline = now + FAR; /* which compares as later */
}

void vlapic_tick(struct vlapic *a, uint64_t now)
{
	uint32_t lvt = a->reg[VLAPIC_LVTT].v;

	if (!a->deadline || (int64_t)(now - a->deadline) < 0)
		return;
	if (!(lvt & LVT_MASKED))
		vlapic_request(a, lvt & LVT_VECTOR, false);
	if (TIMER_MODE(lvt) == TIMER_PERIODIC && period(a)) {
		/* Ticks that were missed are lost, not made up for. */
		a->start += (now - a->start) / period(a) * period(a);
		a->deadline = a->start + period(a);
	} else {
		a->deadline = a->tsc_deadline = 0;
	}
}

bool vlapic_level(const struct vlapic *a, unsigned vector)
{
	return a->tmr[vector / 64] & BIT(vector % 64);
}

/* --- registers ------------------------------------------------------------ */

static bool readable(const struct vlapic *a, unsigned reg)
{
	switch (reg) {
	case VLAPIC_ID:
	case VLAPIC_VERSION:
	case VLAPIC_TPR:
	case VLAPIC_PPR:
	case VLAPIC_LDR:
	case VLAPIC_SVR:
	case VLAPIC_ESR:
	case VLAPIC_ICR:
	case VLAPIC_TMICT:
	case VLAPIC_TMCCT:
	case VLAPIC_TDCR:
		return true;
	case VLAPIC_DFR:
	case VLAPIC_ICR2:
	case VLAPIC_APR:
	case VLAPIC_RRD:
	case VLAPIC_EOI: /* xAPIC: undefined, and Linux's old code reads it */
		return !vlapic_x2apic(a);
	default:
		return is_lvt(reg) || (reg >= VLAPIC_ISR && reg < VLAPIC_ESR);
	}
}

/* Word i of a set of vectors. */
static uint32_t half(const _Atomic uint64_t *set, unsigned i)
{
	return (uint32_t)(set[i / 2] >> i % 2 * 32);
}

bool vlapic_read(const struct vlapic *a, unsigned reg, uint64_t now,
		 uint64_t *value)
{
	if (!readable(a, reg))
		return false;
	*value = reg < VLAPIC_REGS ? a->reg[reg].v : 0;
	if (reg == VLAPIC_PPR)
		*value = ppr(a);
	else if (reg == VLAPIC_TMCCT)
		*value = current_count(a, now);
	else if (reg >= VLAPIC_TMR && reg < VLAPIC_IRR)
		*value = half(a->tmr, reg - VLAPIC_TMR);
	else if (reg >= VLAPIC_IRR && reg < VLAPIC_ESR)
		*value |= half(a->irr, reg - VLAPIC_IRR);
	else if (reg == VLAPIC_ICR && vlapic_x2apic(a))
		*value |= (uint64_t)a->reg[VLAPIC_ICR2].v << 32;
	return true;
}

static void write_lvt(struct vlapic *a, unsigned reg, uint32_t value,
		      struct vlapic_effect *e)
{
	value &= lvt_bits(reg);
	if (!(a->reg[VLAPIC_SVR].v & SVR_ENABLE))
		value |= LVT_MASKED;
	a->reg[reg].v = value;
	if (reg == VLAPIC_LVTT && TIMER_MODE(value) != a->timer_mode) {
		a->timer_mode = TIMER_MODE(value);
		a->deadline = a->tsc_deadline = 0;
		a->reg[VLAPIC_TMICT].v = 0;
		e->timer = true;
	}
}

static void write_svr(struct vlapic *a, uint32_t value)
{
	a->reg[VLAPIC_SVR].v = value & 0x1ff;
	if (!(value & SVR_ENABLE))
		for (unsigned r = VLAPIC_LVTT; r <= VLAPIC_LVT_ERROR; r++)
			a->reg[r].v |= LVT_MASKED;
}

static void write_icr(struct vlapic *a, uint64_t value,
		      struct vlapic_effect *e)
{
	a->reg[VLAPIC_ICR].v = (uint32_t)value & ICR_WRITABLE &
			     ~(uint32_t)ICR_BUSY;
	if (vlapic_x2apic(a))
		a->reg[VLAPIC_ICR2].v = (uint32_t)(value >> 32);
	e->ipi = true;
	e->icr = (uint64_t)a->reg[VLAPIC_ICR2].v << 32 | a->reg[VLAPIC_ICR].v;
	if (!vlapic_x2apic(a)) {
		uint32_t dest = a->reg[VLAPIC_ICR2].v >> 24;

		e->icr = (uint64_t)(dest == 0xff ? ~0u : dest) << 32 |
			 a->reg[VLAPIC_ICR].v;
	}
}

/* Registers that the two modes do not share, or not alike. */
static bool writable(const struct vlapic *a, unsigned reg, uint64_t value)
{
	bool x2 = vlapic_x2apic(a);

	if (x2 && reg != VLAPIC_ICR && value >> 32)
		return false;
	switch (reg) {
	case VLAPIC_TPR:
		return !x2 || value <= 0xff;
	case VLAPIC_EOI:
	case VLAPIC_ESR:
		return !x2 || value == 0;
	case VLAPIC_SELF_IPI:
		return x2 && value <= 0xff;
	case VLAPIC_ID:
	case VLAPIC_LDR:
	case VLAPIC_DFR:
	case VLAPIC_ICR2:
		return !x2;
	case VLAPIC_SVR:
	case VLAPIC_ICR:
	case VLAPIC_TMICT:
	case VLAPIC_TDCR:
		return true;
	default:
		return is_lvt(reg);
	}
}

bool vlapic_write(struct vlapic *a, unsigned reg, uint64_t value, uint64_t now,
		  struct vlapic_effect *e)
{
	*e = (struct vlapic_effect){ 0 };
	if (!writable(a, reg, value))
		return false;
	if (is_lvt(reg)) {
		write_lvt(a, reg, (uint32_t)value, e);
		return true;
	}
	switch (reg) {
	case VLAPIC_EOI:
		e->eoi = vlapic_eoi(a);
		break;
	case VLAPIC_ICR:
		write_icr(a, value, e);
		break;
	case VLAPIC_SELF_IPI:
		e->ipi = true;
		e->icr = VLAPIC_ICR_SELF | (uint32_t)value;
		break;
	case VLAPIC_SVR:
		write_svr(a, (uint32_t)value);
		break;
	case VLAPIC_TMICT:
		if (TIMER_MODE(a->reg[VLAPIC_LVTT].v) == TIMER_DEADLINE)
			value = 0;
		a->reg[VLAPIC_TMICT].v = (uint32_t)value;
		if (TIMER_MODE(a->reg[VLAPIC_LVTT].v) == TIMER_DEADLINE)
			break;
		arm_count(a, now);
		e->timer = true;
		break;
	case VLAPIC_TDCR:
		a->reg[VLAPIC_TDCR].v = value & 0xb;
		if (a->deadline && a->reg[VLAPIC_TMICT].v) {
			arm_count(a, now);
			e->timer = true;
		}
		break;
	case VLAPIC_LDR:
		a->reg[VLAPIC_LDR].v = value & 0xff000000;
		break;
	case VLAPIC_DFR:
		a->reg[VLAPIC_DFR].v = (uint32_t)value | 0x0fffffff;
		break;
	case VLAPIC_ID: /* it keeps the one it was made with */
		vlapic_fixed(a);
		break;
	case VLAPIC_ESR: /* no error is ever latched */
		a->reg[VLAPIC_ESR].v = 0;
		break;
	default: /* TPR, ICR2 */
		a->reg[reg].v = (uint32_t)value & (reg == VLAPIC_TPR ? 0xff : ~0u);
		break;
	}
	return true;
}

/* SDM "x2APIC State Transitions". */
COLD bool vlapic_set_base(struct vlapic *a, uint64_t value)
{
	bool en = value & VLAPIC_BASE_EN, x2 = value & VLAPIC_BASE_X2APIC;

	if ((value & BASE_RESERVED) || (value & 0x2ff) || (x2 && !en) ||
	    (vlapic_x2apic(a) && en && !x2) ||
	    (!(a->base & VLAPIC_BASE_EN) && x2))
		return false;
	a->base = (value & ~VLAPIC_BASE_BSP) | (a->base & VLAPIC_BASE_BSP);
	if (!en)
		vlapic_init(a);
	vlapic_fixed(a);
	return true;
}

/* --- all of it ------------------------------------------------------------ */

COLD void vlapic_get(const struct vlapic *a, uint64_t now, uint32_t page[256])
{
	uint64_t value;

	for (unsigned i = 0; i < 256; i++)
		page[i] = 0;
	for (unsigned r = 0; r < VLAPIC_REGS; r++)
		page[r * 4] = vlapic_read(a, r, now, &value) ?
				      (uint32_t)value : a->reg[r].v;
	if (vlapic_x2apic(a))
		page[VLAPIC_ICR2 * 4] = a->reg[VLAPIC_ICR2].v;
}

static uint64_t words(const uint32_t page[256], unsigned reg)
{
	return page[reg * 4] | (uint64_t)page[reg * 4 + 4] << 32;
}

COLD void vlapic_set(struct vlapic *a, uint64_t now, const uint32_t page[256])
{
	struct vlapic_effect e;

	for (unsigned r = VLAPIC_TPR; r < VLAPIC_REGS; r++)
		if (r != VLAPIC_SELF_IPI)
			a->reg[r].v = page[r * 4];
	for (unsigned i = 0; i < 4; i++) {
		a->tmr[i] = words(page, VLAPIC_TMR + 2 * i);
		a->irr[i] = words(page, VLAPIC_IRR + 2 * i) &
			    (i ? ~0ull : ~0xffffull);
	}
	for (unsigned r = VLAPIC_TMR; r < VLAPIC_ESR; r++)
		a->reg[r].v = 0;
	a->reg[VLAPIC_ISR].v &= 0xffff0000;
	look_at_isr(a);
	a->reg[VLAPIC_TPR].v &= 0xff;
	a->reg[VLAPIC_EOI].v = a->reg[VLAPIC_APR].v = a->reg[VLAPIC_PPR].v = 0;
	a->reg[VLAPIC_TDCR].v &= 0xb;
	a->reg[VLAPIC_ICR].v &= ICR_WRITABLE & ~(uint32_t)ICR_BUSY;
	write_svr(a, a->reg[VLAPIC_SVR].v);
	for (unsigned r = VLAPIC_LVTT; r <= VLAPIC_LVT_ERROR; r++) {
		uint32_t lvt = page[r * 4] & lvt_bits(r);

		a->reg[r].v = lvt | (a->reg[r].v & LVT_MASKED);
	}
	vlapic_fixed(a);
	a->timer_mode = TIMER_MODE(a->reg[VLAPIC_LVTT].v);
	a->deadline = a->tsc_deadline = 0;
	/* The count goes on from where it was. */
	if (TIMER_MODE(a->reg[VLAPIC_LVTT].v) != TIMER_DEADLINE &&
	    a->reg[VLAPIC_TMICT].v) {
		uint64_t left = page[VLAPIC_TMCCT * 4];
		uint32_t initial = a->reg[VLAPIC_TMICT].v;

		vlapic_write(a, VLAPIC_TMICT, initial, now, &e);
		if (left && left <= initial) {
			a->deadline = now + (left << divide_shift(a));
			a->start = a->deadline - period(a);
		} else if (TIMER_MODE(a->reg[VLAPIC_LVTT].v) != TIMER_PERIODIC) {
			a->deadline = 0;
		}
	}
}
