/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * routing.c - GSI routing. QEMU replaces the table for each I/O APIC entry
 * written (split irqchip), so a replacement is one pass over what is given
 * into the table not in use, and messages are decoded then, not when sent.
 */
#include "routing.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

enum kind {
	NO_ROUTE,
	CHIPS,
	MESSAGE,
};

_Static_assert(sizeof(struct route) == 16, "4096 of them stay small");

/* SDM "Message Address Register Format", "Message Data Register Format". */
#define MSI_DEST	12 /* shift, 8 bits */
#define MSI_REDIR_HINT	(1u << 3)
#define MSI_LOGICAL	(1u << 2)
#define MSI_DELIVERY	8 /* shift, 3 bits */
#define MSI_LEVEL	(1u << 15)

struct irq_msg routing_decode_msi(uint64_t address, uint32_t data)
{
	return (struct irq_msg){
		.dest = (uint32_t)(address >> MSI_DEST) & 0xff,
		.dest_mode = !!(address & MSI_LOGICAL),
		.delivery_mode = data >> MSI_DELIVERY & 7,
		.vector = data & 0xff,
		.level = true,
		.trigger = !!(data & MSI_LEVEL),
		.redir_hint = !!(address & MSI_REDIR_HINT),
	};
}

/* --- the table ---------------------------------------------------------- */

static const struct route *find(const struct routing *r, uint32_t gsi)
{
	const struct route_table *t = &r->table[r->active];

	return gsi < t->gsis ? &t->route[gsi] : NULL;
}

/* Pins that `chip` has, 0 if there is no such chip here. */
static unsigned pins_of(const struct routing *r, uint32_t chip)
{
	switch (chip) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		return r->pic ? PIC_LINES / 2 : 0;
	case KVM_IRQCHIP_IOAPIC:
		return r->ioapic ? IOAPIC_PINS : 0;
	}
	return 0;
}

static int add_pin(const struct routing *r, struct route_table *t,
		   uint32_t gsi, const struct kvm_irq_routing_irqchip *to)
{
	struct route *route = &t->route[gsi];

	if (to->pin >= pins_of(r, to->irqchip))
		return -EINVAL;
	if (route->kind == MESSAGE || route->pin[to->irqchip])
		return -EINVAL;
	route->kind = CHIPS;
	route->pin[to->irqchip] = (uint8_t)(to->pin + 1);
	t->gsi_of[to->irqchip][to->pin] = (uint16_t)(gsi + 1);
	return 0;
}

static int add_msi(struct route_table *t, uint32_t gsi,
		   const struct kvm_irq_routing_msi *to)
{
	struct route *route = &t->route[gsi];

	if (route->kind != NO_ROUTE)
		return -EINVAL;
	route->kind = MESSAGE;
	route->msg = routing_decode_msi(to->address_lo, to->data);
	return 0;
}

static int add(const struct routing *r, struct route_table *t,
	       const struct kvm_irq_routing_entry *e)
{
	if (e->gsi >= ROUTING_GSIS)
		return -EINVAL;
	if (e->gsi >= t->gsis)
		t->gsis = e->gsi + 1;
	switch (e->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		return e->flags ? -EINVAL : add_pin(r, t, e->gsi, &e->u.irqchip);
	case KVM_IRQ_ROUTING_MSI:
		if (e->flags & ~KVM_MSI_VALID_DEVID)
			return -EINVAL;
		return add_msi(t, e->gsi, &e->u.msi);
	}
	return -EINVAL;
}

/* The table that is not in use, emptied. */
static struct route_table *spare(struct routing *r)
{
	struct route_table *t = &r->table[!r->active];

	memset(t->route, 0, t->gsis * sizeof(t->route[0]));
	memset(t->gsi_of, 0, sizeof(t->gsi_of));
	t->gsis = 0;
	return t;
}

