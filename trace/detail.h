/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * detail.h - single exits for the timeline, as many as a page can carry: all
 * of them, or all within some windows of time.
 */
#pragma once

#include "symbols.h"
#include "worlds.h"

struct detail_window { uint64_t from, to; };

/* Times are ticks. */
struct detail_exit {
	uint64_t guest; /* when the guest began that ended with it; 0: unknown */
	uint64_t exit, entry; /* entry 0: none */
	uint64_t again; /* when its vCPU went on after dom0; 0: not so */
	uint16_t cpu, again_cpu, dom, vcpu;
	uint8_t kind, outcome;
	uint32_t key, function; /* indices of strings; 0: "" */
};

struct detail {
	struct detail_window *window; /* in order, apart from each other */
	unsigned windows, current;
	struct detail_exit *exit;
	size_t count, room;
	char **string;
	uint32_t strings;
	const struct symbols *symbols;
	/* private */
	uint32_t *slot, slots; /* hash of strings */
	struct detail_open { uint32_t vcpu; size_t at; } *open;
	unsigned opens;
	uint64_t guest; /* of the exit that comes next */
};

/*
 * detail_windows - choose: the whole if there are no more than `limit` exits,
 * else the begins of equal parts, and what is around the times in slow[].
 */
void detail_windows(struct detail *d, uint64_t first, uint64_t last,
		    uint64_t exits, uint64_t limit,
		    const struct detail_window *slow, unsigned slows);
/* While reading; the three of struct worlds_ops. */
void detail_guest(struct detail *d, const struct worlds_guest *g);
void detail_add(struct detail *d, unsigned cpu, const struct trace_kvm_exit *x);
void detail_handled(struct detail *d, const struct worlds_handled *h);
void detail_free(struct detail *d);
