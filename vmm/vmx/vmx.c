/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmx.c - Intel's virtualization behind the seam of hv.h: capabilities,
 * VMXON, the VMCS's contents, flushes. Running and exits are in run.c.
 * SDM volume 3C.
 */
#include "vmx.h"
#include "../console.h"
#include "../dom0.h"
#include "../dump.h"
#include "../io.h"
#include "../mem.h"
#include "../msr.h"
#include "../string.h"

#define PAT_RESET     0x0007040600070406ull
#define VMCS_REVISION(basic) ((uint32_t)(basic) & 0x7fffffff)
#define VMX_BASIC_TRUE BIT(55)
#define DR7_RESET     0x400
#define DOM0_VPID     1
/* Segment access rights as a VMCS holds them. */
#define AR_CODE16     0x9b
#define AR_DATA16     0x93
#define AR_LDT	      0x82
#define AR_TSS32      0x8b
#define MSR_BITMAP_HIGH	 1024 /* offset of C0000000h.. */
#define MSR_BITMAP_WRITE 2048

extern const char vmx_exit[];
extern const struct table_reg gdt_reg;

struct vmx_shared vmx;
static uint8_t *msr_bitmap, *io_bitmap;

/*
 * Each control MSR: low half must be one, high half may be one. Everything
 * in `need` must be settable, `want` is taken as far as it is.
 */
static const struct control {
	uint32_t msr;
	uint32_t need, want;
	const char *missing;
} controls[] = {
	[VMX_PIN] = { MSR_IA32_VMX_TRUE_PINBASED_CTLS,
		      PIN_NMI_EXITING | PIN_VIRTUAL_NMIS, 0,
		      "has VMX without virtual NMIs; use a newer CPU" },
	[VMX_PROC] = { MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
		       PROC_IO_BITMAPS | PROC_MSR_BITMAPS |
		       (uint32_t)PROC_SECONDARY, 0,
		       "has VMX without secondary controls; use a CPU with EPT "
		       "and unrestricted guest" },
	[VMX_PROC2] = { MSR_IA32_VMX_PROCBASED_CTLS2,
			PROC2_EPT | PROC2_UNRESTRICTED_GUEST,
			PROC2_RDTSCP | PROC2_VPID | PROC2_INVPCID |
			PROC2_XSAVES | PROC2_PT_GPA | PROC2_USER_WAIT,
			NULL /* probe() names which of the two */ },
	[VMX_EXIT] = { MSR_IA32_VMX_TRUE_EXIT_CTLS,
		       EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_SAVE_PAT |
		       EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER, 0,
		       "has VMX that cannot switch PAT and EFER; use a newer "
		       "CPU" },
	[VMX_ENTRY] = { MSR_IA32_VMX_TRUE_ENTRY_CTLS,
			ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER |
			ENTRY_IA32E, 0,
			"has VMX that cannot load PAT and EFER; use a newer "
			"CPU" },
};
_Static_assert(ARRAY_SIZE(controls) == VMX_CONTROLS, "one row each");

static uint32_t may_be_one(uint32_t msr)
{
	return (uint32_t)(rdmsr(msr) >> 32);
}

static const char *probe_ept(void)
{
	uint64_t cap;

	if (!(may_be_one(MSR_IA32_VMX_PROCBASED_CTLS2) & PROC2_EPT))
		return "has VMX without EPT; use a CPU with extended page "
		       "tables (Nehalem or newer)";
	if (!(may_be_one(MSR_IA32_VMX_PROCBASED_CTLS2) &
	      PROC2_UNRESTRICTED_GUEST))
		return "has VMX without unrestricted guest; use a CPU that "
		       "runs real mode in VMX (Westmere or newer)";
	cap = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);
	if ((~cap) & (EPT_CAP_WALK4 | EPT_CAP_WB | EPT_CAP_2M |
		      EPT_CAP_INVEPT))
		return "has EPT without 2 MiB pages, write-back or INVEPT; "
		       "use a newer CPU";
	return NULL;
}

