/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acpi_test.c - firmware tables built in a small fake memory, right ones and
 * broken ones.
 *
 * map() hands out a copy of exactly the bytes that were asked for, each in an
 * allocation of its own: a read beyond them stops the test under ASan.
 */
#include "acpi.h"
#include "string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MEM_SIZE (MIB + 64 * KIB)
#define COPIES	 100000

static uint8_t mem[MEM_SIZE];
static void *copies[COPIES];
static unsigned ncopies;
/* Bytes that map() refuses, as if they were no memory. */
static uint64_t hole_base, hole_end;

static const void *map(uint64_t pa, size_t len)
{
	if (pa > MEM_SIZE || len > MEM_SIZE - pa)
		return NULL;
	if (pa < hole_end && pa + len > hole_base)
		return NULL;
	assert_true(ncopies < COPIES);
	void *p = malloc(len);
	memcpy(p, mem + pa, len);
	copies[ncopies++] = p;
	return p;
}

static void free_copies(void)
{
	while (ncopies > 0)
		free(copies[--ncopies]);
}

static void put(uint64_t pa, uint64_t v, size_t size)
{
	memcpy(mem + pa, &v, size);
}

static void fix_sum(uint64_t pa, size_t len, uint64_t at)
{
	uint8_t sum = 0;

	mem[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + mem[pa + i]);
	mem[at] = (uint8_t)-sum;
}

/* A table's header and checksum, over whatever body is there already. */
static void put_table(uint64_t pa, const char *signature, uint32_t len)
{
	memcpy(mem + pa, signature, 4);
	put(pa + 4, len, 4);
	fix_sum(pa, len, pa + 9);
}

/* --- a whole machine ----------------------------------------------------- */

enum {
	RSDP = 0xf5a0,	/* in the BIOS segment: see BIOS */
	BIOS = 0xe0000,
	EBDA = 0x9fc00,
	RSDT = 0x20000,
	XSDT = 0x20100,
	MADT = 0x20200,
	FADT = 0x20800,
	DSDT = 0x21000,
	SSDT = 0x22000,
	SSDT2 = 0x22800,
	FACS = 0x23000,
	FACS2 = 0x23040,
	MADT_LEN = 44 + 3 * 8 + 12 + 2 * 16,
	FADT_LEN = 244,
	DSDT_LEN = 36 + 40,
};

#define RSDP_PA (BIOS + RSDP)

static void put_rsdp(uint64_t pa, unsigned revision)
{
	memcpy(mem + pa, "RSD PTR ", 8);
	put(pa + 15, revision, 1);
	put(pa + 16, RSDT, 4);
	put(pa + 20, 36, 4);
	put(pa + 24, XSDT, 8);
	fix_sum(pa, 20, pa + 8);
	fix_sum(pa, 36, pa + 32);
}

static void put_lapic(uint64_t pa, uint8_t id, uint32_t flags)
{
	put(pa, 0, 1);
	put(pa + 1, 8, 1);
	put(pa + 3, id, 1);
	put(pa + 4, flags, 4);
}

static void put_x2apic(uint64_t pa, uint32_t id, uint32_t flags)
{
	put(pa, 9, 1);
	put(pa + 1, 16, 1);
	put(pa + 4, id, 4);
	put(pa + 8, flags, 4);
}

static void put_madt(void)
{
	put_lapic(MADT + 44, 0, 1);
	put_lapic(MADT + 52, 2, 1);
	put(MADT + 60, 1, 1); /* an I/O APIC */
	put(MADT + 61, 12, 1);
	put_lapic(MADT + 72, 4, 0); /* disabled */
	put_x2apic(MADT + 80, 0x100, 1);
	put_x2apic(MADT + 96, 0x102, 2); /* online capable: not enabled */
	put_table(MADT, "APIC", MADT_LEN);
}

static void put_fadt(void)
{
	put(FADT + 36, FACS, 4);
	put(FADT + 40, DSDT, 4);
	put(FADT + 64, 0x604, 4);
	put(FADT + 68, 0, 4);
	put(FADT + 89, 2, 1);
	put_table(FADT, "FACP", FADT_LEN);
	memcpy(mem + FACS, "FACS", 4);
	put(FACS + 4, 64, 4);
}

