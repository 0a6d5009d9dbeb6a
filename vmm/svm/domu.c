/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu.c - a domU under SVM: its VMCB, the world switch, its state. VMSAVE
 * and VMLOAD move what VMRUN does not. APM volume 2 "Saving and Restoring
 * State", "Event Injection", "Interrupt Window".
 */
#include "svm.h"
#include "vmcb.h"
#include "../dom0.h"
#include "../domu.h"
#include "../mem.h"
#include "../string.h"

#define INTERCEPT_INTR	   BIT(0)
#define INTERCEPT_VINTR	   BIT(4)
#define INTERCEPT_HLT	   BIT(24)
#define INTERCEPT_WBINVD   BIT(9)
#define INTERCEPT_MONITOR  BIT(10)
#define INTERCEPT_MWAIT	   BIT(11)
#define INTERCEPT_XSETBV   BIT(13)
#define INTERCEPT_DRS	   0x008f000fu /* reads DR0-3; writes DR0-3, DR7 */
#define DR7_ENABLES	   0xff
#define V_IRQ		   BIT(8)
#define V_INTR_PRIO	   (BIT(16) * 0xf)
#define V_IGN_TPR	   BIT(20)
#define V_INTR_MASKING	   BIT(24)
#define DOMU_ASID	   2
#define V_TPR		   0xfu
#define V_INTR_ANY	   (V_IRQ | V_INTR_PRIO | V_IGN_TPR)
#define V_INTR_VECTOR(n)   ((uint64_t)(n) << 32)
#define V_INTR_GET(v)	   ((uint32_t)((v) >> 32 & 0xff))
#define ATTR_L		   BIT(9)
#define ATTR_CODE16	   0x09b
#define ATTR_DATA16	   0x093
#define ATTR_LDT	   0x082
#define ATTR_TSS	   0x08b
#define DR6_NONE	   0xffff0ff0u
#define SVM_EXIT_EXCP0	   0x40
#define PAT_RESET	   0x0007040600070406ull
#define MSRPM_SIZE	   (8 * KIB)
#define IOPM_SIZE	   (12 * KIB)
#define MSR_TSC_AUX	   0xc0000103
#define ATTR(a)		   ((uint16_t)(((a) & 0xff) | (((a) >> 4) & 0xf00)))
#define UNATTR(a)	   ((uint16_t)(((a) & 0xff) | (((a) & 0xf00) << 4)))
#define UNUSABLE	   BIT(8) /* of struct luv_segment */

static uint8_t *msrpm, *iopm;
static bool has_tsc_aux, has_hidden;
static uint32_t hidden[2]; /* MSRs, or 0 */

static struct vmcb *vmcb_of(const struct vcpu *v)
{
	return v->hw;
}

/*
 * MSRs that VMRUN or VMLOAD switch are the guest's own. Not IA32_PAT: QEMU's
 * TCG has only the host's, whatever G_PAT is.
 */
static void pass_msr(uint32_t msr)
{
	uint32_t bit = msr < 0x2000 ? msr * 2 :
				      0x800 * 8 + (msr & 0x1fff) * 2;

	msrpm[bit / 8] &= (uint8_t)~(3u << bit % 8);
}

COLD void svm_domu_maps(void)
{
	msrpm = mem_need(MSRPM_SIZE, PAGE_SIZE, "domU's MSR map");
	iopm = mem_need(IOPM_SIZE, PAGE_SIZE, "domU's I/O map");
	memset(msrpm, 0xff, MSRPM_SIZE);
	memset(iopm, 0xff, IOPM_SIZE);
	for (uint32_t m = 0xc0000081; m <= 0xc0000084; m++)
		pass_msr(m);
	for (uint32_t m = 0xc0000100; m <= 0xc0000102; m++)
		pass_msr(m);
	for (uint32_t m = 0x174; m <= 0x176; m++)
		pass_msr(m);
	has_tsc_aux = cpuid(0x80000001, 0).d & BIT(27); /* RDTSCP */
	if (!(cpuid(1, 0).c & BIT(26))) /* XSAVE, and with it the leaves */
		return;
	if (cpuid(0xd, 1).a & BIT(3)) /* XSAVES */
		hidden[0] = MSR_IA32_XSS;
	if (cpuid(7, 0).c & BIT(7)) /* CET_SS */
		hidden[1] = MSR_IA32_U_CET;
	has_hidden = hidden[0] | hidden[1];
}

