/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hyper.h - hypercalls as the KVM API needs them: with all their output
 * registers, and the one that runs a guest until a signal wants its thread.
 * Owns the opcode of this CPU's vendor and the token. <luvalley/luvalley.h>.
 */
#pragma once

#include <luvalley/luvalley.h>
#include <stdbool.h>
#include <stddef.h>

struct hyper_regs {
	uint64_t rax, rdi, rsi, rdx, r10;
};

/*
 * hyper_open - find the VMM and read the token; once, later calls repeat the
 * answer. Returns 0 or -errno, after a sentence to the user.
 * Context: handles SIGILL, SIGSEGV and SIGBUS itself for a moment.
 */
int hyper_open(void);

/* Needs hyper_open() to have succeeded. */
extern struct hyper_token {
	uint64_t low, high;
} hyper_token;

/*
 * hyper_call - any call; its outputs in *r, r->rax too.
 * Returns (long)r->rax.
 */
long hyper_call(unsigned nr, struct hyper_regs *r, uint64_t r8);

/* hyper_simple - a call with four arguments at most and one result. */
long hyper_simple(unsigned nr, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t r10);

/*
 * hyper_buffer - hyper_simple of a call one of whose arguments is `buf`, of
 * `len` bytes: made present and writable, again if the page went meanwhile.
 */
long hyper_buffer(unsigned nr, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t r10, void *buf, size_t len);

enum hyper_end {
	HYPER_DONE,	 /* the call has returned: *r */
	HYPER_ABORTED,	 /* a signal was handled, or the thread preempted,
			    since hyper_watch(); *r is as it was */
	HYPER_IMMEDIATE, /* *immediate_exit was not 0; *r is as it was */
};

/*
 * hyper_watch - from now on the kernel notes in this thread's area when it
 * preempts the thread or has it handle a signal.
 * hyper_undisturbed - has it not, yet?
 */
void hyper_watch(void);
bool hyper_undisturbed(void);

/*
 * hyper_run - LUV_CALL_vcpu_run, inside a restartable sequence: the kernel
 * moves a thread that it interrupted there to the end, before it runs a
 * signal's handler; and the sequence begins with a look whether it has done
 * so since hyper_watch(), or since the call itself with `watch`. So no signal is ever handled between hyper_watch(),
 * or the look at *immediate_exit, and the guest, unnoticed.
 */
enum hyper_end hyper_run(struct hyper_regs *r, uint64_t flags,
			 const volatile uint8_t *immediate_exit, bool watch);
