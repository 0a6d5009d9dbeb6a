/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.h - the few I/O ports of dom0 that exit: the CMOS, because a
 * warm-reset code written there announces INIT to a CPU (Intel MP spec B.4),
 * and ACPI's PM1 control, because it can send the machine to sleep.
 */
#pragma once

#include "types.h"

#define IO_TRAP_MAX 22

/* Fill ports[IO_TRAP_MAX]; returns how many. */
unsigned io_trapped(uint16_t *ports);
