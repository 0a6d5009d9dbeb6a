/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lapic.h - this CPU's physical local APIC, in whichever mode it is now. The
 * VMM uses it to send INIT/SIPI at boot and NMIs later; dom0 owns it.
 * SDM "Advanced Programmable Interrupt Controller (APIC)".
 */
#pragma once

#include "ipi.h"
#include "types.h"

/* Register offsets in the xAPIC page; x2APIC MSR = 800h + offset / 16. */
enum lapic_reg {
	LAPIC_ID = 0x020, LAPIC_TPR = 0x080, LAPIC_EOI = 0x0b0,
	LAPIC_LDR = 0x0d0, LAPIC_DFR = 0x0e0, LAPIC_SVR = 0x0f0,
	LAPIC_ISR = 0x100, LAPIC_ICR = 0x300, LAPIC_ICR2 = 0x310,
	LAPIC_LVT_TIMER = 0x320, LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PMC = 0x340, LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360, LAPIC_LVT_ERROR = 0x370,
	LAPIC_TMICT = 0x380,
};

bool lapic_x2apic(void);
uint32_t lapic_read(enum lapic_reg reg);
void lapic_write(enum lapic_reg reg, uint32_t v);
uint32_t lapic_id(void);

/*
 * lapic_send - send an IPI of `mode` to one CPU, asserted, physical.
 * dom0's half-written ICR (destination written, command not yet) survives.
 */
void lapic_send(uint32_t apic_id, enum icr_mode mode, uint8_t vector);

/* How dom0's IPIs address this CPU now. */
struct apic_addr lapic_addr(void);

/*
 * The register state INIT leaves. SDM "Local APIC State After It Has Been
 * Software Disabled", "... After a Power-Up or Reset" (INIT keeps ID, base).
 */
void lapic_reset(void);
