/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvalley.h - the hypercall ABI between ring 3 of dom0 and the VMM.
 *
 * A process calls the VMM with VMCALL (Intel) or VMMCALL (AMD), never with
 * the other vendor's opcode. Nothing in the dom0 kernel takes part.
 *
 *   in:  RAX = LUV_CALL(nr); arguments in RDI, RSI, RDX, R10, R8
 *   out: RAX = result, >= 0, or a negated LUV_E*; all else is preserved
 *
 * A number without LUV_MAGIC is not ours: the caller gets #UD, as on a
 * machine without a hypervisor. Every pointer is a linear address of the
 * caller, translated through the caller's own page tables with its own
 * rights. The VMM never pages anything in: a page that is not present, or not
 * writable now, makes the call fail with LUV_EFAULT and nothing is changed;
 * touch the page and call again. Buffers need no alignment unless stated.
 *
 * The layout of a structure never changes within an ABI version; new fields
 * go at its end. A call that fills a structure copies min(len, its own size)
 * bytes and returns the VMM's size of it.
 */
#pragma once

#include <stdint.h>

#define LUV_ABI_VERSION 1u
#define LUV_MAGIC	0x4c560000u /* "LV" in the upper half of EAX */
#define LUV_CALL(nr)	(LUV_MAGIC | (uint32_t)(nr))

/* Errors: the numbers of POSIX errno on Linux, so that errno = -result. */
#define LUV_EPERM  1  /* the caller may not do this */
#define LUV_ENOENT 2  /* no such object */
#define LUV_E2BIG  7  /* length beyond LUV_MAX_COPY */
#define LUV_EFAULT 14 /* address not accessible to the caller now */
#define LUV_EINVAL 22 /* argument out of range */
#define LUV_ENOSYS 38 /* no such call in this ABI version */

#define LUV_MAX_COPY (64u * 1024) /* bytes one call copies at most */

/* Calls: X(nr, name). The contract of each is at its structure below. */
#define LUV_CALLS(X)                                                           \
	X(0, identify)                                                         \
	X(1, cpu_stat)                                                         \
	X(2, log)                                                              \
	X(3, memmap)                                                           \
	X(16, vm_create)                                                       \
	X(17, vm_destroy)                                                      \
	X(18, vm_slot)                                                         \
	X(19, vcpu_create)                                                     \
	X(20, vcpu_get)                                                        \
	X(21, vcpu_set)                                                        \
	X(22, vcpu_run)

enum luv_call {
#define X(nr, name) LUV_CALL_##name = (nr),
	LUV_CALLS(X)
#undef X
};

enum luv_exit_kind {
#define X(kind, name) EXIT_##kind,
#include <luvalley/exits.def>
#undef X
	EXIT_KINDS
};

#define LUV_SIGNATURE "Luvalley VMM"

enum luv_isa { LUV_ISA_VMX = 1, LUV_ISA_SVM = 2 };

/* identify(RDI buf, RSI len): len >= 16 bytes. Returns sizeof(struct luv_info). */
struct luv_info {
	char signature[12];	/* LUV_SIGNATURE, not terminated */
	uint32_t abi_version;	/* LUV_ABI_VERSION */
	char build[32];		/* version and commit, NUL-terminated */
	uint32_t isa;		/* enum luv_isa */
	uint32_t cpus;		/* physical CPUs under the VMM */
	uint64_t vmm_base;	/* host-physical, hidden from dom0 */
	uint64_t vmm_len;	/* bytes */
	uint64_t vmm_used;	/* bytes of it in use */
	uint64_t image_len;	/* bytes of it: code, data and bss */
	uint64_t ram_len;	/* bytes of RAM in the firmware's map */
	uint64_t log_first;	/* position of the oldest log byte kept */
	uint64_t log_next;	/* position one past the newest */
	uint64_t start_ticks;	/* TSC ticks from VMM entry to dom0's start */
	uint32_t exit_kinds;	/* EXIT_KINDS of the VMM */
	uint32_t apic_trap;	/* 1: writes to the xAPIC page exit now */
};

/*
 * cpu_stat(RDI cpu, RSI buf, RDX len): the counters of one physical CPU, live
 * (a CPU that runs meanwhile makes them a moment old). len >= 16 bytes.
 * LUV_ENOENT: no such CPU. Returns sizeof(struct luv_cpu_stat).
 */
struct luv_exit_stat {
	uint64_t count; /* exits */
	uint64_t ticks; /* TSC ticks from exit to re-entry, summed */
};

struct luv_cpu_stat {
	uint32_t cpu;		/* the VMM's number, 0 = boot CPU */
	uint32_t apic_id;	/* physical APIC ID */
	uint32_t state;		/* enum luv_cpu_state */
	uint32_t exit_kinds;	/* rows used below */
	uint64_t start_ticks;	/* TSC ticks to bring this CPU up */
	uint64_t now;		/* TSC of the CPU that answers */
	struct luv_exit_stat exits[EXIT_KINDS];
};

enum luv_cpu_state {
	LUV_CPU_ABSENT,		/* did not come up */
	LUV_CPU_WAIT_SIPI,	/* parked: dom0 has not started it */
	LUV_CPU_RUNNING,	/* runs dom0 */
};

/*
 * log(RDI position, RSI buf, RDX len): the VMM's log from `position`, at most
 * len bytes; a position older than log_first starts at log_first, see
 * luv_info. Returns bytes copied; 0 at the end.
 */

