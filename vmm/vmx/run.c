/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.c - entering and leaving a VMX guest, and the exits only VMX has.
 * SDM "VM Entries", "VM Exits", "VM-Exit Information".
 */
#include "vmx.h"
#include "../console.h"
#include "../dom0.h"
#include "../dump.h"
#include "../exit.h"
#include "../domu.h"
#include "../mem.h"
#include "../smp.h"

#define REASON_FAILED_ENTRY BIT(31)
#define REASON_IO	    30
#define REASON_EPT_VIOLATION 48
#define REASON_RDPMC	    15
#define REASON_APIC_ACCESS  44
#define REASON_VIRTUALIZED_EOI 45
#define EPT_WRITE	    BIT(1)
#define EPT_FINAL	    (BIT(7) | BIT(8)) /* of a linear address */
#define QUAL_NMI_UNBLOCKED  BIT(12)
#define QUAL_IO_SIZE(q)	    (((q) & 7) + 1)
#define QUAL_IO_IN	    BIT(3)
#define QUAL_IO_STRING	    BIT(4)
#define QUAL_IO_PORT(q)	    ((uint16_t)((q) >> 16))
#define QUAL_APIC_TYPE(q)   ((q) >> 12 & 15)
#define QUAL_CR_NUMBER(q)   ((q) & 15)
#define QUAL_CR_TYPE(q)	    ((q) >> 4 & 3)
#define QUAL_CR_REG(q)	    ((q) >> 8 & 15)
#define AR_L		    BIT(13)
#define AR_DB		    BIT(14)
#define AR_DPL(ar)	    ((ar) >> 5 & 3)
#define PDPTE_P		    BIT(0)
#define PDPTE_RESERVED	    (BIT(1) | BIT(2) | BIT(5) | BIT(6) | BIT(7) | \
			     BIT(8))

struct vcpu *vmx_exited(struct vcpu *v);
_Noreturn void vmx_entry_failed(struct vcpu *v);

/* X(reason, kind): SDM appendix C "VMX Basic Exit Reasons". */
#define REASONS(X)                                                             \
	X(0, EXCEPTION) X(1, INTR) X(2, TRIPLE_FAULT) X(3, INIT) X(4, SIPI)    \
	X(7, INTR_WINDOW) X(8, NMI_WINDOW) X(9, TASK_SWITCH) X(10, CPUID)      \
	X(11, VIRT_INSN) X(12, HLT) X(13, INVD) X(18, HYPERCALL)               \
	X(19, VIRT_INSN) X(20, VIRT_INSN) X(21, VIRT_INSN) X(22, VIRT_INSN)    \
	X(23, VIRT_INSN) X(24, VIRT_INSN) X(25, VIRT_INSN) X(26, VIRT_INSN)    \
	X(27, VIRT_INSN) X(28, CR) X(29, DR) X(30, IO) X(31, RDMSR)            \
	X(32, WRMSR) X(40, PAUSE) X(48, STAGE2) X(50, VIRT_INSN) X(52, TIMER)  \
	X(44, APIC_WRITE) X(45, APIC_WRITE) X(56, APIC_WRITE)                  \
	X(36, VIRT_INSN) X(39, VIRT_INSN) X(53, VIRT_INSN) X(55, XSETBV)       \
	X(59, VIRT_INSN)

/* CPUID, VMCALL, RDMSR, WRMSR: no collateral but the instruction's length. */
#define PLAIN (BIT(10) | BIT(18) | BIT(31) | BIT(32))

static const uint8_t kinds[64] = {
#define X(reason, kind) [reason] = EXIT_##kind,
	REASONS(X)
#undef X
};

static void decode_io(struct vmexit *x)
{
	x->port = QUAL_IO_PORT(x->info1);
	x->size = (uint8_t)QUAL_IO_SIZE(x->info1);
	x->in = x->info1 & QUAL_IO_IN;
	x->string = x->info1 & QUAL_IO_STRING;
}

