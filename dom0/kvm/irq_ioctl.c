/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * irq_ioctl.c - the ioctls of a VM's interrupt controllers and eventfds, and
 * the wires between those and the VMM's local APICs.
 */
#include "devices.h"
#include "hyper.h"
#include "ioctl.h"
#include "say.h"
#include "vcpu.h"

#include <errno.h>
#include <string.h>

#define GSIS_OF_SPLIT 24u /* KVM_CAP_SPLIT_IRQCHIP: the client's pins, at most */

/* --- wires ---------------------------------------------------------------------------- */

static int deliver(void *ctx, const struct irq_msg *msg)
{
	struct vm *vm = ctx;
	struct hyper_regs r = { .rdi = vm->handle,
				.rsi = irqchip_msg_address(msg),
				.rdx = irqchip_msg_data(msg) };
	long took = hyper_call(LUV_CALL_vm_msi, &r, 0);

	if (took >= 0 && r.rdx)
		vm_wake(vm, r.rdx);
	return (int)took;
}

/* vCPU 0 looks at the PIC before it runs: have it look. */
static void intr(void *ctx, bool level)
{
	struct vm *vm = ctx;

	atomic_store(&vm->pic_wants, level);
	if (!level || !vm->vcpu[0])
		return;
	if (hyper_simple(LUV_CALL_vcpu_kick, vm->handle, 0, 0, 0) > 0)
		vcpu_wake(vm->vcpu[0]);
}

static void eoi_vectors(void *ctx, const uint64_t vectors[4])
{
	struct vm *vm = ctx;
	struct hyper_regs r = { .rdi = vm->handle, .rsi = vectors[0],
				.rdx = vectors[1], .r10 = vectors[2] };

	hyper_call(LUV_CALL_vm_eoi_vectors, &r, vectors[3]);
}

static struct irqchip_wires wires_of(struct vm *vm)
{
	return (struct irqchip_wires){ .deliver = deliver, .intr = intr,
				       .eoi_vectors = eoi_vectors, .ctx = vm };
}

/* --- making them ---------------------------------------------------------------------- */

static bool has_vcpus(const struct vm *vm)
{
	for (unsigned i = 0; i < LUV_VCPUS; i++)
		if (vm->vcpu[i])
			return true;
	return false;
}

static void ask_for_ports(struct vm *vm)
{
	for (uint16_t port = 0; port < IRQCHIP_PORTS; port++)
		if (irqchip_owns_port(vm->chip, port))
			ports_add(&vm->ports, port, 1);
}

static long create(struct vm *vm, enum vm_irqchip kind, unsigned pins)
{
	struct irqchip_wires wires = wires_of(vm);
	long e = 0;

	pthread_mutex_lock(&vm->lock);
	if (vm->chip)
		e = -EEXIST;
	else if (has_vcpus(vm))
		e = -EINVAL;
	if (!e) {
		vm->chip = kind == IRQCHIP_ON ?
				   irqchip_create(&wires) :
				   irqchip_create_split(&wires, pins);
		if (!vm->chip)
			e = -ENOMEM;
	}
	if (!e) {
		vm->irqchip = kind;
		ask_for_ports(vm);
	}
	pthread_mutex_unlock(&vm->lock);
	return e;
}

long vm_ioctl_create_irqchip(void *self, unsigned long arg)
{
	(void)arg;
	return create(self, IRQCHIP_ON, 0);
}

long vm_ioctl_enable_cap(void *self, unsigned long arg)
{
	const struct kvm_enable_cap *cap = (const struct kvm_enable_cap *)arg;

	if (cap->flags)
		return -EINVAL;
	if (cap->cap == KVM_CAP_SPLIT_IRQCHIP)
		return cap->args[0] > GSIS_OF_SPLIT ? -EINVAL :
		       create(self, IRQCHIP_SPLIT, (unsigned)cap->args[0]);
	debug(1, "capability %u cannot be enabled", cap->cap);
	return -EINVAL;
}

/* --- interrupts ------------------------------------------------------------------------ */

