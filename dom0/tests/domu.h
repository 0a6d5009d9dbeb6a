/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu.h - what the tests of virtual machines by bare hypercalls share: the
 * token, vcpu_run with all its registers, and a run that is to end in one way.
 */
#pragma once

#include "test.h"

#include <sys/io.h>

#define RAM (2ul << 20)

static uint64_t token[2];
static struct luv_info info;

struct run {
	uint64_t rax, rdi, rsi, rdx, r10;
};

/* vcpu_run with all its registers. */
static inline struct run vcpu_run(long vm, uint64_t id, uint64_t in,
				  uint64_t event, uint64_t flags)
{
	struct run r = { .rax = LUV_CALL(LUV_CALL_vcpu_run), .rdi = (uint64_t)vm,
			 .rsi = id, .rdx = in, .r10 = event };
	register uint64_t r10 __asm__("r10") = r.r10;
	register uint64_t r8 __asm__("r8") = flags;

	if (info.isa == LUV_ISA_VMX)
		__asm__ volatile("vmcall" : "+a"(r.rax), "+D"(r.rdi),
				 "+S"(r.rsi), "+d"(r.rdx), "+r"(r10)
				 : "r"(r8) : "memory");
	else
		__asm__ volatile("vmmcall" : "+a"(r.rax), "+D"(r.rdi),
				 "+S"(r.rsi), "+d"(r.rdx), "+r"(r10)
				 : "r"(r8) : "memory");
	r.r10 = r10;
	return r;
}

static inline bool token_read(void)
{
	uint32_t w[4];

	if (ioperm(LUV_TOKEN_PORT, 16, 1))
		return false;
	for (int i = 0; i < 4; i++)
		w[i] = inl(LUV_TOKEN_PORT + 4 * i);
	token[0] = w[0] | (uint64_t)w[1] << 32;
	token[1] = w[2] | (uint64_t)w[3] << 32;
	return true;
}

static inline struct run run_until(long vm, uint64_t in, uint64_t event,
				   unsigned kind, const char *what)
{
	uint64_t queued = 0;
	struct run r;

	/* A page that is not there yet is touched, as the ABI asks. */
	for (;;) {
		r = vcpu_run(vm, 0, in, queued ? 0 : event, 0);
		queued |= r.rax & LUV_RUN_QUEUED;
		if ((r.rax & ~(uint64_t)LUV_RUN_QUEUED) != LUV_RUN_FAULT)
			break;
		luv_touch((void *)r.rdi, 1);
	}
	r.rax |= queued;
	expect((r.rax & ~(uint64_t)LUV_RUN_QUEUED) == kind,
	       "%s: expected exit kind %u, got %#lx (rdi %#lx rsi %#lx rdx %#lx)",
	       what, kind, r.rax, r.rdi, r.rsi, r.rdx);
	return r;
}
