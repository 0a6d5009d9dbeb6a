/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pin.h - keep pages of this process where they are. Owns an io_uring that is
 * used for nothing but its registered buffers: the kernel holds each page of
 * those by a long-term pin, a huge one by the pin of any part, and neither
 * compaction, swap, KSM, NUMA balancing nor a copy after fork takes it away.
 * mlock() does not do that.
 *
 * In this order: a registered buffer; for what cannot be one (file mappings,
 * no io_uring, no slot left) mlock(), after a sentence that says what is at
 * risk; for what cannot even be locked, nothing, and the call fails.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * pin_add - at most 1 GiB, whole pages. Returns a token that is not 0, or 0,
 * after a sentence to the user. Populates the pages.
 */
int32_t pin_add(void *addr, size_t len);

/* This process is a fork's child: the pins are its parent's, and stay. */
void pin_forked(void);

/* pin_remove - undo it, while the memory is still mapped; 0 is nothing. */
void pin_remove(int32_t token);
