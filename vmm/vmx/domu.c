/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu.c - a domU under VMX: its VMCS, the world switch, its state. The VMCS
 * is cleared whenever the domU stops running, so that it may go on on another
 * CPU; meanwhile get and set make it current for their own time.
 * SDM "Guest Register State", "VMCS Maintenance Region", "VMCLEAR".
 */
#include "vmx.h"
#include "../dom0.h"
#include "../domu.h"
#include "../dump.h"
#include "../mem.h"
#include "../msr.h"
#include "../string.h"

#define PIN_INTR_EXITING  BIT(0)
#define PROC_INTR_WINDOW  BIT(2)
#define PROC_TSC_OFFSETTING BIT(3)
#define PROC_HLT_EXITING  BIT(7)
#define PROC_MWAIT_EXITING BIT(10)
#define PROC_RDPMC_EXITING BIT(11)
#define PROC_DR_EXITING	  BIT(23)
#define PROC_IO_EXITING	  BIT(24)
#define DR7_ENABLES	  0xff
#define PROC_MONITOR_EXITING BIT(29)
#define DOMU_VPID	  2
#define PAT_RESET	  0x0007040600070406ull
#define AR_L		  BIT(13)
#define AR_UNUSABLE	  BIT(16)
#define UNUSABLE	  BIT(8) /* of struct luv_segment */
#define EPTP_WB_WALK4	  (6 | 3 << 3)
/* TSC ticks from one PAUSE to the next of a loop, and of a loop; KVM's. */
#define PLE_GAP		  128
#define PLE_WINDOW	  4096

static const uint32_t msrs[6] = DOMU_MSRS;
static uint8_t *msr_bitmap;

static void pass_msr(uint32_t msr, unsigned how)
{
	uint8_t *at = msr_bitmap + (msr >= 0xc0000000 ? 1024 : 0);

	msr &= 0x1fff;
	at[msr / 8] &= (uint8_t)~(1u << msr % 8);
	if (how & MSR_W)
		at[2048 + msr / 8] &= (uint8_t)~(1u << msr % 8);
}

COLD void vmx_domu_maps(void)
{
	msr_bitmap = mem_need(PAGE_SIZE, PAGE_SIZE, "domU's MSR bitmap");
	memset(msr_bitmap, 0xff, PAGE_SIZE);
	pass_msr(msrs[MSR_SLOT_KERNEL_GS], MSR_RW);
	pass_msr(MSR_IA32_EFER, MSR_R);
	pass_msr(MSR_IA32_PAT, MSR_RW);
	pass_msr(MSR_IA32_FS_BASE, MSR_RW);
	pass_msr(MSR_IA32_GS_BASE, MSR_RW);
	for (uint32_t m = MSR_IA32_SYSENTER_CS; m <= MSR_IA32_SYSENTER_EIP; m++)
		pass_msr(m, MSR_RW);
	if (machine.hw_apic)
		vmx_apic_maps(msr_bitmap);
}

/* What this CPU has in the MSRs whose writes exit from here on. */
void vmx_domu_cpu(struct cpu *cpu)
{
	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
		if (!rdmsr_safe(msrs[i], &cpu->msr[i]))
			cpu->msr[i] = 0;
}

static void current(struct vcpu *v)
{
	if (!vmptrld(&v->hw_pa))
		panic("VMPTRLD of %lx failed", v->hw_pa.v);
}

/* Off this CPU; VMLAUNCH next time. */
static void release(struct vcpu *v, struct vcpu *d)
{
	if (!vmclear(&v->hw_pa))
		panic("VMCLEAR of %lx failed", v->hw_pa.v);
	v->launched = 0;
	current(d);
}

