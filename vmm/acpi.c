/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acpi.c - the CPUs, the sleep registers and \_S3 from the firmware's tables.
 *
 * Tables are bytes read by offset, never structures laid over them: nothing
 * about them is aligned, and any length may be wrong. A table is used only
 * after its whole length was mapped and its checksum is zero; from then on
 * every read is checked against that length.
 * ACPI "Root System Description Pointer", "System Description Table Header",
 * "MADT", "FADT", "FACS", "AML Grammar Definition".
 */
#include "acpi.h"
#include "string.h"

#define BDA_EBDA_SEGMENT 0x40e
#define EBDA_SEARCH	 KIB
#define BIOS_BASE	 0xe0000ull
#define BIOS_END	 0x100000ull
#define RSDP_ALIGN	 16

#define RSDP_V1_LEN   20
#define RSDP_REVISION 15
#define RSDP_RSDT     16
#define RSDP_XSDT     24
#define RSDP_LEN      36

#define HEADER_LENGTH 4
#define HEADER_LEN    36
#define TABLE_MAX     (16 * MIB) /* larger is nonsense, and slow to sum */

#define MADT_ENTRIES	  44
#define MADT_LAPIC	  0
#define MADT_LAPIC_LEN	  8
#define MADT_LAPIC_ID	  3
#define MADT_LAPIC_FLAGS  4
#define MADT_X2APIC	  9
#define MADT_X2APIC_LEN	  16
#define MADT_X2APIC_ID	  4
#define MADT_X2APIC_FLAGS 8
#define MADT_ENABLED	  BIT(0)
#define APIC_ID_NONE	  0xff
#define X2APIC_ID_NONE	  UINT32_MAX

#define FADT_FIRMWARE_CTRL   36
#define FADT_DSDT	     40
#define FADT_PM1A_CNT_BLK    64
#define FADT_PM1B_CNT_BLK    68
#define FADT_FLAGS	     112
#define FADT_V1_LEN	     116
#define FADT_X_FIRMWARE_CTRL 132
#define FADT_X_DSDT	     140
#define FADT_X_PM1A_CNT_BLK  172
#define FADT_X_PM1B_CNT_BLK  184
#define HW_REDUCED_ACPI	     BIT(20)
#define GAS_ADDRESS	     4
#define GAS_SYSTEM_IO	     1
#define PORT_MAX	     0xffff

#define FACS_LEN	     64
#define SLP_TYP_MAX	     7

#define AML_ZERO	0x00
#define AML_ONE		0x01
#define AML_NAME	0x08
#define AML_BYTE	0x0a
#define AML_WORD	0x0b
#define AML_DWORD	0x0c
#define AML_QWORD	0x0e
#define AML_PACKAGE	0x12
#define AML_ROOT_CHAR	0x5c
#define AML_ONES	0xff

/* Bytes that may be read: a table, or what is left of one. */
struct bytes {
	const uint8_t *p; /* NULL: no such table */
	size_t len;
};

/* Little-endian number of `size` bytes; 0 if it is not inside. */
static uint64_t get(struct bytes b, size_t offset, size_t size)
{
	uint64_t v = 0;

	if (offset <= b.len && size <= b.len - offset)
		memcpy(&v, b.p + offset, size);
	return v;
}

static struct bytes skip(struct bytes b, size_t n)
{
	n = n < b.len ? n : b.len;
	if (n > 0) {
		b.p += n;
		b.len -= n;
	}
	return b;
}

static bool has_signature(struct bytes b, const char *signature)
{
	const size_t n = strlen(signature);

	return b.len >= n && memcmp(b.p, signature, n) == 0;
}

static bool sum_is_zero(struct bytes b)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < b.len; i++)
		sum = (uint8_t)(sum + b.p[i]);
	return sum == 0;
}

static struct bytes map_bytes(acpi_map map, uint64_t pa, size_t len)
{
	const void *p = pa ? map(pa, len) : NULL;

	return (struct bytes){ p, p ? len : 0 };
}

/* The table at `pa` in its whole length, or none if anything is wrong. */
static struct bytes map_table(acpi_map map, uint64_t pa)
{
	const struct bytes none = { NULL, 0 };
	struct bytes t = map_bytes(map, pa, HEADER_LEN);
	const size_t len = (size_t)get(t, HEADER_LENGTH, 4);

	if (len < HEADER_LEN || len > TABLE_MAX)
		return none;
	t = map_bytes(map, pa, len);
	return sum_is_zero(t) ? t : none;
}

static uint64_t scan_rsdp(acpi_map map, uint64_t pa, uint64_t end)
{
	for (; pa < end; pa += RSDP_ALIGN) {
		const struct bytes b = map_bytes(map, pa, RSDP_V1_LEN);

		if (has_signature(b, "RSD PTR ") && sum_is_zero(b))
			return pa;
	}
	return 0;
}

