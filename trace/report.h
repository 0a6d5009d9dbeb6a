/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - what the HTML page of `luvtrace report` is made of.
 */
#pragma once

#include "bins.h"
#include "detail.h"
#include "rows.h"
#include "stacks.h"
#include "tool.h"

#define REPORT_SLOW 20u /* exits that the VMM took longest for */

struct report {
	struct tool tool;   /* of the first reading */
	struct rows rows;
	struct stacks stacks;
	struct symbols symbols;
	struct bins bins;
	struct detail detail;
	uint64_t from, to;  /* the part shown: ticks */
	uint64_t exits;	    /* of it */
	uint64_t limit;	    /* exits that are shown one by one */
	struct report_slow { uint64_t vmm; struct detail_window at; }
		slow[REPORT_SLOW];
};

/* The whole page. 0, or -1 and errno. */
int report_page(const struct report *r, FILE *out);
