/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stacks.c - weights by address while reading; names only at the end.
 */
#include "stacks.h"
#include "events.h"
#include "memory.h"

#include <inttypes.h>

struct stacks_at {
	uint64_t rip, cr3, sub, weight;
	uint16_t dom;
	uint8_t kind;
	bool used, other, has_sub;
};

static uint64_t hash(const struct stacks_at *a)
{
	uint64_t h = a->rip * 0x9e3779b97f4a7c15u;

	h = (h ^ a->cr3) * 0xbf58476d1ce4e5b9u;
	h = (h ^ a->sub) * 0x94d049bb133111ebu;
	h ^= (uint64_t)a->dom << 16 | (uint64_t)a->kind << 8 | a->other;
	h *= 0x9e3779b97f4a7c15u;
	return h ^ h >> 31;
}

static bool same(const struct stacks_at *a, const struct stacks_at *b)
{
	return a->rip == b->rip && a->cr3 == b->cr3 && a->sub == b->sub &&
	       a->dom == b->dom && a->kind == b->kind && a->other == b->other;
}

static struct stacks_at *find(struct stacks_at *at, size_t slots,
			      const struct stacks_at *key)
{
	size_t i = (size_t)hash(key) & (slots - 1);

	while (at[i].used && !same(&at[i], key))
		i = (i + 1) & (slots - 1);
	return &at[i];
}

static void grow(struct stacks *s)
{
	const size_t slots = s->slots ? s->slots * 2 : 1024;
	struct stacks_at *at = memory_zeroed(slots, sizeof(*at));

	for (size_t i = 0; i < s->slots; i++)
		if (s->at[i].used)
			*find(at, slots, &s->at[i]) = s->at[i];
	free(s->at);
	s->at = at;
	s->slots = slots;
}

void stacks_add(struct stacks *s, const struct worlds_handled *h)
{
	const struct trace_kvm_exit *x = h->exit;
	struct stacks_at key = {
		.rip = x->guest_rip, .cr3 = s->process ? x->cr3 : 0,
		.has_sub = s->key && events_has_sub(x), .dom = x->dom,
		.kind = x->kind, .used = true };
	struct stacks_at *at;

	key.sub = key.has_sub ? x->sub : 0;
	if (s->count * 2 >= s->slots)
		grow(s);
	at = find(s->at, s->slots, &key);
	if (!at->used && s->count >= STACKS_MAX) {
		key = (struct stacks_at){ .other = true, .used = true };
		at = find(s->at, s->slots, &key);
	}
	if (!at->used) {
		*at = key;
		s->count++;
	}
	at->weight += s->weight == STACKS_COUNT ? 1 :
		s->weight == STACKS_VMM ? h->vmm : h->ticks;
}

/* --- names ---------------------------------------------------------------- */

struct folded { char *stack; uint64_t weight; };

static char *fold(const struct stacks *s, const struct stacks_at *a)
{
	char process[40] = "", function[40], key[EVENTS_NAME + 1] = "";
	const char *name = NULL;
	char *stack = NULL;
	uint64_t at;

	if (a->other)
		return memory_string("other");
	if (s->symbols)
		name = symbols_find(s->symbols, a->dom, a->rip, &at);
	if (!name) {
		snprintf(function, sizeof(function), "0x%" PRIx64, a->rip);
		name = function;
	}
	if (s->process)
		snprintf(process, sizeof(process), "cr3 0x%" PRIx64 ";",
			 a->cr3);
	if (a->has_sub) {
		key[0] = ';';
		events_sub(key + 1, a->dom, a->kind, a->sub);
	}
	if (asprintf(&stack, "dom%u;%s%s;%s%s", a->dom, process, name,
		     events_kind(a->kind), key) < 0)
		stack = NULL;
	return memory_checked(stack);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct folded *)a)->stack,
		      ((const struct folded *)b)->stack);
}

static int by_weight(const void *a, const void *b)
{
	const struct folded *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return strcmp(x->stack, y->stack);
}

/* Those with the same name become one; how many are left. */
static size_t join(struct folded *f, size_t n)
{
	size_t left = 0;

	qsort(f, n, sizeof(*f), by_name);
	for (size_t i = 0; i < n; i++)
		if (left && strcmp(f[left - 1].stack, f[i].stack) == 0) {
			f[left - 1].weight += f[i].weight;
			free(f[i].stack);
		} else {
			f[left++] = f[i];
		}
	qsort(f, left, sizeof(*f), by_weight);
	return left;
}

void stacks_each(const struct stacks *s,
		 void (*fn)(void *ctx, const char *stack, uint64_t weight),
		 void *ctx)
{
	struct folded *f = memory_zeroed(s->count, sizeof(*f));
	size_t n = 0;

	for (size_t i = 0; i < s->slots; i++)
		if (s->at[i].used)
			f[n++] = (struct folded){ fold(s, &s->at[i]),
						  s->at[i].weight };
	n = join(f, n);
	for (size_t i = 0; i < n; i++) {
		fn(ctx, f[i].stack, f[i].weight);
		free(f[i].stack);
	}
	free(f);
}

void stacks_free(struct stacks *s)
{
	free(s->at);
	s->at = NULL;
	s->slots = s->count = 0;
}
