/* SPDX-License-Identifier: BSD-2-Clause */
/* state.c - see state.h. */
#include "state.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>

#define CR0_PE	      UINT64_C(1)
#define CR0_NW	      (UINT64_C(1) << 29)
#define CR0_CD	      (UINT64_C(1) << 30)
#define CR0_PG	      (UINT64_C(1) << 31)
#define CR0_KNOWN     UINT64_C(0xe005003f)
#define CR3_KEEP_TLB  (UINT64_C(1) << 63)
#define CR4_PAE	      UINT64_C(0x20)
#define CR4_KNOWN     UINT64_C(0xf71fff) /* to PKE; no VMXE, SMXE */
#define ATTR_L	      0x2000u
#define ATTR_DB	      0x4000u
#define ATTR_UNUSABLE 0x100u
#define SHADOW_STI    1u
#define SHADOW_SS     2u
#define DR7_FIXED     0x400u

/* --- general registers -------------------------------------------------------- */

/* KVM's member, number in luv_vcpu.gpr */
#define GPRS(X)                                                                \
	X(rax, 0) X(rcx, 1) X(rdx, 2) X(rbx, 3) X(rsp, 4) X(rbp, 5) X(rsi, 6)  \
	X(rdi, 7) X(r8, 8) X(r9, 9) X(r10, 10) X(r11, 11) X(r12, 12)           \
	X(r13, 13) X(r14, 14) X(r15, 15)

void state_to_regs(const struct luv_vcpu *s, struct kvm_regs *r)
{
#define X(name, nr) r->name = s->gpr[nr];
	GPRS(X)
#undef X
	r->rip = s->rip;
	r->rflags = s->rflags;
}

void state_from_regs(struct luv_vcpu *s, const struct kvm_regs *r)
{
#define X(name, nr) s->gpr[nr] = r->name;
	GPRS(X)
#undef X
	s->rip = r->rip;
	s->rflags = r->rflags | 2;
}

/* --- segments and control registers -------------------------------------------- */

static void to_segment(const struct luv_segment *s, struct kvm_segment *k)
{
	*k = (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = s->attrib & 15,
		.s = s->attrib >> 4 & 1,
		.dpl = s->attrib >> 5 & 3,
		.present = s->attrib >> 7 & 1,
		.unusable = !!(s->attrib & ATTR_UNUSABLE),
		.avl = s->attrib >> 12 & 1,
		.l = s->attrib >> 13 & 1,
		.db = s->attrib >> 14 & 1,
		.g = s->attrib >> 15 & 1,
	};
}

static void from_segment(struct luv_segment *s, const struct kvm_segment *k)
{
	/* As SVM has it: not present is unusable, whatever was said of it. */
	const unsigned unusable = k->unusable || !k->present;

	s->base = k->base;
	s->limit = k->limit;
	s->selector = k->selector;
	s->attrib = (uint16_t)(
		(k->type & 15u) | (k->s & 1u) << 4 | (k->dpl & 3u) << 5 |
		(k->present & 1u) << 7 | (unusable ? ATTR_UNUSABLE : 0) |
		(k->avl & 1u) << 12 | (k->l & 1u) << 13 | (k->db & 1u) << 14 |
		(k->g & 1u) << 15);
}

/* KVM's member, struct luv_vcpu's */
#define SEGMENTS(X)                                                            \
	X(cs, cs) X(ds, ds) X(es, es) X(fs, fs) X(gs, gs) X(ss, ss) X(tr, tr)  \
	X(ldt, ldtr)
#define SAME(X) X(cr0) X(cr2) X(cr3) X(cr4) X(cr8) X(efer) X(apic_base)

/* kvm_sregs and kvm_sregs2 are other types with the same members. */
#define TO_SREGS(s, r)                                                         \
	SEGMENTS(TO_SEGMENT)                                                   \
	SAME(TO_SAME)                                                          \
	r->gdt.base = s->gdt_base;                                             \
	r->gdt.limit = (uint16_t)s->gdt_limit;                                 \
	r->idt.base = s->idt_base;                                             \
	r->idt.limit = (uint16_t)s->idt_limit
#define FROM_SREGS(s, r)                                                       \
	SEGMENTS(FROM_SEGMENT)                                                 \
	SAME(FROM_SAME)                                                        \
	s->gdt_base = r->gdt.base;                                             \
	s->gdt_limit = r->gdt.limit;                                           \
	s->idt_base = r->idt.base;                                             \
	s->idt_limit = r->idt.limit
#define TO_SEGMENT(kvm, luv)   to_segment(&s->luv, &r->kvm);
#define FROM_SEGMENT(kvm, luv) from_segment(&s->luv, &r->kvm);
#define TO_SAME(name)	       r->name = s->name;
#define FROM_SAME(name)	       s->name = r->name;

void state_to_sregs(const struct luv_vcpu *s, struct kvm_sregs *r)
{
	memset(r, 0, sizeof(*r));
	TO_SREGS(s, r);
}

void state_from_sregs(struct luv_vcpu *s, const struct kvm_sregs *r)
{
	FROM_SREGS(s, r);
}

void state_to_sregs2(const struct luv_vcpu *s, struct kvm_sregs2 *r)
{
	memset(r, 0, sizeof(*r));
	TO_SREGS(s, r);
}

void state_from_sregs2(struct luv_vcpu *s, const struct kvm_sregs2 *r)
{
	FROM_SREGS(s, r);
}

