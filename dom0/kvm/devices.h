/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * devices.h - what an access of the guest's reaches before the client: the
 * VMM's local APIC, this library's interrupt controllers, ioeventfds, the
 * ring of coalesced writes. Owns the irqchip and the eventfds of a VM.
 *
 * Context: a vCPU's own thread; the ioctls: any.
 */
#pragma once

#include "vcpu.h"

/* At KVM_CREATE_VM; false: no memory. */
bool devices_create(struct vm *vm);

/* All vCPUs have stopped; the VMM still has the VM. */
void devices_destroy(struct vm *vm);

/* Is an access to this port the client's, whatever it is? */
static inline bool devices_port_free(const struct vcpu *v, uint16_t port)
{
	return !ports_has(&v->vm->ports, port);
}

/*
 * Accesses; false: the client's, nothing done.
 *   size  port: 1, 2, 4; memory: 1 to 8 bytes
 */
bool devices_port_read(struct vcpu *v, uint16_t port, unsigned size,
		       uint32_t *value);
bool devices_port_write(struct vcpu *v, uint16_t port, unsigned size,
			uint32_t value);
bool devices_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size,
		       uint8_t data[8]);
bool devices_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size,
			const uint8_t data[8]);

/* Of devices_interrupt(). */
bool devices_pic_interrupt(struct vcpu *v);

/*
 * devices_interrupt - before a vCPU runs: if the PIC wants it and the VMM
 * said it can be taken, acknowledge it into v->event. Returns true if it
 * waits for the guest: have a window opened.
 */
static inline bool devices_interrupt(struct vcpu *v)
{
	return atomic_load_explicit(&v->vm->pic_wants, memory_order_acquire) &&
	       devices_pic_interrupt(v);
}

/* LUV_RUN_EOI. True: the client is to be told. */
bool devices_eoi(struct vcpu *v, uint8_t vector);
