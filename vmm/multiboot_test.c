/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multiboot_test.c - both protocols from structures made by hand, right ones
 * and damaged ones.
 *
 * map() hands out a copy of exactly the bytes that were asked for, each in an
 * allocation of its own: a read beyond them stops the test under ASan.
 */
#include "multiboot.h"
#include "string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MB1    0x2badb002
#define MB2    0x36d76289
#define BASE   0x9001u /* of all that is mapped; not aligned, on purpose */
#define SIZE   0x4000u
#define COPIES 100000
#define ROWS   8

static uint8_t mem[SIZE];
static void *copies[COPIES];
static unsigned ncopies;

static struct luv_mem rows[ROWS];
static struct boot_info info;

static const void *map(uint64_t pa, size_t len)
{
	static const char first[] = "what lies at address 0";
	void *p;

	if (pa + len < sizeof(first))
		return first + pa;
	if (pa < BASE || pa > BASE + SIZE || len > BASE + SIZE - pa)
		return NULL;
	assert_true(ncopies < COPIES);
	p = malloc(len);
	memcpy(p, mem + (pa - BASE), len);
	copies[ncopies++] = p;
	return p;
}

static void put32(uint32_t pa, uint32_t v)
{
	assert_true(pa >= BASE && pa + 4 <= BASE + SIZE);
	memcpy(mem + (pa - BASE), &v, 4);
}

static void put_string(uint32_t pa, const char *s)
{
	memcpy(mem + (pa - BASE), s, strlen(s) + 1);
}

static const char *parse(uint32_t magic, uint32_t pa)
{
	const char *why;

	memset(&info, 0, sizeof(info));
	memset(rows, 0, sizeof(rows));
	info.map = (struct e820){ rows, 0, ROWS };
	why = multiboot_parse(magic, pa, map, &info);
	while (ncopies > 0)
		free(copies[--ncopies]);
	return why;
}

static bool contains(const char *s, const char *part)
{
	for (; s && *s; s++)
		if (strncmp(s, part, strlen(part)) == 0)
			return true;
	return false;
}

static void assert_says(const char *why, const char *part)
{
	if (!contains(why, part))
		fail_msg("\"%s\" is not about \"%s\"", why ? why : "success",
			 part);
}

static void assert_row(unsigned i, uint64_t base, uint64_t len, uint32_t type)
{
	assert_true(i < info.map.count);
	assert_int_equal(rows[i].base, base);
	assert_int_equal(rows[i].len, len);
	assert_int_equal(rows[i].type, type);
	assert_int_equal(rows[i].vmm, 0);
}

static void put_row(uint32_t pa, uint64_t base, uint64_t len, uint32_t type)
{
	put32(pa, (uint32_t)base);
	put32(pa + 4, (uint32_t)(base >> 32));
	put32(pa + 8, (uint32_t)len);
	put32(pa + 12, (uint32_t)(len >> 32));
	put32(pa + 16, type);
}

static void neither_protocol(void **state)
{
	(void)state;
	assert_says(parse(0, BASE), "Multiboot loader");
	assert_says(parse(0xffffffff, BASE), "Multiboot loader");
}

/* --- Multiboot ------------------------------------------------------------- */

enum { CMDLINE = 4, MODS = 8, MMAP = 64 };
#define MAP1  (BASE + 0x200)
#define MODS1 (BASE + 0x400)
#define TEXT1 (BASE + 0x800)

/* Two rows, of 20 and 24 bytes, and a command line. */
static void make1(uint32_t flags)
{
	memset(mem, 0, sizeof(mem));
	put32(BASE, flags);
	put32(BASE + 16, TEXT1);
	put32(BASE + 24, MODS1);
	put32(BASE + 44, 24 + 28);
	put32(BASE + 48, MAP1);
	put_string(TEXT1, "/luvalley.elf cpus=2");
	put32(MAP1, 20);
	put_row(MAP1 + 4, 0, 0x9fc00, 1);
	put32(MAP1 + 24, 24);
	put_row(MAP1 + 28, 4 * GIB, 5 * GIB, 1);
}