static void put_aml(uint64_t table, const char *signature, size_t offset,
		    const void *aml, size_t len)
{
	memcpy(mem + table + 36 + offset, aml, len);
	put_table(table, signature, DSDT_LEN);
}

/* Name (_S3_, Package (4) { 5, 1, 0, 0 }) */
static const uint8_t s3[] = { 0x08, '_', 'S', '3', '_', 0x12, 0x07, 0x04, 0x0a,
			      0x05, 0x01, 0x00, 0x00 };

static void put_roots(void)
{
	static const uint32_t tables[] = { FADT, SSDT, MADT, SSDT2 };

	for (unsigned i = 0; i < 4; i++) {
		put(RSDT + 36 + i * 4, tables[i], 4);
		put(XSDT + 36 + i * 8, tables[i], 8);
	}
	put_table(RSDT, "RSDT", 36 + 4 * 4);
	put_table(XSDT, "XSDT", 36 + 4 * 8);
}

static void build(void)
{
	free_copies();
	memset(mem, 0, sizeof(mem));
	hole_base = hole_end = 0;
	put_rsdp(RSDP_PA, 2);
	put_roots();
	put_madt();
	put_fadt();
	put_aml(DSDT, "DSDT", 7, s3, sizeof(s3));
	put_aml(SSDT, "SSDT", 0, "", 1);
	put_aml(SSDT2, "SSDT", 0, "", 1);
}

static int setup(void **state)
{
	(void)state;
	build();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free_copies();
	return 0;
}

struct cpus {
	uint32_t id[64];
	unsigned n;
	unsigned fail_at; /* 0: never */
};

static enum err collect(void *ctx, uint32_t id)
{
	struct cpus *c = ctx;

	assert_true(c->n < ARRAY_SIZE(c->id));
	c->id[c->n++] = id;
	return c->n == c->fail_at ? ERR_NOMEM : OK;
}

static void assert_cpus(const uint32_t *want, unsigned n)
{
	struct cpus c = { .n = 0 };

	assert_int_equal(acpi_cpus(map, RSDP_PA, collect, &c), OK);
	assert_int_equal(c.n, n);
	assert_memory_equal(c.id, want, n * sizeof(*want));
}
#define CPUS(...)                                                              \
	assert_cpus((const uint32_t[]){ __VA_ARGS__ },                         \
		    ARRAY_SIZE(((const uint32_t[]){ __VA_ARGS__ })))

static void assert_no_madt(void)
{
	struct cpus c = { .n = 0 };

	assert_int_equal(acpi_cpus(map, RSDP_PA, collect, &c), ERR_NOENT);
	assert_int_equal(c.n, 0);
}

static struct acpi_sleep sleep_of(uint64_t rsdp)
{
	struct acpi_sleep s;

	memset(&s, 0xa5, sizeof(s));
	assert_int_equal(acpi_sleep(map, rsdp, &s), OK);
	return s;
}

static void assert_no_sleep(void)
{
	struct acpi_sleep s, before;

	memset(&s, 0xa5, sizeof(s));
	before = s;
	assert_int_equal(acpi_sleep(map, RSDP_PA, &s), ERR_NOENT);
	assert_memory_equal(&s, &before, sizeof(s));
}

/* --- RSDP ---------------------------------------------------------------- */

static void rsdp_in_the_bios(void **state)
{
	(void)state;
	assert_int_equal(acpi_find_rsdp(map), RSDP_PA);
	mem[RSDP_PA + 1] ^= 1;
	assert_int_equal(acpi_find_rsdp(map), 0);
	mem[RSDP_PA + 1] ^= 1;
	mem[RSDP_PA + 17] ^= 1; /* checksum */
	assert_int_equal(acpi_find_rsdp(map), 0);
}

static void rsdp_at_the_edges(void **state)
{
	static const uint64_t at[] = { BIOS, 0xffff0, 0xfffe0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		build();
		memset(mem + RSDP_PA, 0, 36);
		put_rsdp(at[i], 0);
		assert_int_equal(acpi_find_rsdp(map), at[i]);
	}
	build();
	memset(mem + RSDP_PA, 0, 36);
	put_rsdp(BIOS + 8, 0); /* not aligned */
	put_rsdp(BIOS - 16, 0);
	put_rsdp(MIB, 0);
	assert_int_equal(acpi_find_rsdp(map), 0);
}

