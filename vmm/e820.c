/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * e820.c - the machine's memory map as data.
 *
 * One operation does all the work: e820_carve() lays a range over a map that
 * is already sorted and disjoint. Normalizing is carving every row of the
 * firmware's map, the most usable types first, so that what is less usable
 * comes to lie on top. A range that would end beyond 2^64 - 1 is no range.
 * ACPI "System Address Map Interfaces"; INT 15h, E801h and 88h by custom.
 */
#include "e820.h"
#include "string.h"

#define E801_BLOCK (64 * KIB)
#define INT15_88_MAX (0xfc00 * KIB)

static uint64_t end_of(const struct luv_mem *r)
{
	return r->base + r->len;
}

static bool is_range(uint64_t base, uint64_t len)
{
	return len > 0 && base <= UINT64_MAX - len;
}

static bool same_kind(const struct luv_mem *a, const struct luv_mem *b)
{
	return a->type == b->type && a->vmm == b->vmm;
}

static bool is_free_ram(const struct luv_mem *r)
{
	return r->type == LUV_MEM_RAM && !r->vmm;
}

/*
 * How little a row is of use to an OS: higher wins an overlap. Types that
 * ACPI adds later are at least not RAM; the number decides among them.
 */
static uint64_t rank(const struct luv_mem *r)
{
	static const uint8_t known[] = {
		[LUV_MEM_RAM] = 1,
		[LUV_MEM_ACPI] = 2,
		[LUV_MEM_NVS] = 3,
		[LUV_MEM_RESERVED] = 5,
		[LUV_MEM_BAD] = 6,
	};
	enum { OTHER = 4, VMM = 8 };
	uint64_t class = OTHER;

	if (r->type < ARRAY_SIZE(known) && known[r->type])
		class = known[r->type];
	if (r->vmm)
		class += VMM;
	return class << 32 | r->type;
}

static void sort_by_rank(struct luv_mem *row, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct luv_mem r = row[i];
		unsigned k = i;

		for (; k > 0 && rank(&row[k - 1]) > rank(&r); k--)
			row[k] = row[k - 1];
		row[k] = r;
	}
}

static void drop_invalid(struct e820 *map)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < map->count; i++)
		if (is_range(map->row[i].base, map->row[i].len))
			map->row[kept++] = map->row[i];
	map->count = kept;
}

enum err e820_normalize(struct e820 *map)
{
	drop_invalid(map);
	sort_by_rank(map->row, map->count);

	/* Input waits at the array's end and makes room as it is consumed. */
	struct luv_mem *in = map->row + (map->max - map->count);
	struct luv_mem *end = map->row + map->max;
	memmove(in, map->row, map->count * sizeof(*in));
	map->count = 0;

	const unsigned max = map->max;
	enum err e = OK;
	while (in < end && e == OK) {
		struct luv_mem r = *in++;

		map->max = (unsigned)(in - map->row);
		e = e820_carve(map, r.base, r.len, r.type, r.vmm);
	}
	map->max = max;
	return e;
}

/*
 * What stays of `r` below `mid`, into *out: 1 row, or 0 if there is nothing or
 * `mid` takes it over because it is of the same kind.
 */
static unsigned keep_below(const struct luv_mem *r, struct luv_mem *mid,
			   struct luv_mem *out)
{
	if (r->base >= mid->base)
		return 0;
	if (same_kind(r, mid)) {
		mid->len += mid->base - r->base;
		mid->base = r->base;
		return 0;
	}
	*out = *r;
	if (end_of(r) > mid->base)
		out->len = mid->base - r->base;
	return 1;
}

/* The same above it. */
static unsigned keep_above(const struct luv_mem *r, struct luv_mem *mid,
			   struct luv_mem *out)
{
	const uint64_t end = end_of(mid);

