/* SPDX-License-Identifier: BSD-2-Clause */
/* xstate.c - see xstate.h. */
#include "xstate.h"

#define LEAF_XSAVE   0xd
#define LEAF1_XSAVE  BIT(26) /* ECX */
#define XFD	     BIT(2)  /* ECX of a component's subleaf */
#define FXSAVE_SIZE  512
#define XSAVE_LEGACY 576 /* x87, SSE and the header, always there */
#define X87_SSE	     3u
#define COMPONENTS   32

/* XSETBV's #GP: all of a group or none. SDM "XSETBV". */
static const uint64_t groups[] = {
	BIT(3) | BIT(4),	  /* MPX */
	BIT(5) | BIT(6) | BIT(7), /* AVX-512 */
	BIT(17) | BIT(18),	  /* AMX */
};

struct xstate xstate_of(struct cpuid (*ask)(uint32_t leaf, uint32_t sub),
			uint32_t area)
{
	struct xstate x = { 0, FXSAVE_SIZE };
	uint32_t end[COMPONENTS] = { 0 }, have;

	if (!(ask(1, 0).c & LEAF1_XSAVE))
		return x;
	have = ask(LEAF_XSAVE, 0).a;
	x = (struct xstate){ have & X87_SSE, XSAVE_LEGACY };
	for (unsigned i = 2; i < COMPONENTS; i++) {
		struct cpuid c;

		if (!(have & BIT(i)))
			continue;
		c = ask(LEAF_XSAVE, i);
		end[i] = c.a + c.b;
		if (end[i] <= area && !(c.c & XFD))
			x.mask |= BIT(i);
	}
	for (unsigned g = 0; g < ARRAY_SIZE(groups); g++)
		if ((x.mask & groups[g]) != groups[g])
			x.mask &= ~groups[g];
	for (unsigned i = 2; i < COMPONENTS; i++)
		if ((x.mask & BIT(i)) && end[i] > x.size)
			x.size = end[i];
	return x;
}
