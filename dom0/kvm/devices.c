/* SPDX-License-Identifier: BSD-2-Clause */
/* devices.c - see devices.h. */
#include "devices.h"
#include "hyper.h"
#include "say.h"
#include "state.h"
#include "vcpu.h"

#include <errno.h>
#include <string.h>

#define PAGE	    UINT64_C(4096)
#define APIC_ENABLE (UINT64_C(1) << 11)
#define APIC_X2	    (UINT64_C(1) << 10)
#define APIC_WINDOW 16 /* bytes from a register to the next */
#define READY_TAKE  2u

bool devices_create(struct vm *vm)
{
	vm->eventfds = eventfds_create();
	return vm->eventfds;
}

void devices_destroy(struct vm *vm)
{
	if (vm->eventfds)
		eventfds_destroy(vm->eventfds);
	if (vm->chip)
		irqchip_destroy(vm->chip);
	vm->eventfds = NULL;
	vm->chip = NULL;
}

/* --- the local APIC, in the VMM --------------------------------------------------- */

/* An access to its page, if that is where the guest has it. */
static bool is_apic(const struct vcpu *v, uint64_t gpa)
{
	uint64_t base;

	if (v->vm->irqchip == IRQCHIP_OFF)
		return false;
	base = v->apic_base;
	return (base & (APIC_ENABLE | APIC_X2)) == APIC_ENABLE &&
	       !((gpa ^ base) & ~(PAGE - 1));
}

/* Parts of a register can be read: SDM "Local APIC Registers". */
static void apic_read(struct vcpu *v, uint64_t gpa, unsigned size,
		      uint8_t data[8])
{
	const uint64_t offset = gpa & (PAGE - 1) & ~(uint64_t)(APIC_WINDOW - 1);
	const unsigned skip = gpa % APIC_WINDOW;
	uint8_t window[APIC_WINDOW + 8] = { 0 };
	uint32_t value = 0;
	long r = hyper_simple(LUV_CALL_vcpu_apic_read, v->vm->handle, v->id,
			      offset, 0);

	if (r >= 0)
		value = (uint32_t)r;
	memcpy(window, &value, sizeof(value));
	memcpy(data, window + skip, size);
}

/* Registers are written whole, or not at all. */
static void apic_write(struct vcpu *v, uint64_t gpa, unsigned size,
		       const uint8_t data[8])
{
	uint32_t value;

	if (gpa % APIC_WINDOW || size < sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	hyper_simple(LUV_CALL_vcpu_apic_write, v->vm->handle, v->id,
		     gpa & (PAGE - 1), value);
}

/* --- accesses --------------------------------------------------------------------- */

bool devices_port_read(struct vcpu *v, uint16_t port, unsigned size,
		       uint32_t *value)
{
	return v->vm->irqchip == IRQCHIP_ON &&
	       irqchip_port_read(v->vm->chip, port, size, value);
}

bool devices_port_write(struct vcpu *v, uint16_t port, unsigned size,
			uint32_t value)
{
	struct vm *vm = v->vm;

	if (vm->irqchip == IRQCHIP_ON &&
	    irqchip_port_write(vm->chip, port, size, value))
		return true;
	if (eventfds_write(vm->eventfds, true, port, size, value))
		return true;
	return coalesced_write(&vm->coalesced, vm->ring, true, port, size,
			       &value);
}

/* The chips decode accesses of a power of two; others are nobody's. */
static bool whole(unsigned size)
{
	return !(size & (size - 1));
}

bool devices_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size,
		       uint8_t data[8])
{
	uint64_t value = 0;

	if (is_apic(v, gpa)) {
		apic_read(v, gpa, size, data);
		return true;
	}
	if (v->vm->irqchip != IRQCHIP_ON || !whole(size) ||
	    !irqchip_mmio_read(v->vm->chip, gpa, size, &value))
		return false;
	memcpy(data, &value, sizeof(value));
	return true;
}

bool devices_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size,
			const uint8_t data[8])
{
	struct vm *vm = v->vm;
	uint64_t value = 0;

	if (is_apic(v, gpa)) {
		apic_write(v, gpa, size, data);
		return true;
	}
	memcpy(&value, data, size);
	if (whole(size) && vm->irqchip == IRQCHIP_ON &&
	    irqchip_mmio_write(vm->chip, gpa, size, value))
		return true;
	if (whole(size) &&
	    eventfds_write(vm->eventfds, false, gpa, size, value))
		return true;
	return coalesced_write(&vm->coalesced, vm->ring, false, gpa, size, data);
}

/* --- interrupts -------------------------------------------------------------------- */

/* What is acknowledged must be injected: only if it can be taken now. */
bool devices_pic_interrupt(struct vcpu *v)
{
	int vector;

	if (v->vm->irqchip != IRQCHIP_ON || v->id || v->event ||
	    !irqchip_intr(v->vm->chip))
		return false;
	if (!(v->ready & READY_TAKE))
		return true;
	vector = irqchip_acknowledge(v->vm->chip);
	if (vector >= 0)
		v->event = EVENT(EVENT_INTERRUPT, (uint32_t)vector);
	return false;
}

bool devices_eoi(struct vcpu *v, uint8_t vector)
{
	return v->vm->chip && irqchip_eoi(v->vm->chip, vector);
}
