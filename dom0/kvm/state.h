/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.h - a vCPU's registers as KVM's structures have them and as the VMM
 * does (struct luv_vcpu). Pure functions: of the target they change what the
 * source has, and nothing else.
 */
#pragma once

#include <linux/kvm.h>
#include <luvalley/luvalley.h>
#include <stdbool.h>

void state_to_regs(const struct luv_vcpu *s, struct kvm_regs *r);
void state_from_regs(struct luv_vcpu *s, const struct kvm_regs *r);

/* Without interrupt_bitmap, which is an event: see events.h. */
void state_to_sregs(const struct luv_vcpu *s, struct kvm_sregs *r);
void state_from_sregs(struct luv_vcpu *s, const struct kvm_sregs *r);

/* PDPTEs are not in struct luv_vcpu: the VMM reads them from memory. */
void state_to_sregs2(const struct luv_vcpu *s, struct kvm_sregs2 *r);
void state_from_sregs2(struct luv_vcpu *s, const struct kvm_sregs2 *r);

/*
 * state_sregs_ok - what KVM_SET_SREGS refuses: control registers and segments
 * that the VMM would not take.
 */
bool state_sregs_ok(const struct luv_vcpu *s);

#define STATE_EFER_LME UINT64_C(0x100)
#define STATE_EFER_LMA UINT64_C(0x400)
#define STATE_EFER     (STATE_EFER_LME | STATE_EFER_LMA | 0x801) /* NXE SCE */

void state_to_debugregs(const struct luv_vcpu *s, struct kvm_debugregs *r);
void state_from_debugregs(struct luv_vcpu *s, const struct kvm_debugregs *r);

/*
 * Events: what is being delivered, NMIs, the interrupt shadow. What KVM calls
 * pending and what it calls injected is one here: it is delivered at entry.
 */
void state_to_events(const struct luv_vcpu *s, struct kvm_vcpu_events *e);
void state_from_events(struct luv_vcpu *s, const struct kvm_vcpu_events *e);

/* An event to be delivered at entry; see struct luv_vcpu. */
#define EVENT_INTERRUPT 0u
#define EVENT_NMI	2u
#define EVENT_EXCEPTION 3u
#define EVENT_ERROR	(1u << 11)
#define EVENT_VALID	(1u << 31)
#define EVENT(type, vector) (EVENT_VALID | (type) << 8 | (vector))

/* KVM_SET_GUEST_DEBUG. Returns 0 or -EINVAL. */
long state_from_guest_debug(struct luv_vcpu *s, const struct kvm_guest_debug *d);
