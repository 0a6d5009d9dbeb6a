/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dom0.c - dom0's stage 2 and what hangs on it: the identity map in the
 * largest pages, the decoy that stands where the VMM's memory is, the write
 * trap on the xAPIC page, and access to dom0's memory by linear address.
 */
#include "dom0.h"
#include "console.h"
#include "decode.h"
#include "hv.h"
#include "lapic.h"
#include "lock.h"
#include "mem.h"
#include "smp.h"
#include "string.h"

#define APIC_PAGE_DEFAULT 0xfee00000
#define INSN_MAX 15

struct dom0 dom0;
static struct lock stage2_lock = LOCK_INIT;
static void *decoy;
static struct mtrr mtrr;

static const struct { uint32_t msr; unsigned first, count; } mtrr_fixed[] = {
	{ 0x250, 0, 1 }, { 0x258, 1, 2 }, { 0x268, 3, 8 },
};

static void mtrr_load(void)
{
	unsigned n;

	mtrr.cap = rdmsr(MSR_IA32_MTRRCAP);
	mtrr.def_type = rdmsr(MSR_IA32_MTRR_DEF_TYPE);
	mtrr.maxphyaddr = 36;
	if (cpuid(0x80000000, 0).a >= 0x80000008)
		mtrr.maxphyaddr = cpuid(0x80000008, 0).a & 0xff;
	for (unsigned i = 0; i < ARRAY_SIZE(mtrr_fixed); i++)
		for (unsigned j = 0; j < mtrr_fixed[i].count; j++)
			mtrr.fixed[mtrr_fixed[i].first + j] =
				rdmsr(mtrr_fixed[i].msr + j);
	n = mtrr.cap & 0xff;
	mtrr.nvar = n < MTRR_VAR_MAX ? n : MTRR_VAR_MAX;
	for (unsigned i = 0; i < mtrr.nvar; i++) {
		mtrr.var[i].base = rdmsr(MSR_IA32_MTRR_PHYSBASE0 + 2 * i);
		mtrr.var[i].mask = rdmsr(MSR_IA32_MTRR_PHYSBASE0 + 2 * i + 1);
	}
}

static enum mtrr_type type_of(uint64_t base, uint64_t len)
{
	if (!dom0.s2.format->has_types)
		return MTRR_WB;
	return mtrr_range(&mtrr, base, len);
}

bool dom0_hits_vmm(uint64_t pa, uint64_t len)
{
	return pa + len < pa ||
	       (pa < mem.base + mem.len && pa + len > mem.base);
}

static bool hits_apic(uint64_t pa, uint64_t len)
{
	uint64_t page = atomic_load(&dom0.apic_page);

	return page >= pa && page < pa + len;
}

static unsigned apic_perm(void)
{
	return dom0.apic_trapped ? S2_R | S2_X : S2_RWX;
}

/* Identity-map the largest page around pa that nothing forbids. */
static enum err map_identity(uint64_t pa, uint64_t *size)
{
	static const uint64_t sizes[] = { GIB, 2 * MIB, PAGE_SIZE };
	uint64_t hole;

	stage2_lookup(&dom0.s2, GPA(pa), &hole);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t base = ALIGN_DOWN(pa, sizes[i]);
		enum mtrr_type type = type_of(base, sizes[i]);
		unsigned perm = S2_RWX;

		if ((sizes[i] == GIB && !dom0.s2.format->has_1g) ||
		    sizes[i] > hole || type == MTRR_MIXED ||
		    dom0_hits_vmm(base, sizes[i]))
			continue;
		if (hits_apic(base, sizes[i])) {
			if (sizes[i] != PAGE_SIZE)
				continue;
			perm = apic_perm();
		}
		*size = sizes[i];
		return stage2_map(&dom0.s2, GPA(base), base, sizes[i], perm,
				  type);
	}
	return ERR_INVAL;
}

static void *alloc_page(void)
{
	return mem_alloc(PAGE_SIZE, PAGE_SIZE);
}

