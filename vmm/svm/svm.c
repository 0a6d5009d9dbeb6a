/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * svm.c - AMD's virtualization behind the seam of hv.h. GIF stays clear while
 * the VMM runs after an #VMEXIT: NMIs wait for the next VMRUN and exit there.
 * APM volume 2 "Secure Virtual Machine".
 */
#include "svm.h"
#include "vmcb.h"
#include "../console.h"
#include "../dom0.h"
#include "../dump.h"
#include "../exit.h"
#include "../hv.h"
#include "../io.h"
#include "../lapic.h"
#include "../mem.h"
#include "../msr.h"
#include "../smp.h"
#include "../string.h"

#define CPUID_SVM_LEAF	 0x8000000a
#define SVM_EDX_NP	 BIT(0)
#define SVM_EDX_NRIPS	 BIT(3)
#define VM_CR_R_INIT	 BIT(1)
#define VM_CR_SVMDIS	 BIT(4)
#define PAT_RESET	 0x0007040600070406ull
#define MSRPM_SIZE	 (8 * KIB)
#define IOPM_SIZE	 (12 * KIB)
#define DOM0_ASID	 1
#define DR6_RESET	 0xffff0ff0ull
#define DR7_RESET	 0x400
#define SHADOW_MASK	 BIT(0)
/* Segment attributes as VMCBs pack them. */
#define ATTR_CODE16	 0x09b
#define ATTR_DATA16	 0x093
#define ATTR_LDT	 0x082
#define ATTR_TSS	 0x08b /* 32-bit: Bochs enters long mode with no other */
#define ATTR_L		 BIT(9)
#define ATTR_DB		 BIT(10)
#define NPT_P		 BIT(0)
#define NPT_W		 BIT(1)
#define NPT_U		 BIT(2)
#define NPT_NX		 BIT(63)

void svm_loop(struct vcpu *v);
struct vcpu *svm_exited(struct vcpu *v);

static uint8_t *msrpm, *iopm;
static bool nrips;

static struct vmcb *vmcb_of(const struct vcpu *v)
{
	return v->hw;
}

static COLD const char *svm_probe(void)
{
	uint64_t vm_cr;

	if (cpuid(0x80000000, 0).a < CPUID_SVM_LEAF ||
	    !(cpuid(0x80000001, 0).c & BIT(2)))
		return "has no SVM (CPUID 80000001h:ECX.SVM); use a CPU with "
		       "AMD-V, or let this virtual machine see it (QEMU: "
		       "-cpu ...,+svm,+npt)";
	if (rdmsr_safe(MSR_VM_CR, &vm_cr) && (vm_cr & VM_CR_SVMDIS))
		return "has SVM switched off (VM_CR.SVMDIS); enable SVM or "
		       "AMD-V in the firmware's set-up";
	if (!(cpuid(CPUID_SVM_LEAF, 0).d & SVM_EDX_NP))
		return "has no nested paging (CPUID 8000000Ah:EDX.NP); use a "
		       "CPU with NPT (QEMU: -cpu ...,+npt)";
	return NULL;
}

/* --- what all CPUs share -------------------------------------------------- */

static uint64_t npt_leaf(unsigned perm, enum mtrr_type type)
{
	(void)type; /* host MTRRs apply to nested paging as they are */
	return NPT_P | NPT_U | (perm & S2_W ? NPT_W : 0) |
	       (perm & S2_X || !(perm & S2_W) ? 0 : NPT_NX);
}

static struct stage2_format npt = { .leaf = npt_leaf };

/* APM "MSR Intercepts": two bits an MSR, read then write. */
static void msrpm_set(uint32_t msr, unsigned trap)
{
	uint32_t bit;

	if (msr < 0x2000)
		bit = msr * 2;
	else if (msr >= 0xc0000000 && msr < 0xc0002000)
		bit = 0x800 * 8 + (msr & 0x1fff) * 2;
	else if (msr >= 0xc0010000 && msr < 0xc0012000)
		bit = 0x1000 * 8 + (msr & 0x1fff) * 2;
	else
		return;
	msrpm[bit / 8] |= (uint8_t)(trap << bit % 8);
}

