/* SPDX-License-Identifier: BSD-2-Clause */
/* msr.h - which MSRs of dom0 exit; the vendors build their bitmaps from it. */
#pragma once

#include "types.h"
#include <luvalley/luvalley.h>

enum msr_trap { MSR_R = 1, MSR_W = 2, MSR_RW = 3 };

struct msr_rule {
	uint32_t first, last;
	uint8_t isa;  /* enum luv_isa, or 0: both */
	uint8_t trap; /* enum msr_trap */
	/* Fill *value / take it; false: #GP in the guest. */
	bool (*read)(uint32_t msr, uint64_t *value);
	bool (*write)(uint32_t msr, uint64_t value);
};
/* Bits of EFER that this CPU has, dom0 and domUs may set. */
uint64_t msr_efer_bits(void);

extern const struct msr_rule msr_rules[];
extern const size_t msr_rule_count;