COLD void vmx_domu_init(struct vcpu *v)
{
	struct vcpu *d = &this_cpu()->dom0;
	uint64_t pin, proc;

	*(uint32_t *)v->hw = *(uint32_t *)d->hw; /* revision */
	if (!vmclear(&v->hw_pa))
		panic("VMCLEAR of %lx failed", v->hw_pa.v);
	current(v);
	vmx_common_state();
	pin = vmread(VMCS_PINBASED_CTLS);
	proc = vmread(VMCS_PROCBASED_CTLS);
	vmwrite(VMCS_PINBASED_CTLS, pin | PIN_INTR_EXITING);
	vmwrite(VMCS_PROCBASED_CTLS,
		(proc & ~PROC_IO_BITMAPS) | PROC_IO_EXITING | PROC_HLT_EXITING |
			PROC_MWAIT_EXITING | PROC_MONITOR_EXITING |
			PROC_RDPMC_EXITING |
			PROC_TSC_OFFSETTING | PROC_CR8_LOAD | PROC_CR8_STORE);
	/* What would use dom0's MSRs is not there. */
	vmwrite(VMCS_PROCBASED_CTLS2,
		vmread(VMCS_PROCBASED_CTLS2) &
			~(PROC2_XSAVES | PROC2_PT_GPA | PROC2_USER_WAIT));
	vmwrite(VMCS_MSR_BITMAPS, ptr_hpa(msr_bitmap).v);
	vmwrite(VMCS_EPT_POINTER, ptr_hpa(v->vm->s2.root).v | EPTP_WB_WALK4);
	if (vmread(VMCS_PROCBASED_CTLS2) & PROC2_VPID)
		vmwrite(VMCS_VPID, DOMU_VPID);
	if (rdmsr(MSR_IA32_VMX_PROCBASED_CTLS2) >> 32 & PROC2_PAUSE_LOOP) {
		vmwrite(VMCS_PROCBASED_CTLS2,
			vmread(VMCS_PROCBASED_CTLS2) | PROC2_PAUSE_LOOP);
		vmwrite(VMCS_PLE_GAP, PLE_GAP);
		vmwrite(VMCS_PLE_WINDOW, PLE_WINDOW);
	}
	if (v->domu->hw_apic)
		vmx_apic_init(v);
	vmx_guest_reset(v, 0xf000, 0xfff0);
	vmx_domu_drs(v, false);
	release(v, d);
}

void vmx_domu_flush(struct vcpu *v)
{
	struct { uint64_t vpid, address; } all = { DOMU_VPID, 0 };

	invept(vmx.invept_type, vmread(VMCS_EPT_POINTER));
	if (vmread(VMCS_PROCBASED_CTLS2) & PROC2_VPID)
		__asm__ volatile("invvpid %0, %1" ::"m"(all), "r"(2ul)
				 : "cc", "memory"); /* all contexts */
	(void)v;
}

static inline __attribute__((always_inline)) void
switch_msr(const uint64_t *old, const uint64_t *new_, unsigned i)
{
	if (old[i] != new_[i])
		wrmsr(msrs[i], new_[i]);
}

/*
 * Only KERNEL_GS_BASE changes without an exit, by SWAPGS; the others are known.
 * TSC_AUX is 0 in both where there is none.
 */
static void msrs_switch(uint64_t *old, const uint64_t *new_, bool syscall)
{
	old[MSR_SLOT_KERNEL_GS] = rdmsr(msrs[MSR_SLOT_KERNEL_GS]);
	switch_msr(old, new_, MSR_SLOT_KERNEL_GS);
	switch_msr(old, new_, MSR_SLOT_TSC_AUX);
	if (!syscall)
		return;
	switch_msr(old, new_, 0);
	switch_msr(old, new_, 1);
	switch_msr(old, new_, 2);
	switch_msr(old, new_, 3);
}

/* From now on the guest finds its own in the processor when it uses them. */
static void own_syscall(struct domu *u)
{
	if (u->syscall)
		return;
	u->syscall = true;
	for (unsigned i = 0; i < SYSCALL_MSRS; i++)
		wrmsr(msrs[i], u->msr[i]);
}

bool vmx_domu_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	if (msr - msrs[0] >= SYSCALL_MSRS)
		return false;
	*value = v->domu->msr[msr - msrs[0]];
	return true;
}

