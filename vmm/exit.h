/* SPDX-License-Identifier: BSD-2-Clause */
/* exit.h - what a handler decides, and what hv->loop() calls. */
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

/* v has exited and is decoded: handle it. Returns whom to enter next. */
struct vcpu *exit_handle(struct vcpu *v);
/* v->poll was set: do what is asked of this CPU. Returns whom to enter. */
struct vcpu *exit_serve(struct vcpu *v);

/* Handlers of their own files. */
enum exit_action cpuid_exit(struct vcpu *v);
enum exit_action msr_read_exit(struct vcpu *v);
enum exit_action msr_write_exit(struct vcpu *v);
enum exit_action io_exit(struct vcpu *v);
enum exit_action hypercall_exit(struct vcpu *v);
enum exit_action apic_write_exit(struct vcpu *v);
