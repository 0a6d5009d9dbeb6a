/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu_run.c - running a domU: the world switch's common half, and what each
 * of its exits means to the owner. Stage 2 changes under the VM's lock.
 */
#include "domu.h"
#include "dom0.h"
#include "mem.h"
#include "string.h"

static void read_drs(uint64_t *dr)
{
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2;"
			 "mov %%dr3, %3" : "=r"(dr[0]), "=r"(dr[1]),
			 "=r"(dr[2]), "=r"(dr[3]));
}

static void write_drs(const uint64_t *dr)
{
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2;"
			 "mov %3, %%dr3" ::"r"(dr[0]), "r"(dr[1]),
			 "r"(dr[2]), "r"(dr[3]));
}

/* Bits of XCR0 the VMM switches: those whose state fits FPU_AREA. */
static uint64_t xcr0_mask(void)
{
	struct cpuid d = cpuid(0xd, 0);

	return d.a & (d.b <= FPU_AREA ? 0xe7 : 0x7);
}

static bool has_xsave(void)
{
	return cpuid(1, 0).c & BIT(26);
}

static void xsetbv(uint64_t v)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v),
			 "d"((uint32_t)(v >> 32)));
}

static uint64_t xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

/*
 * All register state that neither the VMCS/VMCB nor v->gpr holds, from `old`
 * to `new_`. Saved and loaded under the full XCR0: a component that one side
 * has switched off still must not be seen by the other.
 */
static void fpu_switch(void *old, uint64_t *old_xcr0, const void *new_,
		       uint64_t new_xcr0)
{
	uint64_t mask = BIT(0) | BIT(1);

	if (!has_xsave()) {
		__asm__ volatile("fxsave64 %0" : "=m"(*(char (*)[512])old));
		__asm__ volatile("fxrstor64 %0" ::"m"(*(const char (*)[512])
							     new_));
		return;
	}
	mask = xcr0_mask();
	*old_xcr0 = xgetbv();
	xsetbv(*old_xcr0 | mask);
	__asm__ volatile("xsave64 (%0)" ::"r"(old), "a"((uint32_t)mask),
			 "d"((uint32_t)(mask >> 32)) : "memory");
	__asm__ volatile("xrstor64 (%0)" ::"r"(new_), "a"((uint32_t)mask),
			 "d"((uint32_t)(mask >> 32)) : "memory");
	xsetbv(new_xcr0);
}

static void enter(struct cpu *cpu, struct vcpu *v)
{
	struct domu *u = v->domu;

	cpu->run_exit = *cpu->dom0.exit;
	cpu->dom0.exit = &cpu->run_exit;
	fpu_switch(cpu->fpu, &cpu->xcr0, u->fpu, u->xcr0);
	read_drs(cpu->dr);
	write_drs(u->dr);
	hv->domu_enter(&cpu->dom0, v,
		       u->last_cpu != cpu->index || cpu->last_domu != v ||
			       u->s2_seen != v->vm->s2_changed);
	u->s2_seen = v->vm->s2_changed;
	u->last_cpu = cpu->index;
	cpu->last_domu = v;
	cpu->current = v;
}

void domu_suspend(struct cpu *cpu)
{
	struct vcpu *v = cpu->current;
	struct domu *u = v->domu;

	if (!v->vm)
		return;
	hv->domu_leave(&cpu->dom0, v);
	read_drs(u->dr);
	write_drs(cpu->dr);
	fpu_switch(u->fpu, &u->xcr0, cpu->fpu, cpu->xcr0);
	cpu->current = &cpu->dom0;
}

void domu_release(struct vcpu *v)
{
	if (v->vm)
		domu_let_go(v);
}

/* Back to dom0 behind its hypercall, with an answer. */
static enum exit_action leave(struct vcpu *v, enum luv_run kind, uint64_t a,
			      uint64_t b, uint64_t c)
{
	struct vcpu *d = &v->cpu->dom0;
	unsigned ready = hv->domu_ready(v);
	bool queued = v->domu->queued;

	v->domu->queued = false;
	domu_suspend(v->cpu);
	d->gpr[RAX] = kind | (queued ? LUV_RUN_QUEUED : 0);
	d->gpr[RDI] = a;
	d->gpr[RSI] = b;
	d->gpr[RDX] = c;
	d->gpr[R10] = ready;
	hv->advance(d);
	return RESUME;
}

