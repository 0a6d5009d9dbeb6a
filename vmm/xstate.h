/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xstate.h - which components of extended state domUs may have. Pure.
 * SDM "Enumeration of CPU Support for XSAVE Instructions and XSAVE-Supported
 * Features", "Extended Feature Disable (XFD)".
 */
#pragma once

#include "types.h"
#include "x86.h"

struct xstate {
	uint64_t mask; /* XCR0's bits; 0: there is no XSAVE */
	uint32_t size; /* bytes of their XSAVE area, or FXSAVE's */
};

/*
 * xstate_of - of a CPU with that CPUID, the components that
 *   - lie within `area` bytes of the standard form,
 *   - need no IA32_XFD, which is not switched: dom0's would be the guest's,
 *   - come with all those that XCR0 wants on together with them.
 */
struct xstate xstate_of(struct cpuid (*ask)(uint32_t leaf, uint32_t sub),
			uint32_t area);
