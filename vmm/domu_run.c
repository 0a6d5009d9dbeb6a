/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu_run.c - running a domU: what each of its exits means to the owner.
 */
#include "domu.h"
#include "dom0.h"
#include "mem.h"
#include "string.h"
#include "trace.h"

/* --- going back ----------------------------------------------------------- */

static __attribute__((noinline)) void traced_release(struct vcpu *v)
{
	trace_switch(v);
	if (v->vm)
		domu_let_go(v);
}

void domu_release(struct vcpu *v)
{
	if (atomic_load_explicit(&trace_on, memory_order_relaxed))
		traced_release(v);
	else if (v->vm)
		domu_let_go(v);
}

static bool takes_extint(const struct domu *u)
{
	return !u->has_apic || vlapic_takes_extint(&u->apic);
}

/* Can the caller's event be taken? R10 of the run call. */
static inline unsigned ready(struct vcpu *v)
{
	unsigned now = hv->domu_ready(v);

	return takes_extint(v->domu) ? now : now & ~2u;
}

/* Back to dom0 behind its hypercall, with an answer; kind: LUV_RUN_*. */
static __attribute__((noinline)) enum exit_action
leave(struct vcpu *v, uint64_t kind, uint64_t a, uint64_t b, uint64_t c)
{
	struct vcpu *d = &v->cpu->dom0;
	unsigned now;
	bool queued = v->domu->queued;

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

/*
 * The instruction is ring 3's to execute: what that takes, if there is a place
 * for it. Not while it is debugged: TF is not the guest's then.
 */
static uint64_t share(struct vcpu *v)
{
	struct domu *u = v->domu;

	if (!u->shared || u->debug)
		return 0;
	hv->domu_share(v, u->shared);
	u->shared->apic_base = u->apic.base;
	return LUV_RUN_SHARED;
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
	bool offered = (u->event & BIT(31)) && !u->queued && takes_extint(u);
	bool waits = false;
	unsigned class = 0;
	int vector = -1;

	if (u->nmis && atomic_exchange(&u->nmis, 0))
		v->nmi_pending = true;
	if (v->nmi_pending) {
		hv->inject_nmi(v);
		trace_injected_nmi(v);
	}
	if (u->has_apic) {
		if (u->apic.deadline)
			vlapic_tick(&u->apic, rdtsc());
		hv->domu_sync(v);
		waits = vlapic_waits(&u->apic);
		if (waits) {
			if (u->eoi_offered)
				domu_eoi_sync(v);
			vector = vlapic_pending(&u->apic);
		}
	}
	if ((offered || vector >= 0) && (hv->domu_ready(v) & 2)) {
		if (offered) {
			hv->domu_queue(v, u->event);
			trace_injected(v, u->event & 0xff);
			u->queued = true;
			offered = false;
		} else {
			vlapic_accept(&u->apic, (unsigned)vector);
			hv->domu_queue(v, BIT(31) | (unsigned)vector);
			trace_injected(v, (unsigned)vector);
			if (u->pv_eoi)
				domu_eoi_offer(v, (unsigned)vector);
			waits = vlapic_waits(&u->apic);
			vector = waits ? vlapic_pending(&u->apic) : -1;
		}
	}
	if (offered || vector >= 0 ||
	    (u->want_window && !u->queued && takes_extint(u)))
		class = WINDOW_ANY;
	else if (waits)
		class = vlapic_class_behind_tpr(&u->apic);
	if (class || u->open)
		hv->domu_window(v, class);
	u->open = class;
}

/* Does something end HLT? An interrupt does not while RFLAGS.IF is 0. */
static bool awake(struct vcpu *v)
{
	struct domu *u = v->domu;

	if (u->nmis || v->nmi_pending || u->init)
		return true;
	if (u->has_apic) /* or ring 3 is told a time that is over */
		vlapic_tick(&u->apic, rdtsc());
	if (!(hv->domu_ready(v) & 1))
		return false;
	if (!u->has_apic)
		return (u->event & BIT(31)) && !u->queued;
	hv->domu_sync(v);
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

/* Is there nothing that attend() would do? */
static inline bool undisturbed(const struct vcpu *v)
{
	const struct domu *u = v->domu;
	uint64_t deadline = u->apic.deadline;

	if (u->attention | u->wake | u->nmis | v->nmi_pending)
		return false;
	return !u->has_apic ||
	       (!vlapic_waits(&u->apic) &&
		(!deadline || (deadline == u->told_deadline &&
			       (int64_t)(rdtsc() - deadline) < 0)));
}

/* See proceed(). */
static __attribute__((noinline)) bool attend(struct vcpu *v)
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

/*
 * What has to be done before v runs on, and may have to be done by ring 3.
 * True: it runs; false: it has left.
 */
static __attribute__((noinline)) bool proceed(struct vcpu *v)
{
	return undisturbed(v) || attend(v);
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
	u->event = (uint32_t)d->gpr[R10];
	u->want_window = flags & LUV_RUN_WINDOW;
	atomic_store(&u->blocked, 0);
	domu_enter(d->cpu, v);
	if (u->wait)
		complete(v, d->gpr[RDX], flags & LUV_RUN_GP);
	if (u->shared && u->shared->dirty) {
		hv->domu_take_back(v, u->shared);
		u->shared->dirty = 0;
	}
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

/* The instruction is done, and there is something for attend(). */
static __attribute__((noinline)) enum exit_action done_and_attend(struct vcpu *v)
{
	hv->advance(v);
	attend(v);
	return RESUME;
}

/* Has an exit that the VMM handled left something to do? */
static __attribute__((noinline)) enum exit_action done(struct vcpu *v)
{
	return undisturbed(v) ? SKIP : done_and_attend(v);
}

static enum exit_action halt(struct vcpu *v)
{
	struct domu *u = v->domu;

	hv->advance(v);
	if (!u->has_apic)
		return leave(v, LUV_RUN_HLT, ~0ull, LUV_MP_HALTED, 0);
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

/* It spins, perhaps for a vCPU that this CPU could run instead. */
static enum exit_action spins(struct vcpu *v)
{
	hv->advance(v);
	return leave(v, LUV_RUN_PAUSE, 0, 0, 0);
}

static void wait_for(struct vcpu *v, enum domu_wait what)
{
	v->domu->wait = (uint8_t)what;
	exit_keep(&v->domu->wait_exit, v->exit);
}

static enum exit_action io(struct vcpu *v)
{
	const struct vmexit *x = v->exit;
	uint64_t out = v->gpr[RAX];
	uint64_t how = x->size | (uint64_t)x->in << 8 |
		       (uint64_t)x->string << 9;

	if (x->string)
		return leave(v, LUV_RUN_IO | share(v), x->port, how, 0);
	if (x->size < 4)
		out &= BIT(8 * x->size) - 1;
	if (x->in)
		wait_for(v, WAIT_IN);
	else
		hv->advance(v);
	return leave(v, LUV_RUN_IO, x->port, how, (uint32_t)out);
}

static enum exit_action stage2(struct vcpu *v)
{
	const struct vmexit *x = v->exit;
	struct luv_slot slot;
	uint64_t hva;

	switch (domu_map(v, x->gpa, x->write, &slot, &hva)) {
	case OK:
		return RESUME;
	case ERR_NOENT:
		return leave(v, LUV_RUN_MMIO | share(v), x->gpa.v,
			     x->write | (uint64_t)x->own << 1, 0);
	case ERR_FAULT:
		return leave(v, LUV_RUN_FAULT, hva,
			     !(slot.flags & LUV_SLOT_READONLY), slot.slot);
	default:
		return leave(v, LUV_RUN_UNKNOWN, EXIT_STAGE2, LUV_ENOMEM,
			     x->gpa.v);
	}
}

static enum exit_action msr_answer(struct vcpu *v, uint64_t value)
{
	v->gpr[RAX] = (uint32_t)value;
	v->gpr[RDX] = value >> 32;
	return SKIP;
}

static enum exit_action rdmsr_exit(struct vcpu *v)
{
	uint32_t msr = (uint32_t)v->gpr[RCX];
	uint64_t value = 0;
	bool ok;

	if (domu_apic_rdmsr(v, msr, &value, &ok)) {
		if (!ok) {
			gp(v);
			return RESUME;
		}
		return msr_answer(v, value);
	}
	if (msr == MSR_IA32_EFER && hv->efer)
		return msr_answer(v, hv->efer(v, NULL));
	wait_for(v, WAIT_RDMSR);
	return leave(v, LUV_RUN_RDMSR, msr, 0, 0);
}

/* EOI and SELF IPI take a short way: they are most of what is written. */
static enum exit_action x2apic_write(struct vcpu *v, unsigned reg)
{
	uint64_t value = v->gpr[RDX] << 32 | (uint32_t)v->gpr[RAX];
	struct domu *u = v->domu;
	bool quick = !u->hw_apic && !u->eoi_offered;

	if (!vlapic_x2apic(&u->apic)) {
		gp(v);
		return RESUME;
	}
	if (reg == VLAPIC_EOI && !value && quick) {
		domu_ended(v, vlapic_eoi(&u->apic));
		return done(v);
	}
	if (reg == VLAPIC_SELF_IPI && value <= 0xff && quick) {
		trace_ipi(v->vm, u->apic.id, VLAPIC_ICR_SELF | value);
		vlapic_request(&u->apic, (unsigned)value, false);
		return done_and_attend(v);
	}
	if (domu_apic_write(v, reg, value))
		return done(v);
	gp(v);
	return RESUME;
}

static __attribute__((noinline)) enum exit_action wrmsr_other(struct vcpu *v)
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

static enum exit_action wrmsr_exit(struct vcpu *v)
{
	unsigned reg = (uint32_t)v->gpr[RCX] - MSR_IA32_X2APIC_BASE;

	if (reg < VLAPIC_MSRS && v->domu->has_apic)
		return x2apic_write(v, reg);
	return wrmsr_other(v);
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
	    xsetbv_safe((uint32_t)v->gpr[RCX], value)) {
		v->domu->xcr0 = value;
		return SKIP;
	}
	hv->inject(v, VEC_GP, 0);
	return RESUME;
}

static enum exit_action debug_register(struct vcpu *v)
{
	domu_use_drs(v);
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
	if (v->exit->kind == EXIT_STAGE2)
		return stage2(v);
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
	[EXIT_DR] = debug_register,
	[EXIT_IO] = io,
	[EXIT_RDMSR] = rdmsr_exit,
	[EXIT_WRMSR] = wrmsr_exit,
	[EXIT_XSETBV] = xsetbv_exit,
	[EXIT_INVD] = invd,
	[EXIT_VIRT_INSN] = undefined,
	[EXIT_STAGE2] = stage2,
	[EXIT_APIC_WRITE] = apic_written,
	[EXIT_HLT] = halt,
	[EXIT_PAUSE] = spins,
	[EXIT_TASK_SWITCH] = unknown,
	[EXIT_IRET] = own,
	[EXIT_TIMER] = to_dom0,
	[EXIT_OTHER] = own,
};
