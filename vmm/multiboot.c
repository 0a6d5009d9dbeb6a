/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multiboot.c - both protocols into one struct boot_info. Neither promises
 * that its structures are aligned, so they are packed.
 * Multiboot Specification 0.6.96 "Boot information format"; Multiboot2
 * Specification 2.0 "Boot information".
 */
#include "multiboot.h"

#define MB1_BOOT_MAGIC 0x2badb002
#define MB2_BOOT_MAGIC 0x36d76289

#define MB1_CMDLINE BIT(2)
#define MB1_MODS    BIT(3)
#define MB1_MMAP    BIT(6)

#define PACKED __attribute__((packed))

/* A row of either memory map; rows may be longer than this. */
struct mb_row { uint64_t base, len; uint32_t type; } PACKED;

struct mb1_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
} PACKED;
struct mb1_mmap {
	uint32_t size; /* of what follows */
	struct mb_row row;
} PACKED;
struct mb1_module { uint32_t start, end, string, reserved; } PACKED;

enum mb2_type { MB2_END = 0, MB2_CMDLINE = 1, MB2_MODULE = 3, MB2_MMAP = 6,
		MB2_ACPI_OLD = 14, MB2_ACPI_NEW = 15 };
struct mb2_info { uint32_t size, reserved; } PACKED;
struct mb2_tag { uint32_t type, size; } PACKED;
struct mb2_mmap {
	struct mb2_tag tag;
	uint32_t entry_size, entry_version;
} PACKED;
struct mb2_module { struct mb2_tag tag; uint32_t start, end; } PACKED;

_Static_assert(sizeof(struct mb1_info) == 52 && sizeof(struct mb_row) == 20,
	       "the specifications' offsets");

static const char damaged[] =
	"the boot loader's Multiboot information is damaged";
static const char no_map[] =
	"the boot loader gives no memory map (Multiboot flag 6, Multiboot2 tag 6); use GRUB 2";
static const char too_many_rows[] =
	"the boot loader's memory map has too many rows";
static const char too_many_modules[] =
	"more than two Multiboot modules: give a kernel and an initrd, or none";

/* What is being read, and into what. */
struct parser {
	multiboot_map map;
	struct boot_info *info;
};

/* The string at pa, which ends before `end` whether it has a NUL or not. */
static void copy_string(const struct parser *p, char *dst, uint64_t pa,
			uint64_t end)
{
	const char *c;
	size_t n = 0;

	for (; n < BOOT_CMDLINE - 1 && pa + n < end; n++) {
		c = p->map(pa + n, 1);
		if (!c || !*c)
			break;
		dst[n] = *c;
	}
	dst[n] = 0;
}

static const char *add_row(const struct parser *p, const struct mb_row *r)
{
	struct e820 *map = &p->info->map;
	uint32_t type = r->type;

	if (map->count == map->max)
		return too_many_rows;
	if (type < LUV_MEM_RAM || type > LUV_MEM_BAD)
		type = LUV_MEM_RESERVED;
	map->row[map->count++] = (struct luv_mem){ r->base, r->len, type, 0 };
	return NULL;
}

/* args 0: none. */
static const char *add_module(const struct parser *p, uint64_t start,
			      uint64_t end, uint64_t args, uint64_t args_end)
{
	struct boot_module *m = &p->info->module[p->info->modules];

	if (p->info->modules == BOOT_MODULES)
		return too_many_modules;
	if (end < start)
		return damaged;
	m->base = start;
	m->len = end - start;
	copy_string(p, m->args, args, args ? args_end : 0);
	p->info->modules++;
	return NULL;
}

/* --- Multiboot ------------------------------------------------------------- */

static const char *parse1_mmap(const struct parser *p, uint64_t pa,
			       uint32_t len)
{
	const uint64_t end = pa + len;
	const char *why = NULL;

	while (!why && pa + sizeof(struct mb1_mmap) <= end) {
		const struct mb1_mmap *m = p->map(pa, sizeof(*m));

		if (!m || m->size < sizeof(m->row))
			return damaged;
		why = add_row(p, &m->row);
		pa += sizeof(m->size) + m->size;
	}
	return why;
}