static void put_module1(unsigned i, uint32_t start, uint32_t end,
			uint32_t string)
{
	put32(BASE + 20, i + 1);
	put32(MODS1 + 16 * i, start);
	put32(MODS1 + 16 * i + 4, end);
	put32(MODS1 + 16 * i + 8, string);
}

static void mb1_map_and_cmdline(void **state)
{
	(void)state;
	make1(CMDLINE | MMAP);
	assert_null(parse(MB1, BASE));
	assert_string_equal(info.cmdline, "/luvalley.elf cpus=2");
	assert_int_equal(info.map.count, 2);
	assert_row(0, 0, 0x9fc00, LUV_MEM_RAM);
	assert_row(1, 4 * GIB, 5 * GIB, LUV_MEM_RAM);
	assert_int_equal(info.modules, 0);
	assert_int_equal(info.rsdp, 0);

	/* What no flag vouches for is not read. */
	make1(MMAP);
	put32(BASE + 20, 99);
	assert_null(parse(MB1, BASE));
	assert_string_equal(info.cmdline, "");
	assert_int_equal(info.modules, 0);
}

static void mb1_types(void **state)
{
	static const uint32_t types[][2] = {
		{ 1, LUV_MEM_RAM }, { 2, LUV_MEM_RESERVED },
		{ 3, LUV_MEM_ACPI }, { 4, LUV_MEM_NVS }, { 5, LUV_MEM_BAD },
		{ 0, LUV_MEM_RESERVED }, { 6, LUV_MEM_RESERVED },
		{ ~0u, LUV_MEM_RESERVED },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		make1(MMAP);
		put_row(MAP1 + 4, MIB, MIB, types[i][0]);
		assert_null(parse(MB1, BASE));
		assert_row(0, MIB, MIB, types[i][1]);
	}
}

static void mb1_modules(void **state)
{
	(void)state;
	make1(MMAP | MODS);
	put_module1(0, 0x200000, 0x300000, TEXT1);
	put_module1(1, 0x300000, 0x300000, 0);
	assert_null(parse(MB1, BASE));
	assert_int_equal(info.modules, 2);
	assert_int_equal(info.module[0].base, 0x200000);
	assert_int_equal(info.module[0].len, 0x100000);
	assert_string_equal(info.module[0].args, "/luvalley.elf cpus=2");
	assert_int_equal(info.module[1].len, 0);
	assert_string_equal(info.module[1].args, "");

	put_module1(2, 0x400000, 0x500000, TEXT1);
	assert_says(parse(MB1, BASE), "more than two");
	put32(BASE + 20, ~0u);
	assert_says(parse(MB1, BASE), "more than two");

	put_module1(0, 0x300000, 0x2fffff, TEXT1);
	assert_says(parse(MB1, BASE), "damaged");
	put32(BASE + 24, BASE + SIZE - 15);
	assert_says(parse(MB1, BASE), "damaged");
}

static void mb1_no_map(void **state)
{
	(void)state;
	make1(CMDLINE | MODS);
	assert_says(parse(MB1, BASE), "no memory map");
	make1(MMAP);
	for (uint32_t len = 0; len < 24; len++) {
		put32(BASE + 44, len);
		assert_says(parse(MB1, BASE), "no memory map");
	}
}

static void mb1_damaged_map(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 4, 19 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		make1(MMAP);
		put32(MAP1 + 24, sizes[i]);
		assert_says(parse(MB1, BASE), "damaged");
	}
	/* A row so long that 32 bits wrap: the last one, not a loop. */
	for (uint32_t size = ~0u; size > ~0u - 8; size--) {
		make1(MMAP);
		put32(MAP1, size);
		assert_null(parse(MB1, BASE));
		assert_int_equal(info.map.count, 1);
	}
	/* The second row is cut short. */
	make1(MMAP);
	put32(BASE + 44, 24 + 23);
	assert_null(parse(MB1, BASE));
	assert_int_equal(info.map.count, 1);
	/* The map goes beyond what is there. */
	make1(MMAP);
	put32(BASE + 44, ~0u);
	put32(BASE + 48, ~0u - 100);
	assert_says(parse(MB1, BASE), "damaged");
}