/*
 * An external interrupt that was not injected is a virtual one, and in service:
 * Bochs 2.7 does not record its vector but shows that of an event before.
 */
static uint64_t virtual_vector(uint64_t info)
{
	if (!((info ^ vmread(VMCS_ENTRY_INTERRUPTION_INFO)) & 0xff))
		return info;
	return (info & ~0xffull) | vmread(VMCS_GUEST_INTERRUPT_STATUS) >> 8;
}

/* The event whose delivery this exit cut short is delivered again. */
static void reinject(const struct vcpu *v)
{
	uint64_t info = vmread_core(VMCS_IDT_VECTORING_INFO);

	if (!(info & INTR_INFO_VALID))
		return;
	if (v->vm && v->domu->hw_apic && INTR_INFO_TYPE(info) == INTR_TYPE_EXT)
		info = virtual_vector(info);
	if (!(vmread(VMCS_GUEST_CR0) & CR0_PE)) /* Bochs reports one */
		info &= ~INTR_INFO_ERROR;
	if (info & INTR_INFO_ERROR)
		vmwrite(VMCS_ENTRY_EXCEPTION_ERROR_CODE,
			vmread(VMCS_IDT_VECTORING_ERROR_CODE));
	if (INTR_INFO_TYPE(info) >= INTR_TYPE_SOFT)
		vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH,
			vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
	if (INTR_INFO_TYPE(info) == INTR_TYPE_NMI)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~BLOCKING_NMI);
	vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, info & ~INTR_INFO_UNDEF12);
}

static void decode_stage2(const struct vcpu *v, struct vmexit *x)
{
	x->gpa = GPA(vmread_core(VMCS_GUEST_PHYSICAL_ADDRESS));
	x->info2 = x->gpa.v;
	x->write = x->info1 & EPT_WRITE;
	x->own = (x->info1 & EPT_FINAL) == EPT_FINAL;
	if (x->info1 & QUAL_NMI_UNBLOCKED) /* the IRET will run again */
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			vmread_core(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKING_NMI);
	reinject(v);
}

/*
 * SDM "APIC-Access VM Exits": what the processor does not virtualize goes to
 * the owner, as without it; "Virtualized EOI", "APIC-Write VM Exits": done,
 * and RIP is behind it.
 */
static void decode_apic(const struct vcpu *v, struct vmexit *x)
{
	if (x->reason == REASON_VIRTUALIZED_EOI) {
		x->port = VLAPIC_EOI;
		x->size = (uint8_t)x->info1;
	} else if (x->reason == REASON_APIC_ACCESS) {
		x->kind = EXIT_STAGE2;
		x->gpa = GPA(VLAPIC_BASE_RESET + (x->info1 & 0xfff));
		x->info2 = x->gpa.v;
		x->write = QUAL_APIC_TYPE(x->info1) == 1;
		reinject(v);
	} else {
		x->port = (uint16_t)(x->info1 >> 4);
	}
}

/* An NMI through our IDT: sorted there, and its IRET unblocks NMIs. */
static void take_nmi(struct vmexit *x)
{
	x->info2 = vmread(VMCS_EXIT_INTERRUPTION_INFO);
	if (INTR_INFO_TYPE(x->info2) != INTR_TYPE_NMI)
		return;
	x->kind = EXIT_NMI;
	__asm__ volatile("int $2" ::: "memory");
}

/* The kinds that have more to say than their reason and the qualification. */
#define LONG (BIT(EXIT_NONE) | BIT(EXIT_EXCEPTION) | BIT(EXIT_STAGE2) | \
	      BIT(EXIT_APIC_WRITE))

static __attribute__((noinline)) void collateral(const struct vcpu *v,
						 struct vmexit *x)
{
	if (x->kind == EXIT_STAGE2)
		decode_stage2(v, x);
	else if (x->kind == EXIT_EXCEPTION)
		take_nmi(x);
	else if (x->kind == EXIT_APIC_WRITE)
		decode_apic(v, x);
	else
		x->kind = EXIT_OTHER;
}

