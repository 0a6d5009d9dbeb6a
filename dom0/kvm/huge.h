/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * huge.h - what the kernel tells about the pages behind an address: proc(5),
 * "/proc/pid/pagemap"; Documentation/admin-guide/mm/pagemap.rst.
 */
#pragma once

#include <stdbool.h>

#define HUGE_SIZE (2ul << 20)

/*
 * huge_page_at - are the 2 MiB at addr one transparent huge page, in order and
 * whole? For who has pinned a byte of it, which keeps the answer true. False
 * if the kernel does not say: it tells those with CAP_SYS_ADMIN.
 * Context: one thread at a time.
 */
bool huge_page_at(const void *addr);
