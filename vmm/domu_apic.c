/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu_apic.c - interrupt messages between a domU's local APICs, and what
 * their registers do to others.
 *
 * No wake-up is lost. A sender first makes its request visible (IRR, nmis,
 * init, kicked), then looks at `blocked` and `running`; a vCPU first sets
 * `blocked` or `running`, then looks for requests. All are sequentially
 * consistent, so that at least one of the two sees the other.
 */
#include "domu.h"
#include "dom0.h"
#include "mem.h"
#include "smp.h"
#include "trace.h"

#define ICR_VECTOR(i)	 ((i) & 0xff)
#define ICR_MODE(i)	 ((i) >> 8 & 7)
#define ICR_LOGICAL	 BIT(11)
#define ICR_ASSERT	 BIT(14)
#define ICR_LEVEL	 BIT(15)
#define ICR_SHORTHAND(i) ((i) >> 18 & 3)
#define ICR_DEST(i)	 ((uint32_t)((i) >> 32))
#define MODE_FIXED	 0
#define MODE_LOWEST	 1
#define MODE_NMI	 4
#define MODE_INIT	 5
#define MODE_SIPI	 6
#define TO_SELF		 1
#define TO_OTHERS	 3
#define MSI_DEST(a)	 ((a) >> 12 & 0xff)
#define MSI_HINT	 BIT(3)
#define MSI_LOGICAL	 BIT(2)
#define MSI_BASE	 0xfee00000u
#define MSR_TSC		 0x10
#define MSR_TSC_ADJUST	 0x3b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_PV_EOI	 0x4b564d04
#define PV_EOI_ON	 BIT(0)
#define PV_EOI_RESERVED	 BIT(1)
#define LEAF_WRITE	 BIT(1) /* of EPT and NPT */

void domu_nudge(struct domu *u)
{
	struct cpu *cpu;

	if (!atomic_load(&u->running))
		return;
	cpu = u->v.cpu;
	if (cpu != this_cpu())
		smp_request(cpu, 0);
}

void domu_notify(struct domu *u, uint64_t *wake)
{
	if (atomic_exchange(&u->blocked, 0))
		*wake |= BIT(u->id);
	else
		domu_nudge(u);
}

/*
 * 1: taken, 0: coalesced with a request that waits. Who sends to itself will
 * look before it runs on.
 */
