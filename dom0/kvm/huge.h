/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * huge.h - what the kernel tells about the pages behind an address: proc(5),
 * "/proc/pid/pagemap"; Documentation/admin-guide/mm/pagemap.rst.
 */
#pragma once

#include <stdbool.h>

#define HUGE_SIZE (2ul << 20)

/*
 * huge_page_begins - does the page at addr, if there is one, lie where a huge
 * page can begin? Nearly never if it is a small one, and quickly told.
 */
bool huge_page_begins(const void *addr);

/*
 * huge_page_at - are the 2 MiB at addr one transparent huge page, in order and
 * whole? For who has pinned a byte of it, which keeps the answer true. False
 * if the kernel does not say: it tells those with CAP_SYS_ADMIN.
 * Context of both: one thread at a time.
 */
bool huge_page_at(const void *addr);
