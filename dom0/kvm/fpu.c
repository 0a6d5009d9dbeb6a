/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fpu.c - see fpu.h. SDM "FXSAVE Area", "XSAVE Area": FCW 0, FSW 2, FTW 4,
 * FOP 6, FIP 8, FDP 16, MXCSR 24, ST0 32, XMM0 160, XSTATE_BV 512.
 */
#include "fpu.h"
#include "hyper.h"
#include "ioctl.h"
#include "say.h"
#include "vcpu.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>

#define ST0	     32
#define XMM0	     160
#define XSTATE_BV    512
#define XSAVE_HEADER 576 /* bytes of the legacy area and the header */
#define MXCSR	     24
#define X87_SSE	     3u
#define AVX	     4u
#define AVX512	     0xe0u
#define HI16_ZMM     7 /* the component */

bool fpu_has_xsave(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_XSAVE);
}

/*
 * What the VMM has, of x87, SSE, AVX and AVX-512. By the place of AVX-512's
 * last component: the size in subleaf 0 counts what dom0 has on besides (AMX).
 */
uint64_t fpu_xcr0_mask(void)
{
	unsigned a, b, c, d, size, place;
	uint64_t mask;

	if (!fpu_has_xsave() || !__get_cpuid_count(0xd, 0, &a, &b, &c, &d))
		return X87_SSE;
	mask = a & (X87_SSE | AVX);
	if ((a & AVX512) == AVX512 &&
	    __get_cpuid_count(0xd, HI16_ZMM, &size, &place, &c, &d) &&
	    place + size <= FPU_BYTES)
		mask |= AVX512;
	return mask;
}

/* SDM "XSETBV - Set Extended Control Register". */
bool fpu_xcr0_ok(uint64_t xcr0)
{
	const uint64_t avx512 = xcr0 & AVX512;

	if (!(xcr0 & 1) || (xcr0 & ~fpu_xcr0_mask()) ||
	    (avx512 && avx512 != AVX512))
		return false;
	return (!avx512 || (xcr0 & AVX)) && (!(xcr0 & AVX) || (xcr0 & 2));
}

uint8_t *fpu_get(struct vcpu *v)
{
	struct fpu *f = &v->fpu;
	long size = hyper_buffer(LUV_CALL_vcpu_fpu_get, v->vm->handle, v->id,
				 (uintptr_t)f->area, FPU_BYTES, f->area,
				 FPU_BYTES);

	if (size < 0)
		say("the extended state of virtual CPU %u cannot be read: %s",
		    v->id, strerror((int)-size));
	else
		f->size = (unsigned)size;
	return f->area;
}

long fpu_set(struct vcpu *v)
{
	struct fpu *f = &v->fpu;
	uint64_t size = f->size, bv;

	memcpy(&bv, f->area + XSTATE_BV, sizeof(bv));
	if (size > XSAVE_HEADER && !(bv & ~(uint64_t)X87_SSE))
		size = XSAVE_HEADER;
	return hyper_buffer(LUV_CALL_vcpu_fpu_set, v->vm->handle, v->id,
			    (uintptr_t)f->area, size, f->area, size);
}

void fpu_get_xmm(struct vcpu *v, unsigned reg, void *buf16)
{
	memcpy(buf16, fpu_get(v) + XMM0 + 16 * reg, 16);
}

/* A component that XSTATE_BV has off is in its initial state, not in memory. */
static void use(uint8_t *area, uint64_t components)
{
	uint64_t bv;

	memcpy(&bv, area + XSTATE_BV, sizeof(bv));
	if (!(bv & 1))
		memset(area + ST0, 0, XMM0 - ST0);
	if (!(bv & 2))
		memset(area + XMM0, 0, 256);
	bv |= components;
	memcpy(area + XSTATE_BV, &bv, sizeof(bv));
}

void fpu_set_xmm(struct vcpu *v, unsigned reg, const void *buf16)
{
	uint8_t *area = fpu_get(v);

	if (fpu_has_xsave())
		use(area, 2);
	memcpy(area + XMM0 + 16 * reg, buf16, 16);
	fpu_set(v);
}

/* --- conversions ---------------------------------------------------------------- */

void fpu_to_kvm(const uint8_t *area, struct kvm_fpu *f)
{
	memset(f, 0, sizeof(*f));
	memcpy(&f->fcw, area, 2);
	memcpy(&f->fsw, area + 2, 2);
	f->ftwx = area[4];
	memcpy(&f->last_opcode, area + 6, 2);
	memcpy(&f->last_ip, area + 8, 8);
	memcpy(&f->last_dp, area + 16, 8);
	memcpy(&f->mxcsr, area + MXCSR, 4);
	memcpy(f->fpr, area + ST0, sizeof(f->fpr));
	memcpy(f->xmm, area + XMM0, sizeof(f->xmm));
}

void fpu_from_kvm(uint8_t *area, const struct kvm_fpu *f)
{
	memcpy(area, &f->fcw, 2);
	memcpy(area + 2, &f->fsw, 2);
	area[4] = f->ftwx;
	area[5] = 0;
	memcpy(area + 6, &f->last_opcode, 2);
	memcpy(area + 8, &f->last_ip, 8);
	memcpy(area + 16, &f->last_dp, 8);
	memcpy(area + MXCSR, &f->mxcsr, 4);
	memcpy(area + ST0, f->fpr, sizeof(f->fpr));
	memcpy(area + XMM0, f->xmm, sizeof(f->xmm));
}

/* --- ioctls ----------------------------------------------------------------------- */

long vcpu_ioctl_get_fpu(void *self, unsigned long arg)
{
	uint8_t *area = fpu_get(self);

	if (fpu_has_xsave())
		use(area, 0);
	fpu_to_kvm(area, (struct kvm_fpu *)arg);
	return 0;
}

long vcpu_ioctl_set_fpu(void *self, unsigned long arg)
{
	uint8_t *area = fpu_get(self);

	if (fpu_has_xsave())
		use(area, X87_SSE);
	fpu_from_kvm(area, (const struct kvm_fpu *)arg);
	return fpu_set(self);
}

long vcpu_ioctl_get_xsave(void *self, unsigned long arg)
{
	if (!fpu_has_xsave())
		return -EINVAL;
	memcpy((void *)arg, fpu_get(self), FPU_BYTES);
	return 0;
}

long vcpu_ioctl_set_xsave(void *self, unsigned long arg)
{
	struct vcpu *v = self;
	uint64_t bv;

	if (!fpu_has_xsave())
		return -EINVAL;
	memcpy(&bv, (const char *)arg + XSTATE_BV, sizeof(bv));
	if (bv & ~fpu_xcr0_mask())
		return -EINVAL;
	if (!v->fpu.size)
		fpu_get(v);
	memcpy(v->fpu.area, (const void *)arg, FPU_BYTES);
	return fpu_set(v);
}
