/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage2.c - the walker and its three operations. Levels count from 0 (4 KiB
 * leaves) to 3 (root).
 */
#include "stage2.h"

#define LEVELS	   4
#define ENTRIES	   512
#define TABLE	   7ull
#define PRESENT	   7ull /* any of R, W, X; present, writable, user */
#define LARGE	   BIT(7)
#define ADDRESS	   0x000ffffffffff000ull
#define SHIFT(l)   (12 + 9 * (l))
#define SIZE(l)	   BIT(SHIFT(l))
#define END	   SIZE(LEVELS) /* of what the tables reach */
#define INDEX(a, l) ((a) >> SHIFT(l) & (ENTRIES - 1))

static bool is_leaf(uint64_t e, unsigned level)
{
	return !level || (e & LARGE);
}

/* One store, after those that filled the table it may name. */
static void set(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static int level_of(uint64_t size)
{
	for (int l = 0; l < 3; l++)
		if (size == SIZE(l))
			return l;
	return -1;
}

/* Replace a leaf by a table of 512 leaves that reach the same memory. */
static enum err split(struct stage2 *s, uint64_t *entry, unsigned level)
{
	uint64_t old = *entry;
	uint64_t bits = old & ~ADDRESS;
	uint64_t *t = s->alloc();

	if (!t)
		return ERR_NOMEM;
	s->tables++;
	if (level == 1)
		bits &= ~LARGE;
	for (unsigned i = 0; i < ENTRIES; i++)
		t[i] = ((old & ADDRESS) + i * SIZE(level - 1)) | bits;
	set(entry, s->to_pa(t) | TABLE);
	return OK;
}

enum err stage2_map(struct stage2 *s, gpa_t gpa, uint64_t hpa, uint64_t size,
		    unsigned perm, enum mtrr_type type)
{
	int want = level_of(size);
	uint64_t *t = s->root;

	if (want < 0 || (want == 2 && !s->format->has_1g) ||
	    ((gpa.v | hpa) & (size - 1)) || (hpa & ~ADDRESS) || gpa.v >= END)
		return ERR_INVAL;
	for (int l = LEVELS - 1; l > want; l--) {
		uint64_t *e = &t[INDEX(gpa.v, l)];

		if (!(*e & PRESENT)) {
			void *new = s->alloc();

			if (!new)
				return ERR_NOMEM;
			s->tables++;
			set(e, s->to_pa(new) | TABLE);
		} else if (is_leaf(*e, (unsigned)l) &&
			   split(s, e, (unsigned)l) != OK) {
			return ERR_NOMEM;
		}
		t = s->to_ptr(*e & ADDRESS);
	}
	t += INDEX(gpa.v, want);
	if ((*t & PRESENT) && !is_leaf(*t, (unsigned)want))
		return ERR_INVAL;
	set(t, hpa | s->format->leaf(perm, type) | (want ? LARGE : 0));
	return OK;
}

static uint64_t *last_table(const struct stage2 *s, gpa_t gpa)
{
	uint64_t *t = s->root;

	for (unsigned l = LEVELS - 1; l > 0; l--) {
		uint64_t e = t[INDEX(gpa.v, l)];

		if (!(e & PRESENT) || is_leaf(e, l))
			return NULL;
		t = s->to_ptr(e & ADDRESS);
	}
	return t;
}

void stage2_map_around(struct stage2 *s, gpa_t gpa, uint64_t *pa, unsigned n,
		       unsigned perm, enum mtrr_type type)
{
	uint64_t *t = gpa.v < END ? last_table(s, gpa) : NULL;
	const uint64_t bits = s->format->leaf(perm, type);

	if (t)
		t += INDEX(gpa.v, 0);
	for (unsigned i = 0; i < n; i++) {
		if (!t || (t[i] & PRESENT))
			pa[i] = STAGE2_NONE;
		if (pa[i] != STAGE2_NONE)
			set(&t[i], pa[i] | bits);
	}
}

uint64_t stage2_lookup(const struct stage2 *s, gpa_t gpa, uint64_t *size)
{
	const uint64_t *t = s->root;

	for (int l = LEVELS - 1;; l--) {
		uint64_t e = gpa.v < END ? t[INDEX(gpa.v, l)] : 0;

		if (size)
			*size = SIZE(l);
		if (!(e & PRESENT))
			return 0;
		if (is_leaf(e, (unsigned)l))
			return e;
		t = s->to_ptr(e & ADDRESS);
	}
}

typedef enum mtrr_type (*type_fn)(uint64_t base, uint64_t len);

static enum err retype(struct stage2 *s, uint64_t *t, unsigned level,
		       uint64_t base, type_fn type_of)
{
	const uint64_t keep = ADDRESS | (level ? LARGE : 0);

	for (unsigned i = 0; i < ENTRIES; i++, base += SIZE(level)) {
		enum mtrr_type type;
		enum err e;

		if (!(t[i] & PRESENT))
			continue;
		if (is_leaf(t[i], level)) {
			type = type_of(base, SIZE(level));
			if (type != MTRR_MIXED) {
				set(&t[i], (t[i] & keep) |
					   s->format->leaf(t[i] & S2_RWX, type));
				continue;
			}
			e = split(s, &t[i], level);
			if (e != OK)
				return e;
		}
		e = retype(s, s->to_ptr(t[i] & ADDRESS), level - 1, base,
			   type_of);
		if (e != OK)
			return e;
	}
	return OK;
}

enum err stage2_retype(struct stage2 *s, type_fn type_of)
{
	if (!s->format->has_types)
		return OK;
	return retype(s, s->root, LEVELS - 1, 0, type_of);
}

static void unmap(struct stage2 *s, uint64_t *t, unsigned level, uint64_t base,
		  uint64_t from, uint64_t to)
{
	for (unsigned i = 0; i < ENTRIES; i++, base += SIZE(level)) {
		if (!(t[i] & PRESENT) || base + SIZE(level) <= from ||
		    base >= to)
			continue;
		if (is_leaf(t[i], level))
			*(volatile uint64_t *)&t[i] = 0;
		else
			unmap(s, s->to_ptr(t[i] & ADDRESS), level - 1, base,
			      from, to);
	}
}

void stage2_unmap(struct stage2 *s, gpa_t gpa, uint64_t len)
{
	unmap(s, s->root, LEVELS - 1, 0, gpa.v, gpa.v + len);
}

static void free_below(struct stage2 *s, uint64_t *t, unsigned level,
		       void (*put)(void *table))
{
	for (unsigned i = 0; level && i < ENTRIES; i++)
		if ((t[i] & PRESENT) && !is_leaf(t[i], level))
			free_below(s, s->to_ptr(t[i] & ADDRESS), level - 1,
				   put);
	put(t);
}

void stage2_free(struct stage2 *s, void (*put)(void *table))
{
	free_below(s, s->root, LEVELS - 1, put);
}