bool vmx_domu_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value, bool *ok)
{
	if (msr - msrs[0] >= SYSCALL_MSRS)
		return false;
	own_syscall(v->domu);
	*ok = wrmsr_safe(msr, value);
	v->domu->msr[msr - msrs[0]] = rdmsr(msr);
	return true;
}

uint64_t vmx_efer(struct vcpu *v, const uint64_t *value)
{
	uint64_t now = vmread(VMCS_GUEST_IA32_EFER);

	if (!value)
		return now;
	if ((*value & ~msr_efer_bits()) ||
	    ((vmread(VMCS_GUEST_CR0) & CR0_PG) && ((*value ^ now) & EFER_LME)))
		return ~*value;
	if (*value & EFER_SCE)
		own_syscall(v->domu);
	vmwrite(VMCS_GUEST_IA32_EFER, (*value & ~EFER_LMA) | (now & EFER_LMA));
	vmx_domu_flush(v);
	return *value;
}

static uint64_t read_dr6(void)
{
	uint64_t v;

	__asm__ volatile("mov %%dr6, %0" : "=r"(v));
	return v;
}

/* Most often both have what reset leaves, and the write is slow. */
static inline uint64_t switch_dr6(uint64_t new_)
{
	uint64_t old = read_dr6();

	if (old != new_)
		__asm__ volatile("mov %0, %%dr6" ::"r"(new_));
	return old;
}

void vmx_domu_enter(struct vcpu *d, struct vcpu *v, bool stale)
{
	struct cpu *cpu = d->cpu;
	struct domu *u = v->domu;

	msrs_switch(cpu->msr, u->msr, u->syscall);
	cpu->cr2 = read_cr2();
	write_cr2(u->cr2);
	cpu->dr6 = switch_dr6(u->dr6);
	current(v);
	if (u->hw_apic)
		vmx_apic_enter(v);
	if (stale) { /* perhaps from another CPU */
		vmwrite(VMCS_HOST_CR3, read_cr3());
		vmwrite(VMCS_HOST_RSP, cpu->host_rsp);
		vmx_domu_flush(v);
	}
}

void vmx_domu_leave(struct vcpu *d, struct vcpu *v)
{
	struct cpu *cpu = d->cpu;
	struct domu *u = v->domu;

	u->cr2 = read_cr2();
	write_cr2(cpu->cr2);
	u->dr6 = switch_dr6(cpu->dr6);
	msrs_switch(u->msr, cpu->msr, u->syscall);
	release(v, d);
}

unsigned vmx_domu_ready(struct vcpu *v)
{
	bool enabled = vmread_core(VMCS_GUEST_RFLAGS) & RFLAGS_IF;

	return enabled |
	       (unsigned)(enabled &&
			  !(vmread_core(VMCS_GUEST_INTERRUPTIBILITY) &
			    (BLOCKING_STI | BLOCKING_MOV_SS)) &&
			  !(vmread_core(VMCS_ENTRY_INTERRUPTION_INFO) &
			    INTR_INFO_VALID)) << 1 |
	       (v->domu->apic.reg[VLAPIC_TPR].v >> 4 & 15) << 8;
}

void vmx_domu_queue(struct vcpu *v, uint32_t event)
{
	(void)v;
	vmwrite_core(VMCS_ENTRY_INTERRUPTION_INFO,
		INTR_INFO_VALID | (event & 0xff));
}

/* What only CR8 holds off waits for a CR8 write, which exits. */
void vmx_domu_window(struct vcpu *v, unsigned class)
{
	bool on = class == WINDOW_ANY;
	uint64_t c;

	if (v->domu->window == on)
		return;
	c = vmread(VMCS_PROCBASED_CTLS);
	v->domu->window = on;
	vmwrite(VMCS_PROCBASED_CTLS,
		on ? c | PROC_INTR_WINDOW : c & ~PROC_INTR_WINDOW);
}

