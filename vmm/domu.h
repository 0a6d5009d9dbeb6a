/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu.h - virtual machines of dom0's processes: the objects behind the
 * hypercalls vm_* and vcpu_*. A VM is found by handle and CR3; a vCPU runs
 * inside its owner's hypercall, on the CPU that made it.
 */
#pragma once

#include "exit.h"
#include "hv.h"
#include "lock.h"
#include "stage2.h"
#include "vlapic.h"

/* Bytes there are for extended state. SDM "XSAVE Area". */
#define FPU_AREA PAGE_SIZE

struct vm {
	uint64_t handle;      /* [I] index and random bits; 0: free */
	_Atomic uint32_t users; /* [a] hypercalls inside, and DYING */
	_Atomic uint32_t s2_changed; /* [a] counts lost mappings: flush if moved */
	uint64_t owner;	      /* [I] CR3 without its low bits */
	uint64_t tag;	      /* [I] */
	struct lock lock;
	struct stage2 s2;     /* [L] lock */
	uint32_t slots;	      /* [L] those in use are below it */
	_Atomic uint32_t vcpus; /* [a] those there are are below it */
	void *apic_page;      /* [L] lock; VMX: APIC-access page, or NULL */
	uint64_t told_eoi[4]; /* [a] vectors whose EOI ring 3 wants to hear */
	struct luv_slot slot[LUV_SLOTS]; /* [L] lock; len 0: free */
	uint8_t *granted[LUV_SLOTS];	 /* [L] a bit for each piece, or NULL */
	struct vcpu *vcpu[LUV_VCPUS];	 /* [I] once set */
};
_Static_assert(sizeof(struct vm) <= PAGE_SIZE, "one page");

/* What the last exit left to be completed by the next run. */
enum domu_wait { WAIT_NONE, WAIT_IN, WAIT_RDMSR, WAIT_WRMSR };

/* What a domU's vCPU has beside struct vcpu, in the same page. */
struct domu {
	struct vlapic apic;	/* begins the page: see vlapic_cell */
	struct vcpu v;
	uint32_t id;		/* [I] */
	bool has_apic;		/* [I] */
	uint64_t eoi_exit[4];	/* [p] VMX: vm->told_eoi in the VMCS */
	void *fpu;		/* [I] FPU_AREA bytes */
	struct domu_cpuid *cpuid; /* [I] a page */
	uint32_t cpuids;	/* [p] rows of it */
	uint8_t cpuid_first[4][32]; /* [p] row + 1 of the leaf's first; 0: none */
	uint64_t xcr0;		/* [p] */
	uint64_t dr[4], dr6, cr2; /* [p] while it does not run; dr: or !drs */
	bool drs;		/* [p] DR0-3 are switched; else, to use one exits */
	uint64_t msr[6];	/* [p] VMX: DOMU_MSRS; KERNEL_GS_BASE: while
				   it does not run */
	uint64_t tsc_offset, tsc_adjust; /* [p] */
	_Atomic uint32_t running; /* [a] a CPU is in it */
	_Atomic uint32_t blocked; /* [a] it sleeps in ring 3: wake it */
	_Atomic uint32_t kicked; /* [a] vcpu_kick */
	_Atomic uint32_t nmis;	/* [a] requested, at most 1 */
	_Atomic uint32_t init;	/* [a] enum domu_init */
	uint32_t mp_state;	/* [p] enum luv_mp_state */
	uint32_t last_cpu;	/* [p] index, ~0: none */
	_Atomic uint32_t s2_seen; /* [a] vm->s2_changed at the last entry */
	struct vmexit wait_exit; /* [p] the exit that waits */
	uint8_t wait;		/* [p] enum domu_wait */
	bool virq;		/* [p] SVM: V_IRQ is an event, not a window */
	bool syscall;		/* [p] VMX: MSRs of SYSCALL are switched */
	bool window;		/* [p] exit when interrupts can be taken */
	bool queued;		/* [p] the caller's event is taken */
	union {
		struct {
			uint32_t event; /* [p] what the caller offers */
			bool want_window; /* [p] it asked for LUV_RUN_WINDOW_OPEN */
			bool open;    /* [p] hv->domu_window() was told to exit */
			bool hw_apic; /* [I] the processor virtualizes it */
			uint8_t eoi;  /* [p] to be told, or 0 */
		};
		uint64_t attention;   /* 0: none of these */
	};
	bool eoi_offered;	/* [p] the bit of pv_eoi was set for it */
	uint64_t pv_eoi;	/* [p] the MSR of KVM's */
	uint64_t wake;		/* [p] vCPUs to be woken by ring 3 */
	struct luv_shared *shared; /* [p] the owner's, see vcpu_share; or NULL */
	uint64_t told_deadline;	/* [p] ring 3 has this one armed; 0: none */
	uint32_t debug;		/* [p] LUV_DEBUG_* */
	uint64_t debug_dr[4], debug_dr7; /* [p] */
	uint64_t own_dr6, own_dr7; /* [p] the guest's, while it is debugged */
};
_Static_assert(sizeof(struct domu) <= PAGE_SIZE, "one page");
_Static_assert(offsetof(struct domu, apic) == 0, "virtual-APIC page");