static bool is_on(const struct vm *vm)
{
	return vm->irqchip == IRQCHIP_ON;
}

long vm_ioctl_irq_line(void *self, unsigned long arg)
{
	const struct kvm_irq_level *l = (const struct kvm_irq_level *)arg;
	struct vm *vm = self;

	if (!vm->chip)
		return -ENXIO;
	irqchip_line(vm->chip, l->irq, l->level);
	return 0;
}

long vm_ioctl_irq_line_status(void *self, unsigned long arg)
{
	struct kvm_irq_level *l = (struct kvm_irq_level *)arg;
	struct vm *vm = self;

	if (!vm->chip)
		return -ENXIO;
	l->status = (uint32_t)irqchip_line(vm->chip, l->irq, l->level);
	return 0;
}

long vm_ioctl_signal_msi(void *self, unsigned long arg)
{
	struct vm *vm = self;

	if (!vm->chip)
		return -EINVAL;
	return irqchip_msi(vm->chip, (const struct kvm_msi *)arg);
}

long vm_ioctl_set_gsi_routing(void *self, unsigned long arg)
{
	struct vm *vm = self;

	if (!vm->chip)
		return -EINVAL;
	return irqchip_set_routing(vm->chip,
				   (const struct kvm_irq_routing *)arg);
}

long vm_ioctl_irqfd(void *self, unsigned long arg)
{
	struct vm *vm = self;

	return eventfds_irqfd(vm->eventfds, vm->chip,
			      (const struct kvm_irqfd *)arg);
}

long vm_ioctl_ioeventfd(void *self, unsigned long arg)
{
	const struct kvm_ioeventfd *io = (const struct kvm_ioeventfd *)arg;
	struct vm *vm = self;

	if (io->flags & KVM_IOEVENTFD_FLAG_PIO)
		ports_add(&vm->ports, io->addr, 1);
	return eventfds_ioeventfd(vm->eventfds, io);
}

/* --- state ------------------------------------------------------------------------------ */

/* An ioctl that the chip answers, if the VM has the whole of it. */
#define CHIP_IOCTL(name, fn, type)                                             \
	long name(void *self, unsigned long arg)                               \
	{                                                                      \
		struct vm *vm = self;                                          \
                                                                               \
		return is_on(vm) ? fn(vm->chip, (type *)arg) : -ENXIO;         \
	}
CHIP_IOCTL(vm_ioctl_get_irqchip, irqchip_get, struct kvm_irqchip)
CHIP_IOCTL(vm_ioctl_set_irqchip, irqchip_set, const struct kvm_irqchip)
CHIP_IOCTL(vm_ioctl_get_pit, irqchip_get_pit, struct kvm_pit_state)
CHIP_IOCTL(vm_ioctl_set_pit, irqchip_set_pit, const struct kvm_pit_state)
CHIP_IOCTL(vm_ioctl_get_pit2, irqchip_get_pit2, struct kvm_pit_state2)
CHIP_IOCTL(vm_ioctl_set_pit2, irqchip_set_pit2, const struct kvm_pit_state2)

static long create_pit(struct vm *vm, uint32_t flags)
{
	long e = is_on(vm) ? irqchip_create_pit(vm->chip, flags) : -ENOENT;

	if (!e)
		ask_for_ports(vm);
	return e;
}

long vm_ioctl_create_pit(void *self, unsigned long arg)
{
	struct vm *vm = self;

	(void)arg;
	return create_pit(vm, 0);
}

long vm_ioctl_create_pit2(void *self, unsigned long arg)
{
	const struct kvm_pit_config *c = (const struct kvm_pit_config *)arg;
	struct vm *vm = self;

	return create_pit(vm, c->flags);
}

long vm_ioctl_reinject(void *self, unsigned long arg)
{
	const struct kvm_reinject_control *r =
		(const struct kvm_reinject_control *)arg;
	struct vm *vm = self;

	return is_on(vm) ? irqchip_reinject(vm->chip, r->pit_reinject) : -ENXIO;
}