static void rsdp_in_the_ebda(void **state)
{
	(void)state;
	put(0x40e, EBDA >> 4, 2);
	put_rsdp(EBDA + KIB - 16, 0);
	assert_int_equal(acpi_find_rsdp(map), EBDA + KIB - 16);
	mem[EBDA + KIB - 16] ^= 1;
	assert_int_equal(acpi_find_rsdp(map), RSDP_PA);
	free_copies();
	put_rsdp(EBDA + KIB, 0);
	assert_int_equal(acpi_find_rsdp(map), RSDP_PA);
	/* An EBDA that is no memory. */
	put(0x40e, 0xffff, 2);
	hole_base = 0xffff0 + 16;
	hole_end = MEM_SIZE;
	assert_int_equal(acpi_find_rsdp(map), RSDP_PA);
}

static void no_memory_at_all(void **state)
{
	struct cpus c = { .n = 0 };
	struct acpi_sleep s;

	(void)state;
	hole_end = UINT64_MAX;
	assert_int_equal(acpi_find_rsdp(map), 0);
	assert_int_equal(acpi_cpus(map, RSDP_PA, collect, &c), ERR_NOENT);
	assert_int_equal(acpi_cpus(map, 0, collect, &c), ERR_NOENT);
	assert_int_equal(acpi_sleep(map, RSDP_PA, &s), ERR_NOENT);
	assert_int_equal(acpi_sleep(map, UINT64_MAX - 5, &s), ERR_NOENT);
}

/* --- root tables --------------------------------------------------------- */

static void xsdt_or_rsdt(void **state)
{
	(void)state;
	/* Each alone suffices. */
	memset(mem + RSDT, 0, 36);
	CPUS(0, 2, 0x100);
	build();
	memset(mem + XSDT, 0, 36);
	CPUS(0, 2, 0x100);
	/* Revision 0 has no XSDT, whatever the bytes say. */
	build();
	put_rsdp(RSDP_PA, 0);
	memset(mem + RSDT, 0, 36);
	assert_no_madt();
	build();
	put_rsdp(RSDP_PA, 0);
	memset(mem + XSDT, 0, 36);
	CPUS(0, 2, 0x100);
	/* An extended checksum that is wrong: the RSDT is still good. */
	build();
	mem[RSDP_PA + 33] ^= 1;
	put_table(XSDT, "XSDT", 36);
	CPUS(0, 2, 0x100);
}

static void bad_root_tables(void **state)
{
	(void)state;
	memset(mem + XSDT, 0, 36);
	mem[RSDT + 36] ^= 1; /* checksum */
	assert_no_madt();
	build();
	memset(mem + XSDT, 0, 36);
	put_table(RSDT, "RSDX", 52);
	assert_no_madt();
	build();
	put_rsdp(RSDP_PA, 2);
	mem[RSDP_PA + 16] ^= 1; /* the RSDP's own checksum */
	assert_no_madt();
}

/* Entries that lead nowhere are passed over; half an entry is none. */
static void entries_that_lead_nowhere(void **state)
{
	(void)state;
	put(XSDT + 36, 0, 8);
	put(XSDT + 44, 0xfffffffffffffff0, 8);
	put_table(XSDT, "XSDT", 36 + 4 * 8 + 7);
	CPUS(0, 2, 0x100);
	build();
	put_table(XSDT, "XSDT", 36 + 3 * 8 - 1); /* the MADT is cut in half */
	assert_no_madt();
	put_table(XSDT, "XSDT", 36);
	assert_no_madt();
}

static void second_madt_if_the_first_is_broken(void **state)
{
	(void)state;
	put(XSDT + 36, 0x24000, 8);
	put_table(XSDT, "XSDT", 36 + 4 * 8);
	put_table(0x24000, "APIC", 60);
	mem[0x24000 + 50]++;
	CPUS(0, 2, 0x100);
}

/* --- MADT ---------------------------------------------------------------- */

static void enabled_cpus(void **state)
{
	(void)state;
	CPUS(0, 2, 0x100);
}

