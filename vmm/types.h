/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * types.h - address types, error codes and the few macros used everywhere.
 * Freestanding and hosted code (unit tests) include it alike.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One-member structs: an address of one space cannot pass for another's. */
typedef struct { uint64_t v; } hpa_t; /* host-physical */
typedef struct { uint64_t v; } gpa_t; /* guest-physical */
typedef struct { uint64_t v; } gva_t; /* guest-linear */

#define HPA(x) ((hpa_t){ (x) })
#define GPA(x) ((gpa_t){ (x) })
#define GVA(x) ((gva_t){ (x) })

#define PAGE_SIZE UINT64_C(4096)
#define PAGE_MASK (PAGE_SIZE - 1)
#define KIB	  UINT64_C(1024)
#define MIB	  (1024 * KIB)
#define GIB	  (1024 * MIB)

#define MUST_USE	__attribute__((warn_unused_result))
#define COLD		__attribute__((cold)) /* rare: small rather than fast */
#define PRINTF(f, a)	__attribute__((format(printf, f, a)))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		(UINT64_C(1) << (n))
#define ALIGN_DOWN(x, a) ((x) & ~((uint64_t)(a) - 1))
#define ALIGN_UP(x, a)	ALIGN_DOWN((x) + (uint64_t)(a) - 1, a)

enum err {
	OK = 0,
	ERR_INVAL,  /* argument out of range */
	ERR_NOMEM,  /* out of VMM memory or table rows */
	ERR_NOENT,  /* not found */
	ERR_FAULT,  /* address not accessible */
	ERR_NOTSUP, /* the hardware or this code cannot do it */
};
