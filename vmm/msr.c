/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msr.c - the policies of msr.def. A value the CPU itself refuses is refused
 * by trying it: #GP in the VMM becomes #GP in dom0.
 */
#include "msr.h"
#include "console.h"
#include "dom0.h"
#include "domu.h"
#include "lapic.h"
#include "mem.h"
#include "smp.h"

#define APIC_BASE_ADDR	  0x000ffffffffff000ull
#define VM_CR_SVMDIS	  BIT(4)
#define VM_CR_LOCK	  BIT(3)
#define UCODE_INTEL_HEADER 48 /* bytes before the address in the MSR */
#define UCODE_INTEL_SIZE  32  /* offset of the total size in the header */
#define UCODE_INTEL_DEFAULT 2048
#define UCODE_AMD_MAX	  (16 * KIB)

static bool absent_read(uint32_t msr, uint64_t *value)
{
	(void)msr, (void)value;
	return false;
}

static bool absent_write(uint32_t msr, uint64_t value)
{
	(void)msr, (void)value;
	return false;
}

/*
 * Firmware's settings that move memory or MMIO about, the VMM's included: the
 * value that is there may be written again, another is dropped.
 */
static bool fixed_write(uint32_t msr, uint64_t value)
{
	static _Atomic unsigned said;
	uint64_t now;

	if (!rdmsr_safe(msr, &now))
		return false;
	if (now != value)
		log_few(&said, "luvalley: dom0's write of %lx to MSR %x is "
			   "dropped: it could move memory\n", value, msr);
	return true;
}

static bool apic_base_write(uint32_t msr, uint64_t value)
{
	static _Atomic unsigned said;
	struct cpu *cpu = this_cpu();
	uint64_t page = value & APIC_BASE_ADDR;

	if (dom0_hits_vmm(page, PAGE_SIZE)) {
		log_few(&said, "luvalley: dom0 may not move the local APIC onto "
			   "the VMM's memory: #GP\n");
		return false;
	}
	if (!wrmsr_safe(msr, value))
		return false;
	cpu->apic_base = value;
	cpu->apic.x2apic = value & APIC_BASE_EXTD;
	if (cpu->apic.x2apic) {
		cpu->apic.id = lapic_id();
		cpu->apic.ldr = lapic_read(LAPIC_LDR);
	} else if (value & APIC_BASE_EN) {
		dom0_apic_moved(page);
	}
	return true;
}

/* Locked with VMX off: what a CPU without VMX for the OS shows. */
static bool feature_control_read(uint32_t msr, uint64_t *value)
{
	if (!rdmsr_safe(msr, value))
		return false;
	*value &= ~(FEATURE_CONTROL_VMX | FEATURE_CONTROL_VMX_SMX);
	*value |= FEATURE_CONTROL_LOCK;
	return true;
}

#define feature_control_write absent_write /* locked: #GP */

static bool mtrr_write(uint32_t msr, uint64_t value)
{
	uint64_t old;

	if (!rdmsr_safe(msr, &old) || !wrmsr_safe(msr, value))
		return false;
	if (old != value)
		dom0_mtrr_changed();
	return true;
}

/* What a world switch brings back without a look at what was there. */
static bool kept_write(uint32_t msr, uint64_t value)
{
	unsigned slot = msr == MSR_IA32_TSC_AUX ? MSR_SLOT_TSC_AUX :
						  msr - MSR_IA32_STAR;

	if (!wrmsr_safe(msr, value))
		return false;
	this_cpu()->msr[slot] = rdmsr(msr); /* without bits there are not */
	return true;
}

static bool icr_write(uint32_t msr, uint64_t value)
{
	struct icr icr = icr_from_x2apic(value);

	if (!lapic_x2apic())
		return false;
	if (!icr_is_startup(&icr))
		return wrmsr_safe(msr, value);
	smp_startup_ipi(&icr);
	return true;
}

static bool efer_read(uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = hv->efer(&this_cpu()->dom0, NULL);
	return true;
}

static bool efer_write(uint32_t msr, uint64_t value)
{
	(void)msr;
	return hv->efer(&this_cpu()->dom0, &value) == value;
}

static bool vm_cr_read(uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = VM_CR_SVMDIS | VM_CR_LOCK;
	return true;
}

#define vm_cr_write absent_write

