/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hist.c - see hist.h.
 */
#include "hist.h"
#include "mem.h"

/* Where nothing has been found yet: hist_allow() makes all subjects HIST_FREE. */
static struct hist_row nothing[HIST_ROWS];

static _Atomic int32_t allowed; /* pages for subjects that are left */

static const uint8_t kinds[HIST_SUBS] = {
#define X(class, kind) [class] = EXIT_##kind,
	HIST_CLASSES(X)
#undef X
};

void hist_allow(unsigned pages)
{
	for (unsigned i = 0; i < HIST_ROWS; i++)
		nothing[i].sub = HIST_FREE;
	atomic_store(&allowed, (int32_t)pages);
}

bool hist_init(struct hist *h)
{
	for (unsigned i = 0; i < HIST_SUBS; i++)
		h->subs[i] = nothing;
	h->kinds[0] = mem_page();
	h->kinds[1] = mem_page();
	h->row = h->kinds[0];
	return h->kinds[0] && h->kinds[1];
}

static void free_page(struct hist_row *rows)
{
	mem_page_free(rows);
	atomic_fetch_add(&allowed, 1);
}

void hist_free(struct hist *h)
{
	mem_page_free(h->kinds[0]);
	mem_page_free(h->kinds[1]);
	for (unsigned i = 0; i < HIST_SUBS; i++)
		if (h->subs[i] != nothing)
			free_page(h->subs[i]);
}

uint64_t hist_pages(const struct hist *h)
{
	uint64_t n = 2;

	for (unsigned i = 0; i < HIST_SUBS; i++)
		n += h->subs[i] != nothing;
	return n;
}

static struct hist_row *new_page(void)
{
	struct hist_row *rows = NULL;

	if (atomic_fetch_sub(&allowed, 1) > 0)
		rows = mem_page();
	if (!rows)
		atomic_fetch_add(&allowed, 1);
	for (unsigned i = 0; rows && i < HIST_ROWS; i++)
		rows[i].sub = HIST_FREE;
	return rows;
}

/* What r has counted goes to the kind's own row. */
static void empty(struct hist *h, unsigned kind, struct hist_row *r)
{
	struct hist_row *to = hist_row(h, kind);

	atomic_fetch_add(&h->moves, 1);
	to->count += r->count;
	to->ticks += r->ticks;
	for (unsigned i = 0; i < LUV_HIST_BUCKETS; i++)
		to->bucket[i] += r->bucket[i];
	*r = (struct hist_row){ .sub = HIST_FREE };
	atomic_fetch_add(&h->moves, 1);
}

/*
 * A subject that is not in its first place takes the long way at every exit:
 * one that is seen more often than who is there changes places with it, if the
 * other is still found. Returns where r is now.
 */
static struct hist_row *promote(struct hist *h, struct hist_row *rows,
				struct hist_row *r)
{
	struct hist_row *first = &rows[hist_hash(r->sub)], old = *first;
	unsigned far = ((unsigned)(r - rows) - hist_hash(old.sub)) % HIST_ROWS;

	if (r->count <= old.count || far >= HIST_WAYS)
		return r;
	atomic_fetch_add(&h->moves, 1);
	*first = *r;
	*r = old;
	atomic_fetch_add(&h->moves, 1);
	return first;
}

struct hist_row *hist_find(struct hist *h, unsigned kind, uint64_t sub)
{
	const int class = hist_class(kind);
	struct hist_row *rows = h->subs[class], *rarest = NULL;

	if (rows == nothing) {
		rows = new_page();
		if (!rows)
			return hist_row(h, kind);
		atomic_thread_fence(memory_order_release);
		h->subs[class] = rows;
	}
	for (unsigned i = 0; i < HIST_WAYS; i++) {
		struct hist_row *r = &rows[(hist_hash(sub) + i) % HIST_ROWS];

		if (r->sub == HIST_FREE)
			r->sub = sub;
		if (r->sub == sub)
			return promote(h, rows, r);
		if (!rarest || r->count < rarest->count)
			rarest = r;
	}
	empty(h, kind, rarest);
	rarest->sub = sub;
	return rarest;
}

static void add(struct luv_exit_stat *s, const struct hist_row *r)
{
	s->count += r->count;
	s->ticks += r->ticks;
}

struct luv_exit_stat hist_kind(const struct hist *h, unsigned kind)
{
	const int class = hist_class(kind);
	struct luv_exit_stat s;
	uint32_t moves;

	do {
		moves = atomic_load(&h->moves);
		s = (struct luv_exit_stat){ 0, 0 };
		add(&s, hist_row(h, kind));
		for (unsigned i = 0; class >= 0 && i < HIST_ROWS; i++)
			add(&s, &h->subs[class][i]);
		atomic_thread_fence(memory_order_acquire);
	} while (moves % 2 || atomic_load(&h->moves) != moves);
	return s;
}

/*
 * Positions: kinds first, then HIST_ROWS for each class; above them `moves` of
 * when the reader began.
 */
int hist_read(const struct hist *h, uint64_t *at, struct luv_hist *to,
	      unsigned max)
{
	const uint32_t moves = atomic_load(&h->moves);
	const uint64_t began = *at ? *at >> 32 : moves;
	uint32_t place = (uint32_t)*at;
	unsigned n = 0;

	if (place >= EXIT_KINDS + HIST_SUBS * HIST_ROWS)
		return 0;
	for (; n < max && place < EXIT_KINDS + HIST_SUBS * HIST_ROWS; place++) {
		bool kind = place < EXIT_KINDS;
		unsigned i = place - (kind ? 0 : EXIT_KINDS);
		unsigned class = i / HIST_ROWS;
		const struct hist_row *r = kind ? hist_row(h, i) :
						  &h->subs[class][i % HIST_ROWS];

		if (!r->count)
			continue;
		to[n] = (struct luv_hist){
			.kind = kind ? i : kinds[class],
			.has_sub = !kind, .sub = kind ? 0 : r->sub,
			.count = r->count, .ticks = r->ticks,
			.next = began << 32 | (place + 1),
		};
		for (unsigned b = 0; b < LUV_HIST_BUCKETS; b++)
			to[n].bucket[b] = r->bucket[b];
		n++;
	}
	*at = began << 32 | place;
	atomic_thread_fence(memory_order_acquire);
	if (moves % 2 || began != moves || atomic_load(&h->moves) != moves)
		return -LUV_EAGAIN;
	return (int)n;
}
