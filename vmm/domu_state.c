/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu_state.c - what ring 3 reads and writes of a vCPU that does not run.
 * A state is checked whole before any of it is taken.
 */
#include "domu.h"
#include "dom0.h"
#include "mem.h"
#include "msr.h"
#include "string.h"

#define VECTORS_WITH_ERROR 0x227d00u /* DF TS NP SS GP PF AC CP */
#define XSAVE_LEGACY	   576	     /* FXSAVE area and header */
#define FXSAVE_SIZE	   512
#define FXSAVE_MXCSR	   24
#define DEBUG_BITS	   (LUV_DEBUG_ON | LUV_DEBUG_STEP | LUV_DEBUG_HW)
#define PAT_TYPES	   0xf3u /* 0, 1, 4, 5, 6, 7 */
#define RFLAGS_RESERVED	   (~0x3f7fd7ull)

static void common_get(const struct domu *u, struct luv_vcpu *s)
{
	s->mp_state = u->mp_state;
	s->xcr0 = u->xcr0;
	s->tsc_offset = u->tsc_offset;
	s->tsc_adjust = u->tsc_adjust;
	s->tsc_deadline = u->apic.tsc_deadline;
	s->apic_base = u->apic.base;
	s->nmi = u->nmis ? LUV_NMI_PENDING : 0;
	s->debug = u->debug;
	memcpy(s->debug_dr, u->debug_dr, sizeof(s->debug_dr));
	s->debug_dr7 = u->debug_dr7;
	if (u->debug)
		s->dr6 = u->own_dr6;
	if (u->debug & LUV_DEBUG_HW)
		s->dr7 = u->own_dr7;
	s->pv_eoi = u->pv_eoi;
	if (u->has_apic)
		s->cr8 = u->apic.reg[VLAPIC_TPR].v >> 4;
}

int64_t domu_vcpu_get(const struct gpaging *g, uint64_t handle,
		      uint64_t id, uint64_t buf)
{
	struct luv_vcpu s = { 0 };
	int64_t why;
	struct vcpu *v = domu_take(g, handle, id, &why);

	if (!v)
		return why;
	hv->domu_sync(v);
	hv->domu_get(v, &s);
	common_get(v->domu, &s);
	domu_let_go(v);
	return dom0_copy_out(g, GVA(buf), &s, sizeof(s)) == OK ? 0 :
								 -LUV_EFAULT;
}

/*
 * Would VM entry take this event? SDM "VM-Entry Controls for Event
 * Injection". An external interrupt, an NMI or a hardware exception; software
 * events are executed again instead.
 */
static bool event_ok(const struct luv_vcpu *s)
{
	unsigned vector = s->event & 0xff, type = s->event >> 8 & 7;
	bool error = s->event & BIT(11);
	bool has_error = (s->cr0 & CR0_PE) && vector < 32 &&
			 (BIT(vector) & VECTORS_WITH_ERROR);

	if (!(s->event & BIT(31)))
		return true;
	if (s->event & 0x7ffff000)
		return false;
	if (type == EVENT_EXCEPTION)
		return vector < 32 && vector != VEC_NMI && error == has_error &&
		       s->event_error < BIT(15);
	return !error && (type == 0 || (type == EVENT_NMI &&
					vector == VEC_NMI));
}

static uint64_t phys_mask(void)
{
	unsigned bits = cpuid(0x80000008, 0).a & 0xff;

	return bits >= 52 ? 0x000fffffffffffffull : BIT(bits) - 1;
}

/* SDM "Checks on Guest Control Registers, Debug Registers, and MSRs". */
static bool control_ok(const struct luv_vcpu *s)
{
	bool pg = s->cr0 & CR0_PG, lme = s->efer & EFER_LME;
	bool lma = s->efer & EFER_LMA;

	if ((s->cr0 & ~0xe005003full) || (pg && !(s->cr0 & CR0_PE)) ||
	    ((s->cr0 & CR0_NW) && !(s->cr0 & CR0_CD)))
		return false;
	if (s->cr4 & ~CR4_DOMU)
		return false;
	if ((s->efer & ~msr_efer_bits()) ||
	    lma != (pg && lme) || (lma && !(s->cr4 & CR4_PAE)))
		return false;
	if (lma && (s->cs.attrib & BIT(13)) && (s->cs.attrib & BIT(14)))
		return false; /* L and D */
	if ((lma ? s->cr3 & ~BIT(63) : s->cr3) & ~phys_mask())
		return false;
	return !(s->dr6 >> 32) && !(s->dr7 >> 32);
}

static bool canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