int64_t domu_run(struct vcpu *d, const struct guest_state *g)
{
	uint32_t event = (uint32_t)d->gpr[R10];
	int64_t why;
	struct vcpu *v = domu_take(g, d->gpr[RDI], d->gpr[RSI], &why);
	struct domu *u;
	uint64_t mask;

	if (!v)
		return why;
	u = v->domu;
	d->cpu->paging = g->paging;
	enter(d->cpu, v);
	if (u->in_size) {
		mask = u->in_size == 4 ? ~0ull : BIT(8 * u->in_size) - 1;
		v->gpr[RAX] = (v->gpr[RAX] & ~mask) | (d->gpr[RDX] & mask);
		if (u->in_size == 4)
			v->gpr[RAX] = (uint32_t)v->gpr[RAX];
		v->exit = &u->in_exit;
		hv->advance(v);
		u->in_size = 0;
	}
	if ((event & BIT(31)) && !u->queued && hv->domu_ready(v) == 3) {
		hv->domu_queue(v, event);
		u->queued = true;
	}
	hv->domu_window(v, (d->gpr[R8] & LUV_RUN_WINDOW) && !u->queued);
	return 0;
}

/* --- exits of a domU ------------------------------------------------------ */

static enum exit_action to_dom0(struct vcpu *v)
{
	domu_suspend(v->cpu);
	return RESUME;
}

static enum exit_action halt(struct vcpu *v)
{
	hv->advance(v);
	return leave(v, LUV_RUN_HLT, 0, 0, 0);
}

static enum exit_action io(struct vcpu *v)
{
	const struct vmexit *x = v->exit;
	uint64_t out = v->gpr[RAX];

	if (x->size < 4)
		out &= BIT(8 * x->size) - 1;
	if (!x->string && x->in) {
		v->domu->in_size = x->size;
		v->domu->in_exit = *x;
	} else if (!x->string) {
		hv->advance(v);
	}
	return leave(v, LUV_RUN_IO, x->port,
		     x->size | (unsigned)x->in << 8 | (unsigned)x->string << 9,
		     (uint32_t)out);
}

static const struct luv_slot *slot_at(const struct vm *vm, uint64_t gpa)
{
	for (unsigned i = 0; i < LUV_SLOTS; i++)
		if (gpa - vm->slot[i].gpa < vm->slot[i].len)
			return &vm->slot[i];
	return NULL;
}

/* The owner's page under hva, as large as `size`; false: not all there. */
static bool owner_page(const struct gpaging *p, uint64_t hva, uint64_t size,
		       bool write, uint64_t *pa)
{
	uint64_t left;
	gpa_t at;

	if (gwalk(p, GVA(hva), write ? GW_WRITE : GW_READ, &dom0_mem, &at,
		  &left) != OK || left < size || (at.v & (size - 1)) ||
	    !e820_is_ram(&dom0.map, at.v, size))
		return false;
	*pa = at.v;
	return true;
}

static enum exit_action stage2(struct vcpu *v)
{
	struct vm *vm = v->vm;
	gpa_t page = GPA(ALIGN_DOWN(v->exit->gpa.v, PAGE_SIZE));
	const struct luv_slot *s;
	struct luv_slot slot;
	uint64_t hva, big, pa;
	enum err e = ERR_INVAL;
	bool ro;

	lock(&vm->lock);
	s = slot_at(vm, page.v);
	if (s)
		slot = *s;
	unlock(&vm->lock);
	ro = s && (slot.flags & LUV_SLOT_READONLY);
	if (!s || (ro && v->exit->write))
		return leave(v, LUV_RUN_MMIO, v->exit->gpa.v, v->exit->write,
			     0);
	hva = slot.hva + (page.v - slot.gpa);
	big = ALIGN_DOWN(page.v, 2 * MIB);
	lock(&vm->lock);
	if (!((slot.gpa ^ slot.hva) & (2 * MIB - 1)) && big >= slot.gpa &&
	    big + 2 * MIB <= slot.gpa + slot.len &&
	    owner_page(&v->cpu->paging, ALIGN_DOWN(hva, 2 * MIB), 2 * MIB, !ro,
		       &pa))
		e = stage2_map(&vm->s2, GPA(big), pa, 2 * MIB,
			       ro ? S2_R | S2_X : S2_RWX, MTRR_WB);
	if (e != OK) {
		if (!owner_page(&v->cpu->paging, hva, PAGE_SIZE, !ro, &pa)) {
			unlock(&vm->lock);
			return leave(v, LUV_RUN_FAULT, hva, !ro, 0);
		}
		e = stage2_map(&vm->s2, page, pa, PAGE_SIZE,
			       ro ? S2_R | S2_X : S2_RWX, MTRR_WB);
	}
	unlock(&vm->lock);
	if (e != OK)
		return leave(v, LUV_RUN_UNKNOWN, EXIT_STAGE2, e, page.v);
	return RESUME;
}