	if (end_of(r) <= end)
		return 0;
	if (same_kind(r, mid)) {
		mid->len += end_of(r) - end;
		return 0;
	}
	*out = *r;
	out->base = end;
	out->len = end_of(r) - end;
	return 1;
}

enum err e820_carve(struct e820 *map, uint64_t base, uint64_t len,
		    uint32_t type, bool vmm)
{
	if (!is_range(base, len))
		return ERR_INVAL;

	/* Rows [lo, hi) overlap or touch the range: new[] replaces them. */
	unsigned lo = 0;
	while (lo < map->count && end_of(&map->row[lo]) < base)
		lo++;
	unsigned hi = lo;
	while (hi < map->count && map->row[hi].base <= base + len)
		hi++;

	struct luv_mem mid = { base, len, type, vmm }, above, new[3];
	unsigned n = 0, has_above = 0;
	if (lo < hi) {
		n = keep_below(&map->row[lo], &mid, &new[0]);
		has_above = keep_above(&map->row[hi - 1], &mid, &above);
	}
	new[n++] = mid;
	if (has_above)
		new[n++] = above;

	const unsigned count = map->count - (hi - lo) + n;
	if (count > map->max)
		return ERR_NOMEM;
	memmove(&map->row[lo + n], &map->row[hi],
		(map->count - hi) * sizeof(*new));
	memcpy(&map->row[lo], new, n * sizeof(*new));
	map->count = count;
	return OK;
}

uint64_t e820_find_top(const struct e820 *map, uint64_t limit, uint64_t len,
		       uint64_t align)
{
	for (unsigned i = map->count; i-- > 0;) {
		const struct luv_mem *r = &map->row[i];
		const uint64_t end = end_of(r) < limit ? end_of(r) : limit;

		if (!is_free_ram(r) || end < r->base || end - r->base < len)
			continue;
		const uint64_t base = ALIGN_DOWN(end - len, align);
		if (base >= r->base)
			return base;
	}
	return 0;
}

/* The row of RAM free for dom0 that holds `pa`, or NULL. */
const struct luv_mem *e820_ram_row(const struct e820 *map, uint64_t pa)
{
	for (unsigned i = 0; i < map->count; i++) {
		const struct luv_mem *r = &map->row[i];

		if (is_free_ram(r) && pa >= r->base && pa < end_of(r))
			return r;
	}
	return NULL;
}

bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t len)
{
	/* Neighbours of one kind are merged: one row holds it all or none. */
	const struct luv_mem *r = e820_ram_row(map, base);

	return r && is_range(base, len) && base + len <= end_of(r);
}

uint64_t e820_ram_bytes(const struct e820 *map)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < map->count; i++)
		if (map->row[i].type == LUV_MEM_RAM)
			sum += map->row[i].len;
	return sum;
}

uint64_t e820_ram_end(const struct e820 *map)
{
	for (unsigned i = map->count; i-- > 0;)
		if (map->row[i].type == LUV_MEM_RAM)
			return end_of(&map->row[i]);
	return 0;
}

/* Bytes of RAM that begin at `base` and end at or below `limit`. */
static uint64_t run_of_ram(const struct e820 *map, uint64_t base,
			   uint64_t limit)
{
	const struct luv_mem *r = e820_ram_row(map, base);

	if (!r)
		return 0;
	return (end_of(r) < limit ? end_of(r) : limit) - base;
}

void e820_int15_e801(const struct e820 *map, uint16_t *kib, uint16_t *blocks)
{
	const uint64_t low = run_of_ram(map, MIB, 16 * MIB);

	*kib = (uint16_t)(low / KIB);
	*blocks = 0;
	if (low == 15 * MIB)
		*blocks = (uint16_t)(run_of_ram(map, 16 * MIB, 4 * GIB) /
				     E801_BLOCK);
}

uint16_t e820_int15_88(const struct e820 *map)
{
	return (uint16_t)(run_of_ram(map, MIB, MIB + INT15_88_MAX) / KIB);
}
