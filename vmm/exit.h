/* SPDX-License-Identifier: BSD-2-Clause */
/* exit.h - what a handler decides, and the loop that runs dom0. */
#pragma once

#include "cpu.h"
#include "hv.h"

enum exit_action {
	RESUME, /* enter again where RIP is */
	SKIP,	/* the instruction is done: advance, then enter */
	STOP,	/* nobody knows what to do: dump */
};

/* Run dom0 on this CPU for ever. */
_Noreturn void exit_loop(struct cpu *cpu);

/* Handlers of their own files. */
enum exit_action cpuid_exit(struct vcpu *v);
enum exit_action msr_read_exit(struct vcpu *v);
enum exit_action msr_write_exit(struct vcpu *v);
enum exit_action io_exit(struct vcpu *v);
enum exit_action hypercall_exit(struct vcpu *v);
enum exit_action apic_write_exit(struct vcpu *v);
