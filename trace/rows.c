/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows.c - an open hash of rows.
 */
#include "rows.h"
#include "events.h"
#include "memory.h"

static uint64_t hash(const struct row_key *k)
{
	const uint64_t rest = (uint64_t)k->reason << 32 |
		(uint64_t)k->dom << 16 | (uint64_t)k->kind << 8 |
		(uint64_t)k->isa << 2 | (uint64_t)k->has_sub << 1 | k->rest;
	const uint64_t h = (k->sub * 0x9e3779b97f4a7c15u) ^
		(rest * 0xbf58476d1ce4e5b9u);

	return h ^ h >> 29;
}

static bool same(const struct row_key *a, const struct row_key *b)
{
	return a->sub == b->sub && a->reason == b->reason && a->dom == b->dom &&
	       a->kind == b->kind && a->isa == b->isa &&
	       a->has_sub == b->has_sub && a->rest == b->rest;
}

static struct row **find(struct row **slot, size_t slots,
			 const struct row_key *key)
{
	size_t i = (size_t)hash(key) & (slots - 1);

	while (slot[i] && !same(&slot[i]->key, key))
		i = (i + 1) & (slots - 1);
	return &slot[i];
}

static void grow(struct rows *r)
{
	const size_t slots = r->slots ? r->slots * 2 : 64;
	struct row **slot = memory_zeroed(slots, sizeof(struct row *));

	for (size_t i = 0; i < r->slots; i++)
		if (r->slot[i])
			*find(slot, slots, &r->slot[i]->key) = r->slot[i];
	free(r->slot);
	r->slot = slot;
	r->slots = slots;
}

struct row *rows_get(struct rows *r, const struct row_key *key)
{
	struct row_key rest = *key;
	struct row **at;

	if (r->count * 2 >= r->slots)
		grow(r);
	at = find(r->slot, r->slots, key);
	if (*at)
		return *at;
	if (r->count >= ROWS_MAX && key->has_sub && !key->rest) {
		rest.sub = 0;
		rest.rest = true;
		return rows_get(r, &rest);
	}
	*at = memory_zeroed(1, sizeof(**at));
	(*at)->key = *key;
	r->count++;
	return *at;
}

void rows_count(struct rows *r, const struct row_key *key,
		const struct worlds_handled *h)
{
	struct row *row = rows_get(r, key);

	histogram_add(&row->time, h->ticks);
	row->vmm += h->vmm;
}

void rows_add(struct rows *r, const struct worlds_handled *h, bool sub_keys)
{
	struct row_key key = { .dom = h->exit->dom, .kind = h->exit->kind };

	rows_count(r, &key, h);
	if (!sub_keys || !events_has_sub(h->exit))
		return;
	key.has_sub = true;
	key.sub = h->exit->sub;
	rows_count(r, &key, h);
}

struct row **rows_sorted(const struct rows *r,
			 int (*compare)(const void *, const void *))
{
	struct row **list = memory_zeroed(r->count, sizeof(struct row *));
	size_t n = 0;

	for (size_t i = 0; i < r->slots; i++)
		if (r->slot[i])
			list[n++] = r->slot[i];
	qsort(list, n, sizeof(struct row *), compare);
	return list;
}

void rows_free(struct rows *r)
{
	for (size_t i = 0; i < r->slots; i++)
		if (r->slot[i]) {
			histogram_free(&r->slot[i]->time);
			free(r->slot[i]);
		}
	free(r->slot);
	*r = (struct rows){ 0 };
}
