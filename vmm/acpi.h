/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acpi.h - what the VMM wants from the firmware's tables: the CPUs, the
 * sleep registers and the waking vector. Read-only, no AML interpreter.
 * ACPI "Root System Description Pointer", "MADT", "FADT", "FACS", "\_Sx".
 */
#pragma once

#include "types.h"

/* Pointer to [pa, pa+len), or NULL if that is not memory. */
typedef const void *(*acpi_map)(uint64_t pa, size_t len);

/* RSDP: searched in the EBDA's first KiB and E0000h-FFFFFh. 0: none. */
uint64_t acpi_find_rsdp(acpi_map map);

/*
 * acpi_cpus - call `each` once for every CPU the MADT says is enabled (local
 * APIC and x2APIC entries). `rsdp` from acpi_find_rsdp() or the boot loader.
 * Returns OK; ERR_NOENT (no valid MADT); the first error of `each`.
 */
MUST_USE enum err acpi_cpus(acpi_map map, uint64_t rsdp,
			    enum err (*each)(void *ctx, uint32_t apic_id),
			    void *ctx);

struct acpi_sleep {
	uint16_t pm1a_cnt, pm1b_cnt; /* I/O ports; b is 0 if absent */
	uint64_t facs;		     /* physical; 0 if absent */
	bool has_s3;
	uint8_t s3_a, s3_b; /* SLP_TYP for PM1a, PM1b */
};

/*
 * acpi_sleep - the FADT's sleep registers and the SLP_TYP of \_S3, found by
 * its name in DSDT and SSDTs (NameOp, "_S3_", PackageOp, constants).
 * Returns OK; ERR_NOENT: no FADT, no PM1a port, or hardware-reduced.
 */
MUST_USE enum err acpi_sleep(acpi_map map, uint64_t rsdp,
			     struct acpi_sleep *out);
