/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fpu.h - extended state of a vCPU: x87, SSE, AVX and so on, which the VMM
 * keeps as XSAVE stores it. Nothing is kept here but the size.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct vcpu;

#define FPU_BYTES 4096 /* the most there is */

struct fpu {
	uint8_t area[FPU_BYTES]; /* a copy, for who changes a part */
	unsigned size;		 /* bytes, as the VMM said; 0: not asked */
};

/* KVM_CAP_XSAVE: does the CPU have XSAVE? */
bool fpu_has_xsave(void);

/* The components that guests may have: XCR0's bits. */
uint64_t fpu_xcr0_mask(void);

/* Is it a value of XCR0 that XSETBV takes here? */
bool fpu_xcr0_ok(uint64_t xcr0);

/* Fill v->fpu.area. Returns it. */
uint8_t *fpu_get(struct vcpu *v);

/* Give v->fpu.area to the VMM. Returns 0 or -EINVAL. */
long fpu_set(struct vcpu *v);

/* XMM register 0..15, of fpu_get()'s area. */
void fpu_get_xmm(struct vcpu *v, unsigned reg, void *buf16);
void fpu_set_xmm(struct vcpu *v, unsigned reg, const void *buf16);

/* FXSAVE's image and KVM_GET_FPU's structure. For tests, too. */
void fpu_to_kvm(const uint8_t *area, struct kvm_fpu *f);
void fpu_from_kvm(uint8_t *area, const struct kvm_fpu *f);