static COLD void svm_init(void)
{
	uint16_t ports[IO_TRAP_MAX];
	unsigned n = io_trapped(ports);

	msrpm = mem_need(MSRPM_SIZE, PAGE_SIZE, "the MSR permission map");
	iopm = mem_need(IOPM_SIZE, PAGE_SIZE, "the I/O permission map");
	for (size_t i = 0; i < msr_rule_count; i++)
		if (msr_rules[i].isa != LUV_ISA_VMX)
			for (uint32_t m = msr_rules[i].first;
			     m <= msr_rules[i].last; m++)
				msrpm_set(m, msr_rules[i].trap);
	for (unsigned i = 0; i < n; i++)
		iopm[ports[i] / 8] |= (uint8_t)(1u << ports[i] % 8);
	nrips = cpuid(CPUID_SVM_LEAF, 0).d & SVM_EDX_NRIPS;
	npt.has_1g = cpuid(0x80000001, 0).d & BIT(26);
	svm_domu_maps();
	dom0_init(&npt);
}

/* --- each CPU ------------------------------------------------------------- */

static void svm_enable(struct cpu *cpu)
{
	struct vcpu *v = &cpu->dom0;
	uint64_t vm_cr;

	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_SVME);
	cpu->vmxon = mem_need(PAGE_SIZE, PAGE_SIZE, "the host save area");
	cpu->vmxon_pa = ptr_hpa(cpu->vmxon);
	wrmsr(MSR_VM_HSAVE_PA, cpu->vmxon_pa.v);
	/* A real INIT then raises #SX here instead of resetting the CPU. */
	cpu->init_redirected = rdmsr_safe(MSR_VM_CR, &vm_cr) &&
			       wrmsr_safe(MSR_VM_CR, vm_cr | VM_CR_R_INIT);
	v->hw = mem_need(PAGE_SIZE, PAGE_SIZE, "a VMCB");
	v->hw_pa = ptr_hpa(v->hw);
}

static void svm_disable(void)
{
	stgi();
}

static void svm_listen(void)
{
	stgi();
}

static void controls(struct vmcb *b)
{
	b->intercept_misc1 = INTERCEPT_NMI | INTERCEPT_INIT | INTERCEPT_CPUID |
			     INTERCEPT_INVD | INTERCEPT_INVLPGA |
			     INTERCEPT_IOIO | INTERCEPT_MSR |
			     (uint32_t)INTERCEPT_SHUTDOWN;
	b->intercept_misc2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL |
			     INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |
			     INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT;
	b->iopm_base_pa = ptr_hpa(iopm).v;
	b->msrpm_base_pa = ptr_hpa(msrpm).v;
	b->guest_asid = DOM0_ASID;
	b->tlb_control = TLB_FLUSH_ALL;
	b->np_enable = 1;
	b->n_cr3 = ptr_hpa(dom0.s2.root).v;
}

static void svm_reset(struct vcpu *v, uint16_t cs, uint16_t ip)
{
	const struct vmcb_seg data = { 0, ATTR_DATA16, 0xffff, 0 };
	struct vmcb *b = vmcb_of(v);

	memset(b, 0, sizeof(*b));
	memset(v->gpr, 0, sizeof(v->gpr));
	v->nmi_pending = v->nmi_window = v->nmi_blocked = v->nmi_step = false;
	v->gpr[RDX] = cpuid(1, 0).a; /* family, model, stepping */
	controls(b);
	b->es = b->ss = b->ds = b->fs = b->gs = data;
	b->cs = (struct vmcb_seg){ cs, ATTR_CODE16, 0xffff,
				   (uint64_t)cs << 4 };
	b->gdtr.limit = b->idtr.limit = 0xffff;
	b->ldtr = (struct vmcb_seg){ 0, ATTR_LDT, 0xffff, 0 };
	b->tr = (struct vmcb_seg){ 0, ATTR_TSS, 0xffff, 0 };
	b->efer = EFER_SVME;
	b->cr0 = CR0_ET;
	b->dr6 = DR6_RESET;
	b->dr7 = DR7_RESET;
	b->rflags = RFLAGS_R1;
	b->rip = ip;
	b->g_pat = PAT_RESET;
	__asm__ volatile("vmload" ::"a"(v->hw_pa.v) : "memory");
}

