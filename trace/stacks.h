/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stacks.h - where guests exit: a weight for each stack
 * "domain;process;function;exit;key", which is what a flame graph is made of.
 */
#pragma once

#include "symbols.h"
#include "worlds.h"

#define STACKS_MAX 200000u /* different ones; what comes later is "other" */

enum stacks_weight { STACKS_TIME, STACKS_VMM, STACKS_COUNT };

/* Zeros and the options are an empty one. */
struct stacks {
	enum stacks_weight weight;
	bool process; /* a frame for CR3 */
	bool key;     /* a frame for the sub-key */
	const struct symbols *symbols;
	/* private */
	struct stacks_at *at; /* a hash */
	size_t slots, count;
};

void stacks_add(struct stacks *s, const struct worlds_handled *h);
/*
 * Every stack with its frames joined by ';', the heaviest first. Addresses of
 * one function are one stack. Weights of time are in ticks.
 */
void stacks_each(const struct stacks *s,
		 void (*fn)(void *ctx, const char *stack, uint64_t weight),
		 void *ctx);
void stacks_free(struct stacks *s);
