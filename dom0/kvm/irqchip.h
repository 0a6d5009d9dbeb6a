/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * irqchip.h - a VM's interrupt controllers but the local APICs: what
 * KVM_CREATE_IRQCHIP makes (PIC, I/O APIC, and a PIT if asked for), or what
 * KVM_CAP_SPLIT_IRQCHIP leaves (routes to messages alone).
 * Owns the chips, the routing, their one lock, and the thread of the PIT.
 *
 * Locks, outermost first; a thread may skip some, and takes none twice:
 *
 *	the owner's (vm.lock, vcpu.lock)
 *	eventfds.lock		irqfds; the poller holds it as it injects
 *	irqchip.lock		all of this file; held as wires are called
 *	eventfds.resample_lock	a leaf: who hears of an EOI
 *
 * and, leaves too, with nothing called under them but write(2) to an
 * eventfd: eventfds.io_lock, coalesced.lock.
 *
 * Threads: every function here may be called by any thread, with any locks
 * but irqchip.lock and the leaves, and not by a wire. Wires are called by
 * whoever calls these functions, by the PIT's thread and by the poller of
 * eventfds.h; a wire takes no lock of those above, so none that its owner
 * holds when calling in here.
 *
 *	run loop:  irqchip_port_*, irqchip_mmio_*, irqchip_eoi,
 *		   irqchip_intr, irqchip_acknowledge
 *	ioctls:    all the others
 *	end:       vCPUs have stopped, then eventfds_destroy(), then
 *		   irqchip_destroy()
 */
#pragma once

#include "ioapic.h"
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct irqchip_wires {
	/*
	 * Give `msg` to the local APICs: vm_msi, and wake who it says.
	 * Returns how many took it, 0 if it coalesced, < 0 if it addresses
	 * nobody. By more than one thread at a time.
	 */
	int (*deliver)(void *ctx, const struct irq_msg *msg);
	/* The PIC's INT output has changed: kick vCPU 0 if it has risen. */
	void (*intr)(void *ctx, bool level);
	/* The vectors whose EOI must come to irqchip_eoi(): vm_eoi_vectors. */
	void (*eoi_vectors)(void *ctx, const uint64_t vectors[4]);
	/*
	 * Nanoseconds, see pit.h. NULL: CLOCK_MONOTONIC, and a thread serves
	 * the PIT; else whoever has the clock calls irqchip_advance().
	 */
	int64_t (*now)(void *ctx);
	void *ctx;
};

struct irqchip;

/*
 * irqchip_create, irqchip_create_split - KVM_CREATE_IRQCHIP with its default
 * routes; KVM_CAP_SPLIT_IRQCHIP, whose argument is `pins`: the EOIs of level-
 * triggered messages of the GSIs below it are the client's.
 * Return NULL without memory.
 */
struct irqchip *irqchip_create(const struct irqchip_wires *wires);
struct irqchip *irqchip_create_split(const struct irqchip_wires *wires,
				     unsigned pins);
void irqchip_destroy(struct irqchip *c);

/* The memory write that `msg` is, for vm_msi. */
uint64_t irqchip_msg_address(const struct irq_msg *msg);
uint32_t irqchip_msg_data(const struct irq_msg *msg);

/* --- driving lines ------------------------------------------------------ */

/*
 * irqchip_line - KVM_IRQ_LINE. Returns what KVM_IRQ_LINE_STATUS puts into
 * status: > 0 delivered, 0 coalesced, < 0 ignored. The ioctl itself succeeds.
 */
int irqchip_line(struct irqchip *c, uint32_t gsi, bool level);

/* irqchip_edge - an irqfd was signalled: up and down. As irqchip_line(). */
int irqchip_edge(struct irqchip *c, uint32_t gsi);

/*
 * irqchip_msi - KVM_SIGNAL_MSI. Returns as irqchip_line(); -EINVAL: flags.
 */
