/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioapic.h - an I/O APIC of 24 pins, and the message that it and an MSI are.
 * Owns nothing but its structure; knows no thread, no clock, no local APIC.
 *
 * 82093AA data sheet: "Register Description", "I/O Redirection Table
 * Registers"; the EOI register of version 20h: ICH data sheets, "EOIR".
 *
 * As KVM's, where the data sheet is silent or Linux counts on it: an entry
 * written as edge-triggered loses its Remote IRR; registers that are not
 * there read as ones; IOWIN takes writes narrower than 32 bits, zero-extended.
 * Delivery Status always reads 0: a message is delivered in no time.
 *
 * Context of everything here: the caller's lock of this VM is held, and is
 * held while the wires are called.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

/* SDM "Local APIC", "Delivery Mode"; 3 and 6 are reserved. */
enum irq_delivery {
	IRQ_FIXED,
	IRQ_LOWEST,
	IRQ_SMI,
	IRQ_NMI = 4,
	IRQ_INIT,
	IRQ_EXTINT = 7,
};

/* An interrupt on its way to local APICs. */
struct irq_msg {
	uint32_t dest;	       /* APIC ID, or logical address; 8 bits used */
	uint8_t dest_mode;     /* 0 physical, 1 logical */
	uint8_t delivery_mode; /* enum irq_delivery, as it was written */
	uint8_t vector;
	bool level;	 /* asserted; always true from this code */
	bool trigger;	 /* level-triggered: the EOI is to be told */
	bool redir_hint; /* an MSI's RH bit: lowest priority, too */
};

#define IOAPIC_PINS	KVM_IOAPIC_NUM_PINS
#define IOAPIC_BASE	0xfec00000
#define IOAPIC_LEN	0x100 /* bytes of MMIO decoded */
#define IOAPIC_VERSION	0x11  /* KVM's */
#define IOAPIC_WITH_EOI 0x20  /* the version that has an EOI register */

struct ioapic_wires {
	/*
	 * Give `msg` to the local APICs. Returns how many took it; 0 if it
	 * coalesced with one that waits there; < 0 if nobody is addressed.
	 * Must not call back.
	 */
	int (*deliver)(void *ctx, const struct irq_msg *msg);
	/*
	 * An EOI reached `pin`, unmasked or with Remote IRR, before it is
	 * looked at again: may call ioapic_set_irq(). May be NULL.
	 */
	void (*eoi)(void *ctx, unsigned pin);
	void *ctx;
};

struct ioapic { /* all of it under the caller's lock */
	struct ioapic_wires wires; /* [I] */
	uint8_t version;	   /* [I] */
	uint8_t id;
	uint8_t regsel;
	uint32_t line; /* a bit per pin: level of the input */
	uint64_t base;
	uint64_t rte[IOAPIC_PINS]; /* redirection table entries */
};

/*
 * ioapic_init - power-on: everything masked, every line low.
 *   version  IOAPIC_VERSION or IOAPIC_WITH_EOI
 */
void ioapic_init(struct ioapic *io, uint8_t version,
		 const struct ioapic_wires *wires);

/*
 * ioapic_set_irq - drive an input. High is asserted, whatever the polarity.
 *   pin  < IOAPIC_PINS
 * Returns what KVM_IRQ_LINE_STATUS wants: > 0 delivered (or lowered), 0
 * coalesced, < 0 ignored. An edge at a masked pin is lost.
 */
int ioapic_set_irq(struct ioapic *io, unsigned pin, bool level);

/*
 * ioapic_eoi - a local APIC's EOI broadcast.
 * Clears Remote IRR of the level-triggered pins of `vector` and sends again
 * from those that are still high.
 */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

/*
 * ioapic_eoi_vectors - add to `vectors` those whose EOI must be told.
 *   watched  a bit per pin: edge-triggered ones the caller wants told, too
 *   vectors  256 bits, vector v in bit v % 64 of word v / 64
 * For all destinations together: a CPU may get exits for another's vectors.
 * Changes with any MMIO write and ioapic_set().
 */
void ioapic_eoi_vectors(const struct ioapic *io, uint32_t watched,
			uint64_t vectors[4]);

/* Whether `pin` is masked. */
bool ioapic_masked(const struct ioapic *io, unsigned pin);

/* Whether the byte at guest-physical `gpa` is one of the I/O APIC's. */
bool ioapic_owns(const struct ioapic *io, uint64_t gpa);

/*
 * MMIO at an address that ioapic_owns(), of 1, 2, 4 or 8 bytes. Reads give
 * the bytes of the 32-bit register there, and 0 past it. Writes not at the
 * beginning of a register are ignored.
 */
uint64_t ioapic_read(const struct ioapic *io, uint64_t gpa, unsigned len);
void ioapic_write(struct ioapic *io, uint64_t gpa, unsigned len,
		  uint64_t value);

/*
 * State as KVM_GET_IRQCHIP and KVM_SET_IRQCHIP have it. `irr` cannot hold
 * that an edge-triggered, unmasked line is high: it comes back low, so if it
 * is driven high again that is an edge. Restoring sends what waits: what irr
 * has of level-triggered pins without Remote IRR and, if another KVM saved
 * it, of edge-triggered ones. Nonsense is made sense of (reserved bits 0).
 */
void ioapic_get(const struct ioapic *io, struct kvm_ioapic_state *state);
void ioapic_set(struct ioapic *io, const struct kvm_ioapic_state *state);
