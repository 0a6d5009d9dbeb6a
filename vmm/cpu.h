/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpu.h - a physical CPU under the VMM, and the virtual CPU it runs for dom0.
 *
 * Member keys: [I] immutable after init, [p] only the CPU itself,
 * [a] atomic, any CPU.
 */
#pragma once

#include "gwalk.h"
#include "hist.h"
#include "ipi.h"
#include "layout.h"
#include "mtrr.h"
#include "types.h"
#include "x86.h"
#include <luvalley/luvalley.h>
#include <stdatomic.h>

/* General registers in hardware order, the order of ModRM and of dumps. */
enum reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13,
	   R14, R15, GPRS };

/*
 * A decoded VM exit. The vendor fills kind, reason, rip, info1 and info2; the
 * other members are collateral that only the kinds named have. It is decoded
 * straight into the CPU's memory of its last exits, which the dumps print.
 */
struct vmexit {
	uint64_t tsc;	 /* when */
	uint64_t rip;
	uint64_t info1;	 /* exit qualification / EXITINFO1 */
	uint64_t info2;	 /* guest-physical address / EXITINFO2 */
	uint32_t reason; /* SDM exit reason or APM EXITCODE (low 32 bits) */
	uint32_t kind;	 /* enum luv_exit_kind */
	uint32_t insn_len; /* bytes advance() will skip */
	uint16_t port;	 /* IO; APIC_WRITE: the register's number */
	uint8_t size;	 /* IO: 1, 2 or 4 bytes; APIC_WRITE: EOI's vector */
	bool in, string; /* IO */
	bool write;	 /* STAGE2: the access wanted to write */
	bool own;	 /* STAGE2: gpa is the access's own, not a walk's */
	gpa_t gpa;	 /* STAGE2: the address */
};
_Static_assert(sizeof(struct vmexit) == 64, "one cache line, a shift");
#define EXIT_RECORDS 64 /* power of two */

struct vcpu;
enum exit_action {
	RESUME, /* enter again where RIP is */
	SKIP,	/* the instruction is done: advance, then enter */
	STOP,	/* nobody knows what to do: dump */
};
typedef enum exit_action (*exit_handler)(struct vcpu *v);

struct vcpu {
	uint64_t gpr[GPRS]; /* [p] RSP: only after hv->snapshot() */
	hpa_t hw_pa;	    /* [I] VMCS or VMCB */
	uint32_t launched;  /* [p] VMX: VMRESUME, not VMLAUNCH */
	uint32_t trace_id;  /* [I] vCPU, domain << 16: 0 dom0, a VM's index + 1 */
	void *hw;	    /* [I] the same, mapped */
	struct cpu *cpu;    /* [p] where it runs; dom0: [I] */
	struct vmexit *exit; /* [p] the newest of cpu->records */
	struct vm *vm;	    /* [I] whose; NULL: dom0 */
	struct domu *domu;  /* [I] what only a domU has, or NULL */
	const exit_handler *handlers; /* [I] by kind */
	struct hist hist;   /* what its exits took */
	bool nmi_pending;   /* [p] an NMI of dom0's waits for its turn */
	bool nmi_window;    /* [p] NMI-window exiting / IRET intercept is on */
	bool nmi_blocked;   /* [p] SVM: dom0 is in its NMI handler */
	bool nmi_step;	    /* [p] SVM: stepping over the handler's IRET */
};
_Static_assert(offsetof(struct vcpu, hw_pa) == VCPU_HW_PA, "layout.h");
_Static_assert(offsetof(struct vcpu, launched) == VCPU_LAUNCHED, "layout.h");
_Static_assert(offsetof(struct vcpu, cpu) == VCPU_CPU, "layout.h");
_Static_assert(offsetof(struct vcpu, hw) == VCPU_HW, "layout.h");

/* Work other CPUs ask of this one, bits of cpu->requests. */
enum request {
	REQ_FLUSH = 1, /* forget cached stage-2 translations */
	REQ_RESET = 2, /* a virtual INIT: park */
};

