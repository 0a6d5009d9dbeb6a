/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu_cpuid.c - CPUID as a domU sees it: the rows that its owner gave, and
 * the bits that follow from the guest's own state. A row is found by an index
 * over the three ranges of leaves that there are.
 */
#include "domu.h"
#include "dom0.h"
#include "string.h"

#define LEAF1_ECX_OSXSAVE BIT(27)
#define LEAF1_EDX_APIC	  BIT(9)
#define LEAF7_ECX_OSPKE	  BIT(4)
#define LEAF_XSAVE	  0xd
#define XSAVE_LEGACY	  576
#define LEAVES		  32u /* in a range */

/* A page. */
struct domu_cpuid {
	struct luv_cpuid row[LUV_CPUIDS];
};
_Static_assert(sizeof(struct domu_cpuid) <= PAGE_SIZE, "one page");

/* The index's byte for a leaf, or NULL: no range has it. */
static uint8_t *index_of(struct domu *u, uint32_t leaf)
{
	if ((leaf & 0x3fffffff) >= LEAVES)
		return NULL;
	return &u->cpuid_first[leaf >> 30][leaf & (LEAVES - 1)];
}

static bool is_for(const struct luv_cpuid *r, uint32_t sub)
{
	return !(r->flags & LUV_CPUID_SUBLEAF) || r->subleaf == sub;
}

static __attribute__((noinline)) const struct luv_cpuid *
find_behind(const struct domu *u, const struct luv_cpuid *first, uint32_t sub)
{
	const struct luv_cpuid *r = first + 1;

	for (; r < &u->cpuid->row[u->cpuids]; r++)
		if (r->leaf == first->leaf && is_for(r, sub))
			return r;
	return NULL;
}

static inline const struct luv_cpuid *find(struct domu *u, uint32_t leaf,
					   uint32_t sub)
{
	const uint8_t *first = index_of(u, leaf);
	const struct luv_cpuid *r;

	if (!first || !*first)
		return NULL;
	r = &u->cpuid->row[*first - 1];
	return is_for(r, sub) ? r : find_behind(u, r, sub);
}

/* Bytes of the XSAVE area for what is on in `bits`. */
static uint32_t xsave_size(struct domu *u, uint64_t bits)
{
	uint32_t size = XSAVE_LEGACY;

	for (unsigned i = 2; i < 32; i++) {
		const struct luv_cpuid *r;

		if (!(bits & BIT(i)))
			continue;
		r = find(u, LEAF_XSAVE, i);
		if (r && r->eax + r->ebx > size)
			size = r->eax + r->ebx;
	}
	return size;
}

static void set_bit(uint64_t *reg, uint64_t bit, bool on)
{
	*reg = on ? *reg | bit : *reg & ~bit;
}

/* What changes as the guest runs. */
static __attribute__((noinline)) void
mirror(struct vcpu *v, uint32_t leaf, uint32_t sub)
{
	struct domu *u = v->domu;
	uint64_t cr4 = hv->cr4(v);

	if (leaf == 1) {
		set_bit(&v->gpr[RCX], LEAF1_ECX_OSXSAVE, cr4 & CR4_OSXSAVE);
		if (u->has_apic && !(u->apic.base & VLAPIC_BASE_EN))
			v->gpr[RDX] &= ~LEAF1_EDX_APIC;
	} else if (leaf == 7 && sub == 0) {
		set_bit(&v->gpr[RCX], LEAF7_ECX_OSPKE, cr4 & CR4_PKE);
	} else if (leaf == LEAF_XSAVE && sub == 0) {
		v->gpr[RBX] = xsave_size(u, u->xcr0);
	}
}

/* Leaves 1, 7 and Dh of the first range. */
#define MIRRORED (1u << 1 | 1u << 7 | 1u << LEAF_XSAVE)

enum exit_action domu_cpuid_exit(struct vcpu *v)
{
	uint32_t leaf = (uint32_t)v->gpr[RAX], sub = (uint32_t)v->gpr[RCX];
	const struct luv_cpuid *r = find(v->domu, leaf, sub);

	if (!r) {
		v->gpr[RAX] = v->gpr[RBX] = v->gpr[RCX] = v->gpr[RDX] = 0;
		return SKIP;
	}
	v->gpr[RAX] = r->eax;
	v->gpr[RBX] = r->ebx;
	v->gpr[RCX] = r->ecx;
	v->gpr[RDX] = r->edx;
	if (leaf < LEAVES && (MIRRORED & 1u << leaf))
		mirror(v, leaf, sub);
	return SKIP;
}

static void index_rows(struct domu *u)
{
	memset(u->cpuid_first, 0, sizeof(u->cpuid_first));
	for (unsigned i = 0; i < u->cpuids; i++) {
		uint8_t *first = index_of(u, u->cpuid->row[i].leaf);

		if (first && !*first)
			*first = (uint8_t)(i + 1);
	}
}

COLD int64_t domu_vcpu_cpuid(const struct gpaging *g, uint64_t handle,
			     uint64_t id, uint64_t buf, uint64_t count)
{
	struct luv_cpuid rows[LUV_CPUIDS];
	int64_t why;
	struct vcpu *v;

	if (count > LUV_CPUIDS)
		return -LUV_E2BIG;
	if (dom0_copy_in(g, rows, GVA(buf), count * sizeof(rows[0])) != OK)
		return -LUV_EFAULT;
	v = domu_take(g, handle, id, &why);
	if (!v)
		return why;
	memcpy(v->domu->cpuid->row, rows, count * sizeof(rows[0]));
	v->domu->cpuids = (uint32_t)count;
	index_rows(v->domu);
	domu_let_go(v);
	return 0;
}
