/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_screen.h - luvtop's screen, and its lines as text.
 */
#pragma once

#include "top.h"

/* Until q, or `count` intervals (0: no end). -1: this is no terminal. */
int top_screen(struct top *t, double interval, uint64_t count);

/* What there is in all; the head of the table; a line of it. */
void top_screen_summary(const struct top *t, char *out, size_t len);
void top_screen_head(const struct top *t, char *out, size_t len);
void top_screen_line(const struct top *t, const struct top_line *l, char *out,
		     size_t len);