static int deliver(struct domu *u, const struct domu *from, uint64_t icr,
		   uint64_t *wake)
{
	bool new = true;

	switch (ICR_MODE(icr)) {
	case MODE_FIXED:
	case MODE_LOWEST:
		new = vlapic_request(&u->apic, ICR_VECTOR(icr),
				     icr & ICR_LEVEL);
		break;
	case MODE_NMI:
		new = !atomic_exchange(&u->nmis, 1);
		break;
	case MODE_INIT:
		if ((icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
			return 1; /* the de-assert of old */
		atomic_store(&u->init, DOMU_INIT);
		break;
	case MODE_SIPI: /* one that nobody waits for is dropped when seen */
		atomic_fetch_or(&u->init, DOMU_SIPI | ICR_VECTOR(icr));
		break;
	default: /* SMI, ExtINT: there is nobody to take them */
		return 1;
	}
	if (new && u != from)
		domu_notify(u, wake);
	return new;
}

static bool addressed(const struct domu *u, const struct domu *from,
		      uint64_t icr)
{
	if (ICR_MODE(icr) == MODE_LOWEST && !vlapic_enabled(&u->apic))
		return false; /* it does not arbitrate */
	switch (ICR_SHORTHAND(icr)) {
	case TO_OTHERS:
		return u != from;
	case 0:
		return vlapic_matches(&u->apic, ICR_DEST(icr),
				      icr & ICR_LOGICAL);
	default:
		return true;
	}
}

int domu_send(struct vm *vm, const struct domu *from, uint64_t icr,
	      uint64_t *wake)
{
	int taken = -1;

	trace_ipi(vm, from ? from->apic.id : ~0u, icr);
	if (from && ICR_SHORTHAND(icr) == TO_SELF)
		return deliver(vm->vcpu[from->id]->domu, from, icr, wake);
	for (unsigned i = 0; i < vm->vcpus; i++) {
		struct domu *u = vm->vcpu[i] ? vm->vcpu[i]->domu : NULL;
		int n;

		if (!u || !u->has_apic || !addressed(u, from, icr))
			continue;
		n = deliver(u, from, icr, wake);
		taken = taken < 0 ? n : taken + n;
		if (ICR_MODE(icr) == MODE_LOWEST)
			break; /* of equals, the first */
	}
	return taken;
}

int64_t domu_vm_msi(const struct gpaging *g, uint64_t handle,
		    uint64_t address, uint64_t data, uint64_t *wake)
{
	uint64_t icr = data & 0xc7ff, dest = MSI_DEST(address);
	int64_t why;
	struct vm *vm;

	*wake = 0;
	if ((address & 0xfff00000) != MSI_BASE)
		return -LUV_EINVAL;
	vm = domu_find(g, handle, &why);
	if (!vm)
		return why;
	dest |= address >> 32 & 0xffffff00; /* as KVM's x2APIC format */
	icr |= (dest == 0xff ? ~0ull : dest) << 32;
	if (address & MSI_LOGICAL)
		icr |= ICR_LOGICAL;
	if ((address & MSI_HINT) && (address & MSI_LOGICAL) &&
	    ICR_MODE(icr) == MODE_FIXED)
		icr |= MODE_LOWEST << 8;
	why = domu_send(vm, NULL, icr | ICR_ASSERT, wake);
	domu_put(vm);
	return why < 0 ? -LUV_ENOENT : why;
}

static int64_t request(const struct gpaging *g, uint64_t handle,
		       uint64_t id, bool nmi)
{
	uint64_t wake = 0;
	int64_t why;
	struct vm *vm = domu_find(g, handle, &why);
	struct domu *u;

	if (!vm)
		return why;
	u = id < LUV_VCPUS && vm->vcpu[id] ? vm->vcpu[id]->domu : NULL;
	if (u) {
		atomic_store(nmi ? &u->nmis : &u->kicked, 1);
		domu_notify(u, &wake);
	}
	domu_put(vm);
	return u ? wake != 0 : -LUV_ENOENT;
}

int64_t domu_vcpu_kick(const struct gpaging *g, uint64_t vm, uint64_t id)
{
	return request(g, vm, id, false);
}

int64_t domu_vcpu_nmi(const struct gpaging *g, uint64_t vm, uint64_t id)
{
	return request(g, vm, id, true);
}

/* --- EOI without an exit -------------------------------------------------- */

/*
 * A bit in the guest's memory: set with an interrupt that nothing waits behind,
 * it lets the guest clear it in place of an EOI; whoever looks at the APIC
 * next finds out. No offer while the VMM has no mapping of the page. Linux Documentation/virt/kvm/x86/msr.rst.
 */
static _Atomic uint32_t *pv_eoi_word(const struct vcpu *v)
{
	uint64_t gpa = v->domu->pv_eoi & ~3ull, size, pa;
	uint64_t leaf = stage2_lookup(&v->vm->s2, GPA(gpa), &size);

	pa = (leaf & 0x000ffffffffff000 & ~(size - 1)) | (gpa & (size - 1));
	if (!(leaf & LEAF_WRITE) || !e820_is_ram(&dom0.map, pa, 4))
		return NULL;
	return hpa_ptr(HPA(pa));
}

/* Has the guest taken the offer? If not: take it back, or leave it. */
static bool eoi_done(struct vcpu *v, bool leave)
{
	_Atomic uint32_t *word;
	uint32_t was = 1;

	lock(&v->vm->lock);
	word = pv_eoi_word(v);
	if (word)
		was = leave ? atomic_load(word) : atomic_fetch_and(word, ~1u);
	unlock(&v->vm->lock);
	return !(was & 1);
}

static void eoi_sync(struct vcpu *v, bool leave)
{
	struct domu *u = v->domu;
	bool done;

	if (!u->eoi_offered)
		return;
	done = eoi_done(v, leave);
	u->eoi_offered = leave && !done;
	if (done)
		domu_apic_write(v, VLAPIC_EOI, 0);
}

void domu_eoi_sync(struct vcpu *v)
{
	eoi_sync(v, false);
}

void domu_eoi_look(struct vcpu *v)
{
	eoi_sync(v, !vlapic_waits(&v->domu->apic));
}

void domu_eoi_offer(struct vcpu *v, unsigned vector)
{
	struct domu *u = v->domu;
	_Atomic uint32_t *word;

	if (!(u->pv_eoi & PV_EOI_ON) || vlapic_waits(&u->apic) ||
	    vlapic_level(&u->apic, vector) ||
	    (v->vm->told_eoi[vector / 64] & BIT(vector % 64)))
		return;
	lock(&v->vm->lock);
	word = pv_eoi_word(v);
	if (word)
		atomic_fetch_or(word, 1);
	unlock(&v->vm->lock);
	u->eoi_offered = word;
}

bool domu_pv_eoi_ok(uint64_t value)
{
	return !(value & PV_EOI_RESERVED);
}

void domu_pv_eoi_set(struct vcpu *v, uint64_t value)
{
	domu_eoi_sync(v);
	v->domu->pv_eoi = value;
}

/* --- registers ------------------------------------------------------------ */

bool domu_apic_write(struct vcpu *v, unsigned reg, uint64_t value)
{
	struct domu *u = v->domu;
	struct vlapic_effect e;

	if (u->eoi_offered)
		domu_eoi_sync(v);
	if (u->hw_apic)
		hv->domu_sync(v);
	if (!vlapic_write(&u->apic, reg, value, rdtsc(), &e))
		return false;
	if (e.ipi)
		domu_send(v->vm, u, e.icr, &u->wake);
	domu_ended(v, e.eoi);
	if (u->hw_apic || reg == VLAPIC_TPR)
		hv->domu_tpr(v);
	return true;
}

void domu_apic_written(struct vcpu *v, unsigned reg, uint8_t vector)
{
	if (reg == VLAPIC_EOI)
		v->domu->eoi = vector;
	else if (reg < VLAPIC_REGS)
		domu_apic_write(v, reg, v->domu->apic.reg[reg].v);
}

bool domu_apic_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value, bool *ok)
{
	const uint32_t reg = msr - MSR_IA32_X2APIC_BASE;
	struct domu *u = v->domu;

	*ok = true;
	if (reg < VLAPIC_MSRS) {
		domu_eoi_sync(v);
		hv->domu_sync(v);
		*ok = u->has_apic && vlapic_x2apic(&u->apic) &&
		      vlapic_read(&u->apic, reg, rdtsc(), value);
		return u->has_apic;
	}
	if (msr == MSR_TSC)
		*value = rdtsc() + u->tsc_offset;
	else if (msr == MSR_TSC_ADJUST)
		*value = u->tsc_adjust;
	else if (msr == MSR_TSC_DEADLINE && u->has_apic)
		*value = u->apic.tsc_deadline;
	else if (msr == MSR_IA32_APIC_BASE && u->has_apic)
		*value = u->apic.base;
	else if (msr == MSR_PV_EOI && u->has_apic)
		*value = u->pv_eoi;
	else
		return hv->domu_rdmsr && hv->domu_rdmsr(v, msr, value);
	return true;
}

static void move_tsc(struct vcpu *v, uint64_t delta)
{
	v->domu->tsc_offset += delta;
	v->domu->tsc_adjust += delta;
	hv->domu_tsc(v);
}

static bool set_base(struct vcpu *v, uint64_t value)
{
	bool ok;

	hv->domu_sync(v);
	ok = vlapic_set_base(&v->domu->apic, value);
	hv->domu_tpr(v);
	return ok;
}

bool domu_apic_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value, bool *ok)
{
	struct domu *u = v->domu;

	*ok = true;
	if (msr == MSR_TSC)
		move_tsc(v, value - rdtsc() - u->tsc_offset);
	else if (msr == MSR_TSC_ADJUST)
		move_tsc(v, value - u->tsc_adjust);
	else if (msr == MSR_TSC_DEADLINE && u->has_apic)
		vlapic_set_tsc_deadline(&u->apic, value, u->tsc_offset,
					rdtsc());
	else if (msr == MSR_IA32_APIC_BASE && u->has_apic)
		*ok = set_base(v, value);
	else if (msr == MSR_PV_EOI && u->has_apic && domu_pv_eoi_ok(value))
		domu_pv_eoi_set(v, value);
	else if (msr == MSR_PV_EOI && u->has_apic)
		*ok = false;
	else
		return hv->domu_wrmsr && hv->domu_wrmsr(v, msr, value, ok);
	return true;
}
