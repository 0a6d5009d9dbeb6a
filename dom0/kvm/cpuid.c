/* SPDX-License-Identifier: BSD-2-Clause */
/* cpuid.c - see cpuid.h and cpuid.def. <asm/kvm_para.h> for 40000000h. */
#include "cpuid.h"
#include "fpu.h"
#include "hyper.h"
#include "ioctl.h"
#include "say.h"
#include "vcpu.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>

enum { EAX, EBX, ECX, EDX };

#define BASIC_MAX    0x1fu
#define EXTENDED     0x80000000u
#define EXTENDED_MAX 0x80000021u
#define PV	     0x40000000u
/* KVM_FEATURE_*: two clocks, of a stable TSC, no I/O delay needed, PV EOI. */
#define PV_FEATURES  (1u << 0 | 1u << 1 | 1u << 3 | 1u << 6 | 1u << 24)
#define AVX512_OF_7  0xdc230000u /* leaf 7, EBX */

struct sink {
	struct kvm_cpuid_entry2 *row;
	unsigned room, count;
};

static const struct {
	uint32_t leaf;
	uint8_t subleaf, reg, bit;
} allowed[] = {
#define ALLOW(leaf, subleaf, reg, bit, name) { leaf, subleaf, reg, bit },
#include "cpuid.def"
#undef ALLOW
};

unsigned cpuid_allowed(unsigned leaf, unsigned subleaf, unsigned reg)
{
	unsigned mask = 0;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (allowed[i].leaf == leaf && allowed[i].subleaf == subleaf &&
		    allowed[i].reg == reg)
			mask |= 1u << allowed[i].bit;
	return mask;
}

static void ask(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	__cpuid_count(leaf, subleaf, r[EAX], r[EBX], r[ECX], r[EDX]);
}

static void put(struct sink *out, uint32_t leaf, uint32_t subleaf, bool indexed,
		const uint32_t r[4])
{
	if (out->count < out->room)
		out->row[out->count] = (struct kvm_cpuid_entry2){
			.function = leaf,
			.index = subleaf,
			.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = r[EAX],
			.ebx = r[EBX],
			.ecx = r[ECX],
			.edx = r[EDX],
		};
	out->count++;
}

static void mask_all(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	for (unsigned reg = EAX; reg <= EDX; reg++)
		r[reg] &= cpuid_allowed(leaf, subleaf, reg);
}

/* --- leaves with a rule of their own ------------------------------------------- */

static void leaf_1(struct sink *out)
{
	uint32_t r[4];

	ask(1, 0, r);
	r[ECX] &= cpuid_allowed(1, 0, ECX);
	r[EDX] &= cpuid_allowed(1, 0, EDX);
	put(out, 1, 0, false, r);
}

static void leaf_4(struct sink *out, uint32_t leaf)
{
	uint32_t r[4];
	unsigned i = 0;

	do {
		ask(leaf, i, r);
		put(out, leaf, i, true, r);
	} while ((r[EAX] & 0x1f) && ++i < 8);
}

static void leaf_7(struct sink *out)
{
	const bool avx512 = fpu_xcr0_mask() & 0xe0;
	uint32_t r[4], last;

	ask(7, 0, r);
	last = r[EAX] < 1 ? r[EAX] : 1;
	mask_all(7, 0, r);
	if (!avx512) {
		r[EBX] &= ~AVX512_OF_7;
		r[ECX] &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
		r[EDX] &= ~(1u << 8);
	}
	r[EAX] = last;
	put(out, 7, 0, true, r);
	if (!last)
		return;
	ask(7, 1, r);
	mask_all(7, 1, r);
	put(out, 7, 1, true, r);
}

/* The VMM keeps the sizes in EBX up to date with XCR0. */
static void leaf_d(struct sink *out)
{
	const uint64_t xcr0 = fpu_xcr0_mask();
	uint32_t r[4];

	ask(0xd, 0, r);
	r[EAX] = (uint32_t)xcr0;
	r[EDX] = 0;
	r[ECX] = 576;
	for (unsigned i = 2; i < 8; i++) {
		uint32_t s[4];

		if (!(xcr0 >> i & 1))
			continue;
		ask(0xd, i, s);
		if (r[ECX] < s[EAX] + s[EBX])
			r[ECX] = s[EAX] + s[EBX];
	}
	r[EBX] = r[ECX];
	put(out, 0xd, 0, true, r);
	ask(0xd, 1, r);
	r[EAX] &= cpuid_allowed(0xd, 1, EAX);
	r[EBX] = r[ECX] = r[EDX] = 0;
	put(out, 0xd, 1, true, r);
	for (unsigned i = 2; i < 8; i++) {
		if (!(xcr0 >> i & 1))
			continue;
		ask(0xd, i, r);
		r[ECX] = r[EDX] = 0;
		put(out, 0xd, i, true, r);
	}
}

static void basic(struct sink *out, uint32_t leaf)
{
	uint32_t r[4] = { 0 };

	switch (leaf) {
	case 1:
		leaf_1(out);
		return;
	case 4:
		leaf_4(out, 4);
		return;
	case 7:
		leaf_7(out);
		return;
	case 0xd:
		leaf_d(out);
		return;
	case 2:	   /* caches */
	case 0x15: /* the TSC's rate */
	case 0x16:
		ask(leaf, 0, r);
		break;
	case 6:
		r[EAX] = cpuid_allowed(6, 0, EAX); /* the VMM's timer is */
		break;
	case 3: /* not there, or no business of a guest's */
	default:
		break;
	}
	put(out, leaf, 0, false, r);
}