static const struct { uint8_t kind, len; } exits[SVM_EXIT_CODES] = {
#define X(code, kind, len) [code] = { EXIT_##kind, len },
	SVM_EXITS(X)
#undef X
};

static void decode_io(struct vmexit *x, const struct vmcb *b)
{
	x->port = IOIO_PORT(x->info1);
	x->size = (uint8_t)IOIO_SIZE(x->info1);
	x->in = x->info1 & IOIO_IN;
	x->string = x->info1 & IOIO_STRING;
	x->insn_len = (uint32_t)(b->exitinfo2 - b->rip);
}

/* An event whose delivery the exit interrupted; INT n is executed again. */
static uint64_t interrupted_event(uint64_t e)
{
	bool soft = EVENT_TYPE(e) == EVENT_TYPE_SOFT ||
		    (EVENT_TYPE(e) == EVENT_TYPE_EXC &&
		     ((e & EVENT_VECTOR) == 3 || (e & EVENT_VECTOR) == 4));

	return soft ? 0 : e;
}

static void again(struct vcpu *v, uint64_t event)
{
	if (v->vm)
		svm_domu_again(v, event);
	else
		vmcb_of(v)->eventinj = event;
}

/* The kinds that have more to say than their code. */
static void collateral(struct vcpu *v, struct vmexit *x, struct vmcb *b)
{
	x->info2 = b->exitinfo2;
	if (x->reason == SVM_EXIT_NPF) {
		x->kind = EXIT_STAGE2;
		x->gpa = GPA(b->exitinfo2);
		x->write = b->exitinfo1 & NPF_WRITE;
		x->own = b->exitinfo1 & NPF_FINAL;
	} else if (x->reason >= SVM_EXIT_CODES) {
		x->kind = EXIT_OTHER;
	} else if (x->kind == EXIT_IO) {
		decode_io(x, b);
	} else if (x->kind == EXIT_RDMSR && (b->exitinfo1 & 1)) {
		x->kind = EXIT_WRMSR;
	} else if (x->kind == EXIT_NMI) {
		stgi(); /* smp_nmi() takes it through the IDT */
		clgi();
	}
	if (EVENT_V & b->exitintinfo)
		again(v, interrupted_event(b->exitintinfo));
}

static inline void decode(struct vcpu *v, struct vmcb *b)
{
	struct vmexit *x = exit_record(v);
	uint32_t code = (uint32_t)b->exitcode;

	x->tsc = rdtsc();
	x->reason = code;
	x->rip = b->rip;
	x->info1 = b->exitinfo1;
	x->kind = EXIT_OTHER;
	if (code < SVM_EXIT_CODES) {
		x->kind = exits[code].kind;
		x->insn_len = nrips ? (uint32_t)(b->nrip - b->rip) :
				      exits[code].len;
		if (x->kind == EXIT_CPUID || x->kind == EXIT_HYPERCALL)
			return;
	}
	collateral(v, x, b);
}

/*
 * An NMI of dom0's is injected when dom0 is not in its handler; the end of
 * the handler shows by the IRET intercept. Where EVENTINJ is taken the NMI
 * goes back to the hardware: it exits again behind the injected event.
 */
static void svm_inject_nmi(struct vcpu *v)
{
	struct vmcb *b = vmcb_of(v);

	if (v->nmi_blocked)
		return;
	v->nmi_pending = false;
	if ((b->eventinj & EVENT_V) && v->vm) {
		v->nmi_pending = true; /* with the next exit */
		return;
	}
	if (b->eventinj & EVENT_V) {
		lapic_send(v->cpu->apic_id, ICR_NMI, 0);
		return;
	}
	b->eventinj = EVENT_V | EVENT_TYPE_NMI << 8 | VEC_NMI;
	b->intercept_misc1 |= INTERCEPT_IRET;
	v->nmi_blocked = true;
}