COLD void svm_domu_init(struct vcpu *v)
{
	struct vmcb *b = vmcb_of(v);

	b->intercept_misc1 = INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_INIT |
			     INTERCEPT_RDPMC | INTERCEPT_CPUID |
			     INTERCEPT_INVD | INTERCEPT_HLT |
			     INTERCEPT_INVLPGA | INTERCEPT_IOIO |
			     INTERCEPT_MSR | (uint32_t)INTERCEPT_SHUTDOWN;
	b->intercept_misc2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL |
			     INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |
			     INTERCEPT_STGI | INTERCEPT_CLGI |
			     INTERCEPT_SKINIT | INTERCEPT_MONITOR |
			     INTERCEPT_MWAIT | INTERCEPT_XSETBV;
	b->iopm_base_pa = ptr_hpa(iopm).v;
	b->msrpm_base_pa = ptr_hpa(msrpm).v;
	b->guest_asid = DOMU_ASID;
	b->np_enable = 1;
	b->n_cr3 = ptr_hpa(v->vm->s2.root).v;
	svm_domu_reset(v, 0xf000, 0xfff0);
	svm_domu_drs(v, false);
}

/* SDM "Processor State After Reset": the same as AMD's. */
COLD void svm_domu_reset(struct vcpu *v, uint16_t cs, uint16_t ip)
{
	const struct vmcb_seg data = { 0, ATTR_DATA16, 0xffff, 0 };
	struct vmcb *b = vmcb_of(v);

	memset(v->gpr, 0, sizeof(v->gpr));
	v->nmi_pending = v->nmi_window = v->nmi_blocked = v->nmi_step = false;
	v->gpr[RDX] = cpuid(1, 0).a;
	b->rax = b->rsp = 0;
	b->es = b->ss = b->ds = b->fs = b->gs = data;
	b->cs = (struct vmcb_seg){ cs, ATTR_CODE16, 0xffff,
				   (uint64_t)cs << 4 };
	b->gdtr = b->idtr = (struct vmcb_seg){ 0, 0, 0xffff, 0 };
	b->ldtr = (struct vmcb_seg){ 0, ATTR_LDT, 0xffff, 0 };
	b->tr = (struct vmcb_seg){ 0, ATTR_TSS, 0xffff, 0 };
	b->efer = EFER_SVME;
	b->cr0 = CR0_ET;
	b->cr2 = b->cr3 = b->cr4 = 0;
	b->dr6 = DR6_NONE;
	b->dr7 = 0x400;
	b->rflags = RFLAGS_R1;
	b->rip = ip;
	b->cpl = 0;
	b->g_pat = PAT_RESET;
	b->eventinj = 0;
	b->v_intr = V_INTR_MASKING;
	v->domu->virq = false;
	b->interrupt_shadow = 0;
	v->domu->last_cpu = ~0u; /* flush */
	if (v->cpu->current == v) /* FS, GS, TR, LDTR are in the CPU */
		__asm__ volatile("vmload" ::"a"(v->hw_pa.v) : "memory");
}

/*
 * XSAVES and writes of CR4 do not exit: what a guest would have by them of
 * dom0's is 0 meanwhile. IA32_S_CET and SSP are VMRUN's to switch.
 */
static COLD void hide(struct cpu *cpu)
{
	for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++) {
		cpu->msr[i] = hidden[i] ? rdmsr(hidden[i]) : 0;
		if (cpu->msr[i])
			wrmsr(hidden[i], 0);
	}
}

static COLD void show(const struct cpu *cpu)
{
	for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++)
		if (cpu->msr[i])
			wrmsr(hidden[i], cpu->msr[i]);
}

