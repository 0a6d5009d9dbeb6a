/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apic.c - a domU's local APIC where the processor virtualizes all of it: TPR
 * shadow, APIC-register virtualization, virtual-interrupt delivery, and the
 * xAPIC page or the x2APIC MSRs. The registers of struct vlapic are the
 * virtual-APIC page; a request waits in vlapic.irr until its vCPU's own CPU
 * moves it there and tells RVI, which is why there are no posted interrupts:
 * a running vCPU is kicked, as without all this.
 * SDM "APIC Virtualization and Virtual Interrupts".
 */
#include "vmx.h"
#include "../dom0.h"
#include "../domu.h"
#include "../mem.h"
#include "../string.h"

#define PROC2_APIC (PROC2_APIC_ACCESSES | PROC2_X2APIC | \
		    PROC2_APIC_REGISTERS | PROC2_VIRTUAL_INTR)
#define MSR_BITMAP_WRITE 2048
#define LAST(r)		 (BIT(r) | (BIT(r) - 1))
#define FROM_TO(a, b)	 (LAST(b) & ~(BIT(a) - 1))

/*
 * x2APIC registers that read as they lie in the page, and those whose writes
 * the processor carries out. The ICR's halves do not lie together.
 */
#define READ (BIT(VLAPIC_ID) | BIT(VLAPIC_VERSION) | BIT(VLAPIC_TPR) | \
	      BIT(VLAPIC_PPR) | BIT(VLAPIC_LDR) | BIT(VLAPIC_SVR) | \
	      FROM_TO(VLAPIC_ISR, VLAPIC_ESR) | \
	      FROM_TO(VLAPIC_LVTT, VLAPIC_TMICT) | BIT(VLAPIC_TDCR))
#define WRITE (BIT(VLAPIC_TPR) | BIT(VLAPIC_EOI) | BIT(VLAPIC_SELF_IPI))
_Static_assert(VLAPIC_REGS == 64, "a bit each");

static const uint8_t *plain, *x2apic; /* MSR bitmaps */

bool vmx_apic_probe(void)
{
	uint64_t proc = rdmsr(MSR_IA32_VMX_TRUE_PROCBASED_CTLS) >> 32;
	uint64_t proc2 = rdmsr(MSR_IA32_VMX_PROCBASED_CTLS2) >> 32;

	return dom0.opt.apicv && (proc & PROC_TPR_SHADOW) &&
	       (proc2 & PROC2_APIC) == PROC2_APIC;
}

static void open(uint8_t *map, uint64_t registers)
{
	for (unsigned i = 0; i < 8; i++)
		map[MSR_IA32_X2APIC_BASE / 8 + i] &= (uint8_t)~(registers >> 8 * i);
}

void vmx_apic_maps(const uint8_t *msrs)
{
	uint8_t *map = mem_need(PAGE_SIZE, PAGE_SIZE, "x2APIC's MSR bitmap");

	memcpy(map, msrs, PAGE_SIZE);
	open(map, READ);
	open(map + MSR_BITMAP_WRITE, WRITE);
	plain = msrs;
	x2apic = map;
}

/*
 * What a vCPU whose xAPIC is off or elsewhere finds at its place: memory of
 * nobody's. Without it the owner decodes each access.
 */
static void access_page(struct vm *vm)
{
	void *page;

	lock(&vm->lock);
	page = vm->apic_page ? NULL : mem_page();
	if (page && stage2_map(&vm->s2, GPA(VLAPIC_BASE_RESET),
			       ptr_hpa(page).v, PAGE_SIZE, S2_R | S2_W,
			       MTRR_WB) == OK)
		vm->apic_page = page;
	else
		mem_page_free(page);
	unlock(&vm->lock);
}

void vmx_apic_init(struct vcpu *v)
{
	struct domu *u = v->domu;

	access_page(v->vm);
	vmwrite(VMCS_PROCBASED_CTLS,
		(vmread(VMCS_PROCBASED_CTLS) &
		 ~(PROC_CR8_LOAD | PROC_CR8_STORE)) | PROC_TPR_SHADOW);
	vmwrite(VMCS_PROCBASED_CTLS2, vmread(VMCS_PROCBASED_CTLS2) |
					      PROC2_APIC_REGISTERS |
					      PROC2_VIRTUAL_INTR);
	vmwrite(VMCS_VIRTUAL_APIC_ADDRESS, ptr_hpa(&u->apic).v);
	if (v->vm->apic_page)
		vmwrite(VMCS_APIC_ACCESS_ADDRESS,
			ptr_hpa(v->vm->apic_page).v);
	vmwrite(VMCS_TPR_THRESHOLD, 0);
	for (unsigned i = 0; i < 4; i++)
		vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, 0);
	u->apic.changed = true;
}

void vmx_apic_enter(struct vcpu *v)
{
	struct domu *u = v->domu;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t told = v->vm->told_eoi[i];

		if (u->eoi_exit[i] == told)
			continue;
		u->eoi_exit[i] = told;
		vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, told);
	}
}

/* The mode that IA32_APIC_BASE says. */
static void mode(struct vcpu *v)
{
	const struct vlapic *a = &v->domu->apic;
	uint64_t was = vmread(VMCS_PROCBASED_CTLS2);
	uint64_t is = was & ~(PROC2_APIC_ACCESSES | PROC2_X2APIC);

	if (vlapic_x2apic(a))
		is |= PROC2_X2APIC;
	else if (v->vm->apic_page && (a->base & ~VLAPIC_BASE_BSP) ==
			       (VLAPIC_BASE_RESET | VLAPIC_BASE_EN))
		is |= PROC2_APIC_ACCESSES;
	if (is == was)
		return;
	vmwrite(VMCS_PROCBASED_CTLS2, is);
	vmwrite(VMCS_MSR_BITMAPS,
		ptr_hpa(is & PROC2_X2APIC ? x2apic : plain).v);
	vmx_domu_flush(v);
}

/* Without all this CR8 exits, and the APIC's TPR is what it is. */
void vmx_domu_sync(struct vcpu *v)
{
	struct domu *u = v->domu;

	if (!u->hw_apic)
		return;
	vlapic_collect(&u->apic);
	if (!u->apic.changed || v->cpu->current != v)
		return;
	u->apic.changed = false;
	mode(v);
	vmwrite(VMCS_GUEST_INTERRUPT_STATUS, vlapic_status(&u->apic));
}

void vmx_domu_tpr(struct vcpu *v)
{
	v->domu->apic.changed = true;
}