static uint64_t to_pa(const void *table)
{
	return ptr_hpa(table).v;
}

static void *to_ptr(uint64_t pa)
{
	return hpa_ptr(HPA(pa));
}

COLD void dom0_init(const struct stage2_format *format)
{
	uint64_t end = e820_ram_end(&dom0.map), size = PAGE_SIZE;

	dom0.s2 = (struct stage2){
		.root = mem_need(PAGE_SIZE, PAGE_SIZE, "stage 2"),
		.format = format, .alloc = alloc_page, .to_pa = to_pa,
		.to_ptr = to_ptr,
	};
	decoy = mem_need(PAGE_SIZE, PAGE_SIZE, "the decoy page");
	memset(decoy, 0xff, PAGE_SIZE);
	if (format->has_types)
		mtrr_load();
	dom0.apic_page = APIC_PAGE_DEFAULT;
	dom0.apic_trapped = !lapic_x2apic();
	if (end < 4 * GIB)
		end = 4 * GIB;
	for (uint64_t pa = 0; pa < end; pa = ALIGN_DOWN(pa, size) + size) {
		size = PAGE_SIZE;
		if (dom0_hits_vmm(pa, PAGE_SIZE))
			size = 2 * MIB; /* filled with the decoy on touch */
		else if (map_identity(pa, &size) != OK)
			die("no memory for dom0's stage 2: the VMM's %lu KiB "
			    "are used up", mem.len / KIB);
	}
}

void dom0_mtrr_changed(void)
{
	lock(&stage2_lock);
	mtrr_load();
	if (stage2_retype(&dom0.s2, type_of) != OK)
		log_printf("luvalley: out of VMM memory while following an "
			   "MTRR change: some memory keeps its old type\n");
	unlock(&stage2_lock);
	hv->flush(&this_cpu()->dom0);
	smp_request_others(REQ_FLUSH);
}

static void touched_vmm(struct vcpu *v, gpa_t gpa)
{
	static _Atomic unsigned said;

	log_few(&said, "luvalley: dom0 touched the VMM's memory at %lx "
			   "(rip %lx): it sees a decoy there\n", gpa.v,
			   v->exit->rip);
}

enum exit_action dom0_stage2_fault(struct vcpu *v)
{
	static _Atomic unsigned said;
	gpa_t page = GPA(ALIGN_DOWN(v->exit->gpa.v, PAGE_SIZE));
	enum err e = OK;
	uint64_t size, leaf;

	if (v->exit->write && page.v == dom0.apic_page && dom0.apic_trapped)
		return apic_write_exit(v);
	lock(&stage2_lock);
	leaf = stage2_lookup(&dom0.s2, page, NULL);
	if (leaf) /* this CPU's translation was older than the table */
		hv->flush(v);
	else if (dom0_hits_vmm(page.v, PAGE_SIZE))
		e = stage2_map(&dom0.s2, page, to_pa(decoy), PAGE_SIZE, S2_RWX,
			       MTRR_WB);
	else
		e = map_identity(page.v, &size);
	unlock(&stage2_lock);
	if (!leaf && dom0_hits_vmm(page.v, PAGE_SIZE))
		touched_vmm(v, v->exit->gpa);
	if (e == ERR_NOMEM) {
		log_few(&said, "luvalley: no memory to map %lx for dom0: #GP\n",
			   v->exit->gpa.v);
		hv->inject(v, VEC_GP, 0);
	}
	return e == ERR_INVAL ? STOP : RESUME;
}

/* --- the xAPIC page ------------------------------------------------------- */

static void apic_page_map(uint64_t page, unsigned perm)
{
	lock(&stage2_lock);
	if (stage2_map(&dom0.s2, GPA(page), page, PAGE_SIZE, perm,
		       type_of(page, PAGE_SIZE)) != OK)
		log_printf("luvalley: cannot change access to %lx\n", page);
	unlock(&stage2_lock);
	hv->flush(&this_cpu()->dom0);
}

