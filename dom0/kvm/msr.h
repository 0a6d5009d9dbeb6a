/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msr.h - the MSRs that a guest or the client gets to see here. Some are
 * registers of struct luv_vcpu, which the guest reaches without us; others
 * exist here alone, because they do nothing but remember: memory types, bank
 * of machine checks, what a BIOS leaves. One row in msr.def each.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

#define MSR_MCE_BANKS 32
#define MSR_KEPT      320 /* rows of msr.def, expanded, that remember */

struct msr_file {
	uint64_t kept[MSR_KEPT]; /* by the row's place in the table */
	uint64_t mcg_cap;	 /* KVM_X86_SETUP_MCE; low byte: banks */
};

/* Values after reset. */
void msr_init(struct msr_file *f);

/*
 * msr_read, msr_write - false: there is no such MSR, or not this value: #GP.
 *   host  it is the client, who may write what the guest may only read
 */
bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value, bool host);
bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value, bool host);

/* Would this value become a register of struct luv_vcpu, in the copy? */
bool msr_sets_register(uint32_t msr, uint64_t value);

/* Those that KVM_GET_MSR_INDEX_LIST tells: their number, the i-th. */
unsigned msr_list_count(void);
uint32_t msr_list_index(unsigned i);