static void svm_inject(struct vcpu *v, unsigned vector, int64_t error)
{
	vmcb_of(v)->eventinj = EVENT_V | EVENT_TYPE_EXC << 8 | vector |
		(error < 0 ? 0 : EVENT_EV | (uint64_t)error << 32);
}

static inline __attribute__((always_inline)) void advance(struct vcpu *v)
{
	struct vmcb *b = vmcb_of(v);
	uint64_t rip = b->rip + v->exit->insn_len;

	b->rip = b->cs.attrib & ATTR_L && (b->efer & EFER_LMA) ?
			 rip : (uint32_t)rip;
	b->interrupt_shadow = 0;
	if (__builtin_expect((b->rflags & RFLAGS_TF) && !v->nmi_step, 0)) {
		b->dr6 |= BIT(14); /* BS */
		svm_inject(v, VEC_DB, -1);
	}
}

static void svm_advance(struct vcpu *v)
{
	advance(v);
}

struct vcpu *svm_exited(struct vcpu *v)
{
	struct vmcb *b = vmcb_of(v);

	v->gpr[RAX] = b->rax;
	b->tlb_control = 0;
	decode(v, b);
	return exit_handle(v, advance);
}

static void step_iret(struct vcpu *v, struct vmcb *b)
{
	b->intercept_misc1 &= ~(uint32_t)INTERCEPT_IRET;
	v->nmi_blocked = false;
	if (!v->nmi_pending)
		return;
	/* The next NMI comes behind the IRET: one instruction from here. */
	v->nmi_blocked = v->nmi_step = true;
	b->rflags |= RFLAGS_TF;
	b->intercept_exceptions |= BIT(VEC_DB);
}

static bool stepped(struct vcpu *v, struct vmcb *b)
{
	if (!v->nmi_step)
		return false;
	v->nmi_step = v->nmi_blocked = false;
	b->intercept_exceptions &= ~(uint32_t)BIT(VEC_DB);
	return true;
}

static bool svm_own(struct vcpu *v)
{
	struct vmcb *b = vmcb_of(v);

	switch (v->exit->kind) {
	case EXIT_IRET:
		step_iret(v, b);
		return true;
	case EXIT_EXCEPTION:
		return stepped(v, b);
	case EXIT_CR:
		return v->vm && svm_domu_cr8(v);
	case EXIT_OTHER:
		if (v->exit->reason != SVM_EXIT_RDPMC)
			return svm_refused(v);
		svm_inject(v, VEC_GP, 0);
		return true;
	case EXIT_INIT:
		stgi(); /* #SX where VM_CR.R_INIT works */
		clgi();
		smp_init_received();
		return true;
	default:
		return false;
	}
}

static void svm_flush(struct vcpu *v)
{
	vmcb_of(v)->tlb_control = TLB_FLUSH_ALL;
}

static uint64_t svm_cr4(struct vcpu *v)
{
	return vmcb_of(v)->cr4;
}

static uint64_t svm_efer(struct vcpu *v, const uint64_t *value)
{
	struct vmcb *b = vmcb_of(v);

	if (!value)
		return b->efer & ~EFER_SVME;
	if ((*value & ~msr_efer_bits()) ||
	    ((b->cr0 & CR0_PG) && ((*value ^ b->efer) & EFER_LME)))
		return ~*value;
	b->efer = (*value & ~EFER_LMA) | (b->efer & EFER_LMA) | EFER_SVME;
	svm_flush(v);
	return *value;
}

static unsigned svm_paging(struct vcpu *v, struct gpaging *p)
{
	const struct vmcb *b = vmcb_of(v);

	*p = (struct gpaging){ b->cr0, b->cr3, b->cr4, b->efer & ~EFER_SVME,
			       b->cpl == 3 };
	return (b->efer & EFER_LMA) && (b->cs.attrib & ATTR_L) ? 64 :
	       b->cs.attrib & ATTR_DB ? 32 : 16;
}