int routing_set(struct routing *r, const struct kvm_irq_routing *routes)
{
	if (routes->flags || routes->nr > ROUTING_GSIS)
		return -EINVAL;
	struct route_table *t = spare(r);

	for (uint32_t i = 0; i < routes->nr; i++)
		if (add(r, t, &routes->entries[i]) != 0)
			return -EINVAL;
	r->active = !r->active;
	return 0;
}

static void add_default(const struct routing *r, struct route_table *t,
			uint32_t gsi, uint32_t chip, uint32_t pin)
{
	const struct kvm_irq_routing_irqchip to = { chip, pin };
	const int error = add_pin(r, t, gsi, &to);

	assert(error == 0);
	(void)error;
}

void routing_default(struct routing *r)
{
	struct route_table *t = spare(r);

	t->gsis = IOAPIC_PINS;
	for (uint32_t gsi = 0; gsi < IOAPIC_PINS; gsi++)
		add_default(r, t, gsi, KVM_IRQCHIP_IOAPIC, gsi);
	for (uint32_t gsi = 0; gsi < PIC_LINES; gsi++)
		add_default(r, t, gsi,
			    gsi < 8 ? KVM_IRQCHIP_PIC_MASTER :
				      KVM_IRQCHIP_PIC_SLAVE,
			    gsi % 8);
	r->active = !r->active;
}

void routing_init(struct routing *r, struct pic *pic, struct ioapic *ioapic,
		  const struct routing_wires *wires)
{
	memset(r, 0, sizeof(*r));
	r->wires = *wires;
	r->pic = pic;
	r->ioapic = ioapic;
}

/* --- use ---------------------------------------------------------------- */

/* Level of a line after `source` has driven it. */
static bool drive(uint32_t *line, unsigned source, bool level)
{
	*line = (*line & ~(1u << source)) | (uint32_t)level << source;
	return *line != 0;
}

/* Counts of those who took it add up; all ignoring it is ignoring it. */
static int both(int a, int b)
{
	if (a < 0)
		return b;
	return b < 0 ? a : a + b;
}

static int drive_pins(struct routing *r, const struct route *route,
		      unsigned source, bool level)
{
	int ret = -1;

	for (unsigned chip = 0; chip <= KVM_IRQCHIP_IOAPIC; chip++) {
		if (!route->pin[chip])
			continue;
		unsigned pin = route->pin[chip] - 1u;
		if (chip == KVM_IRQCHIP_IOAPIC) {
			const bool high = drive(&r->ioapic_line[pin], source,
						level);
			ret = both(ret, ioapic_set_irq(r->ioapic, pin, high));
		} else {
			pin += chip * 8;
			const bool high = drive(&r->pic_line[pin], source,
						level);
			ret = both(ret, pic_set_irq(r->pic, pin, high));
		}
	}
	return ret;
}

int routing_set_irq(struct routing *r, uint32_t gsi, unsigned source,
		    bool level)
{
	assert(source < ROUTING_SOURCES);
	const struct route *found = find(r, gsi);

	if (!found || found->kind == NO_ROUTE)
		return -1;
	if (found->kind == CHIPS)
		return drive_pins(r, found, source, level);
	return level ? r->wires.deliver(r->wires.ctx, &found->msg) : -1;
}

const struct irq_msg *routing_msi(const struct routing *r, uint32_t gsi)
{
	const struct route *found = find(r, gsi);

	return found && found->kind == MESSAGE ? &found->msg : NULL;
}

int routing_gsi(const struct routing *r, unsigned chip, unsigned pin)
{
	if (chip > KVM_IRQCHIP_IOAPIC || pin >= IOAPIC_PINS)
		return -1;
	return r->table[r->active].gsi_of[chip][pin] - 1;
}

void routing_eoi_vectors(const struct routing *r, unsigned pins,
			 uint64_t vectors[4])
{
	for (uint32_t gsi = 0; gsi < pins; gsi++) {
		const struct irq_msg *msg = routing_msi(r, gsi);

		if (msg && msg->trigger)
			vectors[msg->vector / 64] |= 1ull << msg->vector % 64;
	}
}
