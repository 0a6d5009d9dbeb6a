/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smp.h - the physical CPUs: starting them, parking them while dom0 has not
 * started them, and the VMM's one cross-CPU signal, an NMI ("kick"). The NMI
 * protocol is written down in vmm/README.md.
 */
#pragma once

#include "cpu.h"
#include "ipi.h"
#include "trap.h"

/*
 * smp_start - make struct cpus for the CPUs in the MADT (at most `limit`),
 * start all but this one, each runs `ready` and then `main`. `rsdp` may be 0:
 * one CPU. CPUs that do not answer are left out with a sentence.
 */
void smp_start(uint64_t rsdp, unsigned limit, void (*ready)(struct cpu *cpu),
	       void (*main)(void));

/* The boot CPU's struct; call once, before smp_start(). */
struct cpu *smp_boot_cpu(void);

/* dom0 sends INIT or SIPI: never to hardware, only to our state machine. */
void smp_startup_ipi(const struct icr *icr);

/* Sleep until dom0 has started this CPU; returns the start-up vector. */
uint8_t smp_park(struct cpu *cpu);

/* Ask every other CPU that runs dom0 to do `req`; returns when all have. */
void smp_request_others(enum request req);
/* The same at each CPU's next exit, without a kick; does not wait. */
void smp_mark_others(enum request req);
/* Ask one CPU; does not wait. */
void smp_request(struct cpu *cpu, enum request req);

/* An NMI came to this CPU in the VMM (host IDT). */
void smp_nmi(struct trap_frame *f);
/* An NMI made dom0 exit. True: it was a kick of ours, not dom0's. */
bool smp_nmi_was_kick(struct cpu *cpu);

/* A real INIT reached this CPU while it ran dom0: take it as one of dom0's. */
void smp_init_received(void);