void vmx_domu_tsc(struct vcpu *v)
{
	vmwrite(VMCS_TSC_OFFSET, v->domu->tsc_offset);
}

COLD void vmx_domu_reset(struct vcpu *v, uint16_t cs, uint16_t ip)
{
	vmx_guest_reset(v, cs, ip);
	vmwrite(VMCS_ENTRY_CTLS, vmread(VMCS_ENTRY_CTLS) & ~ENTRY_IA32E);
	vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, 0);
	vmx_domu_tpr(v);
	vmx_domu_flush(v);
}

COLD bool vmx_domu_drs(struct vcpu *v, bool use)
{
	uint64_t c = vmread(VMCS_PROCBASED_CTLS);

	(void)v;
	use |= (vmread(VMCS_GUEST_DR7) & DR7_ENABLES) != 0;
	vmwrite(VMCS_PROCBASED_CTLS,
		use ? c & ~PROC_DR_EXITING : c | PROC_DR_EXITING);
	return use;
}

/*
 * The step over STI or MOV to SS leaves their shadow: VM entry would want a
 * pending #DB with it and RFLAGS.TF. SDM "Checks on Guest Non-Register State".
 */
static void unblock(const struct vcpu *v)
{
	if (v->domu->debug & LUV_DEBUG_STEP)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			vmread(VMCS_GUEST_INTERRUPTIBILITY) &
				~(BLOCKING_STI | BLOCKING_MOV_SS));
}

/* Without the fields that a #DB has saved in DR6 already: SDM "VM Exits". */
bool vmx_domu_debug_exit(struct vcpu *v, uint64_t *dr6)
{
	unsigned vector = v->exit->info2 & 0xff;

	unblock(v);
	*dr6 = vector == VEC_DB ? (v->exit->info1 & 0x600f) | 0xffff0ff0 :
				  ~0ull;
	return vector == VEC_DB || vector == VEC_BP;
}

/* Segments in the VMCS's order: ES CS SS DS FS GS LDTR TR. */
static void get_segment(struct luv_segment *s, unsigned i)
{
	uint64_t ar = vmread_core(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * i);

	*s = (struct luv_segment){
		vmread_core(VMCS_GUEST_ES_BASE + 2 * i),
		(uint32_t)vmread_core(VMCS_GUEST_ES_LIMIT + 2 * i),
		(uint16_t)vmread_core(VMCS_GUEST_ES_SELECTOR + 2 * i),
		(uint16_t)(ar & 0xf0ff),
	};
	if (ar & AR_UNUSABLE)
		s->attrib |= UNUSABLE;
}

static void set_segment(const struct luv_segment *s, unsigned i)
{
	uint64_t ar = s->attrib & UNUSABLE || !(s->attrib & BIT(7)) ?
			      AR_UNUSABLE : s->attrib & 0xf0ffu;

	vmwrite(VMCS_GUEST_ES_BASE + 2 * i, s->base);
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, s->limit);
	vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * i, s->selector);
	vmwrite(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * i, ar);
}

/* X(member of struct luv_vcpu, field) */
#define SAME(X)                                                                \
	X(rip, GUEST_RIP) X(rflags, GUEST_RFLAGS) X(cr3, GUEST_CR3)            \
	X(dr7, GUEST_DR7) X(pat, GUEST_IA32_PAT) X(efer, GUEST_IA32_EFER)      \
	X(sysenter_cs, GUEST_SYSENTER_CS) X(sysenter_esp, GUEST_SYSENTER_ESP)  \
	X(sysenter_eip, GUEST_SYSENTER_EIP) X(gdt_base, GUEST_GDTR_BASE)       \
	X(idt_base, GUEST_IDTR_BASE)

static uint64_t guest_cr0(void)
{
	return (vmread_core(VMCS_GUEST_CR0) & ~CR0_NE) |
	       (vmread_core(VMCS_CR0_READ_SHADOW) & CR0_NE);
}

