/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stat.h - the numbers of `luvtrace stat`, and the ways to show them.
 */
#pragma once

#include "rows.h"
#include "tool.h"

struct stat {
	struct tool tool;
	struct rows rows;
	bool sub_keys, ticks, by_reason; /* -k, --ticks, --kvm */
	int dom;	/* only this one; -1: all */
	uint64_t top;	/* rows shown of each domain; 0: all */
};

/* For people, for programs, and as `perf kvm stat report` does it. */
void stat_print(const struct stat *s);
enum status stat_json(const struct stat *s);
void stat_print_kvm(const struct stat *s);

/* Time of all exits of a domain's rows without sub-key: ticks. */
uint64_t stat_total(const struct stat *s, unsigned dom);
/* By domain, then time, longest first; sub-keys after their kind. */
struct row **stat_sorted(const struct stat *s);
