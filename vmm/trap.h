/* SPDX-License-Identifier: BSD-2-Clause */
/* trap.h - the VMM's own exceptions and NMIs. */
#pragma once

#include "types.h"

/* As idt.S pushes it. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* Load GDT and IDT on this CPU; the first call builds the IDT. */
void trap_init(void);
void trap_handle(struct trap_frame *f);
/* An empty IDT, so that the next event is a triple fault: a reset. */
_Noreturn void trap_reset_machine(void);
