/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eventfds.h - KVM_IRQFD and KVM_IOEVENTFD with the client's own eventfds.
 * Owns a VM's lists of both, duplicates of their descriptors, and a thread
 * that waits for the irqfds; it starts with the first of them.
 *
 * The client may close its descriptors: as in KVM it is the eventfd that is
 * assigned, not the number. Order of locks and of destruction: irqchip.h.
 */
#pragma once

#include "irqchip.h"

struct eventfds;

/* NULL: no memory. */
struct eventfds *eventfds_create(void);

/*
 * Stops the thread. No other function here runs, or is called after it. What
 * was signalled until now still interrupts, so wires of irqchips are called.
 */
void eventfds_destroy(struct eventfds *e);

/*
 * eventfds_irqfd - KVM_IRQFD. An irqfd is an edge at its GSI; with RESAMPLE a
 * level that lasts until the EOI, which resamplefd tells.
 *   c  the VM's, or NULL: there is none
 * Returns 0; -EINVAL: flags, no eventfd, no irqchip, RESAMPLE with a split
 * one; -EBADF; -EBUSY: this eventfd is an irqfd already; -ENOMEM, -EMFILE.
 * Once it was deassigned it interrupts nobody; that there was none is no
 * error.
 */
int eventfds_irqfd(struct eventfds *e, struct irqchip *c,
		   const struct kvm_irqfd *args);

/*
 * eventfds_ioeventfd - KVM_IOEVENTFD.
 * Returns 0; -EINVAL: flags, length, overflow, DATAMATCH of any length, no
 * eventfd; -EBADF; -EEXIST: one that takes the same writes is there; -ENOENT:
 * none to deassign; -ENOSPC, -ENOMEM, -EMFILE.
 */
int eventfds_ioeventfd(struct eventfds *e, const struct kvm_ioeventfd *args);

/*
 * eventfds_write - the guest writes to a port or to memory: does an ioeventfd
 * take it? It is signalled, then, and the write is done. For the run loop: a
 * miss takes no lock.
 *   len  1, 2, 4 or 8; bits of `data` above it do not count
 */
bool eventfds_write(struct eventfds *e, bool pio, uint64_t addr, unsigned len,
		    uint64_t data);