static void mb1_too_many_rows(void **state)
{
	(void)state;
	make1(MMAP);
	for (uint32_t i = 0; i <= ROWS; i++) {
		put32(MAP1 + 24 * i, 20);
		put_row(MAP1 + 24 * i + 4, i * MIB, MIB, 2);
	}
	put32(BASE + 44, 24 * ROWS);
	assert_null(parse(MB1, BASE));
	assert_int_equal(info.map.count, ROWS);
	assert_row(ROWS - 1, (ROWS - 1) * MIB, MIB, LUV_MEM_RESERVED);
	put32(BASE + 44, 24 * (ROWS + 1));
	assert_says(parse(MB1, BASE), "too many rows");
}

static void mb1_not_there(void **state)
{
	(void)state;
	make1(MMAP);
	assert_says(parse(MB1, BASE + SIZE - 51), "damaged");
	assert_says(parse(MB1, BASE - 1), "damaged");
}

static void long_strings(void **state)
{
	(void)state;
	make1(CMDLINE | MMAP);
	memset(mem + (TEXT1 - BASE), 'a', BOOT_CMDLINE);
	assert_null(parse(MB1, BASE));
	assert_int_equal(strlen(info.cmdline), BOOT_CMDLINE - 1);
	mem[TEXT1 - BASE + BOOT_CMDLINE - 1] = 0;
	assert_null(parse(MB1, BASE));
	assert_int_equal(strlen(info.cmdline), BOOT_CMDLINE - 1);
	mem[TEXT1 - BASE + BOOT_CMDLINE - 2] = 0;
	assert_null(parse(MB1, BASE));
	assert_int_equal(strlen(info.cmdline), BOOT_CMDLINE - 2);
	/* Without an end, up to the end of memory. */
	memset(mem + SIZE - 10, 'b', 10);
	put32(BASE + 16, BASE + SIZE - 10);
	assert_null(parse(MB1, BASE));
	assert_string_equal(info.cmdline, "bbbbbbbbbb");
}

/* --- Multiboot2 ------------------------------------------------------------ */

static uint32_t at2; /* where the next tag goes */

static void begin2(void)
{
	memset(mem, 0, sizeof(mem));
	at2 = BASE + 8;
}

/* A tag of that size; its body is the caller's. */
static uint32_t put_tag(uint32_t type, uint32_t size)
{
	const uint32_t pa = at2;

	put32(pa, type);
	put32(pa + 4, size);
	at2 += (uint32_t)ALIGN_UP(size, 8);
	return pa;
}

static const char *end2(void)
{
	put_tag(0, 8);
	put32(BASE, at2 - BASE);
	return parse(MB2, BASE);
}

static void put_string_tag(uint32_t type, uint32_t header, const char *s)
{
	const uint32_t pa = put_tag(type, header + (uint32_t)strlen(s) + 1);

	put_string(pa + header, s);
}

static uint32_t put_module2(uint32_t start, uint32_t end, const char *args)
{
	const uint32_t pa = at2;

	put_string_tag(3, 16, args);
	put32(pa + 8, start);
	put32(pa + 12, end);
	return pa;
}

static uint32_t put_map2(uint32_t entry_size, unsigned n)
{
	const uint32_t pa = put_tag(6, 16 + entry_size * n);

	put32(pa + 8, entry_size);
	for (uint32_t i = 0; i < n; i++)
		put_row(pa + 16 + entry_size * i, i * MIB, MIB, 1 + i % 2);
	return pa;
}