uint64_t acpi_find_rsdp(acpi_map map)
{
	const struct bytes bda = map_bytes(map, BDA_EBDA_SEGMENT, 2);
	const uint64_t ebda = get(bda, 0, 2) << 4;
	uint64_t pa = 0;

	if (ebda)
		pa = scan_rsdp(map, ebda, ebda + EBDA_SEARCH);
	return pa ? pa : scan_rsdp(map, BIOS_BASE, BIOS_END);
}

/* The RSDT or XSDT: its entries, and how wide they are. */
struct root {
	struct bytes entries;
	size_t width;
};

static struct root map_root(acpi_map map, uint64_t rsdp)
{
	struct bytes p = map_bytes(map, rsdp, RSDP_V1_LEN);
	struct bytes t;

	if (!has_signature(p, "RSD PTR ") || !sum_is_zero(p))
		return (struct root){ { NULL, 0 }, 4 };
	const uint64_t rsdt = get(p, RSDP_RSDT, 4);

	if (get(p, RSDP_REVISION, 1) >= 2) {
		p = map_bytes(map, rsdp, RSDP_LEN);
		t = map_table(map, get(p, RSDP_XSDT, 8));
		if (sum_is_zero(p) && has_signature(t, "XSDT"))
			return (struct root){ skip(t, HEADER_LEN), 8 };
	}
	t = map_table(map, rsdt);
	if (!has_signature(t, "RSDT"))
		t.len = 0;
	return (struct root){ skip(t, HEADER_LEN), 4 };
}

/* The next valid table with this signature; `root` moves behind it. */
static struct bytes next_table(acpi_map map, struct root *root,
			       const char *signature)
{
	while (root->entries.len >= root->width) {
		const uint64_t pa = get(root->entries, 0, root->width);

		root->entries = skip(root->entries, root->width);
		/* The signature first: only what is wanted is summed. */
		if (!has_signature(map_bytes(map, pa, HEADER_LEN), signature))
			continue;
		const struct bytes t = map_table(map, pa);
		if (t.p)
			return t;
	}
	return (struct bytes){ NULL, 0 };
}

static struct bytes find_table(acpi_map map, uint64_t rsdp,
			       const char *signature)
{
	struct root root = map_root(map, rsdp);

	return next_table(map, &root, signature);
}

/* The first entry of `list`, which moves behind it; none at the end. */
static struct bytes next_entry(struct bytes *list)
{
	const size_t len = (size_t)get(*list, 1, 1);
	struct bytes entry = { list->p, len };

	if (len < 2 || len > list->len)
		return (struct bytes){ NULL, 0 };
	*list = skip(*list, len);
	return entry;
}

/* Is `entry` a CPU that may run? Then *id is its APIC ID. */
static bool is_cpu(struct bytes entry, uint32_t *id)
{
	const uint64_t type = get(entry, 0, 1);

	if (type == MADT_LAPIC && entry.len >= MADT_LAPIC_LEN) {
		*id = (uint32_t)get(entry, MADT_LAPIC_ID, 1);
		return *id != APIC_ID_NONE &&
		       (get(entry, MADT_LAPIC_FLAGS, 4) & MADT_ENABLED);
	}
	if (type == MADT_X2APIC && entry.len >= MADT_X2APIC_LEN) {
		*id = (uint32_t)get(entry, MADT_X2APIC_ID, 4);
		return *id != X2APIC_ID_NONE &&
		       (get(entry, MADT_X2APIC_FLAGS, 4) & MADT_ENABLED);
	}
	return false;
}

/* Is CPU `id` among the entries of `list` before address `end`? */
static bool seen_before(struct bytes list, const uint8_t *end, uint32_t id)
{
	uint32_t other;

	for (;;) {
		const struct bytes entry = next_entry(&list);

		if (!entry.p || entry.p >= end)
			return false;
		if (is_cpu(entry, &other) && other == id)
			return true;
	}
}

enum err acpi_cpus(acpi_map map, uint64_t rsdp,
		   enum err (*each)(void *ctx, uint32_t apic_id), void *ctx)
{
	const struct bytes madt = find_table(map, rsdp, "APIC");
	const struct bytes all = skip(madt, MADT_ENTRIES);
	struct bytes list = all, entry;
	enum err e = OK;
	uint32_t id;

	if (madt.len < MADT_ENTRIES)
		return ERR_NOENT;
	while (e == OK && (entry = next_entry(&list)).p) {
		/* Some firmware lists a CPU as local APIC and as x2APIC. */
		if (is_cpu(entry, &id) && !seen_before(all, entry.p, id))
			e = each(ctx, id);
	}
	return e;
}

/* A register block: the extended address if it is a port, else the old one. */
static uint16_t fadt_port(struct bytes fadt, size_t x_offset, size_t offset)
{
	uint64_t port = get(fadt, x_offset + GAS_ADDRESS, 8);

	if (!port || get(fadt, x_offset, 1) != GAS_SYSTEM_IO)
		port = get(fadt, offset, 4);
	return port <= PORT_MAX ? (uint16_t)port : 0;
}