/* Bytes from dom0-linear va on that are physically contiguous RAM. */
static size_t contiguous(const struct guest_state *g, uint64_t va, size_t want,
			 uint64_t *pa)
{
	uint64_t left, page_left;
	gpa_t at, next;

	if (gwalk(&g->paging, GVA(va), GW_READ, &dom0_mem, &at, &left) != OK)
		return 0;
	while (left < want &&
	       gwalk(&g->paging, GVA(va + left), GW_READ, &dom0_mem, &next,
		     &page_left) == OK && next.v == at.v + left)
		left += page_left;
	*pa = at.v;
	return e820_is_ram(&dom0.map, at.v, left < want ? left : want) ? left :
									0;
}

/*
 * The value is a dom0-linear address; the CPU would read it through the VMM's
 * page tables. Hand it the same bytes in the direct map. SDM "Microcode
 * Update Loader"; AMD's loader takes the address of the header.
 */
static bool microcode_write(uint32_t msr, uint64_t value)
{
	static _Atomic unsigned said;
	bool intel = msr == MSR_IA32_BIOS_UPDT_TRIG;
	uint64_t head = intel ? value - UCODE_INTEL_HEADER : value;
	size_t want = UCODE_AMD_MAX, got;
	struct guest_state g;
	uint64_t pa;

	hv->snapshot(&this_cpu()->dom0, &g);
	if (intel) {
		if (contiguous(&g, head, UCODE_INTEL_HEADER, &pa) <
		    UCODE_INTEL_HEADER)
			return false;
		want = *(uint32_t *)((char *)hpa_ptr(HPA(pa)) +
				     UCODE_INTEL_SIZE);
		if (!want)
			want = UCODE_INTEL_DEFAULT;
	}
	got = contiguous(&g, head, want, &pa);
	if (!got)
		return false;
	if (intel && got < want) {
		log_few(&said, "luvalley: microcode update at %lx is not "
			   "contiguous in memory: not loaded\n", value);
		return true;
	}
	return wrmsr_safe(msr, DIRECT_BASE + pa + (value - head));
}

#define VMX LUV_ISA_VMX
#define SVM LUV_ISA_SVM
#define ANY 0
#define READER_R(p)  p##_read
#define READER_W(p)  NULL
#define READER_RW(p) p##_read
#define WRITER_R(p)  NULL
#define WRITER_W(p)  p##_write
#define WRITER_RW(p) p##_write

const struct msr_rule msr_rules[] = {
#define X(first, last, isa, trap, policy)                                      \
	{ first, last, isa, MSR_##trap, READER_##trap(policy),                 \
	  WRITER_##trap(policy) },
#include "msr.def"
#undef X
};
const size_t msr_rule_count = ARRAY_SIZE(msr_rules);

static const struct msr_rule *rule(uint32_t msr)
{
	for (size_t i = 0; i < msr_rule_count; i++)
		if (msr >= msr_rules[i].first && msr <= msr_rules[i].last &&
		    (!msr_rules[i].isa || msr_rules[i].isa == hv->isa))
			return &msr_rules[i];
	return NULL;
}

/*
 * An MSR without a rule exits only because the bitmaps do not cover its
 * number: the CPU's own answer, value or #GP.
 */
enum exit_action msr_read_exit(struct vcpu *v)
{
	uint32_t msr = (uint32_t)v->gpr[RCX];
	const struct msr_rule *r = rule(msr);
	uint64_t value;

	if (!(r && r->read ? r->read(msr, &value) : rdmsr_safe(msr, &value))) {
		hv->inject(v, VEC_GP, 0);
		return RESUME;
	}
	v->gpr[RAX] = (uint32_t)value;
	v->gpr[RDX] = value >> 32;
	return SKIP;
}

enum exit_action msr_write_exit(struct vcpu *v)
{
	uint32_t msr = (uint32_t)v->gpr[RCX];
	uint64_t value = v->gpr[RDX] << 32 | (uint32_t)v->gpr[RAX];
	const struct msr_rule *r = rule(msr);

	if (r && r->write ? r->write(msr, value) : wrmsr_safe(msr, value))
		return SKIP;
	hv->inject(v, VEC_GP, 0);
	return RESUME;
}

uint64_t msr_efer_bits(void)
{
	struct cpuid c = cpuid(0x80000001, 0);

	return EFER_SCE | EFER_LME | EFER_LMA |
	       (c.d & BIT(20) ? EFER_NXE : 0) |
	       (c.d & BIT(25) ? EFER_FFXSR : 0) |
	       (c.c & BIT(17) ? EFER_TCE : 0);
}