static void no_cpu_twice(void **state)
{
	(void)state;
	put_x2apic(MADT + 80, 2, 1);
	put_x2apic(MADT + 96, 0xff, 1);
	put_lapic(MADT + 72, 0, 1);
	put_table(MADT, "APIC", MADT_LEN);
	CPUS(0, 2, 0xff);
	/* A disabled entry does not hide an enabled one. */
	put_lapic(MADT + 44, 0, 0);
	put_table(MADT, "APIC", MADT_LEN);
	CPUS(2, 0, 0xff);
}

static void ids_that_mean_none(void **state)
{
	(void)state;
	put_lapic(MADT + 52, 0xff, 1);
	put_x2apic(MADT + 80, 0xffffffff, 1);
	put_table(MADT, "APIC", MADT_LEN);
	CPUS(0);
}

static void error_of_the_callback(void **state)
{
	struct cpus c = { .fail_at = 2 };

	(void)state;
	assert_int_equal(acpi_cpus(map, RSDP_PA, collect, &c), ERR_NOMEM);
	assert_int_equal(c.n, 2);
}

static void bad_madts(void **state)
{
	(void)state;
	mem[MADT + 50] ^= 1;
	assert_no_madt();
	build();
	put_table(MADT, "APIX", MADT_LEN);
	assert_no_madt();
	build();
	put_table(MADT, "APIC", 43);
	assert_no_madt();
	build();
	put_table(MADT, "APIC", 35);
	assert_no_madt();
	build();
	put(MADT + 4, 0xffffffff, 4);
	assert_no_madt();
	build();
	hole_base = MADT + MADT_LEN - 1;
	hole_end = hole_base + 1;
	assert_no_madt();
}

/* Entries that are cut, too short, or of length 0, at every place. */
static void bad_madt_entries(void **state)
{
	(void)state;
	put_table(MADT, "APIC", 44 + 8 + 7); /* the second is cut */
	CPUS(0);
	build();
	put(MADT + 52 + 1, 0, 1);
	put_table(MADT, "APIC", MADT_LEN);
	CPUS(0);
	build();
	put(MADT + 52 + 1, 1, 1);
	put_table(MADT, "APIC", MADT_LEN);
	CPUS(0);
	build();
	put(MADT + 52 + 1, 7, 1); /* too short for its type */
	put(MADT + 59, 200, 1);	  /* and what follows is nonsense */
	put(MADT + 60, 200, 1);
	put_table(MADT, "APIC", MADT_LEN);
	CPUS(0);
	build();
	put_table(MADT, "APIC", 44);
	struct cpus c = { .n = 0 };
	assert_int_equal(acpi_cpus(map, RSDP_PA, collect, &c), OK);
	assert_int_equal(c.n, 0);
	for (uint32_t len = 36; len < MADT_LEN; len++) {
		build();
		put_table(MADT, "APIC", len);
		c.n = 0;
		assert_int_equal(acpi_cpus(map, RSDP_PA, collect, &c),
				 len < 44 ? ERR_NOENT : OK);
		assert_int_equal(c.n, len < 52 ? 0 : len < 60 ? 1 :
				      len < 96 ? 2 : 3);
	}
}

/* --- FADT and FACS ------------------------------------------------------- */

static void sleep_registers(void **state)
{
	const struct acpi_sleep s = sleep_of(RSDP_PA);

	(void)state;
	assert_int_equal(s.pm1a_cnt, 0x604);
	assert_int_equal(s.pm1b_cnt, 0);
	assert_int_equal(s.facs, FACS);
	assert_true(s.has_s3);
	assert_int_equal(s.s3_a, 5);
	assert_int_equal(s.s3_b, 1);
}

static void put_gas(uint64_t pa, uint8_t space, uint64_t address)
{
	put(pa, space, 1);
	put(pa + 1, 16, 1);
	put(pa + 4, address, 8);
	put_table(FADT, "FACP", FADT_LEN);
}

static void extended_registers(void **state)
{
	(void)state;
	put(FADT + 68, 0x704, 4);
	put_gas(FADT + 172, 1, 0x1804);
	assert_int_equal(sleep_of(RSDP_PA).pm1a_cnt, 0x1804);
	assert_int_equal(sleep_of(RSDP_PA).pm1b_cnt, 0x704);
	put_gas(FADT + 184, 1, 0x1904);
	assert_int_equal(sleep_of(RSDP_PA).pm1b_cnt, 0x1904);
	put_gas(FADT + 172, 0, 0xfed00000); /* memory: not a port */
	assert_int_equal(sleep_of(RSDP_PA).pm1a_cnt, 0x604);
	put_gas(FADT + 184, 1, 0xffff);
	assert_int_equal(sleep_of(RSDP_PA).pm1b_cnt, 0xffff);
	put_gas(FADT + 184, 1, 0x10004);
	assert_int_equal(sleep_of(RSDP_PA).pm1b_cnt, 0);
	put_gas(FADT + 172, 1, 0x10004);
	assert_no_sleep();
}

