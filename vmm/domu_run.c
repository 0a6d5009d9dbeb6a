/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu_run.c - running a domU: the world switch's common half, and what each
 * of its exits means to the owner. Stage 2 changes under the VM's lock.
 */
#include "domu.h"
#include "dom0.h"
#include "mem.h"
#include "string.h"
#include "trace.h"

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

uint64_t domu_fpu_mask;

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
	const uint64_t mask = domu_fpu_mask;

	if (!mask) {
		__asm__ volatile("fxsave64 %0" : "=m"(*(char (*)[512])old));
		__asm__ volatile("fxrstor64 %0" ::"m"(*(const char (*)[512])
							     new_));
		return;
	}
	*old_xcr0 = xgetbv();
	if (mask & ~*old_xcr0)
		xsetbv(*old_xcr0 | mask);
	__asm__ volatile("xsave64 (%0)" ::"r"(old), "a"((uint32_t)mask),
			 "d"((uint32_t)(mask >> 32)) : "memory");
	__asm__ volatile("xrstor64 (%0)" ::"r"(new_), "a"((uint32_t)mask),
			 "d"((uint32_t)(mask >> 32)) : "memory");
	if (new_xcr0 != (*old_xcr0 | mask))
		xsetbv(new_xcr0);
}

void domu_run_init(void)
{
	domu_fpu_mask = domu_xcr0_mask();
}