static bool segments_ok(const struct luv_vcpu *s)
{
	const struct luv_segment *all[] = { &s->es, &s->cs, &s->ss, &s->ds,
					    &s->fs, &s->gs, &s->ldtr, &s->tr };

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (!canonical(all[i]->base))
			return false;
	return canonical(s->gdt_base) && canonical(s->idt_base) &&
	       canonical(s->sysenter_esp) && canonical(s->sysenter_eip) &&
	       canonical(s->lstar) && canonical(s->cstar) &&
	       canonical(s->kernel_gs_base) &&
	       !((s->tsc_aux | s->sfmask) >> 32) &&
	       s->gdt_limit <= 0xffff && s->idt_limit <= 0xffff;
}

/* Some components go together: the processor knows which. */
static bool xcr0_ok(uint64_t xcr0)
{
	const uint64_t mask = domu_fpu_mask;
	uint64_t now;

	if (!mask)
		return xcr0 == 1;
	now = xgetbv();
	return !(xcr0 & ~mask) && xsetbv_safe(0, xcr0) && xsetbv_safe(0, now);
}

static bool others_ok(const struct domu *u, const struct luv_vcpu *s)
{
	for (unsigned i = 0; i < 8; i++)
		if ((s->pat >> 8 * i & 0xff) > 7 ||
		    !(PAT_TYPES & 1u << (s->pat >> 8 * i & 7)))
			return false;
	if (!xcr0_ok(s->xcr0))
		return false;
	if ((s->rflags & RFLAGS_RESERVED) || (s->debug & ~DEBUG_BITS) ||
	    s->debug_dr7 >> 32 || s->cr8 > 15 || s->shadow > 3 ||
	    !domu_pv_eoi_ok(s->pv_eoi))
		return false;
	return s->mp_state == LUV_MP_RUNNABLE ||
	       s->mp_state == LUV_MP_HALTED ||
	       (s->mp_state == LUV_MP_WAIT_SIPI && u->has_apic);
}

static void common_set(struct vcpu *v, const struct luv_vcpu *s)
{
	struct domu *u = v->domu;

	u->mp_state = s->mp_state;
	u->xcr0 = s->xcr0;
	u->tsc_offset = s->tsc_offset;
	u->tsc_adjust = s->tsc_adjust;
	u->nmis = s->nmi & LUV_NMI_PENDING;
	u->debug = s->debug;
	memcpy(u->debug_dr, s->debug_dr, sizeof(u->debug_dr));
	u->debug_dr7 = s->debug_dr7;
	u->own_dr6 = s->dr6;
	u->own_dr7 = s->dr7;
	u->wait = WAIT_NONE;
	if (!u->has_apic) {
		u->apic.base = s->apic_base;
		return;
	}
	u->apic.reg[VLAPIC_TPR].v = (uint32_t)s->cr8 << 4 |
				  (u->apic.reg[VLAPIC_TPR].v & 0xf);
	if (s->pv_eoi != u->pv_eoi)
		domu_pv_eoi_set(v, s->pv_eoi);
	if (s->apic_base != u->apic.base) {
		u->apic.base = s->apic_base;
		vlapic_fixed(&u->apic);
	}
	if (s->tsc_deadline != u->apic.tsc_deadline)
		vlapic_set_tsc_deadline(&u->apic, s->tsc_deadline,
					s->tsc_offset, rdtsc());
}

