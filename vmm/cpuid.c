/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpuid.c - CPUID as dom0 sees it: the CPU's own answer, executed with dom0's
 * XCR0, minus what the VMM keeps for itself. Policy is the table; a leaf that
 * is not in it passes. SDM "CPUID"; APM volume 3 appendix E.
 */
#include "dom0.h"
#include "exit.h"
#include "hist_exit.h"
#include "hv.h"

#define LEAF1_ECX_VMX	     BIT(5)
#define LEAF1_ECX_SMX	     BIT(6)
#define LEAF1_ECX_OSXSAVE    BIT(27)
#define LEAF1_ECX_HYPERVISOR BIT(31)
#define LEAF7_EBX_PT	     BIT(25)
#define LEAF7_ECX_OSPKE	     BIT(4)
#define LEAF8_1_ECX_SVM	     BIT(2)
#define LEAF8_1_ECX_SKINIT   BIT(12)
#define HYPERVISOR_FIRST     0x40000000

/* Bits to clear, by leaf: what would lead dom0 into virtualization (or, PT,
 * into tracing to physical addresses that stage 2 does not see). */
static const struct hide {
	uint32_t leaf, a, b, c, d;
} hides[] = {
	{ 0x00000001, 0, 0, LEAF1_ECX_VMX | LEAF1_ECX_SMX, 0 },
	{ 0x00000007, 0, LEAF7_EBX_PT, 0, 0 },
	{ 0x00000014, ~0u, ~0u, ~0u, ~0u }, /* Processor Trace */
	{ 0x80000001, 0, 0, LEAF8_1_ECX_SVM | LEAF8_1_ECX_SKINIT, 0 },
	{ 0x8000000a, ~0u, ~0u, ~0u, ~0u }, /* SVM features */
	{ 0x8000001f, ~0u, ~0u, ~0u, ~0u }, /* memory encryption */
};

/* Most leaves pass: those that may not, by their low five bits. */
#define LEAF_BIT(leaf) (1u << ((leaf) & 31))
#define SPECIAL_LEAVES (LEAF_BIT(0x01) | LEAF_BIT(0x07) | LEAF_BIT(0x14) |     \
			LEAF_BIT(0x0a) | LEAF_BIT(0x1f))

static void hide(uint32_t leaf, struct cpuid *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(hides); i++)
		if (hides[i].leaf == leaf) {
			r->a &= ~hides[i].a;
			r->b &= ~hides[i].b;
			r->c &= ~hides[i].c;
			r->d &= ~hides[i].d;
			return;
		}
}

static void set_bit(uint32_t *word, uint32_t bit, bool on)
{
	*word = on ? *word | bit : *word & ~bit;
}

/* An outer hypervisor's leaves, or none: a CPU returns its highest leaf. */
static struct cpuid hypervisor_leaf(uint32_t leaf)
{
	struct cpuid none = { 0, 0, 0, 0 };

	if (!dom0.opt.hypervisor_bit)
		return hv->isa == LUV_ISA_VMX ? cpuid(cpuid(0, 0).a, 0) : none;
	if (leaf == HYPERVISOR_FIRST)
		/* "Luvalley VMM" in the order of the registers */
		return (struct cpuid){ HYPERVISOR_FIRST, 0x6176754c,
				       0x79656c6c, 0x4d4d5620 };
	return none;
}

/* Bits that mirror the guest's CR4, not ours. */
static void mirror(struct vcpu *v, uint32_t leaf, struct cpuid *r)
{
	uint64_t cr4 = hv->cr4(v);

	if (leaf == 1) {
		set_bit(&r->c, LEAF1_ECX_OSXSAVE, cr4 & CR4_OSXSAVE);
		set_bit(&r->c, LEAF1_ECX_HYPERVISOR, dom0.opt.hypervisor_bit);
	} else {
		set_bit(&r->c, LEAF7_ECX_OSPKE, cr4 & CR4_PKE);
	}
}

static __attribute__((noinline)) enum exit_action special(struct vcpu *v)
{
	uint32_t leaf = (uint32_t)v->gpr[RAX], sub = (uint32_t)v->gpr[RCX];
	struct cpuid r = cpuid(leaf, sub);

	if (leaf >> 28 == HYPERVISOR_FIRST >> 28)
		r = hypervisor_leaf(leaf);
	else
		hide(leaf, &r);
	if (leaf == 1 || (leaf == 7 && sub == 0))
		mirror(v, leaf, &r);
	v->gpr[RAX] = r.a;
	v->gpr[RBX] = r.b;
	v->gpr[RCX] = r.c;
	v->gpr[RDX] = r.d;
	return SKIP;
}

enum exit_action cpuid_exit(struct vcpu *v)
{
	uint32_t leaf = hist_low(&v->gpr[RAX]), sub = hist_low(&v->gpr[RCX]);
	uint64_t a, b, c, d;

	if (LEAF_BIT(leaf) & SPECIAL_LEAVES ||
	    leaf - HYPERVISOR_FIRST < BIT(28))
		return special(v);
	__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d)
			 : "a"(leaf), "c"(sub));
	v->gpr[RAX] = a;
	v->gpr[RBX] = b;
	v->gpr[RCX] = c;
	v->gpr[RDX] = d;
	return SKIP;
}