void dom0_apic_trap(bool on)
{
	if (atomic_exchange(&dom0.apic_trapped, on) == on)
		return;
	apic_page_map(dom0.apic_page, apic_perm());
	/* Opening is lazy: a stale entry only costs an exit. */
	if (on && hv->nmi_wakes_hlt)
		smp_mark_others(REQ_FLUSH);
	else if (on)
		smp_request_others(REQ_FLUSH);
}

void dom0_apic_moved(uint64_t page)
{
	uint64_t old = atomic_exchange(&dom0.apic_page, page);

	if (old == page)
		return;
	apic_page_map(old, S2_RWX);
	apic_page_map(page, apic_perm());
	smp_request_others(REQ_FLUSH);
}

void dom0_apic_settled(void)
{
	if (dom0.opt.apic_trap == APIC_TRAP_ALWAYS)
		return;
	for (unsigned i = 0; i < machine.cpus; i++) {
		uint32_t w = atomic_load(&machine.cpu[i]->startup);

		if (IPI_STATE(w) != IPI_RUN && IPI_STATE(w) != IPI_START)
			return;
	}
	dom0_apic_trap(false);
}

static uint32_t apply(const struct store *s, uint32_t old, uint32_t src)
{
	switch (s->op) {
	case STORE_OR: return old | src;
	case STORE_AND: return old & src;
	case STORE_XOR: return old ^ src;
	case STORE_ADD: return old + src;
	case STORE_SUB: return old - src;
	default: return src;
	}
}

static void apic_store(struct cpu *cpu, unsigned reg, uint32_t value)
{
	struct icr icr;

	if (reg == LAPIC_ICR) {
		icr = icr_from_xapic(lapic_read(LAPIC_ICR2), value);
		if (icr_is_startup(&icr)) {
			smp_startup_ipi(&icr);
			dom0_apic_settled();
			return;
		}
	} else if (reg == LAPIC_LDR) {
		cpu->apic.ldr = value;
	} else if (reg == LAPIC_DFR) {
		cpu->apic.dfr = value;
	}
	lapic_write(reg, value);
}

COLD enum exit_action apic_write_exit(struct vcpu *v)
{
	static _Atomic unsigned said;
	unsigned reg = v->exit->gpa.v & PAGE_MASK;
	uint8_t insn[INSN_MAX];
	struct guest_state g;
	struct store s;
	uint32_t src, old = 0;
	size_t n;

	v->exit->kind = EXIT_APIC_WRITE;
	v->hist.row = hist_row(&v->hist, EXIT_APIC_WRITE);
	hv->snapshot(v, &g);
	if (dom0_fetch(&g, insn, sizeof(insn), &n) != OK ||
	    decode_store(insn, n, g.bits, &s) != OK || (reg & 3)) {
		log_few(&said, "luvalley: cannot decode the write to APIC register "
			   "%03x at %lx: #UD\n", reg, g.rip);
		hv->inject(v, VEC_UD, -1);
		return RESUME;
	}
	src = s.has_imm ? s.imm : (uint32_t)v->gpr[s.reg];
	if (s.op != STORE_MOV && !v->cpu->apic.x2apic)
		old = lapic_read(reg);
	if (!v->cpu->apic.x2apic) /* in x2APIC mode the page is dead */
		apic_store(v->cpu, reg, apply(&s, old, src));
	if (s.op == STORE_XCHG && s.reg != RSP)
		v->gpr[s.reg] = old;
	v->exit->insn_len = s.len;
	return SKIP;
}

/* --- dom0's memory by linear address -------------------------------------- */

/* A row of dom0.map, which does not change: mostly the same as last time. */
static bool is_ram(uint64_t pa, uint64_t len)
{
	static const struct luv_mem *_Atomic hint;
	const struct luv_mem *r =
		atomic_load_explicit(&hint, memory_order_relaxed);

	if (r && pa - r->base < r->len && len <= r->len - (pa - r->base))
		return true;
	r = e820_ram_row(&dom0.map, pa);
	if (!r || len > r->len - (pa - r->base))
		return false;
	atomic_store_explicit(&hint, r, memory_order_relaxed);
	return true;
}