int irqchip_msi(struct irqchip *c, const struct kvm_msi *msi);

/*
 * irqchip_resample - an irqfd with a resamplefd: from now on every EOI of
 * `gsi` lowers it, as far as irqchip_raise() raised it, and calls `acked`
 * with irqchip.lock held. acked NULL: no longer; the line is lowered.
 * One `acked` serves all GSIs of a chip. -EINVAL: split, or no such GSI.
 */
int irqchip_resample(struct irqchip *c, uint32_t gsi,
		     void (*acked)(void *ctx, uint32_t gsi), void *ctx);
int irqchip_raise(struct irqchip *c, uint32_t gsi);

/* --- the run loop ------------------------------------------------------- */

/*
 * An access of 1, 2 or 4 bytes to a port; of 1, 2, 4 or 8 bytes to guest-
 * physical memory. False: not ours, nothing done. A miss takes no lock.
 */
bool irqchip_port_read(struct irqchip *c, uint16_t port, unsigned len,
		       uint32_t *value);
bool irqchip_port_write(struct irqchip *c, uint16_t port, unsigned len,
			uint32_t value);
bool irqchip_mmio_read(struct irqchip *c, uint64_t gpa, unsigned len,
		       uint64_t *value);
bool irqchip_mmio_write(struct irqchip *c, uint64_t gpa, unsigned len,
			uint64_t value);

/* Is the port a chip's, now? No port from IRQCHIP_PORTS on ever is. */
#define IRQCHIP_PORTS 0x500u
bool irqchip_owns_port(const struct irqchip *c, uint16_t port);

/* LUV_RUN_EOI. True: the client is to be told, KVM_EXIT_IOAPIC_EOI. */
bool irqchip_eoi(struct irqchip *c, uint8_t vector);

/* Whether the PIC asks for an interrupt. Takes no lock. */
bool irqchip_intr(const struct irqchip *c);

/*
 * irqchip_acknowledge - the CPU takes the PIC's interrupt: its vector, or -1
 * if it does not ask any more. What is acknowledged must be injected, so: not
 * before the VMM said the vCPU can take it (LUV_RUN_WINDOW, R10).
 */
int irqchip_acknowledge(struct irqchip *c);

/* --- state -------------------------------------------------------------- */

/* KVM_SET_GSI_ROUTING: 0, -EINVAL. */
int irqchip_set_routing(struct irqchip *c, const struct kvm_irq_routing *r);

/*
 * KVM_GET_IRQCHIP, KVM_SET_IRQCHIP: 0; -ENXIO: split; -EINVAL: chip_id.
 * State of local APICs is elsewhere.
 */
int irqchip_get(struct irqchip *c, struct kvm_irqchip *state);
int irqchip_set(struct irqchip *c, const struct kvm_irqchip *state);

/*
 * KVM_CREATE_PIT2 (KVM_CREATE_PIT: flags 0): 0; -ENOENT: split; -EEXIST.
 *   flags  KVM_PIT_SPEAKER_DUMMY: port 61h as well
 * The others: 0, or -ENXIO without a PIT. KVM_GET_PIT and KVM_SET_PIT have
 * the channels alone: irqchip_set_pit() keeps the flags there are.
 */
int irqchip_create_pit(struct irqchip *c, uint32_t flags);
int irqchip_get_pit(struct irqchip *c, struct kvm_pit_state *state);
int irqchip_set_pit(struct irqchip *c, const struct kvm_pit_state *state);
int irqchip_get_pit2(struct irqchip *c, struct kvm_pit_state2 *state);
int irqchip_set_pit2(struct irqchip *c, const struct kvm_pit_state2 *state);
int irqchip_reinject(struct irqchip *c, bool on); /* KVM_REINJECT_CONTROL */

/*
 * irqchip_advance - with wires.now: let the PIT see what time it is. Returns
 * when to call again, PIT_NEVER for not before its ports are written.
 */
int64_t irqchip_advance(struct irqchip *c);
