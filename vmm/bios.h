/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bios.h - dom0's start in real mode: the INT 15h hook that hides the VMM's
 * memory, the marker by which a boot loader sees that Luvalley runs, and the
 * program that reads the boot sector.
 */
#pragma once

#include "exit.h"

/*
 * At this physical address (BIOS inter-application area) the VMM puts
 * "LUVA", so that a boot menu can tell the second pass: GRUB's `read_dword`.
 */
#define BIOS_MARKER_PA 0x4f0
#define BIOS_MARKER    0x4156554cu

/* Take 1 KiB of base memory, hook INT 15h. Before dom0.map is final. */
void bios_prepare(uint8_t boot_drive);

/*
 * Where dom0 starts, real-mode segment and offset: the program that reads the
 * boot sector, or the one that enters what linux_load() has put in place.
 */
void bios_entry(bool linux_image, uint16_t *cs, uint16_t *ip);

/*
 * bios_call - a hypercall instruction in 16-bit code: true if it is one of the
 * stub's, with *action set.
 */
bool bios_call(struct vcpu *v, enum exit_action *action);
