/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multiboot.c - both protocols into one struct boot_info. The structures are
 * below 4 GiB, where the boot page tables map them.
 */
#include "multiboot.h"
#include "mem.h"
#include "string.h"

#define MB1_BOOT_MAGIC 0x2badb002
#define MB2_BOOT_MAGIC 0x36d76289

#define MB1_CMDLINE BIT(2)
#define MB1_MODS    BIT(3)
#define MB1_MMAP    BIT(6)

struct mb1_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};
struct mb1_mmap {
	uint32_t size; /* of what follows */
	uint64_t base, len;
	uint32_t type;
} __attribute__((packed));
struct mb1_module { uint32_t start, end, string, reserved; };

enum mb2_type { MB2_END = 0, MB2_CMDLINE = 1, MB2_MODULE = 3, MB2_MMAP = 6,
		MB2_ACPI_OLD = 14, MB2_ACPI_NEW = 15 };
struct mb2_tag { uint32_t type, size; };
struct mb2_mmap {
	struct mb2_tag tag;
	uint32_t entry_size, entry_version;
};
struct mb2_module {
	struct mb2_tag tag;
	uint32_t start, end;
	char string[];
};

static void copy_string(char *dst, const char *src)
{
	size_t n = 0;

	for (; n < BOOT_CMDLINE - 1 && src[n]; n++)
		dst[n] = src[n];
	dst[n] = 0;
}

static bool add_row(struct e820 *map, uint64_t base, uint64_t len,
		    uint32_t type)
{
	if (map->count == map->max)
		return false;
	if (type < LUV_MEM_RAM || type > LUV_MEM_BAD)
		type = LUV_MEM_RESERVED;
	map->row[map->count++] = (struct luv_mem){ base, len, type, 0 };
	return true;
}

static bool add_module(struct boot_info *info, uint64_t start, uint64_t end,
		       const char *args)
{
	struct boot_module *m = &info->module[info->modules];

	if (info->modules == BOOT_MODULES || end < start)
		return false;
	m->base = start;
	m->len = end - start;
	copy_string(m->args, args);
	info->modules++;
	return true;
}

static const char too_many_rows[] =
	"the boot loader's memory map has too many rows";
static const char too_many_modules[] =
	"more than two Multiboot modules: give a kernel and an initrd, or none";

static const char *parse1(const struct mb1_info *mb, struct boot_info *info)
{
	if (mb->flags & MB1_CMDLINE)
		copy_string(info->cmdline, hpa_ptr(HPA(mb->cmdline)));
	if (!(mb->flags & MB1_MMAP))
		return "the boot loader gives no memory map (Multiboot flag 6); use GRUB 2";
	for (uint32_t off = 0; off < mb->mmap_length;) {
		const struct mb1_mmap *m = hpa_ptr(HPA(mb->mmap_addr + off));

		if (!add_row(&info->map, m->base, m->len, m->type))
			return too_many_rows;
		off += m->size + 4;
	}
	for (uint32_t i = 0; (mb->flags & MB1_MODS) && i < mb->mods_count;
	     i++) {
		const struct mb1_module *m =
			hpa_ptr(HPA(mb->mods_addr + i * sizeof(*m)));

		if (!add_module(info, m->start, m->end,
				hpa_ptr(HPA(m->string))))
			return too_many_modules;
	}
	return NULL;
}

static const char *parse2_mmap(const struct mb2_mmap *m, struct e820 *map)
{
	const char *row = (const char *)(m + 1);
	const char *end = (const char *)m + m->tag.size;

	for (; row + 20 <= end; row += m->entry_size) {
		const struct { uint64_t base, len; uint32_t type; } *r =
			(const void *)row;

		if (!add_row(map, r->base, r->len, r->type))
			return too_many_rows;
	}
	return NULL;
}

static const char *parse2(uint64_t pa, struct boot_info *info)
{
	const char *p = hpa_ptr(HPA(pa)), *why = NULL;
	const char *end = p + *(const uint32_t *)p;

	for (p += 8; p < end && !why;) {
		const struct mb2_tag *t = (const void *)p;
		const struct mb2_module *m = (const void *)p;

		if (t->type == MB2_END)
			break;
		if (t->type == MB2_CMDLINE)
			copy_string(info->cmdline, p + sizeof(*t));
		else if (t->type == MB2_MMAP)
			why = parse2_mmap((const void *)p, &info->map);
		else if (t->type == MB2_MODULE &&
			 !add_module(info, m->start, m->end, m->string))
			why = too_many_modules;
		else if ((t->type == MB2_ACPI_OLD && !info->rsdp) ||
			 t->type == MB2_ACPI_NEW)
			info->rsdp = ptr_hpa(p + sizeof(*t)).v;
		p += ALIGN_UP(t->size, 8);
	}
	if (!why && !info->map.count)
		why = "the boot loader gives no memory map (Multiboot2 tag 6); use GRUB 2";
	return why;
}

const char *multiboot_parse(uint32_t magic, uint64_t pa,
			    struct boot_info *info)
{
	if (magic == MB1_BOOT_MAGIC)
		return parse1(hpa_ptr(HPA(pa)), info);
	if (magic == MB2_BOOT_MAGIC)
		return parse2(pa, info);
	return "not started by a Multiboot loader; in GRUB use `multiboot /boot/luvalley.elf`";
}
