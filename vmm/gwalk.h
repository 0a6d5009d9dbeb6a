/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gwalk.h - translate a linear address through a guest's own page tables,
 * with the rights of one access. Pure: memory is reached through callbacks.
 * No paging, 32-bit (PSE, PSE-36), PAE, 4-level and 5-level.
 * SDM "Paging": "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level
 * Paging", "Access Rights", "Accessed and Dirty Flags".
 */
#pragma once

#include "types.h"

/* What the walk depends on, as the guest has it now. */
struct gpaging {
	uint64_t cr0, cr3, cr4, efer;
	bool user; /* CPL 3 */
};

enum gwalk_access {
	GW_READ = 0,
	GW_WRITE = 1, /* needs R/W (always for user; for supervisor if CR0.WP) */
	GW_EXEC = 2,  /* honours NX and SMEP */
};

struct gwalk_mem {
	void *ctx;
	/* Copy a naturally aligned entry of 4 or 8 bytes; false: not memory. */
	bool (*read)(void *ctx, gpa_t pa, void *entry, unsigned size);
	/* Atomically old -> new; false: it changed meanwhile or is not memory. */
	bool (*cas)(void *ctx, gpa_t pa, uint64_t old, uint64_t new_,
		    unsigned size);
};

/*
 * gwalk - translate `va`.
 * Sets Accessed on the way and Dirty for GW_WRITE, atomically, as the CPU
 * would, and starts again if an entry changed under it (a few times).
 * SMAP is treated as the CPU treats an explicit access with AC=0 from
 * supervisor mode; user accesses need U/S at every level.
 * Returns OK: *pa, and *left = bytes from va to the end of its page (of
 * whatever size); ERR_FAULT: not mapped or not allowed, *pa untouched.
 */
MUST_USE enum err gwalk(const struct gpaging *p, gva_t va,
			enum gwalk_access access, const struct gwalk_mem *mem,
			gpa_t *pa, uint64_t *left);

/*
 * gwalk_around - the pages of 4 KiB beside va's, of the GW_AROUND that begin
 * at a multiple of as many: pa[i] is where the i-th is, or GW_NONE where the
 * same access is not allowed or would have to set a flag. Sets none.
 * False, and pa untouched: va's is a larger page, or it is not 4-level paging.
 */
#define GW_AROUND 16
#define GW_NONE	  UINT64_MAX
bool gwalk_around(const struct gpaging *p, gva_t va, enum gwalk_access access,
		  const struct gwalk_mem *mem, uint64_t pa[GW_AROUND]);
