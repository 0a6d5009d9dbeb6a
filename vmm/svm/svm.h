/* SPDX-License-Identifier: BSD-2-Clause */
/* svm.h - what the files of svm/ share. */
#pragma once

#include "../hv.h"

void svm_domu_maps(void);
void svm_domu_init(struct vcpu *v);
void svm_domu_enter(struct vcpu *d, struct vcpu *v, bool flush);
void svm_domu_leave(struct vcpu *d, struct vcpu *v);
unsigned svm_domu_ready(struct vcpu *v);
/* An event whose delivery an exit cut short; 0: none. */
void svm_domu_again(struct vcpu *v, uint64_t event);
void svm_domu_queue(struct vcpu *v, uint32_t event);
void svm_domu_window(struct vcpu *v, unsigned class);
void svm_domu_get(struct vcpu *v, struct luv_vcpu *s);
void svm_domu_set(struct vcpu *v, const struct luv_vcpu *s);
void svm_domu_share(struct vcpu *v, struct luv_shared *s);
void svm_domu_take_back(struct vcpu *v, const struct luv_shared *s);
void svm_domu_reset(struct vcpu *v, uint16_t cs, uint16_t ip);
void svm_domu_tsc(struct vcpu *v);
void svm_domu_sync(struct vcpu *v);
void svm_domu_tpr(struct vcpu *v);
/* A write of CR8 has exited; false: it is not known how it was written. */
bool svm_domu_cr8(struct vcpu *v);
/*
 * #VMEXIT -1, which says that VMRUN found the VMCB invalid. QEMU 7.2 makes one
 * as well where a guest's MOV to CR3 or CR4 has a reserved bit and is to get a
 * #GP, which is injected here. False: it was not that.
 */
bool svm_refused(struct vcpu *v);
bool svm_domu_drs(struct vcpu *v, bool use);
bool svm_domu_debug_exit(struct vcpu *v, uint64_t *dr6);
void svm_trace_context(struct vcpu *v, unsigned kind, struct trace_kvm_exit *r);
extern const exit_handler svm_trace_dom0[EXIT_KINDS];
extern const exit_handler svm_trace_domu[EXIT_KINDS];