static const char *parse1_modules(const struct parser *p, uint64_t pa,
				  uint32_t count)
{
	const char *why = NULL;

	for (; count && !why; count--, pa += sizeof(struct mb1_module)) {
		const struct mb1_module *m = p->map(pa, sizeof(*m));

		why = m ? add_module(p, m->start, m->end, m->string,
				     UINT64_MAX) : damaged;
	}
	return why;
}

static const char *parse1(const struct parser *p, uint64_t pa)
{
	const struct mb1_info *mb = p->map(pa, sizeof(*mb));
	const char *why = NULL;

	if (!mb)
		return damaged;
	if (mb->flags & MB1_CMDLINE)
		copy_string(p, p->info->cmdline, mb->cmdline, UINT64_MAX);
	if (mb->flags & MB1_MMAP)
		why = parse1_mmap(p, mb->mmap_addr, mb->mmap_length);
	if (!why && (mb->flags & MB1_MODS))
		why = parse1_modules(p, mb->mods_addr, mb->mods_count);
	return why;
}

/* --- Multiboot2 ------------------------------------------------------------ */

static const char *parse2_mmap(const struct parser *p, uint64_t pa,
			       uint64_t end)
{
	const struct mb2_mmap *m = p->map(pa, sizeof(*m));
	const char *why = NULL;

	if (!m || m->entry_size < sizeof(struct mb_row))
		return damaged;
	for (pa += sizeof(*m); !why && pa + sizeof(struct mb_row) <= end;
	     pa += m->entry_size) {
		const struct mb_row *r = p->map(pa, sizeof(*r));

		why = r ? add_row(p, r) : damaged;
	}
	return why;
}

static const char *parse2_module(const struct parser *p, uint64_t pa,
				 uint64_t end)
{
	const struct mb2_module *m = p->map(pa, sizeof(*m));

	return m ? add_module(p, m->start, m->end, pa + sizeof(*m), end) :
		   damaged;
}

/* The tag at [pa, end), of which its header has been checked. */
static const char *parse2_tag(const struct parser *p, uint32_t type,
			      uint64_t pa, uint64_t end)
{
	const uint64_t body = pa + sizeof(struct mb2_tag);

	switch (type) {
	case MB2_CMDLINE:
		copy_string(p, p->info->cmdline, body, end);
		return NULL;
	case MB2_MODULE:
		return end - pa < sizeof(struct mb2_module) ? damaged :
		       parse2_module(p, pa, end);
	case MB2_MMAP:
		return end - pa < sizeof(struct mb2_mmap) ? damaged :
		       parse2_mmap(p, pa, end);
	case MB2_ACPI_OLD:
		if (!p->info->rsdp)
			p->info->rsdp = body;
		return NULL;
	case MB2_ACPI_NEW:
		p->info->rsdp = body;
		return NULL;
	default:
		return NULL;
	}
}

static const char *parse2(const struct parser *p, uint64_t pa)
{
	const struct mb2_info *mb = p->map(pa, sizeof(*mb));
	const char *why = NULL;
	uint64_t end;

	if (!mb)
		return damaged;
	end = pa + mb->size;
	for (pa += sizeof(*mb); !why && pa + sizeof(struct mb2_tag) <= end;) {
		const struct mb2_tag *t = p->map(pa, sizeof(*t));

		if (!t || t->size < sizeof(*t) || t->size > end - pa)
			return damaged;
		if (t->type == MB2_END)
			break;
		why = parse2_tag(p, t->type, pa, pa + t->size);
		pa += ALIGN_UP(t->size, 8);
	}
	return why;
}

const char *multiboot_parse(uint32_t magic, uint64_t pa, multiboot_map map,
			    struct boot_info *info)
{
	const struct parser p = { map, info };
	const char *why;

	if (magic != MB1_BOOT_MAGIC && magic != MB2_BOOT_MAGIC)
		return "not started by a Multiboot loader; in GRUB use `multiboot /boot/luvalley.elf`";
	why = magic == MB1_BOOT_MAGIC ? parse1(&p, pa) : parse2(&p, pa);
	return why || info->map.count ? why : no_map;
}