/*
 * memmap(RDI first, RSI buf, RDX len): rows of the machine's memory map as
 * dom0 is told it, from row `first`. Returns rows copied; 0 at the end.
 */
enum luv_mem_type {
	LUV_MEM_RAM = 1,
	LUV_MEM_RESERVED = 2,
	LUV_MEM_ACPI = 3,
	LUV_MEM_NVS = 4,
	LUV_MEM_BAD = 5,
};

struct luv_mem {
	uint64_t base; /* guest-physical = host-physical */
	uint64_t len;  /* bytes */
	uint32_t type; /* enum luv_mem_type */
	uint32_t vmm;  /* 1: this row is the VMM's own memory */
};

/* --- domU: virtual machines of ring-3 processes ---------------------------- */

/*
 * A VM belongs to the address space (CR3) that made it; from any other its
 * handle is LUV_EPERM. Making one takes the token: four 32-bit words read
 * with IN from LUV_TOKEN_PORT + 0, 4, 8 and 12, which only a process with I/O
 * permission (dom0's root: ioperm) can do.
 */
#define LUV_TOKEN_PORT 0x4c50

/*
 * vm_create(RDI token low, RSI token high): returns a handle > 0.
 * LUV_EPERM: wrong token; LUV_ENOMEM: no VMM memory or too many VMs.
 * vm_destroy(RDI vm): frees everything; LUV_EBUSY while a vCPU runs.
 */
#define LUV_ENOMEM 12
#define LUV_EBUSY  16
#define LUV_EEXIST 17

/*
 * vm_slot(RDI vm, RSI buf): buf is a struct luv_slot. len 0 deletes the slot.
 * The owner keeps [hva, hva+len) mapped and its pages where they are (pinned)
 * as long as the slot is there. LUV_EINVAL: alignment, overflow, overlap.
 */
struct luv_slot {
	uint32_t slot;	/* < LUV_SLOTS */
	uint32_t flags; /* LUV_SLOT_READONLY */
	uint64_t gpa, len; /* bytes, 4 KiB-aligned */
	uint64_t hva;	/* 4 KiB-aligned */
};
#define LUV_SLOTS	  64u
#define LUV_SLOT_READONLY 1u

/* vcpu_create(RDI vm, RSI id): id < LUV_VCPUS; state is that after INIT. */
#define LUV_VCPUS 16u

/*
 * vcpu_get, vcpu_set(RDI vm, RSI id, RDX buf): buf is a struct luv_vcpu.
 * LUV_EINVAL: a state that the processor could not be in.
 * LUV_EBUSY: the vCPU runs on another CPU.
 */
struct luv_segment {
	uint64_t base;
	uint32_t limit;	   /* bytes - 1, G applied */
	uint16_t selector;
	uint16_t attrib;   /* type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13,
			      DB 14, G 15, unusable 8 */
};

struct luv_vcpu {
	uint64_t gpr[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, efer, pat;
	uint64_t dr[4], dr6, dr7;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	struct luv_segment es, cs, ss, ds, fs, gs, ldtr, tr;
	uint64_t gdt_base, idt_base;
	uint32_t gdt_limit, idt_limit;
	uint32_t shadow;   /* 1: STI or MOV SS holds interrupts off */
	uint32_t event;	   /* queued: vector 7:0, type 10:8, error code 11,
			      valid 31; as in SDM "VM-Entry Controls for
			      Event Injection" */
	uint32_t event_error;
	uint32_t reserved;
};

/*
 * vcpu_run(RDI vm, RSI id, RDX in, R10 event, R8 flags): run until there is
 * something for ring 3. Restartable: interrupted, dom0 finds RIP at the
 * hypercall with all arguments as they were. No memory of the caller is read
 * or written.
 *   in     data of an IN that the last exit asked for
 *   event  struct luv_vcpu.event form, external interrupts; 0: none. Taken
 *          once: when it is queued RAX has LUV_RUN_QUEUED set at exit.
 *   flags  LUV_RUN_WINDOW: exit when the guest can take an interrupt
 *   RAX    enum luv_run | LUV_RUN_*; RDI, RSI, RDX: by kind below;
 *          R10: RFLAGS.IF | interruptible now << 1
 */
enum luv_run {
	LUV_RUN_IO = 1,	  /* RDI port, RSI size | in << 8 | string << 9 |
			     rep << 10, RDX value of an OUT */
	LUV_RUN_MMIO,	  /* RDI gpa, RSI 1 if it wrote; not executed */
	LUV_RUN_FAULT,	  /* RDI hva, RSI 1 if to be writable: touch it */
	LUV_RUN_HLT,
	LUV_RUN_WINDOW_OPEN,
	LUV_RUN_SHUTDOWN, /* triple fault */
	LUV_RUN_CPUID,	  /* no policy set: ring 3 answers */
	LUV_RUN_RDMSR, LUV_RUN_WRMSR, /* RDI msr, RSI value */
	LUV_RUN_HYPERCALL, /* the guest's registers say which */
	LUV_RUN_UNKNOWN,  /* RDI exit kind, RSI reason, RDX info1 */
};
#define LUV_RUN_KIND   0xffu
#define LUV_RUN_QUEUED 0x100u
#define LUV_RUN_WINDOW 1u