static uint64_t phys_mask(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(0x80000008, &a, &b, &c, &d) || (a & 0xff) >= 52)
		return (UINT64_C(1) << 52) - 1;
	return (UINT64_C(1) << (a & 0xff)) - 1;
}

/* SDM "Checks on Guest Control Registers, Debug Registers, and MSRs". */
static bool control_ok(const struct luv_vcpu *s)
{
	const bool pg = s->cr0 & CR0_PG, lme = s->efer & STATE_EFER_LME;
	const bool lma = s->efer & STATE_EFER_LMA;
	const uint64_t cr3 = lma ? s->cr3 & ~CR3_KEEP_TLB : s->cr3;

	if ((s->cr0 & ~CR0_KNOWN) || (pg && !(s->cr0 & CR0_PE)) ||
	    ((s->cr0 & CR0_NW) && !(s->cr0 & CR0_CD)))
		return false;
	if ((s->efer & ~STATE_EFER) || lma != (pg && lme))
		return false;
	if (lma && (!(s->cr4 & CR4_PAE) ||
		    ((s->cs.attrib & ATTR_L) && (s->cs.attrib & ATTR_DB))))
		return false;
	return !(s->cr4 & ~CR4_KNOWN) && !(cr3 & ~phys_mask()) && s->cr8 <= 15;
}

static bool canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

bool state_sregs_ok(const struct luv_vcpu *s)
{
#define X(kvm, luv) canonical(s->luv.base) &&
	return SEGMENTS(X) canonical(s->gdt_base) && canonical(s->idt_base) &&
	       control_ok(s);
#undef X
}

/* --- debug registers ------------------------------------------------------------ */

void state_to_debugregs(const struct luv_vcpu *s, struct kvm_debugregs *r)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->db, s->dr, sizeof(r->db));
	r->dr6 = s->dr6;
	r->dr7 = s->dr7;
}

void state_from_debugregs(struct luv_vcpu *s, const struct kvm_debugregs *r)
{
	memcpy(s->dr, r->db, sizeof(s->dr));
	s->dr6 = r->dr6;
	s->dr7 = r->dr7;
}

long state_from_guest_debug(struct luv_vcpu *s, const struct kvm_guest_debug *d)
{
	const uint32_t known = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
			       KVM_GUESTDBG_USE_SW_BP |
			       KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_BLOCKIRQ;

	if (d->control & ~known)
		return -EINVAL;
	s->debug = 0;
	if (!(d->control & KVM_GUESTDBG_ENABLE))
		return 0;
	s->debug = LUV_DEBUG_ON;
	if (d->control & KVM_GUESTDBG_SINGLESTEP)
		s->debug |= LUV_DEBUG_STEP;
	if (d->control & KVM_GUESTDBG_USE_HW_BP) {
		s->debug |= LUV_DEBUG_HW;
		memcpy(s->debug_dr, d->arch.debugreg, sizeof(s->debug_dr));
		s->debug_dr7 = d->arch.debugreg[7] | DR7_FIXED;
	}
	return 0;
}

/* --- events ----------------------------------------------------------------------- */

void state_to_events(const struct luv_vcpu *s, struct kvm_vcpu_events *e)
{
	const unsigned type = s->event >> 8 & 7;
	const bool valid = s->event & EVENT_VALID;

	memset(e, 0, sizeof(*e));
	if (valid && type == EVENT_EXCEPTION) {
		e->exception.injected = 1;
		e->exception.nr = (uint8_t)s->event;
		e->exception.has_error_code = !!(s->event & EVENT_ERROR);
		e->exception.error_code = s->event_error;
	}
	if (valid && type == EVENT_INTERRUPT) {
		e->interrupt.injected = 1;
		e->interrupt.nr = (uint8_t)s->event;
	}
	if (s->shadow & SHADOW_STI)
		e->interrupt.shadow |= KVM_X86_SHADOW_INT_STI;
	if (s->shadow & SHADOW_SS)
		e->interrupt.shadow |= KVM_X86_SHADOW_INT_MOV_SS;
	e->nmi.injected = valid && type == EVENT_NMI;
	e->nmi.pending = !!(s->nmi & LUV_NMI_PENDING);
	e->nmi.masked = !!(s->nmi & LUV_NMI_BLOCKED);
	e->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
}

void state_from_events(struct luv_vcpu *s, const struct kvm_vcpu_events *e)
{
	s->event = 0;
	s->event_error = 0;
	if (e->exception.injected || e->exception.pending) {
		s->event = EVENT(EVENT_EXCEPTION, e->exception.nr);
		if (e->exception.has_error_code) {
			s->event |= EVENT_ERROR;
			s->event_error = e->exception.error_code;
		}
	} else if (e->nmi.injected) {
		s->event = EVENT(EVENT_NMI, 2u);
	} else if (e->interrupt.injected) {
		s->event = EVENT(EVENT_INTERRUPT, e->interrupt.nr);
	}
	if (e->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
		s->nmi = e->nmi.pending ? LUV_NMI_PENDING : 0;
	else
		s->nmi &= LUV_NMI_PENDING;
	if (e->nmi.masked)
		s->nmi |= LUV_NMI_BLOCKED;
	if (!(e->flags & KVM_VCPUEVENT_VALID_SHADOW))
		return;
	s->shadow = 0;
	if (e->interrupt.shadow & KVM_X86_SHADOW_INT_STI)
		s->shadow |= SHADOW_STI;
	if (e->interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS)
		s->shadow |= SHADOW_SS;
}