/* CR2 is in the VMCB, but Bochs' VMRUN does not load it. */
void svm_domu_enter(struct vcpu *d, struct vcpu *v, bool flush)
{
	__asm__ volatile("vmsave" ::"a"(d->hw_pa.v) : "memory");
	__asm__ volatile("vmload" ::"a"(v->hw_pa.v) : "memory");
	if (has_tsc_aux) { /* a write of the guest's exits */
		d->cpu->msr[5] = rdmsr(MSR_TSC_AUX);
		if (d->cpu->msr[5] != v->domu->msr[5])
			wrmsr(MSR_TSC_AUX, v->domu->msr[5]);
	}
	if (has_hidden)
		hide(d->cpu);
	write_cr2(vmcb_of(v)->cr2);
	vmcb_of(v)->tlb_control = flush ? TLB_FLUSH_ALL : 0;
}

void svm_domu_leave(struct vcpu *d, struct vcpu *v)
{
	__asm__ volatile("vmsave" ::"a"(v->hw_pa.v) : "memory");
	__asm__ volatile("vmload" ::"a"(d->hw_pa.v) : "memory");
	if (has_tsc_aux && d->cpu->msr[5] != v->domu->msr[5])
		wrmsr(MSR_TSC_AUX, d->cpu->msr[5]);
	if (has_hidden)
		show(d->cpu);
	write_cr2(vmcb_of(d)->cr2);
}

/* Is there an interrupt that svm_domu_queue() has left to the processor? */
static bool queued(const struct vcpu *v)
{
	return v->domu->virq && (vmcb_of(v)->v_intr & V_IRQ);
}

unsigned svm_domu_ready(struct vcpu *v)
{
	const struct vmcb *b = vmcb_of(v);
	bool enabled = b->rflags & RFLAGS_IF;

	return enabled |
	       (unsigned)(enabled && !(b->interrupt_shadow & 1) &&
			  !(b->eventinj & EVENT_V) && !queued(v)) << 1 |
	       (unsigned)(b->v_intr & V_TPR) << 8;
}

/*
 * A write of CR8 exits as well while V_IRQ is a window: QEMU's TCG aborts when
 * it finds there that V_IRQ can be taken (cpu_interrupt() without its lock).
 */
static void window_intercepts(struct vmcb *b, bool on)
{
	b->intercept_misc1 &= ~(uint32_t)INTERCEPT_VINTR;
	b->intercept_cr &= ~(uint32_t)INTERCEPT_CR8_WRITE;
	if (on) {
		b->intercept_misc1 |= INTERCEPT_VINTR;
		b->intercept_cr |= INTERCEPT_CR8_WRITE;
	}
}

/*
 * As a virtual interrupt, not by EVENTINJ: QEMU 7.2 keeps the vector of one
 * it has injected (helper_vmrun sets exception_index and goes on), and
 * delivers it again, RFLAGS.IF or not, if it leaves its loop before the next
 * #VMEXIT. Taken at once, for it is queued only when it can be.
 */
void svm_domu_queue(struct vcpu *v, uint32_t event)
{
	struct vmcb *b = vmcb_of(v);

	b->v_intr = V_INTR_MASKING | V_INTR_ANY |
		    V_INTR_VECTOR(event & EVENT_VECTOR) | (b->v_intr & V_TPR);
	window_intercepts(b, false);
	v->domu->virq = true;
}

void svm_domu_again(struct vcpu *v, uint64_t event)
{
	if ((event & EVENT_V) &&
	    (EVENT_TYPE(event) == EVENT_TYPE_INTR ||
	     (event & EVENT_VECTOR) >= 32)) /* QEMU: an exception */
		svm_domu_queue(v, (uint32_t)event);
	else
		vmcb_of(v)->eventinj = event;
}

/*
 * A virtual interrupt that is intercepted before it is delivered, when V_TPR
 * lets its priority through. V_TPR is the guest's CR8.
 */
void svm_domu_window(struct vcpu *v, unsigned class)
{
	struct vmcb *b = vmcb_of(v);
	uint64_t irq = 0;

	if (queued(v)) /* what comes behind it waits for its EOI */
		return;
	v->domu->virq = false;
	if (class == WINDOW_ANY)
		irq = V_INTR_ANY;
	else if (class)
		irq = V_IRQ | (uint64_t)class << 16;
	b->v_intr = V_INTR_MASKING | irq | (b->v_intr & V_TPR);
	window_intercepts(b, irq);
}