/* A FADT of ACPI 1.0 ends before the extended fields. */
static void old_fadt(void **state)
{
	(void)state;
	put_gas(FADT + 172, 1, 0x1804);
	put(FADT + 140, SSDT, 8);
	put_table(FADT, "FACP", 116);
	assert_int_equal(sleep_of(RSDP_PA).pm1a_cnt, 0x604);
	assert_true(sleep_of(RSDP_PA).has_s3);
	put_table(FADT, "FACP", 115);
	assert_no_sleep();
}

static void facs_addresses(void **state)
{
	(void)state;
	memcpy(mem + FACS2, "FACS", 4);
	put(FADT + 132, FACS2, 8);
	put_table(FADT, "FACP", FADT_LEN);
	assert_int_equal(sleep_of(RSDP_PA).facs, FACS);
	put(FADT + 36, 0, 4);
	put_table(FADT, "FACP", FADT_LEN);
	assert_int_equal(sleep_of(RSDP_PA).facs, FACS2);
	mem[FACS2] = 0;
	assert_int_equal(sleep_of(RSDP_PA).facs, 0);
	put(FADT + 132, 0, 8);
	put_table(FADT, "FACP", FADT_LEN);
	assert_int_equal(sleep_of(RSDP_PA).facs, 0);
	build();
	hole_base = FACS + 63;
	hole_end = FACS + 64;
	assert_int_equal(sleep_of(RSDP_PA).facs, 0);
}

static void no_sleep_registers(void **state)
{
	(void)state;
	put(FADT + 112, BIT(20), 4); /* hardware-reduced */
	put_table(FADT, "FACP", FADT_LEN);
	assert_no_sleep();
	build();
	mem[FADT + 60]++;
	assert_no_sleep();
	build();
	put_table(FADT, "FACX", FADT_LEN);
	assert_no_sleep();
	build();
	put(FADT + 64, 0, 4);
	put_table(FADT, "FACP", FADT_LEN);
	assert_no_sleep();
}

/* --- \_S3 ---------------------------------------------------------------- */

