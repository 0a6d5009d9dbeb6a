/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu_switch.c - the world switch's common half: the state of a CPU that
 * neither VMCS nor VMCB nor vcpu.gpr holds. Extended state moves at every
 * switch: what is left in the registers can be read by speculation. Debug
 * registers move only for a guest that uses them.
 */
#include "domu.h"
#include "dom0.h"
#include "xstate.h"

#define FXSAVE_MXCSR_MASK  28
#define MXCSR_MASK_DEFAULT 0xffbf

uint64_t domu_fpu_mask;
uint32_t domu_fpu_size, domu_mxcsr_mask;

static inline void fxsave(void *area)
{
	__asm__ volatile("fxsave64 %0" : "=m"(*(char (*)[512])area));
}

void domu_switch_init(void)
{
	struct xstate x = xstate_of(cpuid, FPU_AREA);
	char *area = this_cpu()->fpu;

	domu_fpu_mask = x.mask;
	domu_fpu_size = x.size;
	fxsave(area);
	domu_mxcsr_mask = *(uint32_t *)(area + FXSAVE_MXCSR_MASK);
	if (!domu_mxcsr_mask)
		domu_mxcsr_mask = MXCSR_MASK_DEFAULT;
}

/* --- debug registers ------------------------------------------------------ */

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

static __attribute__((noinline)) void drs_in(struct cpu *cpu, struct domu *u)
{
	read_drs(cpu->dr);
	write_drs(u->debug & LUV_DEBUG_HW ? u->debug_dr : u->dr);
}

static __attribute__((noinline)) void drs_out(struct cpu *cpu, struct vcpu *v)
{
	struct domu *u = v->domu;

	if (!(u->debug & LUV_DEBUG_HW))
		read_drs(u->dr);
	write_drs(cpu->dr);
	u->drs = hv->domu_drs(v, false);
}

void domu_use_drs(struct vcpu *v)
{
	drs_in(v->cpu, v->domu);
	v->domu->drs = hv->domu_drs(v, true);
}

/* --- extended state ------------------------------------------------------- */

static void xsetbv(uint64_t v)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v),
			 "d"((uint32_t)(v >> 32)));
}

/*
 * Saved and loaded under the full XCR0: a component that one side has
 * switched off still must not be seen by the other.
 */
static inline void fpu_switch(void *old, uint64_t old_xcr0, const void *new_,
			      uint64_t new_xcr0, uint64_t mask)
{
	const uint64_t full = old_xcr0 | mask;
	const uint32_t lo = (uint32_t)mask, hi = (uint32_t)(mask >> 32);

	if (full != old_xcr0)
		xsetbv(full);
	__asm__ volatile("xsave64 (%0)" ::"r"(old), "a"(lo), "d"(hi)
			 : "memory");
	__asm__ volatile("xrstor64 (%0)" ::"r"(new_), "a"(lo), "d"(hi)
			 : "memory");
	if (new_xcr0 != full)
		xsetbv(new_xcr0);
}

static void fxswitch(void *old, const void *new_)
{
	fxsave(old);
	__asm__ volatile("fxrstor64 %0" ::"m"(*(const char (*)[512])new_));
}

/* --- the switch ----------------------------------------------------------- */

void domu_enter(struct cpu *cpu, struct vcpu *v)
{
	struct domu *u = v->domu;
	const uint64_t mask = domu_fpu_mask;
	const uint32_t changed = v->vm->s2_changed; /* before the flush */

	exit_keep(&cpu->run_exit, cpu->dom0.exit);
	cpu->dom0.exit = &cpu->run_exit;
	if (mask) {
		cpu->xcr0 = xgetbv();
		fpu_switch(cpu->fpu, cpu->xcr0, u->fpu, u->xcr0, mask);
	} else {
		fxswitch(cpu->fpu, u->fpu);
	}
	if (u->drs)
		drs_in(cpu, u);
	if (u->last_cpu != cpu->index)
		u->told_deadline = 0; /* armed on another CPU */
	hv->domu_enter(&cpu->dom0, v,
		       u->last_cpu != cpu->index || cpu->last_domu != v ||
			       u->s2_seen != changed);
	atomic_store_explicit(&u->s2_seen, changed, memory_order_release);
	u->last_cpu = cpu->index;
	cpu->last_domu = v;
	cpu->current = v;
}

/* XSETBV exits, so that u->xcr0 is what the guest has. */
void domu_suspend(struct cpu *cpu)
{
	struct vcpu *v = cpu->current;
	struct domu *u = v->domu;
	const uint64_t mask = domu_fpu_mask;

	if (!v->vm)
		return;
	if (u->drs)
		drs_out(cpu, v);
	hv->domu_leave(&cpu->dom0, v);
	if (mask)
		fpu_switch(u->fpu, u->xcr0, cpu->fpu, cpu->xcr0, mask);
	else
		fxswitch(u->fpu, cpu->fpu);
	cpu->current = &cpu->dom0;
}