static void extended(struct sink *out, uint32_t leaf)
{
	uint32_t r[4];

	ask(leaf, 0, r);
	switch (leaf) {
	case 0x80000001:
		r[ECX] &= cpuid_allowed(leaf, 0, ECX);
		r[EDX] &= cpuid_allowed(leaf, 0, EDX);
		break;
	case 0x80000002: /* the brand string */
	case 0x80000003:
	case 0x80000004:
	case 0x80000005: /* caches */
	case 0x80000006:
		break;
	case 0x80000007:
		mask_all(leaf, 0, r);
		break;
	case 0x80000008: /* EAX: address widths */
		r[EBX] &= cpuid_allowed(leaf, 0, EBX);
		r[ECX] = r[EDX] = 0;
		break;
	default:
		memset(r, 0, sizeof(r));
		break;
	}
	if (leaf == 0x8000001d)
		leaf_4(out, leaf);
	else
		put(out, leaf, 0, false, r);
}

static void paravirtual(struct sink *out)
{
	static const char signature[13] = "KVMKVMKVM\0\0\0";
	uint32_t r[4] = { PV | 1 };

	memcpy(&r[EBX], signature, 12);
	put(out, PV, 0, false, r);
	memset(r, 0, sizeof(r));
	r[EAX] = PV_FEATURES;
	put(out, PV | 1, 0, false, r);
}

unsigned cpuid_supported(struct kvm_cpuid_entry2 *rows, unsigned room)
{
	struct sink out = { rows, room, 0 };
	uint32_t r[4], last;

	ask(0, 0, r);
	last = r[EAX] = r[EAX] < BASIC_MAX ? r[EAX] : BASIC_MAX;
	put(&out, 0, 0, false, r);
	for (uint32_t leaf = 1; leaf <= last; leaf++)
		basic(&out, leaf);
	paravirtual(&out);
	ask(EXTENDED, 0, r);
	last = r[EAX] = r[EAX] < EXTENDED_MAX ? r[EAX] : EXTENDED_MAX;
	put(&out, EXTENDED, 0, false, r);
	for (uint32_t leaf = EXTENDED + 1; leaf <= last; leaf++)
		extended(&out, leaf);
	return out.count;
}

/* --- ioctls ------------------------------------------------------------------------ */

long system_get_supported_cpuid(void *self, unsigned long arg)
{
	struct kvm_cpuid2 *c = (struct kvm_cpuid2 *)arg;
	unsigned n = cpuid_supported(c->entries, c->nent);

	(void)self;
	if (n > c->nent)
		return -E2BIG;
	for (unsigned i = n; i < c->nent; i++)
		memset(&c->entries[i], 0, sizeof(c->entries[i]));
	c->nent = n;
	return 0;
}

/* The VMM's rows hold no more than the client's. */
static long give(struct vcpu *v)
{
	struct luv_cpuid row[LUV_CPUIDS];

	for (unsigned i = 0; i < v->cpuids; i++) {
		const struct kvm_cpuid_entry2 *c = &v->cpuid[i];

		row[i] = (struct luv_cpuid){
			.leaf = c->function,
			.subleaf = c->index,
			.flags = c->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX ?
					 LUV_CPUID_SUBLEAF : 0,
			.eax = c->eax,
			.ebx = c->ebx,
			.ecx = c->ecx,
			.edx = c->edx,
		};
	}
	return hyper_buffer(LUV_CALL_vcpu_cpuid, v->vm->handle, v->id,
			    (uintptr_t)row, v->cpuids, row, sizeof(row));
}

long vcpu_ioctl_set_cpuid2(void *self, unsigned long arg)
{
	const struct kvm_cpuid2 *c = (const struct kvm_cpuid2 *)arg;
	struct vcpu *v = self;

	if (c->nent > LUV_CPUIDS)
		return -E2BIG;
	memcpy(v->cpuid, c->entries, c->nent * sizeof(v->cpuid[0]));
	v->cpuids = c->nent;
	return give(v);
}

long vcpu_ioctl_get_cpuid2(void *self, unsigned long arg)
{
	struct kvm_cpuid2 *c = (struct kvm_cpuid2 *)arg;
	struct vcpu *v = self;
	unsigned room = c->nent;

	c->nent = v->cpuids;
	if (room < v->cpuids)
		return -E2BIG;
	memcpy(c->entries, v->cpuid, v->cpuids * sizeof(v->cpuid[0]));
	return 0;
}

long vcpu_ioctl_set_cpuid(void *self, unsigned long arg)
{
	const struct kvm_cpuid *c = (const struct kvm_cpuid *)arg;
	struct vcpu *v = self;

	if (c->nent > LUV_CPUIDS)
		return -E2BIG;
	for (unsigned i = 0; i < c->nent; i++)
		v->cpuid[i] = (struct kvm_cpuid_entry2){
			.function = c->entries[i].function,
			.eax = c->entries[i].eax,
			.ebx = c->entries[i].ebx,
			.ecx = c->entries[i].ecx,
			.edx = c->entries[i].edx,
		};
	v->cpuids = c->nent;
	return give(v);
}