static void mb2_everything(void **state)
{
	uint32_t old, new;

	(void)state;
	begin2();
	put_string_tag(2, 8, "GRUB");
	put_string_tag(1, 8, "cpus=3 serial=0x2f8");
	put_module2(0x200000, 0x345678, "vmlinuz quiet");
	put_map2(24, 3);
	old = put_tag(14, 8 + 20);
	new = put_tag(15, 8 + 36);
	put_module2(0x400000, 0x400001, "");
	put_tag(77, 9);
	assert_null(end2());
	assert_string_equal(info.cmdline, "cpus=3 serial=0x2f8");
	assert_int_equal(info.modules, 2);
	assert_int_equal(info.module[0].base, 0x200000);
	assert_int_equal(info.module[0].len, 0x145678);
	assert_string_equal(info.module[0].args, "vmlinuz quiet");
	assert_int_equal(info.module[1].len, 1);
	assert_string_equal(info.module[1].args, "");
	assert_int_equal(info.map.count, 3);
	assert_row(1, MIB, MIB, LUV_MEM_RESERVED);
	assert_row(2, 2 * MIB, MIB, LUV_MEM_RAM);
	assert_int_equal(info.rsdp, new + 8);

	/* The newer RSDP wins in either order. */
	put32(old, 15);
	put32(new, 14);
	assert_null(parse(MB2, BASE));
	assert_int_equal(info.rsdp, old + 8);
	put32(old, 99);
	assert_null(parse(MB2, BASE));
	assert_int_equal(info.rsdp, new + 8);
}

static void mb2_row_sizes(void **state)
{
	(void)state;
	for (uint32_t size = 20; size < 50; size++) {
		begin2();
		put_map2(size, 4);
		assert_null(end2());
		assert_int_equal(info.map.count, 4);
		assert_row(3, 3 * MIB, MIB, LUV_MEM_RESERVED);
	}
	for (uint32_t size = 0; size < 20; size++) {
		begin2();
		put32(put_map2(24, 2) + 8, size);
		assert_says(end2(), "damaged");
	}
	begin2();
	put32(put_map2(24, 2) + 8, ~0u);
	assert_null(end2());
	assert_int_equal(info.map.count, 1);
}

static void mb2_no_map(void **state)
{
	(void)state;
	begin2();
	put_string_tag(1, 8, "x");
	assert_says(end2(), "no memory map");
	begin2();
	put_map2(24, 0);
	assert_says(end2(), "no memory map");
	/* Tags behind the end do not count. */
	begin2();
	put_tag(0, 8);
	put_map2(24, 2);
	assert_says(end2(), "no memory map");
}

static void mb2_too_many(void **state)
{
	(void)state;
	begin2();
	put_map2(24, ROWS);
	assert_null(end2());
	begin2();
	put_map2(24, ROWS + 1);
	assert_says(end2(), "too many rows");
	begin2();
	put_map2(24, ROWS);
	put_map2(24, 1);
	assert_says(end2(), "too many rows");
	begin2();
	put_map2(24, 1);
	for (unsigned i = 0; i < 3; i++)
		put_module2(MIB, 2 * MIB, "");
	assert_says(end2(), "more than two");
}

static void mb2_damaged_tags(void **state)
{
	uint32_t tag;

	(void)state;
	for (uint32_t size = 0; size < 8; size++) {
		begin2();
		put_map2(24, 1);
		tag = put_tag(99, 8);
		put32(tag + 4, size); /* 0: must not loop */
		assert_says(end2(), "damaged");
	}
	for (uint32_t size = ~0u; size > ~0u - 16; size--) {
		begin2();
		put_map2(24, 1);
		tag = put_tag(99, 8);
		put32(tag + 4, size);
		assert_says(end2(), "damaged");
	}
	/* One byte beyond the end of all. */
	begin2();
	put_map2(24, 1);
	tag = put_tag(99, 8);
	put32(BASE, at2 - BASE);
	assert_null(parse(MB2, BASE));
	put32(tag + 4, 9);
	assert_says(parse(MB2, BASE), "damaged");
	/* Too short for what its type says. */
	for (uint32_t size = 8; size < 16; size++) {
		begin2();
		put_map2(24, 1);
		put_tag(3, size);
		assert_says(end2(), "damaged");
		begin2();
		put_map2(24, 1);
		put_tag(6, size);
		put_tag(99, 8); /* not a row's size */
		assert_says(end2(), "damaged");
	}
	begin2();
	put_map2(24, 1);
	put_module2(2 * MIB, 2 * MIB - 1, "");
	assert_says(end2(), "damaged");
}

