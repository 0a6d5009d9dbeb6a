/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage2.h - second-level page tables, EPT and nested paging alike: both have
 * four levels of 512 entries, large pages at 2 MiB and 1 GiB, and differ only
 * in the bits of an entry. SDM "The Extended Page Table Mechanism (EPT)"; APM
 * "Nested Paging".
 *
 * Not locked: the caller serialises changes. Other CPUs may walk meanwhile:
 * every change is one store of one entry.
 */
#pragma once

#include "mtrr.h"
#include "types.h"

enum stage2_perm { S2_R = 1, S2_W = 2, S2_X = 4, S2_RWX = 7 };

/* How a vendor writes a leaf. Tables are 7 in both: RWX / present, W, user. */
struct stage2_format {
	uint64_t (*leaf)(unsigned perm, enum mtrr_type type);
	bool has_types; /* entries carry memory types */
	bool has_1g;	/* this CPU has 1 GiB leaves */
};

struct stage2 {
	uint64_t *root;
	const struct stage2_format *format;
	/* A zeroed page, or NULL; and its way from and to physical. */
	void *(*alloc)(void);
	uint64_t (*to_pa)(const void *table);
	void *(*to_ptr)(uint64_t pa);
	uint32_t tables; /* taken from alloc, the root not counted */
};

/*
 * stage2_map - make one page at gpa reach hpa.
 *   size  4 KiB, 2 MiB or 1 GiB (1 GiB only with format->has_1g)
 *   perm  S2_W needs S2_R
 * A larger page that is in the way is split; smaller ones below are replaced
 * only if there are none (ERR_INVAL else). An equal page is overwritten.
 * Returns OK; ERR_INVAL (alignment, size, gpa beyond 48 bits, hpa beyond 52,
 * tables in the way); ERR_NOMEM. On errors every address reaches what it did,
 * though in smaller pages perhaps. Does not flush.
 */
MUST_USE enum err stage2_map(struct stage2 *s, gpa_t gpa, uint64_t hpa,
			     uint64_t size, unsigned perm,
			     enum mtrr_type type);

/*
 * stage2_map_around - make pages of 4 KiB from gpa on reach pa[i], where now
 * nothing is mapped; they end within 2 MiB. Not those that are STAGE2_NONE.
 * What it has not mapped becomes STAGE2_NONE. Takes no memory: where there is
 * no table yet nothing is mapped.
 */
#define STAGE2_NONE UINT64_MAX
void stage2_map_around(struct stage2 *s, gpa_t gpa, uint64_t *pa, unsigned n,
		       unsigned perm, enum mtrr_type type);

/*
 * stage2_lookup - the leaf for gpa, or 0 if nothing is mapped.
 *   size  out, may be NULL: bytes of the page, or of the entry that is empty
 */
uint64_t stage2_lookup(const struct stage2 *s, gpa_t gpa, uint64_t *size);

/*
 * stage2_retype - give every leaf the type that `type_of` says for its
 * guest-physical range, splitting where a large page has more than one
 * (MTRR_MIXED, never for 4 KiB). Nothing to do where entries carry no types.
 * Returns OK or ERR_NOMEM: leaves before the failure have new types,
 * reachability is unchanged.
 */
MUST_USE enum err stage2_retype(struct stage2 *s,
				enum mtrr_type (*type_of)(uint64_t base,
							  uint64_t len));

/*
 * stage2_unmap - make nothing reachable in [gpa, gpa+len): whole pages that
 * lie in the range go; a larger page that only overlaps it goes whole.
 * Does not flush; tables stay.
 */
void stage2_unmap(struct stage2 *s, gpa_t gpa, uint64_t len);

/* stage2_free - give every table, the root included, to `put`. */
void stage2_free(struct stage2 *s, void (*put)(void *table));