COLD void vmx_domu_get(struct vcpu *v, struct luv_vcpu *s)
{
	struct luv_segment *segs[] = { &s->es, &s->cs, &s->ss, &s->ds,
				       &s->fs, &s->gs, &s->ldtr, &s->tr };

	current(v);
	memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->gpr[RSP] = vmread(VMCS_GUEST_RSP);
#define X(member, field) s->member = vmread(VMCS_##field);
	SAME(X)
#undef X
	for (unsigned i = 0; i < ARRAY_SIZE(segs); i++)
		get_segment(segs[i], i);
	s->cr0 = guest_cr0();
	s->cr4 = vmread(VMCS_GUEST_CR4) & ~CR4_VMXE;
	s->cr2 = v->domu->cr2;
	s->gdt_limit = (uint32_t)vmread(VMCS_GUEST_GDTR_LIMIT);
	s->idt_limit = (uint32_t)vmread(VMCS_GUEST_IDTR_LIMIT);
	memcpy(s->dr, v->domu->dr, sizeof(s->dr));
	s->dr6 = v->domu->dr6;
	memcpy(&s->star, v->domu->msr, sizeof(v->domu->msr));
	s->shadow = vmread(VMCS_GUEST_INTERRUPTIBILITY) & 3;
	s->nmi |= vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKING_NMI ?
			  LUV_NMI_BLOCKED : 0;
	s->cr8 = v->domu->apic.reg[VLAPIC_TPR].v >> 4;
	if (v->domu->debug & LUV_DEBUG_STEP)
		s->rflags &= ~RFLAGS_TF;
	s->event = (uint32_t)vmread(VMCS_ENTRY_INTERRUPTION_INFO);
	if (INTR_INFO_TYPE(s->event) >= INTR_TYPE_SOFT)
		s->event = 0; /* RIP is at the INT n: it is executed again */
	s->event_error = (uint32_t)vmread(VMCS_ENTRY_EXCEPTION_ERROR_CODE);
	release(v, &this_cpu()->dom0);
}
_Static_assert(offsetof(struct luv_vcpu, tsc_aux) ==
	       offsetof(struct luv_vcpu, star) + 5 * 8, "order of DOMU_MSRS");

void vmx_domu_share(struct vcpu *v, struct luv_shared *s)
{
	v->gpr[RSP] = vmread_core(VMCS_GUEST_RSP);
	__builtin_memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->rip = vmread_core(VMCS_GUEST_RIP);
	s->rflags = vmread_core(VMCS_GUEST_RFLAGS);
	s->cr0 = guest_cr0();
	s->cr3 = vmread_core(VMCS_GUEST_CR3);
	s->cr4 = vmread_core(VMCS_GUEST_CR4) & ~CR4_VMXE;
	s->efer = vmread_core(VMCS_GUEST_IA32_EFER);
	get_segment(&s->cs, 1);
	get_segment(&s->ss, 2);
	get_segment(&s->fs, 4);
	get_segment(&s->gs, 5);
	if ((s->efer & EFER_LMA) && (s->cs.attrib & AR_L))
		return;
	get_segment(&s->es, 0);
	get_segment(&s->ds, 3);
}

void vmx_domu_take_back(struct vcpu *v, const struct luv_shared *s)
{
	uint64_t blocking = vmread_core(VMCS_GUEST_INTERRUPTIBILITY);

	__builtin_memcpy(v->gpr, s->gpr, sizeof(s->gpr));
	vmwrite(VMCS_GUEST_RSP, v->gpr[RSP]);
	vmwrite(VMCS_GUEST_RIP, s->rip);
	vmwrite(VMCS_GUEST_RFLAGS,
		(vmread_core(VMCS_GUEST_RFLAGS) & ~(uint64_t)LUV_SHARED_RFLAGS) |
			(s->rflags & LUV_SHARED_RFLAGS));
	if (blocking & (BLOCKING_STI | BLOCKING_MOV_SS))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			blocking & ~(BLOCKING_STI | BLOCKING_MOV_SS));
}