/* A string ends with its tag, whatever follows. */
static void mb2_unterminated_strings(void **state)
{
	(void)state;
	begin2();
	put_map2(24, 1);
	memcpy(mem + (put_tag(1, 8 + 8) + 8 - BASE), "abcdefgh", 8);
	memcpy(mem + (put_tag(3, 16 + 3) + 16 - BASE), "ijklmnop", 8);
	assert_null(end2());
	assert_string_equal(info.cmdline, "abcdefgh");
	assert_int_equal(info.modules, 1);
	assert_string_equal(info.module[0].args, "ijk");
	begin2();
	put_map2(24, 1);
	put_tag(1, 8);
	put_tag(3, 16);
	assert_null(end2());
	assert_string_equal(info.cmdline, "");
	assert_string_equal(info.module[0].args, "");
}

static void mb2_not_there(void **state)
{
	(void)state;
	begin2();
	put_map2(24, 1);
	end2();
	assert_says(parse(MB2, BASE + SIZE - 7), "damaged");
	put32(BASE, 0);
	assert_says(parse(MB2, BASE), "no memory map");
	/* Said to be larger than memory, and without an end. */
	begin2();
	while (at2 + 8 <= BASE + SIZE)
		put_tag(99, 8);
	put32(BASE, ~0u);
	assert_says(parse(MB2, BASE), "damaged");
}

/* --- noise ----------------------------------------------------------------- */

/* Flip what the structure holds: any answer, but no loop and no bad read. */
static void noise(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		const uint32_t magic = i & 1 ? MB1 : MB2;

		if (i & 1) {
			make1(CMDLINE | MODS | MMAP);
			put_module1(0, MIB, 2 * MIB, TEXT1);
		} else {
			begin2();
			put_string_tag(1, 8, "cpus=3");
			put_map2(24, 3);
			put_module2(MIB, 2 * MIB, "x");
			end2();
		}
		for (unsigned n = 0; n < 1 + i % 3; n++) {
			seed = seed * 1664525 + 1013904223;
			const uint32_t at = (seed >> 8) % 0x80 +
					    (i & 1 ? (seed >> 20 & 2) * 0x100 :
						     0);
			mem[at] = (uint8_t)(seed & 0x80 ? seed >> 24 :
					    seed & 0x40 ? 0 : 0xff);
		}
		parse(magic, BASE);
		assert_true(info.map.count <= ROWS);
		assert_true(info.modules <= BOOT_MODULES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neither_protocol),
		cmocka_unit_test(mb1_map_and_cmdline),
		cmocka_unit_test(mb1_types),
		cmocka_unit_test(mb1_modules),
		cmocka_unit_test(mb1_no_map),
		cmocka_unit_test(mb1_damaged_map),
		cmocka_unit_test(mb1_too_many_rows),
		cmocka_unit_test(mb1_not_there),
		cmocka_unit_test(long_strings),
		cmocka_unit_test(mb2_everything),
		cmocka_unit_test(mb2_row_sizes),
		cmocka_unit_test(mb2_no_map),
		cmocka_unit_test(mb2_too_many),
		cmocka_unit_test(mb2_damaged_tags),
		cmocka_unit_test(mb2_unterminated_strings),
		cmocka_unit_test(mb2_not_there),
		cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
