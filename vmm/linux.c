/* SPDX-License-Identifier: BSD-2-Clause */
/* linux.c - see linux.h. Offsets are those of the protocol's header table. */
#include "linux.h"
#include "console.h"
#include "dom0.h"
#include "mem.h"
#include "string.h"

#define HDR_SETUP_SECTS	   0x1f1
#define HDR_MAGIC	   0x202
#define HDR_VERSION	   0x206
#define HDR_LOADER_TYPE	   0x210
#define HDR_LOADFLAGS	   0x211
#define HDR_RAMDISK_IMAGE  0x218
#define HDR_RAMDISK_SIZE   0x21c
#define HDR_HEAP_END	   0x224
#define HDR_CMD_LINE	   0x228
#define HDR_INITRD_MAX	   0x22c
#define HDR_END		   0x230
#define MAGIC_HDRS	   0x53726448
#define LOADED_HIGH	   0x01
#define CAN_USE_HEAP	   0x80
#define LOADER_UNKNOWN	   0xff

#define SETUP_PA    0x90000 /* bios_stub.S enters it */
#define SETUP_MAX   0x8000
#define HEAP_END    0xe000
#define CMDLINE_PA  (SETUP_PA + HEAP_END)
#define KERNEL_PA   0x100000
#define KERNEL_ROOM (64 * MIB) /* decompressed in place, from 16 MiB on */

static char *at(uint64_t pa)
{
	return hpa_ptr(HPA(pa));
}

static void put32(uint64_t pa, uint32_t v)
{
	memcpy(at(pa), &v, sizeof(v));
}

static uint32_t get32(uint64_t pa)
{
	uint32_t v;

	memcpy(&v, at(pa), sizeof(v));
	return v;
}

/* GRUB gives the arguments only, other loaders the file name before them. */
static const char *arguments(const char *s)
{
	if (*s != '/')
		return s;
	while (*s && *s != ' ')
		s++;
	return *s ? s + 1 : s;
}

static uint64_t place_initrd(const struct boot_module *m, uint32_t addr_max)
{
	uint64_t limit = mem.base < addr_max ? mem.base : addr_max;
	uint64_t to = e820_find_top(&dom0.map, limit, ALIGN_UP(m->len,
				    PAGE_SIZE), PAGE_SIZE);

	if (to < KERNEL_PA + KERNEL_ROOM)
		die("too little memory for the initrd: %lu KiB do not fit "
		    "below %lx; give the machine more RAM", m->len / KIB,
		    limit);
	return to;
}

void linux_load(const struct boot_info *boot)
{
	const struct boot_module *k = &boot->module[0], *i = &boot->module[1];
	uint64_t setup, to;

	if (k->len < HDR_END || get32(k->base + HDR_MAGIC) != MAGIC_HDRS ||
	    !(at(k->base)[HDR_LOADFLAGS] & LOADED_HIGH))
		die("the first Multiboot module is not a Linux bzImage; give "
		    "a kernel, or no module to boot the disk");
	setup = at(k->base)[HDR_SETUP_SECTS];
	setup = ((setup ? setup : 4) + 1) * 512;
	if (setup > SETUP_MAX || setup > k->len)
		die("the kernel's set-up code is too long: %lu bytes", setup);
	memcpy(at(SETUP_PA), at(k->base), setup);
	if (boot->modules > 1) {
		to = place_initrd(i, get32(k->base + HDR_INITRD_MAX));
		if (to < k->base + k->len && k->base < to + i->len)
			die("too little memory: kernel and initrd overlap");
		memmove(at(to), at(i->base), i->len);
		put32(SETUP_PA + HDR_RAMDISK_IMAGE, (uint32_t)to);
		put32(SETUP_PA + HDR_RAMDISK_SIZE, (uint32_t)i->len);
	}
	memmove(at(KERNEL_PA), at(k->base + setup), k->len - setup);
	at(SETUP_PA)[HDR_LOADER_TYPE] = (char)LOADER_UNKNOWN;
	at(SETUP_PA)[HDR_LOADFLAGS] |= (char)CAN_USE_HEAP;
	at(SETUP_PA)[HDR_HEAP_END] = (char)(HEAP_END - 0x200);
	at(SETUP_PA)[HDR_HEAP_END + 1] = (char)((HEAP_END - 0x200) >> 8);
	put32(SETUP_PA + HDR_CMD_LINE, CMDLINE_PA);
	memcpy(at(CMDLINE_PA), arguments(k->args),
	       strlen(arguments(k->args)) + 1);
}