static const char *vmx_probe(void)
{
	uint64_t fc;

	if (!(cpuid(1, 0).c & BIT(5)))
		return "has no VMX (CPUID 1:ECX.VMX) and no SVM; use a CPU "
		       "with VT-x or AMD-V, or let this virtual machine see it";
	fc = rdmsr(MSR_IA32_FEATURE_CONTROL);
	if ((fc & FEATURE_CONTROL_LOCK) && !(fc & FEATURE_CONTROL_VMX))
		return "has VMX locked off (IA32_FEATURE_CONTROL); enable VT-x "
		       "in the firmware's set-up and power-cycle";
	if (!(rdmsr(MSR_IA32_VMX_BASIC) & VMX_BASIC_TRUE))
		return "has VMX without the TRUE control MSRs; use a CPU with "
		       "EPT and unrestricted guest";
	if (!(may_be_one(MSR_IA32_VMX_TRUE_PROCBASED_CTLS) & PROC_SECONDARY))
		return "has VMX without EPT; use a CPU with extended page "
		       "tables (Nehalem or newer)";
	for (unsigned i = 0; i < VMX_CONTROLS; i++)
		if (controls[i].missing &&
		    (controls[i].need & ~may_be_one(controls[i].msr)))
			return controls[i].missing;
	return probe_ept();
}

static uint32_t control(enum vmx_control i)
{
	uint64_t cap = rdmsr(controls[i].msr);
	uint32_t v = controls[i].need |
		     (controls[i].want & (uint32_t)(cap >> 32));

	if (i == VMX_ENTRY)
		v &= ~(uint32_t)ENTRY_IA32E; /* dom0 starts in real mode */
	return v | (uint32_t)cap;
}

static uint64_t ept_leaf(unsigned perm, enum mtrr_type type)
{
	return perm | (uint64_t)type << 3;
}

static struct stage2_format ept = { .leaf = ept_leaf, .has_types = true };

/* SDM "MSR-Bitmap Address": one bit an MSR, reads then writes. */
static void msr_bitmap_set(uint32_t msr, unsigned trap)
{
	uint8_t *at = msr_bitmap;

	if (msr >= 0xc0000000 && msr < 0xc0002000)
		at += MSR_BITMAP_HIGH;
	else if (msr >= 0x2000)
		return;
	msr &= 0x1fff;
	if (trap & MSR_R)
		at[msr / 8] |= (uint8_t)(1u << msr % 8);
	if (trap & MSR_W)
		at[MSR_BITMAP_WRITE + msr / 8] |= (uint8_t)(1u << msr % 8);
}

static void vmx_init(void)
{
	uint16_t ports[IO_TRAP_MAX];
	unsigned n = io_trapped(ports);
	uint64_t cap = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);

	msr_bitmap = mem_need(PAGE_SIZE, PAGE_SIZE, "the MSR bitmap");
	io_bitmap = mem_need(2 * PAGE_SIZE, PAGE_SIZE, "the I/O bitmaps");
	for (size_t i = 0; i < msr_rule_count; i++)
		if (msr_rules[i].isa != LUV_ISA_SVM)
			for (uint32_t m = msr_rules[i].first;
			     m <= msr_rules[i].last; m++)
				msr_bitmap_set(m, msr_rules[i].trap);
	for (unsigned i = 0; i < n; i++)
		io_bitmap[ports[i] / 8] |= (uint8_t)(1u << ports[i] % 8);
	ept.has_1g = cap & EPT_CAP_1G;
	machine.hw_apic = vmx_apic_probe();
	vmx.invept_type = cap & EPT_CAP_INVEPT_ONE ? INVEPT_ONE : INVEPT_ALL;
	vmx_domu_maps();
	dom0_init(&ept);
	vmx.eptp = ptr_hpa(dom0.s2.root).v | EPTP_WB_WALK4;
}

static void host_state(void)
{
	struct table_reg idtr;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	vmwrite(VMCS_HOST_CR0, read_cr0());
	vmwrite(VMCS_HOST_CR3, read_cr3());
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_CS_SELECTOR, SEL_CODE64);
	vmwrite(VMCS_HOST_SS_SELECTOR, SEL_DATA);
	vmwrite(VMCS_HOST_DS_SELECTOR, SEL_DATA);
	vmwrite(VMCS_HOST_ES_SELECTOR, SEL_DATA);
	vmwrite(VMCS_HOST_FS_SELECTOR, 0);
	vmwrite(VMCS_HOST_GS_SELECTOR, 0);
	vmwrite(VMCS_HOST_TR_SELECTOR, SEL_TSS);
	vmwrite(VMCS_HOST_FS_BASE, 0);
	vmwrite(VMCS_HOST_GS_BASE, 0);
	vmwrite(VMCS_HOST_TR_BASE, 0);
	vmwrite(VMCS_HOST_GDTR_BASE, gdt_reg.base);
	vmwrite(VMCS_HOST_IDTR_BASE, idtr.base);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_IA32_PAT, rdmsr(MSR_IA32_PAT));
	vmwrite(VMCS_HOST_IA32_EFER, rdmsr(MSR_IA32_EFER));
	vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_exit);
}