static bool pae(const struct luv_vcpu *s)
{
	return (s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !(s->efer & EFER_LMA);
}

int64_t domu_vcpu_set(const struct gpaging *g, uint64_t handle,
		      uint64_t id, uint64_t buf)
{
	struct luv_slot slot;
	struct luv_vcpu s;
	uint64_t hva;
	int64_t why;
	struct vcpu *v;

	if (dom0_copy_in(g, &s, GVA(buf), sizeof(s)) != OK)
		return -LUV_EFAULT;
	v = domu_take(g, handle, id, &why);
	if (!v)
		return why;
	if (!event_ok(&s) || !control_ok(&s) || !segments_ok(&s) ||
	    !others_ok(v->domu, &s)) {
		why = -LUV_EINVAL;
	} else if (pae(&s) && domu_map(v, GPA((uint32_t)s.cr3), false, &slot,
				       &hva) == ERR_FAULT) {
		why = -LUV_EFAULT;
	} else {
		common_set(v, &s);
		hv->domu_set(v, &s);
	}
	domu_let_go(v);
	return why;
}

/*
 * Found once: that the page stays is the owner's business, as with a slot's.
 */
int64_t domu_vcpu_share(const struct gpaging *g, uint64_t handle, uint64_t id,
			uint64_t shared)
{
	struct luv_shared *s = NULL;
	uint64_t left;
	int64_t why;
	struct vcpu *v;
	gpa_t at;

	if (shared % 8 || shared % PAGE_SIZE > PAGE_SIZE - sizeof(*s))
		return -LUV_EINVAL;
	if (shared) {
		if (gwalk(g, GVA(shared), GW_WRITE, &dom0_mem, &at, &left) !=
			    OK || !e820_is_ram(&dom0.map, at.v, sizeof(*s)))
			return -LUV_EFAULT;
		s = hpa_ptr(HPA(at.v));
	}
	v = domu_take(g, handle, id, &why);
	if (!v)
		return why;
	v->domu->shared = s;
	domu_let_go(v);
	return 0;
}

/* --- extended state ------------------------------------------------------- */

int64_t domu_vcpu_fpu_get(const struct gpaging *g, uint64_t handle,
			  uint64_t id, uint64_t buf, uint64_t len)
{
	uint32_t size = domu_fpu_size;
	int64_t why;
	struct vcpu *v = domu_take(g, handle, id, &why);

	if (!v)
		return why;
	if (dom0_copy_out(g, GVA(buf), v->domu->fpu,
			  len < size ? len : size) != OK)
		why = -LUV_EFAULT;
	domu_let_go(v);
	return why ? why : size;
}

/* What XRSTOR would refuse. SDM "XRSTOR", "XSAVE Header". */
static bool fpu_ok(const uint8_t *area, uint64_t mask)
{
	uint64_t header[8];
	uint32_t mxcsr;

	memcpy(&mxcsr, area + FXSAVE_MXCSR, 4);
	memcpy(header, area + FXSAVE_SIZE, sizeof(header));
	if (mxcsr & ~domu_mxcsr_mask)
		return false;
	if (!mask)
		return true;
	for (unsigned i = 1; i < 8; i++)
		if (header[i])
			return false;
	return !(header[0] & ~mask);
}

int64_t domu_vcpu_fpu_set(const struct gpaging *g, uint64_t handle,
			  uint64_t id, uint64_t buf, uint64_t len)
{
	uint32_t size = domu_fpu_size;
	uint8_t area[FPU_AREA];
	int64_t why;
	struct vcpu *v;

	if (len != size && !(len == XSAVE_LEGACY && len < size))
		return -LUV_EINVAL;
	if (dom0_copy_in(g, area, GVA(buf), len) != OK)
		return -LUV_EFAULT;
	v = domu_take(g, handle, id, &why);
	if (!v)
		return why;
	if (fpu_ok(area, domu_fpu_mask))
		memcpy(v->domu->fpu, area, len);
	else
		why = -LUV_EINVAL;
	domu_let_go(v);
	return why;
}

/* --- the local APIC ------------------------------------------------------- */

/* As domu_take, of a vCPU that has an APIC. */
static struct vcpu *take_apic(const struct gpaging *g, uint64_t handle,
			      uint64_t id, int64_t *why)
{
	struct vcpu *v = domu_take(g, handle, id, why);

	if (v && v->domu->has_apic) {
		domu_eoi_sync(v);
		hv->domu_sync(v);
	}
	if (!v || v->domu->has_apic)
		return v;
	domu_let_go(v);
	*why = -LUV_ENOENT;
	return NULL;
}

int64_t domu_vcpu_apic_get(const struct gpaging *g, uint64_t handle,
			   uint64_t id, uint64_t buf)
{
	uint32_t page[256];
	int64_t why;
	struct vcpu *v = take_apic(g, handle, id, &why);

	if (!v)
		return why;
	vlapic_get(&v->domu->apic, rdtsc(), page);
	domu_let_go(v);
	return dom0_copy_out(g, GVA(buf), page, sizeof(page)) == OK ?
		       0 : -LUV_EFAULT;
}

int64_t domu_vcpu_apic_set(const struct gpaging *g, uint64_t handle,
			   uint64_t id, uint64_t buf)
{
	uint32_t page[256];
	int64_t why;
	struct vcpu *v;

	if (dom0_copy_in(g, page, GVA(buf), sizeof(page)) != OK)
		return -LUV_EFAULT;
	v = take_apic(g, handle, id, &why);
	if (!v)
		return why;
	vlapic_set(&v->domu->apic, rdtsc(), page);
	hv->domu_tpr(v);
	domu_let_go(v);
	return 0;
}

int64_t domu_vcpu_apic_read(const struct gpaging *g, uint64_t handle,
			    uint64_t id, uint64_t offset)
{
	uint64_t value = 0;
	int64_t why;
	struct vcpu *v = take_apic(g, handle, id, &why);

	if (!v)
		return why;
	if (offset >= PAGE_SIZE ||
	    !vlapic_read(&v->domu->apic, (unsigned)offset >> 4, rdtsc(),
			 &value))
		value = 0; /* reserved: reads as zero */
	domu_let_go(v);
	return (uint32_t)value;
}

int64_t domu_vcpu_apic_write(const struct gpaging *g, uint64_t handle,
			     uint64_t id, uint64_t offset, uint64_t value)
{
	int64_t why;
	struct vcpu *v = take_apic(g, handle, id, &why);

	if (!v)
		return why;
	if (offset < PAGE_SIZE)
		domu_apic_write(v, (unsigned)offset >> 4, (uint32_t)value);
	domu_let_go(v);
	return 0;
}