struct cpu {
	struct vcpu *current;	  /* [p] whom exit_handle() enters next */
	_Atomic uint32_t poll;	  /* [a] non-zero: do not enter a guest, look first */
	uint64_t host_rsp;	  /* [p] VMX: RSP on VM exit */
	struct vcpu dom0;
	uint32_t index;		  /* [I] 0 = boot CPU */
	uint32_t apic_id;	  /* [I] */
	_Atomic uint32_t state;	  /* [a] enum luv_cpu_state */
	_Atomic uint32_t startup; /* [a] state word of ipi.h */
	_Atomic uint32_t requests;/* [a] enum request */
	_Atomic uint32_t kick;	  /* [a] an NMI of the VMM's is on its way */
	struct apic_addr apic;	  /* [p] written, others read: for logical IPIs */
	uint64_t apic_base;	  /* [p] MSR_IA32_APIC_BASE as dom0 set it */
	uint64_t start_ticks;	  /* [I] */
	bool init_redirected;	  /* [I] SVM: a real INIT raises #SX */
	void *vmxon;		  /* [I] VMXON region or host save area */
	hpa_t vmxon_pa;		  /* [I] */
	uint32_t record_at;	  /* [p] byte offset of the oldest record */
	void *fpu;		  /* [I] dom0's extended state while a domU runs */
	uint64_t xcr0, dr[4];	  /* [p] dom0's, while a domU runs */
	uint64_t cr2, dr6;	  /* [p] VMX: the same */
	uint64_t msr[6];	  /* [p] VMX: dom0's DOMU_MSRS; KERNEL_GS_BASE:
				     while a domU runs; SVM: [0], [1], [5] */
	struct gpaging paging;	  /* [p] dom0's, at its last hypercall */
	struct vmexit run_exit;	  /* [p] dom0's hypercall that runs it */
	struct trace *trace;	  /* [I] once set; NULL: no rings */
	uint64_t entered;	  /* [p] TSC at the end of its last exit */
	struct vcpu *last_domu;	  /* [p] whose translations may be cached */
	struct vmexit records[EXIT_RECORDS]; /* [p] */
};
_Static_assert(offsetof(struct cpu, poll) == CPU_POLL, "layout.h");
_Static_assert(offsetof(struct cpu, host_rsp) == CPU_HOST_RSP, "layout.h");
_Static_assert(sizeof(struct cpu) < CPU_SIZE / 2, "half is for the stack");

/* Where the next exit goes; the oldest record makes room. */
static inline struct vmexit *exit_record(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	uint32_t at = cpu->record_at;

	cpu->record_at = (at + sizeof(struct vmexit)) &
			 (sizeof(cpu->records) - 1);
	v->exit = (struct vmexit *)((char *)cpu->records + at);
	return v->exit;
}

/* What the end of an instruction wants of an exit that is long ago. */
static inline void exit_keep(struct vmexit *to, const struct vmexit *x)
{
	to->rip = x->rip;
	to->insn_len = x->insn_len;
	to->size = x->size;
}

/* Count an exit that was handled at TSC `now`. */
static inline void exit_account(struct vcpu *v, const struct vmexit *x,
				uint64_t now)
{
	hist_count(v->hist.row, now - x->tsc);
	v->cpu->entered = now;
}

/* The CPU that runs this: its struct sits under its stack. */
static inline struct cpu *this_cpu(void)
{
	uint64_t rsp;
	__asm__("mov %%rsp, %0" : "=r"(rsp));
	return (struct cpu *)(rsp & ~(uint64_t)(CPU_SIZE - 1));
}

/* The whole machine; written by the boot CPU before the others start. */
struct machine {
	struct cpu **cpu;   /* [I] cpu[0..cpus-1] */
	unsigned cpus;	    /* [I] CPUs that came up */
	bool hw_apic;	    /* [I] all CPUs virtualize a domU's local APIC */
	uint64_t start_tsc; /* [I] TSC at VMM entry */
	uint64_t ready_tsc; /* [I] TSC at dom0's start */
};
extern struct machine machine;
