/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvalley.h - the hypercall ABI between ring 3 of dom0 and the VMM.
 *
 * A process calls the VMM with VMCALL (Intel) or VMMCALL (AMD), never with
 * the other vendor's opcode. Nothing in the dom0 kernel takes part.
 *
 *   in:  RAX = LUV_CALL(nr); arguments in RDI, RSI, RDX, R10, R8
 *   out: RAX = result, >= 0, or a negated LUV_E*; all else is preserved,
 *        but what a call is said below to return in other registers
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
#define LUV_EAGAIN 11 /* it has changed meanwhile: begin again */
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
	X(22, vcpu_run)                                                        \
	X(23, vm_stat)                                                         \
	X(24, vm_reap)                                                         \
	X(25, vm_grant)                                                        \
	X(26, vm_msi)                                                          \
	X(27, vm_eoi_vectors)                                                  \
	X(28, vcpu_kick)                                                       \
	X(29, vcpu_nmi)                                                        \
	X(30, vcpu_cpuid)                                                      \
	X(31, vcpu_fpu_get)                                                    \
	X(32, vcpu_fpu_set)                                                    \
	X(33, vcpu_apic_get)                                                   \
	X(34, vcpu_apic_set)                                                   \
	X(35, vcpu_apic_read)                                                  \
	X(36, vcpu_apic_write)                                                 \
	X(37, trace_control)                                                   \
	X(38, trace_info)                                                      \
	X(39, trace_read)                                                      \
	X(40, vcpu_share)                                                      \
	X(41, trace_clock)                                                     \
	X(42, exit_hist)

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
 * exit_hist(RDI who, RSI buf, RDX position, R10 count, R8 vcpu): how long exits
 * took, as in luv_exit_stat, in more detail: rows of struct luv_hist, at most
 * `count`, of dom0 on CPU number `who`, or of a VM's vCPU: LUV_HIST_VM | its
 * index (vm_stat). Begin at position 0, go on at the last row's `next`. Returns
 * rows copied, 0 at the end. LUV_ENOENT: there is no such CPU, or vCPU.
 * LUV_EAGAIN: a row got another place since position 0 was read.
 */
#define LUV_HIST_VM	 (1ull << 32)
#define LUV_HIST_BUCKETS 56u
#define LUV_HIST_UNIT	 16u /* ticks */

struct luv_hist {
	uint32_t kind;	  /* enum luv_exit_kind */
	uint32_t has_sub; /* 1: of `sub` alone, since it has a row; 0: all others
			     of the kind */
	uint64_t sub;	  /* port, MSR, CPUID leaf, RAX of a hypercall, page
			     number */
	uint64_t count;	  /* exits */
	uint64_t ticks;	  /* of them all */
	uint64_t next;	  /* the position behind this row */
	/*
	 * Exits, modulo 2^32, that took from luv_hist_from(i) ticks on and less
	 * than luv_hist_from(i + 1). Of more than 2^32 ticks the rest counts.
	 */
	uint32_t bucket[LUV_HIST_BUCKETS];
};