static COLD void svm_snapshot(struct vcpu *v, struct guest_state *g)
{
	const struct vmcb *b = vmcb_of(v);

	v->gpr[RSP] = b->rsp;
	*g = (struct guest_state){
		.rip = b->rip, .rflags = b->rflags, .cr2 = b->cr2,
		.cs_base = b->cs.base, .ss_base = b->ss.base,
		.cs = b->cs.selector, .ss = b->ss.selector,
		.ds = b->ds.selector, .es = b->es.selector,
		.fs = b->fs.selector, .gs = b->gs.selector,
		.tr = b->tr.selector, .cpl = b->cpl,
	};
	g->bits = svm_paging(v, &g->paging);
}

static uint64_t svm_rip(struct vcpu *v)
{
	return vmcb_of(v)->rip;
}

static COLD void svm_dump(struct vcpu *v)
{
	static const char *const segs[] = { "es", "cs", "ss", "ds", "fs", "gs",
					    "gdtr", "ldtr", "idtr", "tr" };
	const struct vmcb *b = vmcb_of(v);

	log_printf("VMCB at %lx:\n", v->hw_pa.v);
	log_printf("  intercepts cr %08x dr %08x exceptions %08x misc %08x "
		   "%08x\n", b->intercept_cr, b->intercept_dr,
		   b->intercept_exceptions, b->intercept_misc1,
		   b->intercept_misc2);
	log_printf("  exitcode %lx exitinfo1 %lx exitinfo2 %lx exitintinfo "
		   "%lx eventinj %lx\n", b->exitcode, b->exitinfo1,
		   b->exitinfo2, b->exitintinfo, b->eventinj);
	log_printf("  asid %u tlb_control %u v_intr %lx interrupt_shadow %lx "
		   "n_cr3 %lx nrip %lx\n", b->guest_asid, b->tlb_control,
		   b->v_intr, b->interrupt_shadow, b->n_cr3, b->nrip);
	for (unsigned i = 0; i < ARRAY_SIZE(segs); i++) {
		const struct vmcb_seg *s = &b->es + i;

		log_printf("  %-4s %04x base %016lx limit %08x attrib %03x\n",
			   segs[i], s->selector, s->base, s->limit, s->attrib);
	}
	log_printf("  cpl %u efer %lx cr0 %lx cr2 %lx cr3 %lx cr4 %lx dr6 %lx "
		   "dr7 %lx g_pat %lx\n", b->cpl, b->efer, b->cr0, b->cr2,
		   b->cr3, b->cr4, b->dr6, b->dr7, b->g_pat);
	log_printf("  rip %lx rsp %lx rax %lx rflags %lx\n", b->rip, b->rsp,
		   b->rax, b->rflags);
}

const struct hv_ops svm_ops = {
	.name = "SVM with nested paging",
	.nmi_wakes_hlt = true,
	.isa = LUV_ISA_SVM,
	.probe = svm_probe,
	.init = svm_init,
	.enable = svm_enable,
	.reset = svm_reset,
	.loop = svm_loop,
	.inject_nmi = svm_inject_nmi,
	.advance = svm_advance,
	.inject = svm_inject,
	.own = svm_own,
	.flush = svm_flush,
	.efer = svm_efer,
	.cr4 = svm_cr4,
	.trace_dom0 = svm_trace_dom0,
	.trace_domu = svm_trace_domu,
	.trace_context = svm_trace_context,
	.rip = svm_rip,
	.paging = svm_paging,
	.snapshot = svm_snapshot,
	.listen = svm_listen,
	.dump = svm_dump,
	.domu_init = svm_domu_init,
	.domu_enter = svm_domu_enter,
	.domu_leave = svm_domu_leave,
	.domu_ready = svm_domu_ready,
	.domu_queue = svm_domu_queue,
	.domu_window = svm_domu_window,
	.domu_get = svm_domu_get,
	.domu_set = svm_domu_set,
	.domu_share = svm_domu_share,
	.domu_take_back = svm_domu_take_back,
	.domu_reset = svm_domu_reset,
	.domu_tsc = svm_domu_tsc,
	.domu_sync = svm_domu_sync,
	.domu_tpr = svm_domu_tpr,
	.domu_drs = svm_domu_drs,
	.domu_debug_exit = svm_domu_debug_exit,
	.disable = svm_disable,
};