static void enter(struct cpu *cpu, struct vcpu *v)
{
	struct domu *u = v->domu;

	cpu->run_exit = *cpu->dom0.exit;
	cpu->dom0.exit = &cpu->run_exit;
	fpu_switch(cpu->fpu, &cpu->xcr0, u->fpu, u->xcr0);
	read_drs(cpu->dr);
	write_drs(u->debug & LUV_DEBUG_HW ? u->debug_dr : u->dr);
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
	if (!(u->debug & LUV_DEBUG_HW))
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

/* Can the caller's event be taken? R10 of the run call. */
static unsigned ready(struct vcpu *v)
{
	unsigned now = hv->domu_ready(v);
	const struct vlapic *a = &v->domu->apic;

	if (v->domu->has_apic && !vlapic_takes_extint(a))
		now &= 1;
	return now | (a->reg[VLAPIC_TPR].v >> 4 & 15) << 8;
}

/* Back to dom0 behind its hypercall, with an answer. */
static enum exit_action leave(struct vcpu *v, enum luv_run kind, uint64_t a,
			      uint64_t b, uint64_t c)
{
	struct vcpu *d = &v->cpu->dom0;
	unsigned now;
	bool queued = v->domu->queued;

	hv->domu_sync(v);
	now = ready(v);
	v->domu->queued = false;
	domu_suspend(v->cpu);
	d->gpr[RAX] = kind | (queued ? LUV_RUN_QUEUED : 0);
	d->gpr[RDI] = a;
	d->gpr[RSI] = b;
	d->gpr[RDX] = c;
	d->gpr[R10] = now;
	hv->advance(d);
	return RESUME;
}

/* --- interrupts ----------------------------------------------------------- */

/*
 * Queue what comes first of an NMI, the caller's event and the local APIC's
 * vector, or have a window opened for it. The 8259's before the APIC's, as a
 * processor's pins have it.
 */
static void inject(struct vcpu *v)
{
	struct domu *u = v->domu;
	bool extint = !u->has_apic || vlapic_takes_extint(&u->apic);
	bool offered = (u->event & BIT(31)) && !u->queued && extint;
	bool waits = false;
	int vector = -1;

	if (u->nmis && atomic_exchange(&u->nmis, 0))
		v->nmi_pending = true;
	if (v->nmi_pending) {
		hv->inject_nmi(v);
		trace_injected_nmi(v);
	}
	if (u->has_apic) {
		vlapic_tick(&u->apic, rdtsc());
		hv->domu_sync(v);
		if (u->eoi_offered)
			domu_eoi_look(v);
		waits = vlapic_waits(&u->apic);
		if (waits)
			vector = vlapic_pending(&u->apic);
	}
	if ((offered || vector >= 0) && hv->domu_ready(v) == 3) {
		if (offered) {
			hv->domu_queue(v, u->event);
			trace_injected(v, u->event & 0xff);
			u->queued = true;
			offered = false;
		} else {
			vlapic_accept(&u->apic, (unsigned)vector);
			hv->domu_queue(v, BIT(31) | (unsigned)vector);
			trace_injected(v, (unsigned)vector);
			domu_eoi_offer(v, (unsigned)vector);
			waits = vlapic_waits(&u->apic);
			vector = waits ? vlapic_pending(&u->apic) : -1;
		}
	}
	if (offered || vector >= 0 ||
	    (u->want_window && extint && !u->queued))
		hv->domu_window(v, WINDOW_ANY);
	else
		hv->domu_window(v, waits ? vlapic_class_behind_tpr(&u->apic) :
					   0);
}

/* Does something end HLT? */
static bool awake(struct vcpu *v)
{
	struct domu *u = v->domu;

	if (u->nmis || v->nmi_pending || u->init)
		return true;
	if (!u->has_apic)
		return (u->event & BIT(31)) && !u->queued;
	vlapic_tick(&u->apic, rdtsc());
	domu_eoi_look(v);
	if (u->hw_apic)
		vlapic_collect(&u->apic);
	return (u->hw_apic ? vlapic_deliverable(&u->apic) :
			     vlapic_pending(&u->apic) >= 0) ||
	       ((u->event & BIT(31)) && !u->queued &&
		vlapic_takes_extint(&u->apic));
}

/* INIT and SIPI that others sent. SDM "Processor Reset and INIT". */
static void take_init(struct vcpu *v)
{
	struct domu *u = v->domu;
	uint32_t init = atomic_exchange(&u->init, 0);

	if (init & DOMU_INIT) {
		hv->domu_reset(v, 0xf000, 0xfff0);
		vlapic_init(&u->apic);
		domu_pv_eoi_set(v, 0);
		u->wait = WAIT_NONE;
		u->mp_state = u->apic.base & VLAPIC_BASE_BSP ?
				      LUV_MP_RUNNABLE : LUV_MP_WAIT_SIPI;
	}
	if ((init & DOMU_SIPI) && u->mp_state == LUV_MP_WAIT_SIPI) {
		hv->domu_reset(v, (uint16_t)((init & 0xff) << 8), 0);
		u->mp_state = LUV_MP_RUNNABLE;
	}
}

static uint64_t ticks_left(const struct domu *u)
{
	uint64_t now = rdtsc();

	if (!u->has_apic || !u->apic.deadline)
		return ~0ull;
	return (int64_t)(u->apic.deadline - now) > 0 ?
		       u->apic.deadline - now : 0;
}

/*
 * The vCPU does nothing until somebody wakes it. `blocked` is set before the
 * last look at what could have come: see domu_apic.c.
 */
static enum exit_action block(struct vcpu *v)
{
	struct domu *u = v->domu;

	atomic_exchange(&u->blocked, 1);
	if (u->init || u->kicked ||
	    (u->mp_state == LUV_MP_HALTED && awake(v))) {
		atomic_exchange(&u->blocked, 0);
		return SKIP;
	}
	u->told_deadline = u->apic.deadline;
	return leave(v, LUV_RUN_HLT, ticks_left(u), u->mp_state, 0);
}

/*
 * What has to be done before v runs on, and may have to be done by ring 3.
 * True: it runs; false: it has left.
 */
static bool proceed(struct vcpu *v)
{
	struct domu *u = v->domu;

	if (u->wake) {
		uint64_t wake = u->wake;

		u->wake = 0;
		leave(v, LUV_RUN_WAKE, wake, 0, 0);
		return false;
	}
	if (u->eoi) {
		uint8_t vector = u->eoi;

		u->eoi = 0;
		leave(v, LUV_RUN_EOI, vector, 0, 0);
		return false;
	}
	inject(v);
	if (u->has_apic && u->apic.deadline &&
	    u->apic.deadline != u->told_deadline) {
		u->told_deadline = u->apic.deadline;
		leave(v, LUV_RUN_TIMER, ticks_left(u), 0, 0);
		return false;
	}
	return true;
}

/* --- entry ---------------------------------------------------------------- */

static void gp(struct vcpu *v)
{
	hv->inject(v, VEC_GP, 0);
}

/* The instruction that the last exit left to ring 3 ends here. */
static void complete(struct vcpu *v, uint64_t in, bool fault)
{
	struct domu *u = v->domu;
	uint64_t mask = 0;

	v->exit = &u->wait_exit;
	if (u->wait == WAIT_IN) {
		if (u->wait_exit.size == 4)
			v->gpr[RAX] = (uint32_t)in;
		else
			mask = BIT(8 * u->wait_exit.size) - 1;
		v->gpr[RAX] = (v->gpr[RAX] & ~mask) | (in & mask);
	} else if (fault) {
		u->wait = WAIT_NONE;
		gp(v);
		return;
	} else if (u->wait == WAIT_RDMSR) {
		v->gpr[RAX] = (uint32_t)in;
		v->gpr[RDX] = in >> 32;
	}
	u->wait = WAIT_NONE;
	hv->advance(v);
}

int64_t domu_run(struct vcpu *d, const struct gpaging *g)
{
	int64_t why;
	uint64_t flags = d->gpr[R8];
	struct vcpu *v = domu_take(g, d->gpr[RDI], d->gpr[RSI], &why);
	struct domu *u;

	if (!v)
		return why;
	u = v->domu;
	d->cpu->paging = *g;
	u->event = (uint32_t)d->gpr[R10];
	u->want_window = flags & LUV_RUN_WINDOW;
	atomic_store(&u->blocked, 0);
	enter(d->cpu, v);
	if (u->wait)
		complete(v, d->gpr[RDX], flags & LUV_RUN_GP);
	if ((flags & LUV_RUN_NO_ENTRY) || atomic_exchange(&u->kicked, 0)) {
		leave(v, LUV_RUN_KICKED, 0, 0, 0);
	} else {
		if (u->init)
			take_init(v);
		if (u->mp_state == LUV_MP_HALTED && awake(v))
			u->mp_state = LUV_MP_RUNNABLE;
		if (u->mp_state != LUV_MP_RUNNABLE && block(v) == SKIP)
			domu_suspend(d->cpu); /* dom0 calls again */
		else if (d->cpu->current == v)
			proceed(v);
	}
	if (d->cpu->current == d)
		domu_let_go(v);
	return 0;
}

/* --- exits of a domU ------------------------------------------------------ */

static enum exit_action to_dom0(struct vcpu *v)
{
	domu_suspend(v->cpu);
	return RESUME;
}

/* Has an exit that the VMM handled left something to do? */
static enum exit_action done(struct vcpu *v)
{
	hv->advance(v);
	proceed(v);
	return RESUME;
}

static enum exit_action halt(struct vcpu *v)
{
	struct domu *u = v->domu;

	hv->advance(v);
	if (!u->has_apic)
		return leave(v, LUV_RUN_HLT, ~0ull, LUV_MP_HALTED, 0);
	hv->domu_sync(v);
	u->mp_state = LUV_MP_HALTED;
	if (awake(v)) {
		u->mp_state = LUV_MP_RUNNABLE;
		proceed(v);
		return RESUME;
	}
	if (block(v) == SKIP)
		domu_suspend(v->cpu);
	return RESUME;
}

static void wait_for(struct vcpu *v, enum domu_wait what)
{
	v->domu->wait = (uint8_t)what;
	v->domu->wait_exit = *v->exit;
}

static enum exit_action io(struct vcpu *v)
{
	const struct vmexit *x = v->exit;
	uint64_t out = v->gpr[RAX];
	uint64_t how = x->size | (uint64_t)x->in << 8 |
		       (uint64_t)x->string << 9;

	if (x->string)
		return leave(v, LUV_RUN_IO, x->port, how, 0);
	if (x->size < 4)
		out &= BIT(8 * x->size) - 1;
	if (x->in)
		wait_for(v, WAIT_IN);
	else
		hv->advance(v);
	return leave(v, LUV_RUN_IO, x->port, how, (uint32_t)out);
}

static const struct luv_slot *slot_at(const struct vm *vm, uint64_t gpa)
{
	for (unsigned i = 0; i < vm->slots; i++)
		if (gpa - vm->slot[i].gpa < vm->slot[i].len)
			return &vm->slot[i];
	return NULL;
}

/* Are all pieces of a slot that [hva, hva+size) touches pinned? */
static bool granted(const struct vm *vm, const struct luv_slot *s,
		    uint64_t hva)
{
	uint64_t i = (hva - ALIGN_DOWN(s->hva, 2 * MIB)) / (2 * MIB);

	return !(s->flags & LUV_SLOT_LAZY) ||
	       (vm->granted[s->slot][i / 8] & 1u << i % 8);
}

/* Where the owner has hva; *left: bytes to the end of its page. */
static bool owner_page(const struct gpaging *p, uint64_t hva, bool write,
		       uint64_t *pa, uint64_t *left)
{
	gpa_t at;

	if (gwalk(p, GVA(hva), write ? GW_WRITE : GW_READ, &dom0_mem, &at,
		  left) != OK)
		return false;
	*pa = at.v;
	return true;
}

static enum err map(struct vm *vm, uint64_t gpa, uint64_t pa, uint64_t size,
		    unsigned perm)
{
	enum err e = stage2_map(&vm->s2, GPA(gpa), pa, size, perm, MTRR_WB);

	if (e == OK)
		trace_mapped(vm, gpa, pa, size, perm);
	return e;
}

/*
 * Is the owner's page a large one? A small one that is the last of 2 MiB looks
 * the same as the end of a large one: then the beginning tells.
 */
static bool owner_large(const struct gpaging *p, uint64_t hva, bool write,
			uint64_t left)
{
	uint64_t offset = hva & (2 * MIB - 1), pa;

	if (left < 2 * MIB - offset)
		return false;
	return left > PAGE_SIZE ||
	       (owner_page(p, hva - offset, write, &pa, &left) &&
		left >= 2 * MIB);
}

/* The page at gpa, as large as both sides allow; under the VM's lock. */
static enum err map_page(struct vcpu *v, const struct luv_slot *s, gpa_t page)
{
	uint64_t hva = s->hva + (page.v - s->gpa), pa, left;
	uint64_t big = ALIGN_DOWN(page.v, 2 * MIB);
	bool ro = s->flags & LUV_SLOT_READONLY;
	unsigned perm = ro ? S2_R | S2_X : S2_RWX;
	const struct gpaging *owner = &v->cpu->paging;

	if (!granted(v->vm, s, hva) ||
	    !owner_page(owner, hva, !ro, &pa, &left))
		return ERR_FAULT;
	if (!((s->gpa ^ s->hva) & (2 * MIB - 1)) && big >= s->gpa &&
	    big + 2 * MIB <= s->gpa + s->len &&
	    owner_large(owner, hva, !ro, left) &&
	    e820_is_ram(&dom0.map, ALIGN_DOWN(pa, 2 * MIB), 2 * MIB) &&
	    map(v->vm, big, ALIGN_DOWN(pa, 2 * MIB), 2 * MIB, perm) == OK)
		return OK;
	if (!e820_is_ram(&dom0.map, pa, PAGE_SIZE))
		return ERR_FAULT;
	return map(v->vm, page.v, pa, PAGE_SIZE, perm);
}

static enum exit_action stage2(struct vcpu *v)
{
	struct vm *vm = v->vm;
	gpa_t page = GPA(ALIGN_DOWN(v->exit->gpa.v, PAGE_SIZE));
	const struct luv_slot *s;
	struct luv_slot slot = { 0 };
	enum err e = ERR_NOENT;

	lock(&vm->lock);
	s = slot_at(vm, page.v);
	if (s && !((s->flags & LUV_SLOT_READONLY) && v->exit->write)) {
		slot = *s;
		e = map_page(v, s, page);
	}
	unlock(&vm->lock);
	switch (e) {
	case OK:
		return RESUME;
	case ERR_NOENT:
		return leave(v, LUV_RUN_MMIO, v->exit->gpa.v, v->exit->write,
			     0);
	case ERR_FAULT:
		return leave(v, LUV_RUN_FAULT, slot.hva + (page.v - slot.gpa),
			     !(slot.flags & LUV_SLOT_READONLY), slot.slot);
	default:
		return leave(v, LUV_RUN_UNKNOWN, EXIT_STAGE2, e, page.v);
	}
}

static enum exit_action rdmsr_exit(struct vcpu *v)
{
	uint64_t value = 0;
	bool ok;

	if (domu_apic_rdmsr(v, (uint32_t)v->gpr[RCX], &value, &ok)) {
		if (!ok) {
			gp(v);
			return RESUME;
		}
		v->gpr[RAX] = (uint32_t)value;
		v->gpr[RDX] = value >> 32;
		return SKIP;
	}
	wait_for(v, WAIT_RDMSR);
	return leave(v, LUV_RUN_RDMSR, (uint32_t)v->gpr[RCX], 0, 0);
}

static enum exit_action wrmsr_exit(struct vcpu *v)
{
	uint64_t value = v->gpr[RDX] << 32 | (uint32_t)v->gpr[RAX];
	bool ok;

	if (domu_apic_wrmsr(v, (uint32_t)v->gpr[RCX], value, &ok)) {
		if (ok)
			return done(v);
		gp(v);
		return RESUME;
	}
	if ((uint32_t)v->gpr[RCX] == MSR_IA32_EFER && hv->efer) {
		uint64_t lma = hv->efer(v, NULL) & EFER_LMA;

		value = (value & ~EFER_LMA) | lma;
		if (hv->efer(v, &value) == value)
			return SKIP;
		gp(v);
		return RESUME;
	}
	wait_for(v, WAIT_WRMSR);
	return leave(v, LUV_RUN_WRMSR, (uint32_t)v->gpr[RCX], value, 0);
}

static enum exit_action apic_written(struct vcpu *v)
{
	domu_apic_written(v, v->exit->port, v->exit->size);
	proceed(v);
	return RESUME;
}

static enum exit_action window(struct vcpu *v)
{
	struct domu *u = v->domu;

	if (!proceed(v))
		return RESUME;
	if (u->want_window && !u->queued && ready(v) & 2)
		return leave(v, LUV_RUN_WINDOW_OPEN, 0, 0, 0);
	return RESUME;
}

static enum exit_action shutdown(struct vcpu *v)
{
	return leave(v, LUV_RUN_SHUTDOWN, 0, 0, 0);
}

/* No PV call is offered: what KVM answers to one it does not know. */
static enum exit_action hypercall(struct vcpu *v)
{
	v->gpr[RAX] = (uint64_t)-1000;
	return SKIP;
}

static enum exit_action undefined(struct vcpu *v)
{
	hv->inject(v, VEC_UD, -1);
	return RESUME;
}

static enum exit_action xsetbv_exit(struct vcpu *v)
{
	uint64_t value = v->gpr[RDX] << 32 | (uint32_t)v->gpr[RAX];

	if (domu_fpu_mask && !(value & ~domu_fpu_mask) &&
	    xsetbv_safe((uint32_t)v->gpr[RCX], value))
		return SKIP;
	hv->inject(v, VEC_GP, 0);
	return RESUME;
}

/* Exceptions that are intercepted for ring 3's debugger. */
static enum exit_action exception(struct vcpu *v)
{
	uint64_t dr6;

	if (hv->own(v))
		return RESUME;
	if (v->domu->debug && hv->domu_debug_exit(v, &dr6))
		return leave(v, LUV_RUN_DEBUG, dr6, v->exit->rip, 0);
	return leave(v, LUV_RUN_UNKNOWN, v->exit->kind, v->exit->reason,
		     v->exit->info1);
}

static enum exit_action own(struct vcpu *v)
{
	if (hv->own(v)) {
		proceed(v);
		return RESUME;
	}
	return leave(v, LUV_RUN_UNKNOWN, v->exit->kind, v->exit->reason,
		     v->exit->info1);
}

/* A guest's INVD may not drop what others have written. */
static enum exit_action invd(struct vcpu *v)
{
	(void)v;
	wbinvd();
	return SKIP;
}

static enum exit_action unknown(struct vcpu *v)
{
	return leave(v, LUV_RUN_UNKNOWN, v->exit->kind, v->exit->reason,
		     v->exit->info1);
}

const exit_handler domu_handlers[EXIT_KINDS] = {
	[EXIT_NONE] = unknown,
	[EXIT_EXCEPTION] = exception,
	[EXIT_NMI] = to_dom0,
	[EXIT_NMI_WINDOW] = own,
	[EXIT_INTR] = to_dom0,
	[EXIT_INTR_WINDOW] = window,
	[EXIT_TRIPLE_FAULT] = shutdown,
	[EXIT_INIT] = to_dom0,
	[EXIT_SIPI] = unknown,
	[EXIT_CPUID] = domu_cpuid_exit,
	[EXIT_HYPERCALL] = hypercall,
	[EXIT_CR] = own,
	[EXIT_DR] = unknown,
	[EXIT_IO] = io,
	[EXIT_RDMSR] = rdmsr_exit,
	[EXIT_WRMSR] = wrmsr_exit,
	[EXIT_XSETBV] = xsetbv_exit,
	[EXIT_INVD] = invd,
	[EXIT_VIRT_INSN] = undefined,
	[EXIT_STAGE2] = stage2,
	[EXIT_APIC_WRITE] = apic_written,
	[EXIT_HLT] = halt,
	[EXIT_PAUSE] = unknown,
	[EXIT_TASK_SWITCH] = unknown,
	[EXIT_IRET] = own,
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