static inline uint64_t luv_hist_from(unsigned i)
{
	return (((uint64_t)(2 + i % 2) << (i / 2)) - 2) * LUV_HIST_UNIT;
}

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
 * A VM belongs to the address space (CR3) that made it (an OS that has another
 * CR3 for its kernel: to that of ring 3); from any other its
 * handle is LUV_EPERM. Handles are random but for LUV_VM_INDEX, vm_stat's: who
 * gets the CR3 of a dead owner still cannot guess one. Making a VM takes the
 * token: four 32-bit words read with IN from LUV_TOKEN_PORT + 0, 4, 8 and 12,
 * which only a process with I/O permission (dom0's root: ioperm) can do.
 */
#define LUV_TOKEN_PORT 0x4c50

/*
 * vm_create(RDI token low, RSI token high, RDX tag): returns a handle > 0.
 * The tag means nothing to the VMM: PID | start time << 32, by convention.
 * LUV_EPERM: wrong token; LUV_ENOMEM: no VMM memory or LUV_VMS VMs.
 * vm_destroy(RDI vm): frees everything; LUV_EBUSY while a call is inside it.
 * vm_reap(RDI token low, RSI token high, RDX index, R10 tag): destroys another
 * process's VM, one that died, if it still has this tag. LUV_EBUSY as above.
 */
#define LUV_ENOMEM 12
#define LUV_EBUSY  16
#define LUV_EEXIST 17
#define LUV_VMS	   64u
#define LUV_VM_INDEX(handle) ((uint64_t)(handle) & 0xff)

/*
 * vm_stat(RDI index, RSI buf, RDX len): what the VM at index < LUV_VMS is and
 * has done; anyone may ask. len >= 16 bytes. LUV_ENOENT: there is none.
 * Returns sizeof(struct luv_vm_stat).
 */
struct luv_vm_stat {
	uint64_t tag;
	uint32_t index;
	uint32_t vcpus;
	uint64_t ram;	   /* bytes in its slots */
	uint64_t vmm_used; /* bytes of VMM memory it holds */
	uint32_t exit_kinds; /* rows used below */
	uint32_t reserved;
	struct luv_exit_stat exits[EXIT_KINDS]; /* of all vCPUs */
};

/*
 * vm_slot(RDI vm, RSI buf): buf is a struct luv_slot. len 0 deletes the slot;
 * one that exists is replaced. The owner keeps [hva, hva+len) mapped and its
 * pages where they are (pinned) as long as the slot is there. When the call
 * returns no vCPU reaches what the slot had before, also one that runs on
 * another CPU: it has been made to exit, and finds the slot as it is now.
 * LUV_EINVAL: alignment, overflow, overlap.
 */
struct luv_slot {
	uint32_t slot;	/* < LUV_SLOTS */
	uint32_t flags; /* LUV_SLOT_* */
	uint64_t gpa, len; /* bytes, 4 KiB-aligned */
	uint64_t hva;	/* 4 KiB-aligned */
};
#define LUV_SLOTS	  64u
#define LUV_SLOT_READONLY 1u /* a write exits as MMIO */
#define LUV_SLOT_LAZY	  2u /* pages are pinned piece by piece: vm_grant */

/*
 * vm_grant(RDI vm, RSI slot, RDX first, R10 count): these pieces of a lazy
 * slot are pinned now: the VMM may map them. Piece i is what the slot has of
 * the 2 MiB of addresses that begin at (hva rounded down to 2 MiB) + i * 2 MiB.
 */

/*
 * vm_msi(RDI vm, RSI address, RDX data): an interrupt message for the local
 * APICs in the VMM, in the form of a write to memory; SDM "Message Signalled
 * Interrupts". Returns how many took it, 0 if it coalesced with one that
 * waits; LUV_ENOENT: it addresses nobody. Out: RDX = mask of blocked vCPUs,
 * to be woken by the caller (LUV_RUN_HLT).
 * vm_eoi_vectors(RDI vm, RSI, RDX, R10, R8: 256 bits, vector 0 first): those
 * whose EOI is to come to ring 3 as LUV_RUN_EOI. None at first.
 */

/*
 * vcpu_create(RDI vm, RSI id, RDX flags): id < LUV_VCPUS; state is that after
 * INIT. With LUV_VCPU_APIC it has a local APIC in the VMM, with APIC ID = id;
 * then vCPU 0 is the bootstrap processor and the others wait for SIPI.
 */
#define LUV_VCPUS     64u
#define LUV_VCPU_APIC 1u

/*
 * vcpu_kick(RDI vm, RSI id): its run call that is under way, or else its next
 * one, ends with LUV_RUN_KICKED, soon and once. Returns 1 if it is blocked:
 * the caller wakes its thread.
 * vcpu_nmi(RDI vm, RSI id): it gets an NMI. Returns as vcpu_kick.
 */

/*
 * vcpu_get, vcpu_set(RDI vm, RSI id, RDX buf): buf is a struct luv_vcpu.
 * LUV_EINVAL: a state that the processor could not be in. LUV_EFAULT as well:
 * with PAE paging, what is at CR3 is not there, or not granted, now.
 * LUV_EBUSY: the vCPU runs on another CPU. vcpu_set forgets an I/O or MSR
 * instruction that waits for its completion.
 */
struct luv_segment {
	uint64_t base;
	uint32_t limit;	   /* bytes - 1, G applied */
	uint16_t selector;
	uint16_t attrib;   /* type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13,
			      DB 14, G 15, unusable 8 */
};

enum luv_mp_state { /* the numbers of KVM_MP_STATE_* */
	LUV_MP_RUNNABLE,
	LUV_MP_WAIT_SIPI,
	LUV_MP_HALTED = 3,
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
	uint32_t shadow;   /* STI 1, MOV SS 2: holds interrupts off */
	uint32_t event;	   /* queued: vector 7:0, type 10:8, error code 11,
			      valid 31; as in SDM "VM-Entry Controls for
			      Event Injection" */
	uint32_t event_error;
	uint32_t mp_state;	/* enum luv_mp_state */
	uint64_t xcr0;
	uint64_t tsc_offset;	/* guest's TSC - host's */
	uint64_t tsc_adjust, tsc_deadline; /* the MSRs */
	uint64_t apic_base;	/* the MSR; no APIC in the VMM: kept, unused */
	uint64_t cr8;
	uint64_t pv_eoi;	/* MSR_KVM_PV_EOI_EN; with LUV_VCPU_APIC */
	uint32_t nmi;		/* LUV_NMI_* */
	uint32_t debug;		/* LUV_DEBUG_*: not the guest's own */
	uint64_t debug_dr[4], debug_dr7; /* with LUV_DEBUG_HW */
};
#define LUV_NMI_PENDING 1u
#define LUV_NMI_BLOCKED 2u
#define LUV_DEBUG_ON	1u /* #DB and #BP exit: LUV_RUN_DEBUG */
#define LUV_DEBUG_STEP	2u /* after each instruction */
#define LUV_DEBUG_HW	4u /* debug_dr in place of dr */

/*
 * vcpu_share(RDI vm, RSI id, RDX shared): a struct luv_shared of the owner's,
 * 8-byte-aligned and within a page, in place of what it had; 0: none. Present
 * and writable now (LUV_EFAULT), and kept where it is (pinned), as a slot's
 * memory, until it is replaced or the VM is gone. With it an instruction that
 * ring 3 executes costs no vcpu_get and vcpu_set.
 * An exit says that the VMM has filled it (LUV_RUN_SHARED). The next vcpu_run
 * that finds `dirty` not 0 makes it 0 and takes gpr, rip, and of rflags the
 * bits of LUV_SHARED_RFLAGS; the shadow of STI or MOV SS ends. vcpu_get and
 * vcpu_set do not look at it.
 */
struct luv_shared {
	uint32_t dirty;
	uint32_t reserved;
	uint64_t gpr[16], rip, rflags;	/* as struct luv_vcpu has them */
	uint64_t cr0, cr3, cr4, efer;
	uint64_t apic_base;
	struct luv_segment cs, ss, fs, gs;
	struct luv_segment es, ds;	/* not in 64-bit mode */
};
#define LUV_SHARED_RFLAGS 0x10cd5u /* CF PF AF ZF SF DF OF RF */

/*
 * vcpu_cpuid(RDI vm, RSI id, RDX buf, R10 count): the guest's CPUID: rows of
 * struct luv_cpuid, at most LUV_CPUIDS, in place of what it had (nothing: all
 * zeros). A leaf without a row answers zeros. The VMM itself adds what
 * changes as the guest runs: OSXSAVE, OSPKE, the sizes in leaf Dh, and takes
 * APIC away while the guest has it off.
 */
struct luv_cpuid {
	uint32_t leaf, subleaf;
	uint32_t flags; /* LUV_CPUID_SUBLEAF */
	uint32_t eax, ebx, ecx, edx;
	uint32_t reserved;
};
#define LUV_CPUIDS	  127u
#define LUV_CPUID_SUBLEAF 1u /* the row is for this subleaf alone */

/*
 * vcpu_fpu_get, vcpu_fpu_set(RDI vm, RSI id, RDX buf, R10 len): extended state
 * as XSAVE stores it in the standard form, for the XCR0 that the VMM allows;
 * 512 bytes where the CPU has no XSAVE. get copies min(len, size) and returns
 * the size; set takes exactly it, or its first 576 bytes, and refuses
 * (LUV_EINVAL) what XRSTOR would.
 */

/*
 * vcpu_apic_get, vcpu_apic_set(RDI vm, RSI id, RDX buf): 1024 bytes, the
 * registers at their offsets in the xAPIC page, as KVM_GET_LAPIC has them.
 * vcpu_apic_read(RDI vm, RSI id, RDX offset): returns the 32-bit register;
 * vcpu_apic_write(RDI vm, RSI id, RDX offset, R10 value): for whoever decodes
 * an access to the xAPIC page (LUV_RUN_MMIO). What follows from it for
 * others (WAKE, EOI) comes with the vCPU's next run.
 * LUV_ENOENT: it has no local APIC here.
 */

/*
 * vcpu_run(RDI vm, RSI id, RDX in, R10 event, R8 flags): run until there is
 * something for ring 3. Restartable: interrupted, dom0 finds RIP at the
 * hypercall with all arguments as they were. No memory of the caller is read
 * or written, but what is shared by vcpu_share.
 *   in     data of an IN or RDMSR that the last exit asked for
 *   event  struct luv_vcpu.event form, external interrupts; 0: none. Taken
 *          once: when it is queued RAX has LUV_RUN_QUEUED set at exit. Who
 *          offered one offers the same until it is taken. With a local APIC
 *          this is its ExtINT input: not taken while LVT0 keeps it off.
 *   flags  LUV_RUN_WINDOW: exit when the guest can take an `event`
 *          LUV_RUN_GP: the MSR access that the last exit asked for gets #GP
 *          LUV_RUN_NO_ENTRY: complete what the last exit asked for, then
 *          come back with LUV_RUN_KICKED
 *   RAX    enum luv_run | LUV_RUN_*; RDI, RSI, RDX: by kind below;
 *          R10: RFLAGS.IF | can take an `event` now << 1 | CR8 << 8
 */
enum luv_run {
	LUV_RUN_IO = 1,	  /* RDI port, RSI size | in << 8 | string << 9,
			     RDX value of an OUT. String I/O is not
			     executed: RDX is then 0 and RIP at it */
	LUV_RUN_MMIO,	  /* RDI gpa, RSI 1 if it wrote | 2 if that is where
			     the access itself went, not a walk of the guest's
			     page tables for it; not executed */
	LUV_RUN_FAULT,	  /* RDI hva, RSI 1 if to be writable, RDX slot: have
			     it present, grant its piece if the slot is lazy */
	LUV_RUN_HLT,	  /* blocked, marked so: a sender is told to wake it.
			     RDI TSC ticks until its timer fires, ~0: never;
			     RSI enum luv_mp_state. Sleep, then run again */
	LUV_RUN_WINDOW_OPEN,
	LUV_RUN_SHUTDOWN, /* triple fault */
	LUV_RUN_PAUSE,	  /* it spins: let another thread run */
	LUV_RUN_RDMSR = 8, /* RDI msr: complete it by `in` or LUV_RUN_GP */
	LUV_RUN_WRMSR,	  /* RDI msr, RSI value: complete, or LUV_RUN_GP */
	LUV_RUN_UNKNOWN = 11, /* RDI exit kind, RSI reason, RDX info1. EXIT_STAGE2,
			     LUV_ENOMEM: the VMM has no page for its tables */
	LUV_RUN_KICKED,	  /* vcpu_kick, or LUV_RUN_NO_ENTRY */
	LUV_RUN_WAKE,	  /* RDI mask of vCPUs it has woken: wake their threads */
	LUV_RUN_EOI,	  /* RDI vector, see vm_eoi_vectors */
	LUV_RUN_TIMER,	  /* RDI TSC ticks until its timer fires: this CPU
			     cannot count them, so see that it exits then (an
			     interrupt of dom0's on its CPU will do) */
	LUV_RUN_DEBUG,	  /* RDI DR6, or ~0 for INT3; RSI linear address */
};
#define LUV_RUN_KIND	 0xffu
#define LUV_RUN_QUEUED	 0x100u
#define LUV_RUN_SHARED	 0x200u /* MMIO, string I/O: see vcpu_share */
#define LUV_RUN_WINDOW	 1u
#define LUV_RUN_GP	 2u
#define LUV_RUN_NO_ENTRY 4u

/* --- trace: a record of every exit ----------------------------------------- */

/*
 * Each CPU writes packets of records, trace/ctf.h, into a ring in the VMM's
 * memory, trace/ring.h; what the boot option trace= began is there to be read.
 *
 * trace_control(RDI token low, RSI token high, RDX buf): buf is a struct
 * luv_trace_control. It holds from the next exit of each CPU on.
 * LUV_EPERM: wrong token; LUV_EINVAL: a mode, or flags, that are not there;
 * LUV_ENOMEM: the VMM was started without rings.
 */
enum luv_trace_mode {
	LUV_TRACE_OFF,
	LUV_TRACE_STOP,	  /* a full ring: new events are lost, and counted */
	LUV_TRACE_FLIGHT, /* a full ring: the oldest packet goes */
};

struct luv_trace_control {
	uint32_t mode;	/* enum luv_trace_mode */
	uint32_t flags; /* LUV_TRACE_* */
	uint64_t doms;	/* recorded: bit 0 dom0, bit n + 1 the VM of index n;
			   bit 63 all others */
	uint64_t kinds; /* bit n: exits of enum luv_exit_kind n */
	uint64_t cpus;	/* bit n: CPU n; bit 63 all others */
};
#define LUV_TRACE_ENTRIES 1u /* kvm_entry records, too */

/*
 * trace_info(RDI buf, RSI len): len >= 16 bytes. Returns sizeof(struct
 * luv_trace_info).
 */
struct luv_trace_info {
	struct luv_trace_control now;
	uint8_t uuid[16];     /* of the packets */
	uint32_t cpus;	      /* rings */
	uint32_t packets;     /* in each; 0: there are no rings */
	uint32_t packet_size; /* bytes */
	uint32_t isa;	      /* enum luv_isa */
};

/*
 * trace_read(RDI token low, RSI token high, RDX buf): copy a packet; buf is a
 * struct luv_trace_read, in and out. Packets before `packet` are the writer's
 * again. Returns bytes copied: a whole packet, or of the one that is still
 * written what it has, its header complete; 0: there is none yet.
 * LUV_ENOENT: no such CPU; LUV_E2BIG: `len` is less than packet_size.
 */
struct luv_trace_read {
	uint32_t cpu;
	uint32_t open;	 /* out: 1 if it is still written */
	uint64_t packet; /* in: wanted; out: got, a later one if it is gone */
	uint64_t buf;	 /* linear address */
	uint64_t len;	 /* bytes there */
	uint64_t lost;	 /* out: events this CPU has not recorded so far */
};

/*
 * trace_clock(RDI token low, RSI token high, RDX tsc, R10 mono_ns, R8 wall_ns):
 * a `clock` record: at that TSC dom0's CLOCK_MONOTONIC and the time since 1970
 * were these. Filters do not leave it out. LUV_ENOENT: this CPU has no trace
 * now, or no room.
 */
