/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_live.h - what luvtop shows without a capture: the always-on histograms of
 * the VMM below this dom0 (call exit_hist). They have no addresses, and times
 * are the VMM's alone, within a quarter of the truth.
 */
#pragma once

#include "top.h"

/* 0, or -1 with a sentence in t->capture.problem. */
int top_live_open(struct top *t);
/* As top_read(). */
void top_live_read(struct top *t);
void top_live_close(struct top *t);