#define DOMU_SIPI BIT(8) /* in domu.init: vector below, INIT came before */
#define DOMU_INIT BIT(9)

/* The MSRs that VMX does not switch: SYSCALL's four first. */
#define DOMU_MSRS                                                              \
	{ MSR_IA32_STAR, 0xc0000082 /* LSTAR */, 0xc0000083 /* CSTAR */,       \
	  0xc0000084 /* FMASK */, 0xc0000102 /* KERNEL_GS_BASE */,             \
	  MSR_IA32_TSC_AUX }
enum { SYSCALL_MSRS = 4, MSR_SLOT_KERNEL_GS = 4, MSR_SLOT_TSC_AUX = 5 };

/* Once, boot CPU, when it is ready: token, tables. */
void domu_init(void);
void domu_switch_init(void);
/* A number that nobody guesses. */
uint32_t domu_random(void);
/* Are these the token's halves? */
bool domu_token_ok(uint64_t lo, uint64_t hi);
/* hist_read() of a VM's vCPU, or a negated error. */
int64_t domu_hist(uint64_t index, uint64_t id, uint64_t *at,
		  struct luv_hist *to, unsigned max);
/* The table of handlers of every vCPU there is. */
void domu_set_handlers(const exit_handler *handlers);
/* The token's word `i` (0-3), for the trapped port. */
uint32_t domu_token(unsigned i);

/*
 * domu_take - the vCPU behind handle and id for this CPU alone: nobody else
 * runs or changes it until domu_let_go(). NULL: *why is the negated error.
 */
struct vcpu *domu_take(const struct gpaging *g, uint64_t handle,
		       uint64_t id, int64_t *why);

static inline void domu_put(struct vm *vm)
{
	atomic_fetch_sub(&vm->users, 1);
}

static inline void domu_let_go(struct vcpu *v)
{
	atomic_store(&v->domu->running, 0);
	domu_put(v->vm);
}

/* The hypercalls of luvalley.h, by their names. */
int64_t domu_vm_create(const struct gpaging *g, uint64_t lo, uint64_t hi,
		       uint64_t tag);
int64_t domu_vm_destroy(const struct gpaging *g, uint64_t vm);
int64_t domu_vm_reap(uint64_t lo, uint64_t hi, uint64_t index, uint64_t tag);
int64_t domu_vm_stat(const struct gpaging *g, uint64_t index, uint64_t buf,
		     uint64_t len);
int64_t domu_vm_slot(const struct gpaging *g, uint64_t vm, uint64_t buf);
int64_t domu_vm_grant(const struct gpaging *g, uint64_t vm, uint64_t slot,
		      uint64_t first, uint64_t count);
int64_t domu_vm_msi(const struct gpaging *g, uint64_t vm, uint64_t address,
		    uint64_t data, uint64_t *wake);
int64_t domu_vm_eoi_vectors(const struct gpaging *g, uint64_t vm,
			    const uint64_t bits[4]);
int64_t domu_vcpu_create(const struct gpaging *g, uint64_t vm,
			 uint64_t id, uint64_t flags);
int64_t domu_vcpu_kick(const struct gpaging *g, uint64_t vm, uint64_t id);
int64_t domu_vcpu_nmi(const struct gpaging *g, uint64_t vm, uint64_t id);
int64_t domu_vcpu_get(const struct gpaging *g, uint64_t vm, uint64_t id,
		      uint64_t buf);
int64_t domu_vcpu_set(const struct gpaging *g, uint64_t vm, uint64_t id,
		      uint64_t buf);
int64_t domu_vcpu_share(const struct gpaging *g, uint64_t vm, uint64_t id,
			uint64_t shared);
int64_t domu_vcpu_cpuid(const struct gpaging *g, uint64_t vm, uint64_t id,
			uint64_t buf, uint64_t count);
int64_t domu_vcpu_fpu_get(const struct gpaging *g, uint64_t vm,
			  uint64_t id, uint64_t buf, uint64_t len);
int64_t domu_vcpu_fpu_set(const struct gpaging *g, uint64_t vm,
			  uint64_t id, uint64_t buf, uint64_t len);
