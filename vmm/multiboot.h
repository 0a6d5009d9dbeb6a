/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multiboot.h - what the boot loader handed over, copied out of its reach.
 * Multiboot Specification 0.6.96; Multiboot2 Specification 2.0.
 */
#pragma once

#include "e820.h"
#include "types.h"

#define BOOT_CMDLINE 1024
#define BOOT_MODULES 2

struct boot_module {
	uint64_t base, len; /* physical */
	char args[BOOT_CMDLINE];
};

struct boot_info {
	char cmdline[BOOT_CMDLINE];
	struct e820 map;
	struct boot_module module[BOOT_MODULES];
	unsigned modules;
	uint64_t rsdp; /* from a Multiboot2 tag, or 0 */
};

/* Pointer to [pa, pa+len), or NULL if that is not mapped. */
typedef const void *(*multiboot_map)(uint64_t pa, size_t len);

/*
 * multiboot_parse - read the structure of either protocol. Nothing in it is
 * trusted: what does not fit its own sizes is damage.
 *   magic  EAX at entry; pa: EBX at entry; info->map.row and max are set
 * Returns NULL, or one sentence that says what is wrong with the loader.
 */
const char *multiboot_parse(uint32_t magic, uint64_t pa, multiboot_map map,
			    struct boot_info *info);
