/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dom0.h - the domain that owns the machine: its identity-mapped memory, the
 * page of the local APIC in it, and what it is told of the memory map.
 */
#pragma once

#include "acpi.h"
#include "cmdline.h"
#include "cpu.h"
#include "e820.h"
#include "stage2.h"
#include "exit.h"

struct dom0 {
	struct options opt;	 /* [I] */
	struct e820 map;	 /* [I] as dom0 is told it */
	struct stage2 s2;	 /* [L] stage2_lock, in dom0.c */
	struct acpi_sleep sleep; /* [I] */
	bool has_sleep;		 /* [I] */
	_Atomic bool apic_trapped; /* [a] writes to the xAPIC page exit */
	_Atomic uint64_t apic_page; /* [a] where that page is */
};
extern struct dom0 dom0;

/* Build stage 2: all RAM and the first 4 GiB but the VMM's region. */
void dom0_init(const struct stage2_format *format);

/* One vendor's answer to a change of MTRRs: recompute the memory types. */
void dom0_mtrr_changed(void);

/* Does [pa, pa+len) touch the VMM's memory? True on overflow. */
bool dom0_hits_vmm(uint64_t pa, uint64_t len);

/* A guest-physical address that stage 2 does not allow. */
enum exit_action dom0_stage2_fault(struct vcpu *v);

/*
 * Trap writes to the xAPIC page, or stop to. Trapping returns when no CPU can
 * still write it without an exit.
 */
void dom0_apic_trap(bool on);
/* dom0 moved the page (IA32_APIC_BASE). */
void dom0_apic_moved(uint64_t page);
/* dom0 has started every CPU there is: the page need not be trapped. */
void dom0_apic_settled(void);

/* Guest memory for gwalk(): dom0's RAM and nothing else. */
extern const struct gwalk_mem dom0_mem;

/*
 * dom0_copy_in / dom0_copy_out - copy between the VMM and linear memory of
 * whatever runs under `g`, with its rights. All or nothing: pages are checked
 * before the first byte moves. ERR_FAULT: nothing copied.
 */
/* The check of dom0_copy_out() alone: could len bytes be written? */
MUST_USE enum err dom0_writable(const struct gpaging *g, gva_t dst,
				size_t len);
MUST_USE enum err dom0_copy_out(const struct gpaging *g, gva_t dst,
				const void *src, size_t len);
MUST_USE enum err dom0_copy_in(const struct gpaging *g, void *dst,
			       gva_t src, size_t len);
MUST_USE enum err dom0_fetch(const struct guest_state *g, uint8_t *insn,
			     size_t len, size_t *got);
