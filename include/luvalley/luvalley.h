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
	X(3, memmap)

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
