/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exit.c - an exit: account it, let its handler decide.
 */
#include "exit.h"
#include "console.h"
#include "dom0.h"
#include "domu.h"
#include "dump.h"
#include "lapic.h"
#include "smp.h"

static enum exit_action undefined(struct vcpu *v)
{
	hv->inject(v, VEC_UD, -1);
	return RESUME;
}

static enum exit_action resume(struct vcpu *v)
{
	(void)v;
	return RESUME;
}

/* INVD would drop modified lines, ours among them: write them back instead. */
static enum exit_action invd(struct vcpu *v)
{
	(void)v;
	wbinvd();
	return SKIP;
}

/* SDM "XSETBV": CPL and value faults are those of the instruction itself. */
static enum exit_action xsetbv(struct vcpu *v)
{
	uint64_t value = (v->gpr[RDX] << 32) | (uint32_t)v->gpr[RAX];

	if (xsetbv_safe((uint32_t)v->gpr[RCX], value))
		return SKIP;
	hv->inject(v, VEC_GP, 0);
	return RESUME;
}

/* What the processor does with a shutdown on a PC: the chipset resets it. */
static enum exit_action triple_fault(struct vcpu *v)
{
	struct guest_state g;

	hv->snapshot(v, &g);
	log_printf("luvalley: dom0 triple fault on CPU %u at %04x:%lx: "
		   "resetting the machine\n", v->cpu->index, g.cs, g.rip);
	hv->disable();
	trap_reset_machine();
}

static enum exit_action unexpected(struct vcpu *v)
{
	(void)v;
	return STOP;
}

static enum exit_action own(struct vcpu *v)
{
	return hv->own(v) ? RESUME : STOP;
}

const exit_handler exit_handlers[EXIT_KINDS] = {
	[EXIT_NONE] = unexpected,
	[EXIT_EXCEPTION] = own,
	[EXIT_NMI] = resume, /* smp_nmi() has sorted it */
	[EXIT_NMI_WINDOW] = own,
	[EXIT_TRIPLE_FAULT] = triple_fault,
	[EXIT_INIT] = own,
	[EXIT_CPUID] = cpuid_exit,
	[EXIT_HYPERCALL] = hypercall_exit,
	[EXIT_CR] = own,
	[EXIT_IO] = io_exit,
	[EXIT_RDMSR] = msr_read_exit,
	[EXIT_WRMSR] = msr_write_exit,
	[EXIT_XSETBV] = xsetbv,
	[EXIT_INVD] = invd,
	[EXIT_VIRT_INSN] = undefined,
	[EXIT_STAGE2] = dom0_stage2_fault,
	[EXIT_TASK_SWITCH] = own,
	[EXIT_IRET] = own,
	[EXIT_INTR] = unexpected,
	[EXIT_INTR_WINDOW] = unexpected,
	[EXIT_SIPI] = unexpected,
	[EXIT_DR] = unexpected,
	[EXIT_APIC_WRITE] = unexpected, /* comes as STAGE2 */
	[EXIT_HLT] = unexpected,
	[EXIT_PAUSE] = unexpected,
	[EXIT_TIMER] = unexpected,
	[EXIT_OTHER] = own,
};

/* Park until dom0 starts this CPU, and begin at its vector. */
static void wait_for_start(struct cpu *cpu)
{
	uint8_t vector = smp_park(cpu);

	hv->reset(&cpu->dom0, (uint16_t)(vector << 8), 0);
}

static void reset_requested(struct cpu *cpu)
{
	enum ipi_state s = IPI_STATE(atomic_load(&cpu->startup));

	if (s != IPI_RESET && s != IPI_RESET_SIPI)
		return; /* the tail of a wake-up that came in time */
	if (cpu->index == 0) {
		log_printf("luvalley: dom0 sent INIT to the boot CPU: "
			   "resetting the machine\n");
		hv->disable();
		trap_reset_machine();
	}
	lapic_reset();
	wait_for_start(cpu);
}

struct vcpu *exit_serve(struct vcpu *v)
{
	uint32_t requests;
	struct cpu *cpu = v->cpu;

	atomic_store(&cpu->poll, 0);
	domu_suspend(cpu);
	domu_release(v);
	v = &cpu->dom0;
	requests = atomic_exchange(&cpu->requests, 0);
	if (requests & REQ_FLUSH)
		hv->flush(v);
	if (requests & REQ_RESET)
		reset_requested(v->cpu);
	if (v->nmi_pending)
		hv->inject_nmi(v);
	return v;
}

_Static_assert(EXIT_KINDS == 27, "every kind has a handler above");

void exit_inject_nmi(struct vcpu *v)
{
	if (v->cpu->current == v) /* else it waits for v's next entry */
		hv->inject_nmi(v);
}

_Noreturn void exit_loop(struct cpu *cpu)
{
	struct vcpu *v = &cpu->dom0;

	if (IPI_STATE(atomic_load(&cpu->startup)) != IPI_RUN)
		wait_for_start(cpu);
	hv->loop(v);
	__builtin_unreachable();
}
