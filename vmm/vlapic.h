/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlapic.h - the local APIC of a domU's vCPU: registers, priorities, timer.
 * Pure: time is an argument, messages to other APICs are left to the caller.
 * SDM "Advanced Programmable Interrupt Controller (APIC)".
 *
 * The timer counts TSC ticks, divided as the DCR says. Registers are named by
 * their number: offset in the xAPIC page / 16 = x2APIC MSR - 800h.
 *
 * irr and tmr are set by any CPU; all else only by the CPU that has the
 * vCPU (domu_take). Where the processor delivers the interrupts it knows only
 * reg: irr is then what it is to be told of next (vlapic_collect).
 */
#pragma once

#include "types.h"
#include <stdatomic.h>
#include <stdbool.h>

enum vlapic_reg {
	VLAPIC_ID = 0x02, VLAPIC_VERSION, VLAPIC_TPR = 0x08, VLAPIC_APR,
	VLAPIC_PPR, VLAPIC_EOI, VLAPIC_RRD, VLAPIC_LDR, VLAPIC_DFR, VLAPIC_SVR,
	VLAPIC_ISR = 0x10, VLAPIC_TMR = 0x18, VLAPIC_IRR = 0x20,
	VLAPIC_ESR = 0x28, VLAPIC_CMCI = 0x2f, VLAPIC_ICR, VLAPIC_ICR2,
	VLAPIC_LVTT, VLAPIC_LVT_THERMAL, VLAPIC_LVT_PMC, VLAPIC_LVT0,
	VLAPIC_LVT1, VLAPIC_LVT_ERROR, VLAPIC_TMICT, VLAPIC_TMCCT,
	VLAPIC_TDCR = 0x3e, VLAPIC_SELF_IPI, VLAPIC_REGS
};

#define VLAPIC_MSRS 0x100u /* x2APIC's, from MSR_IA32_X2APIC_BASE on */
#define VLAPIC_ICR_SELF 0x00040000u /* the shorthand: to itself */
#define VLAPIC_BASE_BSP	   BIT(8)
#define VLAPIC_BASE_X2APIC BIT(10)
#define VLAPIC_BASE_EN	   BIT(11)
#define VLAPIC_BASE_RESET  0xfee00000ull

/*
 * The registers as they lie in the xAPIC page, so that a processor can use
 * them as its virtual-APIC page. SDM "APIC Virtualization and Virtual Interrupts".
 */
struct vlapic_cell {
	uint32_t v, none[3];
};

struct vlapic {
	struct vlapic_cell reg[VLAPIC_REGS]; /* [p] but TMR and IRR, below */
	_Atomic uint64_t irr[4], tmr[4]; /* [a] */
	uint32_t id;		 /* [I] */
	uint32_t timer_mode;	 /* [p] LVTT's, at the last write */
	bool changed;		 /* [p] reg or base, and the processor knows not */
	uint8_t served;		 /* [p] which words of ISR are not 0 */
	uint64_t base;		 /* [p] MSR IA32_APIC_BASE */
	uint64_t tsc_deadline;	 /* [p] the MSR: guest's TSC; 0: off */
	uint64_t deadline;	 /* [p] host's TSC; 0: the timer is off */
	uint64_t start;		 /* [p] host's TSC when the count began */
};

/* What a write asks the caller to do for it. */
struct vlapic_effect {
	bool ipi;	/* send `icr` */
	bool timer;	/* the deadline is another one */
	uint8_t eoi;	/* 0, or the vector that left service */
	uint64_t icr;	/* destination in 63:32, as x2APIC has it */
};

/* The state of a reset, and what INIT leaves of it. */
void vlapic_reset(struct vlapic *a, uint32_t id, bool bsp);
void vlapic_init(struct vlapic *a);

_Static_assert(sizeof(((struct vlapic *)0)->reg) == 0x400, "as in the page");

static inline bool vlapic_x2apic(const struct vlapic *a)
{
	return (a->base & (VLAPIC_BASE_X2APIC | VLAPIC_BASE_EN)) ==
	       (VLAPIC_BASE_X2APIC | VLAPIC_BASE_EN);
}

/*
 * vlapic_read - a register at host time `now`. x2APIC: the ICR has 64 bits.
 * False: it is not there, or only writable (#GP, ESR).
 */
bool vlapic_read(const struct vlapic *a, unsigned reg, uint64_t now,
		 uint64_t *value);

/*
 * vlapic_write - write one, with the rules of the mode it is in.
 * False: refused, nothing has changed.
 */
bool vlapic_write(struct vlapic *a, unsigned reg, uint64_t value, uint64_t now,
		  struct vlapic_effect *e);

/* IA32_APIC_BASE. False: #GP. */
bool vlapic_set_base(struct vlapic *a, uint64_t value);

/* What software cannot write: to be called if `base` was set otherwise. */
void vlapic_fixed(struct vlapic *a);

/* IA32_TSC_DEADLINE; ignored unless the LVT says so. */
void vlapic_set_tsc_deadline(struct vlapic *a, uint64_t value,
			     uint64_t tsc_offset, uint64_t now);

/* If the timer is due at `now`: raise its interrupt, arm the next. */
void vlapic_tick(struct vlapic *a, uint64_t now);

/* EOI. Returns the vector that left service, or 0. */
uint8_t vlapic_eoi(struct vlapic *a);

/* Request `vector`. False: it was requested already, or is below 16. */
bool vlapic_request(struct vlapic *a, unsigned vector, bool level);

/* The vector to be taken now, or -1; masked by the processor priority. */
int vlapic_pending(const struct vlapic *a);
/* Class of the highest request that only the TPR holds off, or 0. */
unsigned vlapic_class_behind_tpr(const struct vlapic *a);
/* Does any request wait, masked or not? */
static inline bool vlapic_waits(const struct vlapic *a)
{
	return atomic_load_explicit(&a->irr[3], memory_order_relaxed) |
	       atomic_load_explicit(&a->irr[2], memory_order_relaxed) |
	       atomic_load_explicit(&a->irr[1], memory_order_relaxed) |
	       atomic_load_explicit(&a->irr[0], memory_order_relaxed);
}
/* Was the newest request of `vector` level-triggered? */
bool vlapic_level(const struct vlapic *a, unsigned vector);
/* The CPU takes `vector`. */
void vlapic_accept(struct vlapic *a, unsigned vector);

/*
 * For a processor that delivers: move what is requested into its registers;
 * its guest interrupt status, RVI and SVI; would it deliver anything?
 */
void vlapic_collect(struct vlapic *a);
unsigned vlapic_status(const struct vlapic *a);
bool vlapic_deliverable(const struct vlapic *a);

/* Is it on, by its MSR and by software? */
bool vlapic_enabled(const struct vlapic *a);
/* Is this APIC addressed? `dest` all-ones is a broadcast. */
bool vlapic_matches(const struct vlapic *a, uint32_t dest, bool logical);

/* Does LVT0 let the 8259's INTR through? Also when the APIC is off. */
bool vlapic_takes_extint(const struct vlapic *a);

/* The 1024 bytes of KVM_GET_LAPIC; set makes sense of any. */
void vlapic_get(const struct vlapic *a, uint64_t now, uint32_t page[256]);
void vlapic_set(struct vlapic *a, uint64_t now, const uint32_t page[256]);
