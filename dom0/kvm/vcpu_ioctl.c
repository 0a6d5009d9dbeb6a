/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu_ioctl.c - the ioctls that get and set a vCPU's registers and events.
 * MSRs, extended state and CPUID have files of their own.
 */
#include "emulate.h"
#include "fpu.h"
#include "hyper.h"
#include "ioctl.h"
#include "state.h"
#include "vcpu.h"

#include <errno.h>
#include <string.h>

#define KERNEL_SIGSET 8 /* bytes of the kernel's sigset_t */
#define LAPIC_BYTES   1024

long vcpu_ioctl_get_regs(void *self, unsigned long arg)
{
	state_to_regs(vcpu_state(self), (struct kvm_regs *)arg);
	return 0;
}

long vcpu_ioctl_set_regs(void *self, unsigned long arg)
{
	state_from_regs(vcpu_change(self), (const struct kvm_regs *)arg);
	return 0;
}

/* An interrupt that is on its way is a bit of sregs, too. */
static uint32_t event_in_flight(struct vcpu *v)
{
	const struct luv_vcpu *s = vcpu_state(v);

	if ((s->event & EVENT_VALID) && !(s->event >> 8 & 7))
		return s->event;
	return v->event;
}

long vcpu_ioctl_get_sregs(void *self, unsigned long arg)
{
	struct kvm_sregs *r = (struct kvm_sregs *)arg;
	uint32_t event = event_in_flight(self);

	state_to_sregs(vcpu_state(self), r);
	if (event)
		r->interrupt_bitmap[(event & 0xff) / 64] |=
			UINT64_C(1) << (event & 63);
	return 0;
}

long vcpu_ioctl_set_sregs(void *self, unsigned long arg)
{
	const struct kvm_sregs *r = (const struct kvm_sregs *)arg;
	struct vcpu *v = self;
	struct luv_vcpu s = *vcpu_state(v);

	state_from_sregs(&s, r);
	if (!state_sregs_ok(&s))
		return -EINVAL;
	*vcpu_change(v) = s;
	for (unsigned i = 0; i < 256; i++)
		if (r->interrupt_bitmap[i / 64] >> i % 64 & 1)
			v->event = EVENT(EVENT_INTERRUPT, i);
	return 0;
}

long vcpu_ioctl_get_sregs2(void *self, unsigned long arg)
{
	state_to_sregs2(vcpu_state(self), (struct kvm_sregs2 *)arg);
	return 0;
}

long vcpu_ioctl_set_sregs2(void *self, unsigned long arg)
{
	const struct kvm_sregs2 *r = (const struct kvm_sregs2 *)arg;
	struct luv_vcpu s = *vcpu_state(self);

	state_from_sregs2(&s, r);
	if ((r->flags & ~(uint64_t)KVM_SREGS2_FLAGS_PDPTRS_VALID) ||
	    !state_sregs_ok(&s))
		return -EINVAL;
	*vcpu_change(self) = s;
	return 0;
}

long vcpu_ioctl_get_debugregs(void *self, unsigned long arg)
{
	state_to_debugregs(vcpu_state(self), (struct kvm_debugregs *)arg);
	return 0;
}

long vcpu_ioctl_set_debugregs(void *self, unsigned long arg)
{
	const struct kvm_debugregs *r = (const struct kvm_debugregs *)arg;

	if (r->flags || r->dr6 >> 32 || r->dr7 >> 32)
		return -EINVAL;
	state_from_debugregs(vcpu_change(self), r);
	return 0;
}

long vcpu_ioctl_get_xcrs(void *self, unsigned long arg)
{
	struct kvm_xcrs *x = (struct kvm_xcrs *)arg;

	if (!fpu_has_xsave())
		return -EINVAL;
	memset(x, 0, sizeof(*x));
	x->nr_xcrs = 1;
	x->xcrs[0].value = vcpu_state(self)->xcr0;
	return 0;
}

long vcpu_ioctl_set_xcrs(void *self, unsigned long arg)
{
	const struct kvm_xcrs *x = (const struct kvm_xcrs *)arg;

	if (!fpu_has_xsave() || x->nr_xcrs > KVM_MAX_XCRS || x->flags)
		return -EINVAL;
	for (unsigned i = 0; i < x->nr_xcrs; i++) {
		if (x->xcrs[i].xcr)
			continue;
		if (!fpu_xcr0_ok(x->xcrs[i].value))
			return -EINVAL;
		vcpu_change(self)->xcr0 = x->xcrs[i].value;
	}
	return 0;
}

long vcpu_ioctl_get_events(void *self, unsigned long arg)
{
	struct kvm_vcpu_events *e = (struct kvm_vcpu_events *)arg;
	uint32_t event = event_in_flight(self);

	state_to_events(vcpu_state(self), e);
	if (event && !e->exception.injected) {
		e->interrupt.injected = 1;
		e->interrupt.nr = (uint8_t)event;
	}
	return 0;
}