void svm_domu_sync(struct vcpu *v)
{
	uint32_t *tpr = &v->domu->apic.reg[VLAPIC_TPR].v;
	uint32_t cr8 = (uint32_t)(vmcb_of(v)->v_intr & V_TPR);

	if (*tpr >> 4 != cr8)
		*tpr = cr8 << 4;
}

void svm_domu_tpr(struct vcpu *v)
{
	struct vmcb *b = vmcb_of(v);

	b->v_intr = (b->v_intr & ~(uint64_t)V_TPR) |
		    v->domu->apic.reg[VLAPIC_TPR].v >> 4;
}

void svm_domu_tsc(struct vcpu *v)
{
	vmcb_of(v)->tsc_offset = v->domu->tsc_offset;
}

COLD bool svm_domu_drs(struct vcpu *v, bool use)
{
	struct vmcb *b = vmcb_of(v);

	use |= (b->dr7 & DR7_ENABLES) != 0;
	b->intercept_dr = use ? 0 : INTERCEPT_DRS;
	return use;
}

bool svm_domu_debug_exit(struct vcpu *v, uint64_t *dr6)
{
	unsigned vector = v->exit->reason - SVM_EXIT_EXCP0;

	*dr6 = vector == VEC_DB ? vmcb_of(v)->dr6 : ~0ull;
	vmcb_of(v)->dr6 = DR6_NONE; /* its bits stay set otherwise */
	return vector == VEC_DB || vector == VEC_BP;
}

/* Out of line: eight copies of each would be a tenth of svm/. */
static __attribute__((noinline)) void
get_segment(struct luv_segment *s, const struct vmcb_seg *v)
{
	*s = (struct luv_segment){ v->base, v->limit, v->selector,
				   UNATTR(v->attrib) };
	if (!(v->attrib & BIT(7)))
		s->attrib |= UNUSABLE;
}

static __attribute__((noinline)) void
set_segment(struct vmcb_seg *v, const struct luv_segment *s)
{
	*v = (struct vmcb_seg){ s->selector,
				s->attrib & UNUSABLE ? 0 : ATTR(s->attrib),
				s->limit, s->base };
}

/* The segments in the order of both structures. */
#define SEGMENTS(X) X(es) X(cs) X(ss) X(ds) X(fs) X(gs) X(ldtr) X(tr)
/* Registers of the same name in both. */
#define SAME(X)                                                                \
	X(rip) X(rflags) X(cr0) X(cr2) X(cr3) X(cr4) X(dr6) X(dr7) X(star)     \
	X(lstar) X(cstar) X(sfmask) X(kernel_gs_base) X(sysenter_cs)           \
	X(sysenter_esp) X(sysenter_eip)

COLD void svm_domu_get(struct vcpu *v, struct luv_vcpu *s)
{
	const struct vmcb *b = vmcb_of(v);

	memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->gpr[RSP] = b->rsp;
#define X(name) s->name = b->name;
	SAME(X)
#undef X
#define X(name) get_segment(&s->name, &b->name);
	SEGMENTS(X)
#undef X
	s->efer = b->efer & ~EFER_SVME;
	s->pat = b->g_pat;
	memcpy(s->dr, v->domu->dr, sizeof(s->dr));
	s->tsc_aux = v->domu->msr[5];
	s->nmi |= v->nmi_blocked ? LUV_NMI_BLOCKED : 0;
	s->cr8 = b->v_intr & V_TPR;
	if ((v->domu->debug & LUV_DEBUG_STEP) || v->nmi_step)
		s->rflags &= ~RFLAGS_TF;
	s->gdt_base = b->gdtr.base;
	s->gdt_limit = b->gdtr.limit;
	s->idt_base = b->idtr.base;
	s->idt_limit = b->idtr.limit;
	s->shadow = b->interrupt_shadow & 1;
	s->event = queued(v) ? (uint32_t)EVENT_V | V_INTR_GET(b->v_intr) :
			       (uint32_t)b->eventinj;
	s->event_error = (uint32_t)(b->eventinj >> 32);
}

