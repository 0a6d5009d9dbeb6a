/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * e820.h - the machine's memory map as data: sorting, carving, and the
 * answers of INT 15h. Pure; owns no memory: the rows belong to the caller.
 * ACPI "System Address Map Interfaces".
 */
#pragma once

#include "types.h"
#include <luvalley/luvalley.h>

struct e820 {
	struct luv_mem *row; /* sorted and disjoint after e820_normalize() */
	unsigned count;
	unsigned max; /* rows that fit */
};

/*
 * e820_normalize - sort, drop empty and overflowing rows, resolve overlaps
 * (the type that is less usable wins: a byte is RAM only if every row says
 * so), merge neighbours of equal type.
 * Returns OK; ERR_NOMEM if the result, or what it passes through on the way,
 * needs more than max rows: map unusable. Never if max >= 2 * count.
 */
MUST_USE enum err e820_normalize(struct e820 *map);

/*
 * e820_carve - make [base, base+len) a row of `type` (vmm: its mark),
 * splitting what it cuts. The map is normalized, and stays so.
 * Returns OK; ERR_INVAL (len 0, overflow), ERR_NOMEM: map unchanged.
 */
MUST_USE enum err e820_carve(struct e820 *map, uint64_t base, uint64_t len,
			     uint32_t type, bool vmm);

/*
 * e820_find_top - base of the highest `align`-aligned RAM range of len bytes
 * that ends at or below `limit`, or 0 if there is none (0 is never RAM for us).
 *   align  power of two
 */
uint64_t e820_find_top(const struct e820 *map, uint64_t limit, uint64_t len,
		       uint64_t align);

/* The row of RAM that holds pa, or NULL. */
const struct luv_mem *e820_ram_row(const struct e820 *map, uint64_t pa);

/*
 * Is all of [base, base+len) RAM that is not the VMM's? False on overflow and
 * for len 0.
 */
bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t len);

/* Bytes of RAM in all; one past the highest RAM byte. */
uint64_t e820_ram_bytes(const struct e820 *map);
uint64_t e820_ram_end(const struct e820 *map);

/*
 * e820_int15_e801 - AX/CX = KiB of RAM contiguous from 1 MiB to 16 MiB, at
 * most 0x3c00; BX/DX = 64 KiB blocks contiguous from 16 MiB (0 if the first
 * part is not full), below 4 GiB.
 */
void e820_int15_e801(const struct e820 *map, uint16_t *kib, uint16_t *blocks);

/* INT 15h AH=88h: KiB of RAM contiguous from 1 MiB, at most 0xfc00 (63 MiB). */
uint16_t e820_int15_88(const struct e820 *map);
