/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emulate.h - instructions that touch devices and are not executed by the
 * CPU: a vCPU around emul.h's engine. MMIO of this library's own devices is
 * served on the way; the rest becomes exits of the client's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

enum emulate_end {
	EMULATE_GO_ON,	/* the guest may run */
	EMULATE_CLIENT, /* kvm_run holds an exit; v->wait may be WAIT_EMULATOR */
};

/* Returns false: no memory. */
bool emulate_init(struct vcpu *v);
void emulate_free(struct vcpu *v);

/*
 * emulate_start - the instruction at RIP, after LUV_RUN_MMIO or a string
 * LUV_RUN_IO. own: its access was to gpa, and a write or not.
 */
enum emulate_end emulate_start(struct vcpu *v, bool own, uint64_t gpa,
			       bool write);

/* emulate_resume - the client has done what kvm_run asked for. */
enum emulate_end emulate_resume(struct vcpu *v);

/* Forget an instruction that waits: the client has set other registers. */
void emulate_abandon(struct vcpu *v);