long vcpu_ioctl_set_events(void *self, unsigned long arg)
{
	const struct kvm_vcpu_events *e = (const struct kvm_vcpu_events *)arg;
	const uint32_t known = KVM_VCPUEVENT_VALID_NMI_PENDING |
			       KVM_VCPUEVENT_VALID_SIPI_VECTOR |
			       KVM_VCPUEVENT_VALID_SHADOW |
			       KVM_VCPUEVENT_VALID_SMM;
	struct vcpu *v = self;
	struct luv_vcpu *s;

	if ((e->flags & ~known) || e->exception.nr > 31 || e->smi.smm)
		return -EINVAL;
	s = vcpu_change(v);
	state_from_events(s, e);
	/* What was offered is what is injected now, or nothing. */
	v->event = 0;
	return 0;
}

/* --- running or not ------------------------------------------------------------------ */

long vcpu_ioctl_get_mp_state(void *self, unsigned long arg)
{
	struct kvm_mp_state *mp = (struct kvm_mp_state *)arg;

	mp->mp_state = vcpu_state(self)->mp_state;
	return 0;
}

long vcpu_ioctl_set_mp_state(void *self, unsigned long arg)
{
	const struct kvm_mp_state *mp = (const struct kvm_mp_state *)arg;
	struct vcpu *v = self;

	if (v->vm->irqchip == IRQCHIP_OFF)
		return mp->mp_state == KVM_MP_STATE_RUNNABLE ? 0 : -EINVAL;
	switch (mp->mp_state) {
	case KVM_MP_STATE_RUNNABLE:
	case KVM_MP_STATE_SIPI_RECEIVED:
		vcpu_change(v)->mp_state = LUV_MP_RUNNABLE;
		return 0;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
		vcpu_change(v)->mp_state = LUV_MP_WAIT_SIPI;
		return 0;
	case KVM_MP_STATE_HALTED:
		vcpu_change(v)->mp_state = LUV_MP_HALTED;
		return 0;
	default:
		return -EINVAL;
	}
}

long vcpu_ioctl_interrupt(void *self, unsigned long arg)
{
	const struct kvm_interrupt *irq = (const struct kvm_interrupt *)arg;
	struct vcpu *v = self;

	if (irq->irq > 255)
		return -EINVAL;
	if (v->vm->irqchip == IRQCHIP_ON)
		return -ENXIO;
	if (v->event)
		return -EEXIST;
	v->event = EVENT(EVENT_INTERRUPT, irq->irq);
	return 0;
}

long vcpu_ioctl_nmi(void *self, unsigned long arg)
{
	struct vcpu *v = self;
	long e;

	(void)arg;
	e = vcpu_flush(v);
	if (e)
		return e;
	v->s_valid = false;
	e = hyper_simple(LUV_CALL_vcpu_nmi, v->vm->handle, v->id, 0, 0);
	return e < 0 ? e : 0;
}

long vcpu_ioctl_set_guest_debug(void *self, unsigned long arg)
{
	const struct kvm_guest_debug *d = (const struct kvm_guest_debug *)arg;
	struct vcpu *v = self;
	long e = state_from_guest_debug(vcpu_change(v), d);

	if (!e)
		v->debug_control = d->control;
	return e;
}

long vcpu_ioctl_set_signal_mask(void *self, unsigned long arg)
{
	const struct kvm_signal_mask *m = (const struct kvm_signal_mask *)arg;
	struct vcpu *v = self;

	v->has_sigmask = m;
	if (!m)
		return 0;
	if (m->len != KERNEL_SIGSET)
		return -EINVAL;
	sigemptyset(&v->sigmask);
	memcpy(&v->sigmask, m->sigset, KERNEL_SIGSET);
	return 0;
}

/* --- time ---------------------------------------------------------------------------- */

long vcpu_ioctl_get_tsc_khz(void *self, unsigned long arg)
{
	(void)self;
	(void)arg;
	return clock_tsc_khz();
}

/* TSCs are not scaled: any rate but the CPU's own, give or take 250 ppm. */
long vcpu_ioctl_set_tsc_khz(void *self, unsigned long arg)
{
	const uint64_t khz = clock_tsc_khz(), tolerance = khz / 4000;

	(void)self;
	if (!arg || arg + tolerance < khz || arg > khz + tolerance)
		return arg ? -EINVAL : 0;
	return 0;
}

/* For a guest's soft-lockup watchdog, which is not told of stops. */
long vcpu_ioctl_kvmclock_ctrl(void *self, unsigned long arg)
{
	struct vcpu *v = self;

	(void)arg;
	return v->kvmclock & 1 ? 0 : -EINVAL;
}

/* --- the local APIC in the VMM -------------------------------------------------------- */

/* Of 32-bit Windows' task priority: there is nothing to patch, so no use. */
long vcpu_ioctl_set_vapic_addr(void *self, unsigned long arg)
{
	(void)self;
	(void)arg;
	return 0;
}

static long lapic(struct vcpu *v, unsigned nr, unsigned long arg)
{
	if (v->vm->irqchip == IRQCHIP_OFF)
		return -EINVAL;
	return hyper_buffer(nr, v->vm->handle, v->id, arg, 0, (void *)arg,
			    LAPIC_BYTES);
}

long vcpu_ioctl_get_lapic(void *self, unsigned long arg)
{
	return lapic(self, LUV_CALL_vcpu_apic_get, arg);
}

long vcpu_ioctl_set_lapic(void *self, unsigned long arg)
{
	return lapic(self, LUV_CALL_vcpu_apic_set, arg);
}
