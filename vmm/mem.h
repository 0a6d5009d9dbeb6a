/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem.h - the VMM's own memory: where it is, its page tables, and a page
 * allocator that only gives. The one place that turns host-physical addresses
 * into pointers.
 */
#pragma once

#include "e820.h"
#include "layout.h"
#include "types.h"

/* RAM below 4 GiB and what is mapped at boot; all of RAM after mem_init(). */
static inline void *hpa_ptr(hpa_t pa)
{
	return (void *)(DIRECT_BASE + pa.v);
}

/* Physical address of a pointer into the direct map. */
static inline hpa_t ptr_hpa(const void *p)
{
	return HPA((uint64_t)p - DIRECT_BASE);
}

/* Physical address of a static object in the image, where it is now. */
hpa_t image_hpa(const void *p);

/*
 * mem_init - choose the VMM's region at the top of RAM below 4 GiB, mark it
 * in *map, move the image there and map all RAM. Dies with a sentence if
 * there is too little. `extra`: bytes beyond what every machine needs. Returns on the moved image.
 */
void mem_init(struct e820 *map, uint64_t extra);

/* Drop the one-to-one mapping of low memory that starting CPUs needs. */
void mem_seal(void);

/*
 * mem_alloc - `len` zeroed bytes, `align`-aligned (power of two >= 4 KiB), in
 * the direct map; never freed. NULL if the region is full. Locked.
 */
MUST_USE void *mem_alloc(uint64_t len, uint64_t align);
/* The same, for boot: dies with a sentence naming `what`. */
void *mem_need(uint64_t len, uint64_t align, const char *what);

/*
 * mem_page - one zeroed page that can be given back; NULL if there is none.
 * mem_page_free - give it back; NULL is nothing. Both locked.
 */
MUST_USE void *mem_page(void);
void mem_page_free(void *page);

struct mem_region {
	uint64_t base, len; /* the VMM's memory, host-physical, 2 MiB-aligned */
	uint64_t image_len; /* bytes of it that hold the image */
	uint64_t used;	    /* bytes given out, image included, and of these */
	uint64_t free;	    /* bytes given back */
	uint64_t top;	    /* highest host-physical address mapped */
};
extern struct mem_region mem;