int64_t domu_vcpu_apic_get(const struct gpaging *g, uint64_t vm,
			   uint64_t id, uint64_t buf);
int64_t domu_vcpu_apic_set(const struct gpaging *g, uint64_t vm,
			   uint64_t id, uint64_t buf);
int64_t domu_vcpu_apic_read(const struct gpaging *g, uint64_t vm,
			    uint64_t id, uint64_t offset);
int64_t domu_vcpu_apic_write(const struct gpaging *g, uint64_t vm,
			     uint64_t id, uint64_t offset, uint64_t value);

/* The VM behind a handle, held until domu_put(); NULL: *why. */
struct vm *domu_find(const struct gpaging *g, uint64_t handle,
		     int64_t *why);

/* Extended state that the VMM switches, see xstate.h. */
extern uint64_t domu_fpu_mask; /* [I] */
extern uint32_t domu_fpu_size; /* [I] */
extern uint32_t domu_mxcsr_mask; /* [I] bits that MXCSR has */

/* domu_cpuid.c: the guest's CPUID. */
enum exit_action domu_cpuid_exit(struct vcpu *v);

/*
 * domu_apic.c. domu_send delivers an interrupt message: `icr` as x2APIC has
 * the ICR; returns how many took it, < 0: nobody is addressed. Blocked vCPUs
 * that are to be woken come in *wake. `from` may be NULL (an MSI).
 */
int domu_send(struct vm *vm, const struct domu *from, uint64_t icr,
	      uint64_t *wake);
/* If `u` runs on another CPU: make it exit. */
void domu_nudge(struct domu *u);
/* Something waits for `u`: see that it looks. Sets its bit in *wake. */
void domu_notify(struct domu *u, uint64_t *wake);
/*
 * EOI without an exit: before anyone looks at the APIC of the vCPU that this
 * CPU has (look: at what it could take now); when it takes a vector; its MSR,
 * to be checked before.
 */
void domu_eoi_sync(struct vcpu *v);
void domu_eoi_look(struct vcpu *v);
void domu_eoi_offer(struct vcpu *v, unsigned vector);
/* `vector` has left service: does ring 3 want to hear? */
static inline void domu_ended(struct vcpu *v, uint8_t vector)
{
	if (v->vm->told_eoi[vector / 64] & BIT(vector % 64))
		v->domu->eoi = vector;
}
bool domu_pv_eoi_ok(uint64_t value);
void domu_pv_eoi_set(struct vcpu *v, uint64_t value);
/*
 * The processor has written `reg` of its APIC's page; EOI: has ended `vector`
 * of which ring 3 wants to hear.
 */
void domu_apic_written(struct vcpu *v, unsigned reg, uint8_t vector);
/* Write a register of its APIC, with all that follows. False: refused. */
bool domu_apic_write(struct vcpu *v, unsigned reg, uint64_t value);
/* The MSRs of APIC and TSC. False: not one of them; *ok: no #GP. */
bool domu_apic_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value, bool *ok);
bool domu_apic_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value, bool *ok);

/*
 * domu_run - the run hypercall of `d` (dom0 on this CPU): 0 if a domU is now
 * this CPU's current vCPU and d stays at its hypercall; else a negated error.
 */
int64_t domu_run(struct vcpu *d, const struct gpaging *g);

extern const exit_handler domu_handlers[EXIT_KINDS];

/*
 * domu_map - have stage 2 of v's VM reach what its owner has at gpa, and what
 * is beside it. ERR_NOENT: nothing, or nothing to write to; ERR_FAULT: it is
 * not there now, or not granted: *slot and *hva tell what; ERR_NOMEM.
 * Context: v is this CPU's, and its owner the one who runs it.
 */
enum err domu_map(struct vcpu *v, gpa_t gpa, bool write, struct luv_slot *slot,
		  uint64_t *hva);

/*
 * domu_switch.c. domu_enter - v is what this CPU runs, instead of dom0.
 * domu_use_drs - and it uses a debug register.
 */
void domu_enter(struct cpu *cpu, struct vcpu *v);
void domu_use_drs(struct vcpu *v);

/*
 * domu_suspend - back to dom0, which finds itself at the hypercall, to be run
 * again. The vCPU stays this CPU's until domu_release() (exit.h): then another CPU
 * may run it, so nothing may be read through it.
 */
void domu_suspend(struct cpu *cpu);

/*
 * guest_read - bytes of v's guest-physical memory, dom0's or a domU's, within
 * one page. False: that is not RAM it has.
 */
bool guest_read(const struct vcpu *v, gpa_t gpa, void *buf, size_t len);