static bool in_64bit(const struct vmcb *b)
{
	return (b->efer & EFER_LMA) && (b->cs.attrib & ATTR_L);
}

void svm_domu_share(struct vcpu *v, struct luv_shared *s)
{
	const struct vmcb *b = vmcb_of(v);

	v->gpr[RSP] = b->rsp;
	__builtin_memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->rip = b->rip;
	s->rflags = b->rflags;
	s->cr0 = b->cr0;
	s->cr3 = b->cr3;
	s->cr4 = b->cr4;
	s->efer = b->efer & ~EFER_SVME;
	get_segment(&s->cs, &b->cs);
	get_segment(&s->ss, &b->ss);
	get_segment(&s->fs, &b->fs);
	get_segment(&s->gs, &b->gs);
	if (in_64bit(b))
		return;
	get_segment(&s->es, &b->es);
	get_segment(&s->ds, &b->ds);
}

void svm_domu_take_back(struct vcpu *v, const struct luv_shared *s)
{
	struct vmcb *b = vmcb_of(v);

	__builtin_memcpy(v->gpr, s->gpr, sizeof(s->gpr));
	b->rsp = v->gpr[RSP];
	b->rip = s->rip;
	b->rflags = (b->rflags & ~(uint64_t)LUV_SHARED_RFLAGS) |
		    (s->rflags & LUV_SHARED_RFLAGS);
	b->interrupt_shadow = 0;
}

static void set_debug(struct vmcb *b, const struct luv_vcpu *s)
{
	const uint32_t both = BIT(VEC_DB) | BIT(VEC_BP);

	b->intercept_exceptions &= ~both;
	if (s->debug & LUV_DEBUG_ON) {
		b->intercept_exceptions |= both;
		b->dr6 = DR6_NONE;
	}
	if (s->debug & LUV_DEBUG_STEP)
		b->rflags |= RFLAGS_TF;
	if (s->debug & LUV_DEBUG_HW)
		b->dr7 = s->debug_dr7;
}

COLD void svm_domu_set(struct vcpu *v, const struct luv_vcpu *s)
{
	struct vmcb *b = vmcb_of(v);

	memcpy(v->gpr, s->gpr, sizeof(s->gpr));
	b->rax = s->gpr[RAX];
	b->rsp = s->gpr[RSP];
#define X(name) b->name = s->name;
	SAME(X)
#undef X
#define X(name) set_segment(&b->name, &s->name);
	SEGMENTS(X)
#undef X
	b->rflags |= RFLAGS_R1;
	b->cr0 |= CR0_ET;
	b->efer = s->efer | EFER_SVME;
	b->g_pat = s->pat;
	b->cpl = (s->cr0 & CR0_PE) && !(s->rflags & RFLAGS_VM) ?
			 s->ss.attrib >> 5 & 3 :
			 s->rflags & RFLAGS_VM ? 3 : 0;
	memcpy(v->domu->dr, s->dr, sizeof(s->dr));
	v->domu->msr[5] = s->tsc_aux;
	b->gdtr.base = s->gdt_base;
	b->gdtr.limit = s->gdt_limit;
	b->idtr.base = s->idt_base;
	b->idtr.limit = s->idt_limit;
	b->interrupt_shadow = s->shadow & 1;
	b->v_intr = V_INTR_MASKING | s->cr8;
	b->eventinj = 0;
	v->domu->virq = false;
	if (s->event & EVENT_V)
		svm_domu_again(v, s->event | (uint64_t)s->event_error << 32);
	v->nmi_blocked = s->nmi & LUV_NMI_BLOCKED;
	v->nmi_step = false;
	b->intercept_misc1 &= ~(uint32_t)INTERCEPT_IRET;
	if (v->nmi_blocked)
		b->intercept_misc1 |= INTERCEPT_IRET;
	b->tsc_offset = s->tsc_offset;
	set_debug(b, s);
	v->domu->drs = svm_domu_drs(v, false);
	v->domu->last_cpu = ~0u; /* CR3, EFER may be others: flush */
}