/* SLP_TYP a and b from this AML; -1: no _S3. */
static void assert_s3(int a, int b, const void *aml, size_t len)
{
	build();
	memset(mem + DSDT + 36, 0, DSDT_LEN - 36);
	put_aml(DSDT, "DSDT", 0, aml, len);
	const struct acpi_sleep s = sleep_of(RSDP_PA);
	assert_int_equal(s.has_s3, a >= 0);
	if (a >= 0) {
		assert_int_equal(s.s3_a, a);
		assert_int_equal(s.s3_b, b);
	}
}
#define NAME_S3 0x08, '_', 'S', '3', '_'
#define S3(a, b, ...)                                                          \
	assert_s3(a, b, (const uint8_t[]){ __VA_ARGS__ },                      \
		  sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void s3_constants(void **state)
{
	(void)state;
	S3(0, 0, NAME_S3, 0x12, 4, 2, 0x00, 0x00);
	S3(1, 0, NAME_S3, 0x12, 4, 2, 0x01, 0x00);
	S3(1, 1, NAME_S3, 0x12, 6, 4, 0x01, 0x01, 0x00, 0x00);
	S3(5, 5, NAME_S3, 0x12, 6, 2, 0x0a, 5, 0x0a, 5);
	S3(7, 6, NAME_S3, 0x12, 8, 2, 0x0b, 7, 0, 0x0b, 6, 0);
	S3(3, 1, NAME_S3, 0x12, 8, 2, 0x0c, 3, 0, 0, 0, 0x01);
	S3(3, 1, NAME_S3, 0x12, 12, 2, 0x0e, 3, 0, 0, 0, 0, 0, 0, 0, 0x01);
	S3(5, 0, 0x08, '\\', '_', 'S', '3', '_', 0x12, 5, 2, 0x0a, 5, 0x00);
	/* One number with both, as some old boards have it. */
	S3(5, 4, NAME_S3, 0x12, 5, 1, 0x0b, 5, 4);
	S3(5, 0, NAME_S3, 0x12, 4, 1, 0x0a, 5);
	/* A PkgLength of two, three and four bytes. */
	S3(5, 1, NAME_S3, 0x12, 0x46, 0, 2, 0x0a, 5, 0x01);
	S3(5, 1, NAME_S3, 0x12, 0x87, 0, 0, 2, 0x0a, 5, 0x01);
	S3(5, 1, NAME_S3, 0x12, 0xc8, 0, 0, 0, 2, 0x0a, 5, 0x01);
}

static void s3_that_is_none(void **state)
{
	(void)state;
	S3(-1, 0, 0x00);
	S3(-1, 0, 0x08, '_', 'S', '4', '_', 0x12, 4, 2, 0x00, 0x00);
	S3(-1, 0, 0x09, '_', 'S', '3', '_', 0x12, 4, 2, 0x00, 0x00);
	S3(-1, 0, NAME_S3, 0x11, 4, 2, 0x00, 0x00);
	S3(-1, 0, NAME_S3, 0x12, 4, 0, 0x00, 0x00);
	S3(-1, 0, NAME_S3, 0x12, 4, 2, 0x02, 0x00);
	S3(-1, 0, NAME_S3, 0x12, 3, 2, 0x00, 0x00); /* second is outside */
	S3(-1, 0, NAME_S3, 0x12, 2, 2, 0x00, 0x00);
	S3(-1, 0, NAME_S3, 0x12, 1, 2, 0x00, 0x00);
	S3(-1, 0, NAME_S3, 0x12, 0, 2, 0x00, 0x00);
	S3(-1, 0, NAME_S3, 0x12, 4, 2, 0x0a, 5, 0x00);
	S3(-1, 0, NAME_S3, 0x12, 0x3f, 2, 0x00, 0x00); /* beyond the table */
	S3(-1, 0, NAME_S3, 0x12, 0xcf, 0xff, 0xff, 0xff, 2, 0x00, 0x00);
	S3(-1, 0, NAME_S3, 0x12, 0x41, 0, 2, 0x00, 0x00);
	S3(-1, 0, NAME_S3, 0x12, 5, 2, 0x0a, 8, 0x00); /* 3 bits */
	S3(-1, 0, NAME_S3, 0x12, 4, 2, 0x00, 0xff);
	S3(-1, 0, NAME_S3, 0x12, 5, 1, 0x0b, 5, 8);
}

/* A false match does not end the search. */
static void s3_after_a_false_one(void **state)
{
	(void)state;
	S3(5, 0, NAME_S3, 0x11, NAME_S3, NAME_S3, 0x12, 5, 2, 0x0a, 5, 0x00);
	S3(5, 0, NAME_S3, 0x12, 4, 2, 0x00, 0x02, NAME_S3, 0x12, 5, 2, 0x0a, 5,
	   0x00);
	S3(5, 0, NAME_S3, 0x12, 5, 2, 0x0a, 8, 0x00, NAME_S3, 0x12, 5, 2, 0x0a,
	   5, 0x00);
	S3(5, 0, 0x08, 0x08, 0x08, '\\', '_', 'S', '3', '_', 0x12, 5, 2, 0x0a,
	   5, 0x00);
}

/* At the very end of a table, cut at every byte: ASan watches. */
static void s3_at_the_end_of_a_table(void **state)
{
	(void)state;
	for (uint32_t cut = 0; cut < sizeof(s3); cut++) {
		build();
		memset(mem + DSDT + 36, 0, DSDT_LEN - 36);
		memcpy(mem + DSDT + 36, s3, sizeof(s3));
		put_table(DSDT, "DSDT", (uint32_t)(36 + sizeof(s3) - cut));
		assert_int_equal(sleep_of(RSDP_PA).has_s3, cut == 0);
	}
}

static void s3_in_an_ssdt(void **state)
{
	static const uint64_t where[] = { SSDT, SSDT2 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		build();
		memset(mem + DSDT + 36, 0, DSDT_LEN - 36);
		put_table(DSDT, "DSDT", DSDT_LEN);
		put_aml(where[i], "SSDT", 3, s3, sizeof(s3));
		assert_true(sleep_of(RSDP_PA).has_s3);
		assert_int_equal(sleep_of(RSDP_PA).s3_a, 5);
		mem[where[i] + 36]++; /* checksum */
		assert_false(sleep_of(RSDP_PA).has_s3);
	}
}

static void dsdt_addresses(void **state)
{
	(void)state;
	put(FADT + 40, 0, 4);
	put(FADT + 140, DSDT, 8);
	put_table(FADT, "FACP", FADT_LEN);
	assert_true(sleep_of(RSDP_PA).has_s3);
	put(FADT + 140, 0, 8);
	put_table(FADT, "FACP", FADT_LEN);
	assert_false(sleep_of(RSDP_PA).has_s3);
	build();
	mem[DSDT + 40]++;
	assert_false(sleep_of(RSDP_PA).has_s3);
	build();
	put_table(DSDT, "DSDX", DSDT_LEN);
	assert_false(sleep_of(RSDP_PA).has_s3);
}

/* --- damage -------------------------------------------------------------- */

static const struct {
	uint32_t base, len;
} parts[] = {
	{ RSDP_PA, 36 },   { RSDT, 52 },	{ XSDT, 68 },
	{ MADT, MADT_LEN }, { FADT, FADT_LEN }, { DSDT, DSDT_LEN },
	{ SSDT, DSDT_LEN }, { FACS, 64 },
};

static uint8_t random_byte(void)
{
	static const uint8_t likely[] = { 0, 1, 2, 7, 8, 0x0a, 0x0c, 0x12, 0x3f,
					  0x7f, 0x80, 0xc0, 0xff };

	return rand() % 2 ? likely[(unsigned)rand() % sizeof(likely)] :
			    (uint8_t)rand();
}

/* Make all checksums right again, so that the damage gets past them. */
static void fix_sums(void)
{
	fix_sum(RSDP_PA, 20, RSDP_PA + 8);
	fix_sum(RSDP_PA, 36, RSDP_PA + 32);
	for (unsigned i = 1; i < ARRAY_SIZE(parts) - 1; i++) {
		uint32_t len;

		memcpy(&len, mem + parts[i].base + 4, 4);
		if (len >= 10 && len < MEM_SIZE - parts[i].base)
			fix_sum(parts[i].base, len, parts[i].base + 9);
	}
}

static enum err count(void *ctx, uint32_t id)
{
	(void)id;
	++*(unsigned *)ctx;
	return OK;
}

static void damaged_tables(void **state)
{
	unsigned fine = 0, cpus = 0;

	(void)state;
	for (unsigned round = 0; round < 30000; round++) {
		struct acpi_sleep s;

		/* Damage adds up over some rounds. */
		if (round % 8 == 0)
			build();
		free_copies();
		for (unsigned i = 0; i < 3; i++) {
			const unsigned p = (unsigned)rand() % ARRAY_SIZE(parts);

			mem[parts[p].base + (unsigned)rand() % parts[p].len] =
				random_byte();
		}
		fix_sums();
		fine += acpi_cpus(map, RSDP_PA, count, &cpus) == OK;
		fine += acpi_sleep(map, RSDP_PA, &s) == OK;
	}
	/* Enough of them got far. */
	assert_true(fine > 10000 && cpus > 10000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(rsdp_in_the_bios),
		TEST(rsdp_at_the_edges),
		TEST(rsdp_in_the_ebda),
		TEST(no_memory_at_all),
		TEST(xsdt_or_rsdt),
		TEST(bad_root_tables),
		TEST(entries_that_lead_nowhere),
		TEST(second_madt_if_the_first_is_broken),
		TEST(enabled_cpus),
		TEST(no_cpu_twice),
		TEST(ids_that_mean_none),
		TEST(error_of_the_callback),
		TEST(bad_madts),
		TEST(bad_madt_entries),
		TEST(sleep_registers),
		TEST(extended_registers),
		TEST(old_fadt),
		TEST(facs_addresses),
		TEST(no_sleep_registers),
		TEST(s3_constants),
		TEST(s3_that_is_none),
		TEST(s3_after_a_false_one),
		TEST(s3_at_the_end_of_a_table),
		TEST(s3_in_an_ssdt),
		TEST(dsdt_addresses),
		TEST(damaged_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