static void control_state(void)
{
	vmwrite(VMCS_PINBASED_CTLS, control(VMX_PIN));
	vmwrite(VMCS_PROCBASED_CTLS, control(VMX_PROC));
	vmwrite(VMCS_PROCBASED_CTLS2, control(VMX_PROC2));
	vmwrite(VMCS_EXIT_CTLS, control(VMX_EXIT));
	vmwrite(VMCS_ENTRY_CTLS, control(VMX_ENTRY));
	vmwrite(VMCS_EXCEPTION_BITMAP, 0);
	vmwrite(VMCS_PAGE_FAULT_MASK, 0);
	vmwrite(VMCS_PAGE_FAULT_MATCH, 0);
	vmwrite(VMCS_CR3_TARGET_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, 0);
	vmwrite(VMCS_IO_BITMAP_A, ptr_hpa(io_bitmap).v);
	vmwrite(VMCS_IO_BITMAP_B, ptr_hpa(io_bitmap).v + PAGE_SIZE);
	vmwrite(VMCS_MSR_BITMAPS, ptr_hpa(msr_bitmap).v);
	vmwrite(VMCS_EPT_POINTER, vmx.eptp);
	if (control(VMX_PROC2) & PROC2_VPID)
		vmwrite(VMCS_VPID, DOM0_VPID);
	if (control(VMX_PROC2) & PROC2_XSAVES)
		vmwrite(VMCS_XSS_EXITING_BITMAP, 0);
	vmwrite(VMCS_VMCS_LINK_POINTER, ~0ull);
}

static void *vmx_region(const char *what)
{
	uint32_t *p = mem_need(PAGE_SIZE, PAGE_SIZE, what);

	*p = VMCS_REVISION(rdmsr(MSR_IA32_VMX_BASIC));
	return p;
}

static void vmx_enable(struct cpu *cpu)
{
	struct vcpu *v = &cpu->dom0;
	uint64_t fc = rdmsr(MSR_IA32_FEATURE_CONTROL);

	if (!(fc & FEATURE_CONTROL_LOCK))
		wrmsr(MSR_IA32_FEATURE_CONTROL, fc | FEATURE_CONTROL_LOCK |
						FEATURE_CONTROL_VMX);
	write_cr0((read_cr0() | rdmsr(MSR_IA32_VMX_CR0_FIXED0)) &
		  rdmsr(MSR_IA32_VMX_CR0_FIXED1));
	write_cr4((read_cr4() | rdmsr(MSR_IA32_VMX_CR4_FIXED0) |
		   (cpuid(1, 0).c & BIT(26) ? CR4_OSXSAVE : 0)) &
		  rdmsr(MSR_IA32_VMX_CR4_FIXED1));
	cpu->vmxon = vmx_region("the VMXON region");
	cpu->vmxon_pa = ptr_hpa(cpu->vmxon);
	v->hw = vmx_region("a VMCS");
	v->hw_pa = ptr_hpa(v->hw);
	if (!vmxon(&cpu->vmxon_pa) || !vmclear(&v->hw_pa) || !vmptrld(&v->hw_pa))
		panic("VMXON or VMPTRLD failed on CPU %u", cpu->index);
	host_state();
	control_state();
	vmx_domu_cpu(cpu);
	if (!vmx_apic_probe())
		machine.hw_apic = false;
}

static void segment(unsigned i, uint16_t selector, uint64_t base, uint32_t ar)
{
	vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * i, selector);
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, 0xffff);
	vmwrite(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * i, ar);
	vmwrite(VMCS_GUEST_ES_BASE + 2 * i, base);
}