static inline void decode(struct vcpu *v)
{
	struct vmexit *x = exit_record(v);
	uint64_t reason = vmread_core(VMCS_EXIT_REASON);
	bool known = __builtin_expect(reason < ARRAY_SIZE(kinds), 1);

	x->tsc = rdtsc();
	x->reason = (uint32_t)reason;
	x->kind = known ? kinds[reason] : EXIT_NONE;
	x->rip = vmread_core(VMCS_GUEST_RIP);
	x->insn_len = (uint32_t)vmread_core(VMCS_EXIT_INSTRUCTION_LENGTH);
	if (__builtin_expect(known && PLAIN >> reason & 1, 1))
		return;
	x->info1 = vmread_core(VMCS_EXIT_QUALIFICATION);
	if (reason == REASON_IO)
		decode_io(x);
	else if (BIT(x->kind) & LONG)
		collateral(v, x);
}

static void nmi_window(struct vcpu *v, bool on)
{
	uint64_t c = vmread(VMCS_PROCBASED_CTLS);

	v->nmi_window = on;
	vmwrite(VMCS_PROCBASED_CTLS,
		on ? c | PROC_NMI_WINDOW : c & ~PROC_NMI_WINDOW);
}

void vmx_inject_nmi(struct vcpu *v)
{
	bool blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY) &
		       (BLOCKING_NMI | BLOCKING_MOV_SS | BLOCKING_STI);

	if (blocked ||
	    (vmread(VMCS_ENTRY_INTERRUPTION_INFO) & INTR_INFO_VALID)) {
		if (!v->nmi_window)
			nmi_window(v, true);
		return;
	}
	v->nmi_pending = false;
	vmwrite(VMCS_ENTRY_INTERRUPTION_INFO,
		INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
}