static void set_debug(const struct luv_vcpu *s)
{
	vmwrite(VMCS_EXCEPTION_BITMAP,
		s->debug & LUV_DEBUG_ON ? BIT(VEC_DB) | BIT(VEC_BP) : 0);
	if (s->debug & LUV_DEBUG_STEP)
		vmwrite(VMCS_GUEST_RFLAGS,
			vmread(VMCS_GUEST_RFLAGS) | RFLAGS_TF);
	if (s->debug & LUV_DEBUG_HW)
		vmwrite(VMCS_GUEST_DR7, s->debug_dr7);
}

COLD void vmx_domu_set(struct vcpu *v, const struct luv_vcpu *s)
{
	const struct luv_segment *segs[] = { &s->es, &s->cs, &s->ss, &s->ds,
					     &s->fs, &s->gs, &s->ldtr,
					     &s->tr };

	current(v);
	memcpy(v->gpr, s->gpr, sizeof(s->gpr));
	vmwrite(VMCS_GUEST_RSP, s->gpr[RSP]);
#define X(member, field) vmwrite(VMCS_##field, s->member);
	SAME(X)
#undef X
	for (unsigned i = 0; i < ARRAY_SIZE(segs); i++)
		set_segment(segs[i], i);
	vmwrite(VMCS_GUEST_RFLAGS, s->rflags | RFLAGS_R1);
	vmwrite(VMCS_GUEST_CR0, s->cr0 | CR0_NE | CR0_ET);
	vmwrite(VMCS_CR0_READ_SHADOW, s->cr0 | CR0_ET);
	vmwrite(VMCS_GUEST_CR4, s->cr4 | CR4_VMXE);
	vmwrite(VMCS_ENTRY_CTLS,
		(vmread(VMCS_ENTRY_CTLS) & ~ENTRY_IA32E) |
			(s->efer & EFER_LMA ? ENTRY_IA32E : 0));
	if ((s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !(s->efer & EFER_LMA) &&
	    vmx_load_pdptes(v) != OK)
		for (unsigned i = 0; i < 4; i++) /* nothing is mapped */
			vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, 0);
	v->domu->cr2 = s->cr2;
	vmwrite(VMCS_GUEST_GDTR_LIMIT, s->gdt_limit);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, s->idt_limit);
	memcpy(v->domu->dr, s->dr, sizeof(s->dr));
	v->domu->dr6 = s->dr6;
	memcpy(v->domu->msr, &s->star, sizeof(v->domu->msr));
	if (!(cpuid(0x80000001, 0).d & BIT(27))) /* RDTSCP */
		v->domu->msr[MSR_SLOT_TSC_AUX] = 0;
	v->domu->syscall = s->efer & EFER_SCE;
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
		(s->shadow & 2 ? BLOCKING_MOV_SS : s->shadow) |
			(s->nmi & LUV_NMI_BLOCKED ? BLOCKING_NMI : 0));
	unblock(v);
	vmwrite(VMCS_GUEST_PENDING_DEBUG,
		s->shadow && (s->rflags & RFLAGS_TF) &&
		!(s->debug & LUV_DEBUG_STEP) ? PENDING_DEBUG_BS : 0);
	vmwrite(VMCS_TSC_OFFSET, s->tsc_offset);
	v->domu->apic.reg[VLAPIC_TPR].v = (uint32_t)s->cr8 << 4 |
		(v->domu->apic.reg[VLAPIC_TPR].v & 0xf);
	vmx_domu_tpr(v);
	set_debug(s);
	vmwrite(VMCS_ENTRY_INTERRUPTION_INFO,
		s->event & INTR_INFO_VALID ? s->event : 0);
	vmwrite(VMCS_ENTRY_EXCEPTION_ERROR_CODE, s->event_error);
	v->domu->drs = vmx_domu_drs(v, false);
	v->domu->last_cpu = ~0u; /* CR3, EFER may be others: flush */
	release(v, &this_cpu()->dom0);
}