void vmx_common_state(void)
{
	host_state();
	control_state();
}

void vmx_guest_reset(struct vcpu *v, uint16_t cs, uint16_t ip)
{
	enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

	memset(v->gpr, 0, sizeof(v->gpr));
	v->nmi_pending = v->nmi_window = false;
	v->gpr[RDX] = cpuid(1, 0).a; /* family, model, stepping */
	for (unsigned i = ES; i <= GS; i++)
		segment(i, 0, 0, AR_DATA16);
	segment(CS, cs, (uint64_t)cs << 4, AR_CODE16);
	segment(LDTR, 0, 0, AR_LDT);
	segment(TR, 0, 0, AR_TSS32);
	vmwrite(VMCS_GUEST_GDTR_BASE, 0);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, 0xffff);
	vmwrite(VMCS_GUEST_IDTR_BASE, 0);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, 0xffff);
	vmwrite(VMCS_CR0_MASK, CR0_NE);
	vmwrite(VMCS_CR0_READ_SHADOW, CR0_ET);
	vmwrite(VMCS_GUEST_CR0, CR0_ET | CR0_NE);
	vmwrite(VMCS_CR4_MASK, v->vm ? ~CR4_DOMU : CR4_VMXE | CR4_SMXE);
	vmwrite(VMCS_CR4_READ_SHADOW, 0);
	vmwrite(VMCS_GUEST_CR4, CR4_VMXE);
	vmwrite(VMCS_GUEST_CR3, 0);
	vmwrite(VMCS_GUEST_DR7, DR7_RESET);
	vmwrite(VMCS_GUEST_RSP, 0);
	vmwrite(VMCS_GUEST_RIP, ip);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_R1);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_ACTIVITY, 0);
	vmwrite(VMCS_GUEST_IA32_DEBUGCTL, 0);
	vmwrite(VMCS_GUEST_IA32_PAT, PAT_RESET);
	vmwrite(VMCS_GUEST_IA32_EFER, 0);
	vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
}

static void vmx_reset(struct vcpu *v, uint16_t cs, uint16_t ip)
{
	control_state();
	vmx_guest_reset(v, cs, ip);
	vmx_flush(v);
}

void vmx_flush(struct vcpu *v)
{
	(void)v;
	invept(vmx.invept_type, vmx.eptp);
}

static void vmx_disable(void)
{
	vmxoff();
}

static void vmx_listen(void)
{
	/* NMIs reach the IDT in VMX root operation at all times. */
}

const struct hv_ops vmx_ops = {
	.name = "VMX with EPT",
	.isa = LUV_ISA_VMX,
	.probe = vmx_probe,
	.init = vmx_init,
	.enable = vmx_enable,
	.reset = vmx_reset,
	.loop = vmx_loop,
	.inject_nmi = vmx_inject_nmi,
	.advance = vmx_advance,
	.inject = vmx_inject,
	.own = vmx_own,
	.flush = vmx_flush,
	.cr4 = vmx_cr4,
	.efer = vmx_efer,
	.trace_dom0 = vmx_trace_dom0,
	.trace_domu = vmx_trace_domu,
	.trace_context = vmx_trace_context,
	.rip = vmx_rip,
	.paging = vmx_paging,
	.snapshot = vmx_snapshot,
	.listen = vmx_listen,
	.dump = vmx_dump,
	.domu_init = vmx_domu_init,
	.domu_enter = vmx_domu_enter,
	.domu_leave = vmx_domu_leave,
	.domu_ready = vmx_domu_ready,
	.domu_queue = vmx_domu_queue,
	.domu_window = vmx_domu_window,
	.domu_get = vmx_domu_get,
	.domu_set = vmx_domu_set,
	.domu_share = vmx_domu_share,
	.domu_take_back = vmx_domu_take_back,
	.domu_reset = vmx_domu_reset,
	.domu_rdmsr = vmx_domu_rdmsr,
	.domu_wrmsr = vmx_domu_wrmsr,
	.domu_tsc = vmx_domu_tsc,
	.domu_sync = vmx_domu_sync,
	.domu_tpr = vmx_domu_tpr,
	.domu_drs = vmx_domu_drs,
	.domu_debug_exit = vmx_domu_debug_exit,
	.disable = vmx_disable,
};