static bool mem_read(void *ctx, gpa_t pa, void *entry, unsigned size)
{
	const void *at = hpa_ptr(HPA(pa.v));

	(void)ctx;
	if (!is_ram(pa.v, size))
		return false;
	if (size == 8)
		*(uint64_t *)entry = *(const volatile uint64_t *)at;
	else
		*(uint32_t *)entry = *(const volatile uint32_t *)at;
	return true;
}

static bool mem_cas(void *ctx, gpa_t pa, uint64_t old, uint64_t new_,
		    unsigned size)
{
	void *p = hpa_ptr(HPA(pa.v));
	uint32_t old32 = (uint32_t)old;

	(void)ctx;
	if (!e820_is_ram(&dom0.map, pa.v, size))
		return false;
	if (size == 4)
		return __atomic_compare_exchange_n((uint32_t *)p, &old32,
						   (uint32_t)new_, false,
						   __ATOMIC_SEQ_CST,
						   __ATOMIC_SEQ_CST);
	return __atomic_compare_exchange_n((uint64_t *)p, &old, new_, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

const struct gwalk_mem dom0_mem = { NULL, mem_read, mem_cas };

/* One page's worth of a copy: where it is, if it is RAM and allowed. */
static enum err piece(const struct gpaging *g, gva_t va, size_t len,
		      enum gwalk_access access, void **p, size_t *n)
{
	uint64_t left;
	gpa_t pa;

	if (gwalk(g, va, access, &dom0_mem, &pa, &left) != OK)
		return ERR_FAULT;
	*n = left < len ? left : len;
	if (*n > PAGE_SIZE)
		*n = PAGE_SIZE;
	if (!is_ram(pa.v, *n))
		return ERR_FAULT;
	*p = hpa_ptr(HPA(pa.v));
	return OK;
}

static enum err walk_out(const struct gpaging *g, gva_t dst,
			 const void *src, size_t len)
{
	for (size_t done = 0; done < len;) {
		size_t n;
		void *p;

		if (piece(g, GVA(dst.v + done), len - done, GW_WRITE, &p,
			  &n) != OK)
			return ERR_FAULT;
		if (src)
			memcpy(p, (const char *)src + done, n);
		done += n;
	}
	return OK;
}

enum err dom0_writable(const struct gpaging *g, gva_t dst, size_t len)
{
	return walk_out(g, dst, NULL, len);
}

enum err dom0_copy_out(const struct gpaging *g, gva_t dst,
		       const void *src, size_t len)
{
	enum err e = OK;

	if ((dst.v & PAGE_MASK) + len > PAGE_SIZE) /* all pages or none */
		e = dom0_writable(g, dst, len);
	return e == OK ? walk_out(g, dst, src, len) : e;
}

enum err dom0_copy_in(const struct gpaging *g, void *dst, gva_t src,
		      size_t len)
{
	for (size_t done = 0; done < len;) {
		size_t n;
		void *p;

		if (piece(g, GVA(src.v + done), len - done, GW_READ, &p, &n) !=
		    OK)
			return ERR_FAULT;
		memcpy((char *)dst + done, p, n);
		done += n;
	}
	return OK;
}

enum err dom0_fetch(const struct guest_state *g, uint8_t *insn, size_t len,
		    size_t *got)
{
	for (*got = 0; *got < len;) {
		uint64_t va = g->cs_base + g->rip + *got;
		size_t n;
		void *p;

		if (piece(&g->paging, GVA(g->bits == 64 ? va : (uint32_t)va),
			  len - *got, GW_READ, &p, &n) != OK)
			break;
		memcpy(insn + *got, p, n);
		*got += n;
	}
	return *got ? OK : ERR_FAULT;
}