static enum exit_action rdmsr_exit(struct vcpu *v)
{
	return leave(v, LUV_RUN_RDMSR, (uint32_t)v->gpr[RCX], 0, 0);
}

static enum exit_action wrmsr_exit(struct vcpu *v)
{
	uint64_t value = v->gpr[RDX] << 32 | (uint32_t)v->gpr[RAX];

	if ((uint32_t)v->gpr[RCX] == MSR_IA32_EFER && hv->efer &&
	    hv->efer(v, &value) == value)
		return SKIP;
	return leave(v, LUV_RUN_WRMSR, (uint32_t)v->gpr[RCX], value, 0);
}

static enum exit_action window(struct vcpu *v)
{
	return leave(v, LUV_RUN_WINDOW_OPEN, 0, 0, 0);
}

static enum exit_action shutdown(struct vcpu *v)
{
	return leave(v, LUV_RUN_SHUTDOWN, 0, 0, 0);
}

static enum exit_action hypercall(struct vcpu *v)
{
	return leave(v, LUV_RUN_HYPERCALL, 0, 0, 0);
}

static enum exit_action undefined(struct vcpu *v)
{
	hv->inject(v, VEC_UD, -1);
	return RESUME;
}

static enum exit_action xsetbv_exit(struct vcpu *v)
{
	uint64_t value = v->gpr[RDX] << 32 | (uint32_t)v->gpr[RAX];

	if (has_xsave() && !(value & ~xcr0_mask()) &&
	    xsetbv_safe((uint32_t)v->gpr[RCX], value))
		return SKIP;
	hv->inject(v, VEC_GP, 0);
	return RESUME;
}

static enum exit_action own(struct vcpu *v)
{
	if (hv->own(v))
		return RESUME;
	return leave(v, LUV_RUN_UNKNOWN, v->exit->kind, v->exit->reason,
		     v->exit->info1);
}

static enum exit_action unknown(struct vcpu *v)
{
	return leave(v, LUV_RUN_UNKNOWN, v->exit->kind, v->exit->reason,
		     v->exit->info1);
}

const exit_handler domu_handlers[EXIT_KINDS] = {
	[EXIT_NONE] = unknown,
	[EXIT_EXCEPTION] = unknown,
	[EXIT_NMI] = to_dom0,
	[EXIT_NMI_WINDOW] = own,
	[EXIT_INTR] = to_dom0,
	[EXIT_INTR_WINDOW] = window,
	[EXIT_TRIPLE_FAULT] = shutdown,
	[EXIT_INIT] = to_dom0,
	[EXIT_SIPI] = unknown,
	[EXIT_CPUID] = cpuid_exit,
	[EXIT_HYPERCALL] = hypercall,
	[EXIT_CR] = own,
	[EXIT_DR] = unknown,
	[EXIT_IO] = io,
	[EXIT_RDMSR] = rdmsr_exit,
	[EXIT_WRMSR] = wrmsr_exit,
	[EXIT_XSETBV] = xsetbv_exit,
	[EXIT_INVD] = unknown,
	[EXIT_VIRT_INSN] = undefined,
	[EXIT_STAGE2] = stage2,
	[EXIT_APIC_WRITE] = unknown,
	[EXIT_HLT] = halt,
	[EXIT_PAUSE] = unknown,
	[EXIT_TASK_SWITCH] = unknown,
	[EXIT_IRET] = unknown,
	[EXIT_TIMER] = to_dom0,
	[EXIT_OTHER] = unknown,
};

bool guest_read(const struct vcpu *v, gpa_t gpa, void *buf, size_t len)
{
	uint64_t pa = gpa.v, size, leaf;

	if (v->vm) {
		leaf = stage2_lookup(&v->vm->s2, gpa, &size);
		if (!leaf)
			return false;
		pa = (leaf & 0x000ffffffffff000 & ~(size - 1)) |
		     (gpa.v & (size - 1));
	}
	if (!e820_is_ram(&dom0.map, pa, len))
		return false;
	memcpy(buf, hpa_ptr(HPA(pa)), len);
	return true;
}