static inline __attribute__((always_inline)) void advance(struct vcpu *v)
{
	uint64_t rip = v->exit->rip + v->exit->insn_len, blocking;

	/* Outside 64-bit mode the instruction pointer wraps at 4 GiB. */
	if (__builtin_expect((uint32_t)rip < (uint32_t)v->exit->rip, 0) &&
	    !(vmread(VMCS_GUEST_CS_ACCESS_RIGHTS) & AR_L))
		rip = (uint32_t)rip;
	vmwrite_core(VMCS_GUEST_RIP, rip);
	blocking = vmread_core(VMCS_GUEST_INTERRUPTIBILITY);
	if (__builtin_expect(blocking & (BLOCKING_STI | BLOCKING_MOV_SS), 0))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			blocking & ~(BLOCKING_STI | BLOCKING_MOV_SS));
	if (__builtin_expect(vmread_core(VMCS_GUEST_RFLAGS) & RFLAGS_TF, 0))
		vmwrite(VMCS_GUEST_PENDING_DEBUG,
			vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

void vmx_advance(struct vcpu *v)
{
	advance(v);
}

struct vcpu *vmx_exited(struct vcpu *v)
{
	decode(v);
	return exit_handle(v, advance);
}

_Noreturn void vmx_entry_failed(struct vcpu *v)
{
	(void)v;
	panic("VM entry failed: VM-instruction error %lu",
	      vmread(VMCS_INSTRUCTION_ERROR));
}

void vmx_inject(struct vcpu *v, unsigned vector, int64_t error)
{
	/* Real mode pushes no error codes. */
	bool has_error = error >= 0 && (vmread(VMCS_GUEST_CR0) & CR0_PE);

	(void)v;
	if (has_error)
		vmwrite(VMCS_ENTRY_EXCEPTION_ERROR_CODE, (uint64_t)error);
	vmwrite(VMCS_ENTRY_INTERRUPTION_INFO,
		INTR_INFO_VALID | INTR_TYPE_EXC << 8 | vector |
		(has_error ? INTR_INFO_ERROR : 0));
}

COLD enum err vmx_load_pdptes(const struct vcpu *v)
{
	uint64_t cr3 = vmread(VMCS_GUEST_CR3) & 0xffffffe0;
	uint64_t pdpte[4];

	if (!guest_read(v, GPA(cr3), pdpte, sizeof(pdpte)))
		return ERR_NOENT;
	for (unsigned i = 0; i < 4; i++) {
		if ((pdpte[i] & PDPTE_P) && (pdpte[i] & PDPTE_RESERVED))
			return ERR_INVAL;
	}
	for (unsigned i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
	return OK;
}

/* For MOV to CR0. False: #GP, or a domU's owner has to map them first. */
static COLD bool has_pdptes(struct vcpu *v)
{
	struct vmexit *x = v->exit;
	enum err e = vmx_load_pdptes(v);

	if (e == ERR_NOENT && v->vm) {
		x->kind = EXIT_STAGE2;
		x->gpa = GPA(vmread(VMCS_GUEST_CR3) & 0xffffffe0);
		x->write = x->own = false;
	}
	return e == OK;
}

/* SDM "MOV—Move to/from Control Registers": CR0. False: #GP. */
static COLD bool write_cr0_exit(struct vcpu *v, uint64_t value)
{
	uint64_t old = vmread(VMCS_GUEST_CR0);
	uint64_t efer = vmread(VMCS_GUEST_IA32_EFER);
	uint64_t entry = vmread(VMCS_ENTRY_CTLS);
	uint64_t cr4 = vmread(VMCS_GUEST_CR4);
	bool l = vmread(VMCS_GUEST_CS_ACCESS_RIGHTS) & AR_L;

	if (((value & CR0_PG) && !(value & CR0_PE)) ||
	    ((value & CR0_NW) && !(value & CR0_CD)) || value >> 32)
		return false;
	if ((value & CR0_PG) && !(old & CR0_PG) && (efer & EFER_LME)) {
		if (!(cr4 & CR4_PAE) || l)
			return false;
		efer |= EFER_LMA;
		entry |= ENTRY_IA32E;
	} else if (!(value & CR0_PG) && (old & CR0_PG) && (efer & EFER_LMA)) {
		if (l)
			return false;
		efer &= ~EFER_LMA;
		entry &= ~ENTRY_IA32E;
	}
	if ((value & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA) &&
	    !has_pdptes(v))
		return false;
	vmwrite(VMCS_GUEST_IA32_EFER, efer);
	vmwrite(VMCS_ENTRY_CTLS, entry);
	vmwrite(VMCS_GUEST_CR0, value | CR0_NE | CR0_ET);
	vmwrite(VMCS_CR0_READ_SHADOW, value | CR0_ET);
	return true;
}

/* A domU's, in 64-bit mode: CR8 is bits 7:4 of its APIC's TPR. */
static void cr8_exit(struct vcpu *v, uint64_t q, uint64_t value)
{
	if (QUAL_CR_TYPE(q) == 0 && value > 15) {
		vmx_inject(v, VEC_GP, 0);
		return;
	}
	if (QUAL_CR_TYPE(q) == 0)
		v->domu->apic.reg[VLAPIC_TPR].v = (uint32_t)value << 4;
	else
		v->gpr[QUAL_CR_REG(q)] = v->domu->apic.reg[VLAPIC_TPR].v >> 4;
	if (QUAL_CR_TYPE(q) == 1 && QUAL_CR_REG(q) == RSP)
		vmwrite(VMCS_GUEST_RSP, v->gpr[RSP]);
	vmx_advance(v);
}

/*
 * Only writes of the masked bits exit: CR0.NE, which VMX wants set, and
 * CR4.VMXE and SMXE, which this CPU does not have as far as dom0 can see.
 */
static void cr_exit(struct vcpu *v)
{
	uint64_t q = v->exit->info1, value;

	v->gpr[RSP] = vmread(VMCS_GUEST_RSP);
	value = v->gpr[QUAL_CR_REG(q)];
	if (QUAL_CR_NUMBER(q) == 8) {
		cr8_exit(v, q, value);
		return;
	}
	if (!(vmread(VMCS_GUEST_CS_ACCESS_RIGHTS) & AR_L))
		value = (uint32_t)value;
	if (QUAL_CR_NUMBER(q) == 0 && QUAL_CR_TYPE(q) == 0 &&
	    write_cr0_exit(v, value))
		vmx_advance(v);
	else if (v->exit->kind == EXIT_CR)
		vmx_inject(v, VEC_GP, 0);
}

COLD bool vmx_own(struct vcpu *v)
{
	switch (v->exit->kind) {
	case EXIT_CR:
		cr_exit(v);
		return v->exit->kind == EXIT_CR;
	case EXIT_NMI_WINDOW:
		nmi_window(v, false);
		return true;
	case EXIT_INIT:
		smp_init_received();
		return true;
	case EXIT_OTHER:
		if (v->exit->reason != REASON_RDPMC)
			return false;
		vmx_inject(v, VEC_GP, 0);
		return true;
	default:
		return false;
	}
}

uint64_t vmx_cr4(struct vcpu *v)
{
	(void)v;
	return vmread_core(VMCS_GUEST_CR4) & ~CR4_VMXE;
}

unsigned vmx_paging(struct vcpu *v, struct gpaging *p)
{
	uint64_t cs = vmread_core(VMCS_GUEST_CS_ACCESS_RIGHTS);
	uint64_t efer = vmread_core(VMCS_GUEST_IA32_EFER);

	*p = (struct gpaging){
		vmread_core(VMCS_GUEST_CR0), vmread_core(VMCS_GUEST_CR3), vmx_cr4(v),
		efer, AR_DPL(vmread_core(VMCS_GUEST_SS_ACCESS_RIGHTS)) == 3
	};
	return (efer & EFER_LMA) && (cs & AR_L) ? 64 : cs & AR_DB ? 32 : 16;
}

COLD void vmx_snapshot(struct vcpu *v, struct guest_state *g)
{
	v->gpr[RSP] = vmread(VMCS_GUEST_RSP);
	*g = (struct guest_state){
		.rip = vmread(VMCS_GUEST_RIP),
		.rflags = vmread(VMCS_GUEST_RFLAGS),
		.cr2 = read_cr2(),
		.cs_base = vmread(VMCS_GUEST_CS_BASE),
		.ss_base = vmread(VMCS_GUEST_SS_BASE),
		.cs = (uint16_t)vmread(VMCS_GUEST_CS_SELECTOR),
		.ss = (uint16_t)vmread(VMCS_GUEST_SS_SELECTOR),
		.ds = (uint16_t)vmread(VMCS_GUEST_DS_SELECTOR),
		.es = (uint16_t)vmread(VMCS_GUEST_ES_SELECTOR),
		.fs = (uint16_t)vmread(VMCS_GUEST_FS_SELECTOR),
		.gs = (uint16_t)vmread(VMCS_GUEST_GS_SELECTOR),
		.tr = (uint16_t)vmread(VMCS_GUEST_TR_SELECTOR),
		.cpl = AR_DPL(vmread(VMCS_GUEST_SS_ACCESS_RIGHTS)),
	};
	g->bits = vmx_paging(v, &g->paging);
}

uint64_t vmx_rip(struct vcpu *v)
{
	(void)v;
	return vmread(VMCS_GUEST_RIP);
}

COLD void vmx_dump(struct vcpu *v)
{
	static const struct { uint16_t field; const char *name; } fields[] = {
#define X(name, encoding) { encoding, #name },
#include "vmcs.def"
#undef X
	};

	log_printf("VMCS at %lx:\n", v->hw_pa.v);
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t value = 0;

		/* A field this CPU does not have reads as failure. */
		__asm__ volatile("vmread %1, %0" : "+r"(value)
				 : "r"((uint64_t)fields[i].field) : "cc");
		log_printf("  %-28s %016lx%s", fields[i].name, value,
			   i % 2 ? "\n" : "");
	}
	log_printf("\n");
}