/*
 * Where both addresses are given, firmware may mean two structures. Linux
 * writes its waking vector to the 32-bit one, and that is whom we must agree
 * with.
 */
static uint64_t fadt_facs(acpi_map map, struct bytes fadt)
{
	uint64_t pa = get(fadt, FADT_FIRMWARE_CTRL, 4);

	if (!pa)
		pa = get(fadt, FADT_X_FIRMWARE_CTRL, 8);
	return has_signature(map_bytes(map, pa, FACS_LEN), "FACS") ? pa : 0;
}

/*
 * An AML integer constant at the start of *b, which moves behind it. SLP_TYP
 * has 3 bits, but the bytes above may hold a second one.
 */
static bool aml_constant(struct bytes *b, uint64_t *v)
{
	static const struct {
		uint8_t op, size; /* bytes that follow; 0: `value` */
		uint64_t value;
	} constants[] = {
		{ AML_ZERO, 0, 0 },
		{ AML_ONE, 0, 1 },
		{ AML_ONES, 0, UINT64_MAX },
		{ AML_BYTE, 1, 0 },
		{ AML_WORD, 2, 0 },
		{ AML_DWORD, 4, 0 },
		{ AML_QWORD, 8, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(constants); i++) {
		const size_t size = constants[i].size;

		if (b->len < 1 + size || b->p[0] != constants[i].op)
			continue;
		*v = size ? get(*b, 1, size) : constants[i].value;
		*b = skip(*b, 1 + size);
		return true;
	}
	return false;
}

/*
 * A package's contents, cut to its PkgLength: low 4 bits in the lead byte
 * and up to 3 bytes above, or 6 bits in the lead byte alone.
 */
static struct bytes aml_package(struct bytes b)
{
	const struct bytes none = { NULL, 0 };

	if (b.len < 2 || b.p[0] != AML_PACKAGE)
		return none;
	b = skip(b, 1);
	const size_t more = b.p[0] >> 6;
	size_t len = b.p[0] & 0x3f;
	if (more)
		len = (size_t)get(b, 1, more) << 4 | (b.p[0] & 0xf);
	if (len > b.len || len < 1 + more)
		return none;
	b.len = len;
	return skip(b, 1 + more);
}

/* The two SLP_TYP values of the package at `b`; one number may hold both. */
static bool parse_s3(struct bytes b, struct acpi_sleep *out)
{
	struct bytes body = aml_package(b);
	const uint64_t elements = get(body, 0, 1);
	uint64_t a3, b3;

	body = skip(body, 1);
	if (elements == 0 || !aml_constant(&body, &a3))
		return false;
	if (elements == 1) {
		b3 = a3 >> 8 & 0xff;
		a3 &= 0xff;
	} else if (!aml_constant(&body, &b3)) {
		return false;
	}
	if (a3 > SLP_TYP_MAX || b3 > SLP_TYP_MAX)
		return false;
	out->has_s3 = true;
	out->s3_a = (uint8_t)a3;
	out->s3_b = (uint8_t)b3;
	return true;
}

static bool find_s3(struct bytes aml, struct acpi_sleep *out)
{
	for (aml = skip(aml, HEADER_LEN); aml.len > 0; aml = skip(aml, 1)) {
		struct bytes b = aml;

		if (b.p[0] != AML_NAME)
			continue;
		b = skip(b, 1);
		if (b.len > 0 && b.p[0] == AML_ROOT_CHAR)
			b = skip(b, 1);
		if (has_signature(b, "_S3_") && parse_s3(skip(b, 4), out))
			return true;
	}
	return false;
}

static struct bytes map_dsdt(acpi_map map, struct bytes fadt)
{
	uint64_t pa = get(fadt, FADT_X_DSDT, 8);

	if (!pa)
		pa = get(fadt, FADT_DSDT, 4);
	const struct bytes t = map_table(map, pa);
	return has_signature(t, "DSDT") ? t : (struct bytes){ NULL, 0 };
}

enum err acpi_sleep(acpi_map map, uint64_t rsdp, struct acpi_sleep *out)
{
	const struct bytes fadt = find_table(map, rsdp, "FACP");
	struct acpi_sleep s = { 0 };

	if (fadt.len < FADT_V1_LEN ||
	    (get(fadt, FADT_FLAGS, 4) & HW_REDUCED_ACPI))
		return ERR_NOENT;
	s.pm1a_cnt = fadt_port(fadt, FADT_X_PM1A_CNT_BLK, FADT_PM1A_CNT_BLK);
	s.pm1b_cnt = fadt_port(fadt, FADT_X_PM1B_CNT_BLK, FADT_PM1B_CNT_BLK);
	if (!s.pm1a_cnt)
		return ERR_NOENT;
	s.facs = fadt_facs(map, fadt);

	struct root root = map_root(map, rsdp);
	struct bytes aml = map_dsdt(map, fadt);
	do {
		if (find_s3(aml, &s))
			break;
		aml = next_table(map, &root, "SSDT");
	} while (aml.p);
	*out = s;
	return OK;
}
