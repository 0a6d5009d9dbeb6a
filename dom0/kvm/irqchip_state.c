/* SPDX-License-Identifier: BSD-2-Clause */
/* irqchip_state.c - ioctls that read and write the state of the chips. */
#include "irqchip_inside.h"
#include <errno.h>
#include <string.h>

/* --- state -------------------------------------------------------------- */

int irqchip_set_routing(struct irqchip *c, const struct kvm_irq_routing *r)
{
	irqchip_lock(c);
	const int error = routing_set(&c->routing, r);

	if (!error)
		irqchip_publish(c);
	irqchip_unlock(c);
	return error;
}

int irqchip_get(struct irqchip *c, struct kvm_irqchip *state)
{
	int error = 0;

	if (!c->full)
		return -ENXIO;
	irqchip_lock(c);
	switch (state->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		pic_get(&c->pic, state->chip_id, &state->chip.pic);
		break;
	case KVM_IRQCHIP_IOAPIC:
		ioapic_get(&c->ioapic, &state->chip.ioapic);
		break;
	default:
		error = -EINVAL;
	}
	irqchip_unlock(c);
	return error;
}

static void set_ioapic(struct irqchip *c, const struct kvm_ioapic_state *state)
{
	struct ioapic tried = irqchip_rehearsal(c);

	ioapic_set(&tried, state);
	irqchip_publish_before(c, &tried);
	ioapic_set(&c->ioapic, state);
	irqchip_publish(c);
	c->ioapic_base = c->ioapic.base;
}

int irqchip_set(struct irqchip *c, const struct kvm_irqchip *state)
{
	int error = 0;

	if (!c->full)
		return -ENXIO;
	irqchip_lock(c);
	switch (state->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		pic_set(&c->pic, state->chip_id, &state->chip.pic);
		break;
	case KVM_IRQCHIP_IOAPIC:
		set_ioapic(c, &state->chip.ioapic);
		break;
	default:
		error = -EINVAL;
	}
	irqchip_unlock(c);
	return error;
}

int irqchip_create_pit(struct irqchip *c, uint32_t flags)
{
	int error = 0;

	if (!c->full)
		return -ENOENT;
	irqchip_lock(c);
	if (c->has_pit) {
		error = -EEXIST;
	} else {
		pit_init(&c->pit, irqchip_now(c), flags,
			 &(struct pit_wires){ irqchip_irq0, c });
		c->has_pit = true;
		c->has_speaker = c->pit.has_speaker;
		irqchip_publish(c);
	}
	irqchip_unlock(c);
	return error;
}

int irqchip_get_pit2(struct irqchip *c, struct kvm_pit_state2 *state)
{
	if (!c->has_pit)
		return -ENXIO;
	irqchip_lock(c);
	pit_get(&c->pit, irqchip_now(c), state);
	irqchip_rearm(c);
	irqchip_unlock(c);
	return 0;
}

int irqchip_set_pit2(struct irqchip *c, const struct kvm_pit_state2 *state)
{
	if (!c->has_pit)
		return -ENXIO;
	irqchip_lock(c);
	pit_set(&c->pit, irqchip_now(c), state);
	irqchip_rearm(c);
	irqchip_unlock(c);
	return 0;
}

int irqchip_get_pit(struct irqchip *c, struct kvm_pit_state *state)
{
	struct kvm_pit_state2 all;
	const int error = irqchip_get_pit2(c, &all);

	if (!error)
		memcpy(state->channels, all.channels, sizeof(state->channels));
	return error;
}

int irqchip_set_pit(struct irqchip *c, const struct kvm_pit_state *state)
{
	struct kvm_pit_state2 all;

	if (!c->has_pit)
		return -ENXIO;
	irqchip_lock(c);
	pit_get(&c->pit, irqchip_now(c), &all);
	memcpy(all.channels, state->channels, sizeof(all.channels));
	pit_set(&c->pit, irqchip_now(c), &all);
	irqchip_rearm(c);
	irqchip_unlock(c);
	return 0;
}

int irqchip_reinject(struct irqchip *c, bool on)
{
	if (!c->has_pit)
		return -ENXIO;
	irqchip_lock(c);
	pit_reinject(&c->pit, on);
	irqchip_publish(c);
	irqchip_unlock(c);
	return 0;
}
