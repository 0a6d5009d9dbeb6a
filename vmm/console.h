/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console.h - what the VMM says: always into a ring in its own memory and to
 * the debug port (E9h, where one answers); to the serial port and the text
 * screen only while dom0 does not own them, and in a panic.
 */
#pragma once

#include "types.h"
#include <stdarg.h>
#include <stdatomic.h>

#define LOG_SIZE (32 * KIB) /* power of two */

/* Port base of a 16550 (0: none). Call before any output. */
void console_init(uint16_t serial_port);
/* From now on serial port and screen are dom0's. */
void console_yield(void);
/* A panic takes them back, and breaks the lock. */
void console_seize(void);

/* One line or part of one, to all consoles. Lines begin "luvalley: ". */
void log_printf(const char *format, ...) PRINTF(1, 2);
void log_vprintf(const char *format, va_list ap);

/*
 * log_few - log_printf(), but a caller that dom0 can drive says no more than
 * LOG_FEW lines; *said counts them.
 */
#define LOG_FEW 8
void log_few(_Atomic unsigned *said, const char *format, ...) PRINTF(2, 3);

/* A state this machine cannot leave: one sentence, then halt. */
_Noreturn void die(const char *format, ...) PRINTF(1, 2);

/* Positions count bytes since boot: the ring holds [first, next). */
void log_span(uint64_t *first, uint64_t *next);
/* Copy at most len bytes from position pos on; returns bytes copied. */
size_t log_read(uint64_t pos, char *buf, size_t len);
