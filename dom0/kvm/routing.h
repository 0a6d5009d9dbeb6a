/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * routing.h - where a GSI goes: pins of the PIC and the I/O APIC, or a message.
 * Owns the table and the levels of the pins per source; not the chips.
 *
 * <linux/kvm.h>: struct kvm_irq_routing. SDM "Message Signalled Interrupts".
 * The checks are those of KVM_SET_GSI_ROUTING.
 *
 * Context of everything here: the caller's lock of this VM is held.
 */
#pragma once

#include "ioapic.h"
#include "pic.h"

#define ROUTING_GSIS	4096 /* KVM_CAP_IRQ_ROUTING's answer */
#define ROUTING_SOURCES 32   /* who drives a pin; it is high if any does */

struct routing_wires {
	/* As ioapic_wires.deliver. */
	int (*deliver)(void *ctx, const struct irq_msg *msg);
	void *ctx;
};

struct route {
	uint8_t kind;	/* enum in routing.c; 0 is no route */
	uint8_t pin[3]; /* by KVM_IRQCHIP_*: the pin plus 1, or 0 */
	struct irq_msg msg;
};

struct route_table {
	unsigned gsis; /* rows in use: the highest GSI plus 1 */
	struct route route[ROUTING_GSIS];
	uint16_t gsi_of[3][IOAPIC_PINS]; /* GSI plus 1, or 0 */
};

struct routing { /* ~130 KiB; all of it under the caller's lock */
	struct routing_wires wires;  /* [I] */
	struct pic *pic;	     /* [I] NULL: split irqchip */
	struct ioapic *ioapic;	     /* [I] NULL: split irqchip */
	struct route_table table[2]; /* one is in use, one is being built */
	unsigned active;
	uint32_t pic_line[PIC_LINES]; /* a bit per source */
	uint32_t ioapic_line[IOAPIC_PINS];
};

/*
 * routing_init - no routes.
 *   pic, ioapic  both, for KVM_CREATE_IRQCHIP; both NULL, for a split irqchip
 */
void routing_init(struct routing *r, struct pic *pic, struct ioapic *ioapic,
		  const struct routing_wires *wires);

/*
 * routing_default - what KVM_CREATE_IRQCHIP leaves: GSI n is I/O APIC pin n
 * and, below 16, PIC line n. The chips must be there.
 */
void routing_default(struct routing *r);

/*
 * routing_set - KVM_SET_GSI_ROUTING: replace the whole table.
 * Returns 0, or -EINVAL with nothing changed: flags, too many entries, a GSI
 * or pin out of range, a chip that is not there, a type that is not IRQCHIP
 * or MSI, one GSI on two pins of a chip or on a message and anything else.
 * Lines keep their levels. Cost: linear in the two tables' highest GSI and
 * the number of entries.
 */
int routing_set(struct routing *r, const struct kvm_irq_routing *routes);

/*
 * routing_set_irq - KVM_IRQ_LINE, irqfd, the PIT: drive a GSI.
 *   source  < ROUTING_SOURCES; of all sources of a pin the highest level
 *           counts. 0 is for all of userspace, as in KVM.
 *   level   a message goes when it is true
 * Returns what KVM_IRQ_LINE_STATUS wants: > 0 delivered, 0 coalesced, < 0
 * ignored (no route, masked).
 */
int routing_set_irq(struct routing *r, uint32_t gsi, unsigned source,
		    bool level);

/* The message of `gsi`, or NULL if it has none. Until the next routing_set. */
const struct irq_msg *routing_msi(const struct routing *r, uint32_t gsi);

/*
 * routing_gsi - the GSI of a pin, for who hears of an EOI.
 *   chip  KVM_IRQCHIP_*; pin as in a route to it
 * Returns the last GSI routed there, or -1.
 */
int routing_gsi(const struct routing *r, unsigned chip, unsigned pin);

/*
 * routing_eoi_vectors - split irqchip: add to `vectors` those whose EOI must
 * be told, i.e. of level-triggered messages of the GSIs below `pins`.
 * As ioapic_eoi_vectors(); changes with routing_set().
 */
void routing_eoi_vectors(const struct routing *r, unsigned pins,
			 uint64_t vectors[4]);

/*
 * routing_decode_msi - the message that a write of `data` to `address` is.
 * The destination is 8 bits: those of the 15-bit extension, and the high
 * half of the address, are ignored.
 */
struct irq_msg routing_decode_msi(uint64_t address, uint32_t data);
