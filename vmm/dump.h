/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump.h - when it goes wrong: everything that helps, readable, on every
 * console, then halt.
 */
#pragma once

#include "cpu.h"
#include "trap.h"

/* A bug of the VMM's or broken hardware. */
_Noreturn void panic(const char *format, ...) PRINTF(1, 2);
/* An exception in the VMM. */
_Noreturn void panic_trap(const struct trap_frame *f);
/* A VM exit that nothing knows how to handle. */
_Noreturn void panic_exit(struct vcpu *v);

/* "name+0xoffset" of an address in the VMM; "?" if it is none. */
void dump_symbol(uint64_t rip, char *buf, size_t len);
const char *dump_exit_name(enum luv_exit_kind kind);
