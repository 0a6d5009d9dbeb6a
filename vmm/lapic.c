/* SPDX-License-Identifier: BSD-2-Clause */
/* lapic.c - register access in xAPIC and x2APIC mode, and IPIs. */
#include "lapic.h"
#include "mem.h"
#include "x86.h"

#define APIC_BASE_ADDR 0x000ffffffffff000ull
#define ICR_PENDING    BIT(12)
#define ICR_ASSERT     BIT(14)
#define ICR_SPINS      1000000
#define SVR_RESET      0xff
#define LVT_MASKED     0x10000
#define ISR_WORDS      8

bool lapic_x2apic(void)
{
	return rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_EXTD;
}

static volatile uint32_t *page(void)
{
	return hpa_ptr(HPA(rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_ADDR));
}

uint32_t lapic_read(enum lapic_reg reg)
{
	if (lapic_x2apic())
		return (uint32_t)rdmsr(MSR_IA32_X2APIC_BASE + reg / 16);
	return page()[reg / 4];
}

void lapic_write(enum lapic_reg reg, uint32_t v)
{
	if (lapic_x2apic())
		wrmsr(MSR_IA32_X2APIC_BASE + reg / 16, v);
	else
		page()[reg / 4] = v;
}

uint32_t lapic_id(void)
{
	uint32_t id = lapic_read(LAPIC_ID);

	return lapic_x2apic() ? id : id >> 24;
}

static void icr_wait(void)
{
	for (unsigned i = 0; i < ICR_SPINS; i++) {
		if (!(page()[LAPIC_ICR / 4] & ICR_PENDING))
			return;
		pause();
	}
}

void lapic_send(uint32_t apic_id, enum icr_mode mode, uint8_t vector)
{
	uint32_t low = ICR_ASSERT | ((uint32_t)mode << 8) | vector;
	uint32_t high;

	if (lapic_x2apic()) {
		wrmsr(MSR_IA32_X2APIC_ICR, (uint64_t)apic_id << 32 | low);
		return;
	}
	icr_wait();
	high = page()[LAPIC_ICR2 / 4];
	page()[LAPIC_ICR2 / 4] = apic_id << 24;
	page()[LAPIC_ICR / 4] = low;
	icr_wait();
	page()[LAPIC_ICR2 / 4] = high;
}

struct apic_addr lapic_addr(void)
{
	struct apic_addr a = { .id = lapic_id(), .ldr = lapic_read(LAPIC_LDR),
			       .x2apic = lapic_x2apic() };

	if (!a.x2apic)
		a.dfr = lapic_read(LAPIC_DFR);
	return a;
}

static bool in_service(void)
{
	for (unsigned i = 0; i < ISR_WORDS; i++)
		if (lapic_read(LAPIC_ISR + i * 16))
			return true;
	return false;
}

void lapic_reset(void)
{
	static const enum lapic_reg lvts[] = {
		LAPIC_LVT_TIMER, LAPIC_LVT_LINT0, LAPIC_LVT_LINT1,
		LAPIC_LVT_ERROR,
	};

	for (unsigned i = 0; i < 256 && in_service(); i++)
		lapic_write(LAPIC_EOI, 0);
	for (unsigned i = 0; i < sizeof(lvts) / sizeof(lvts[0]); i++)
		lapic_write(lvts[i], LVT_MASKED);
	lapic_write(LAPIC_TMICT, 0);
	lapic_write(LAPIC_TPR, 0);
	if (!lapic_x2apic()) {
		lapic_write(LAPIC_LDR, 0);
		lapic_write(LAPIC_DFR, ~0u);
	}
	lapic_write(LAPIC_SVR, SVR_RESET);
}
