/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux.h - dom0 straight from Multiboot modules: a Linux bzImage and an
 * optional initrd, entered in real mode as a boot loader would. Linux
 * "The Linux/x86 Boot Protocol", version 2.03 or later.
 */
#pragma once

#include "multiboot.h"

/*
 * linux_load - put kernel, command line and initrd where the protocol wants
 * them; dies with a sentence if they are no kernel or do not fit.
 */
void linux_load(const struct boot_info *boot);
