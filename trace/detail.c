/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * detail.c - see detail.h. The end of an exit that dom0 has a part in is known
 * only later; until then the vCPU is in the list of open ones.
 */
#include "detail.h"
#include "events.h"
#include "memory.h"

#include <inttypes.h>

#define PARTS 50u

static int by_from(const void *a, const void *b)
{
	const struct detail_window *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* Those that touch become one. */
static void join_windows(struct detail *d)
{
	unsigned n = 0;

	qsort(d->window, d->windows, sizeof(*d->window), by_from);
	for (unsigned i = 0; i < d->windows; i++) {
		const struct detail_window *w = &d->window[i];

		if (n && w->from <= d->window[n - 1].to) {
			if (w->to > d->window[n - 1].to)
				d->window[n - 1].to = w->to;
		} else {
			d->window[n++] = *w;
		}
	}
	d->windows = n;
}

void detail_windows(struct detail *d, uint64_t first, uint64_t last,
		    uint64_t exits, uint64_t limit,
		    const struct detail_window *slow, unsigned slows)
{
	const uint64_t part = (last - first) / PARTS + 1;
	const double share = (double)limit / (double)(exits ? exits : 1);

	d->window = memory_zeroed(PARTS + slows, sizeof(*d->window));
	if (exits <= limit) {
		d->window[d->windows++] = (struct detail_window){ first, last };
		return;
	}
	for (unsigned i = 0; i < PARTS; i++)
		d->window[d->windows++] = (struct detail_window){
			first + i * part, first + i * part +
			(uint64_t)((double)part * share) };
	for (unsigned i = 0; i < slows; i++)
		d->window[d->windows++] = slow[i];
	join_windows(d);
}

/* Times come in order, so the windows do. */
static bool wanted(struct detail *d, uint64_t now)
{
	while (d->current < d->windows && d->window[d->current].to < now)
		d->current++;
	return d->current < d->windows && d->window[d->current].from <= now;
}

/* --- strings -------------------------------------------------------------- */

static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

static uint32_t *find(const struct detail *d, uint32_t *slot, uint32_t slots,
		      const char *s)
{
	uint32_t i = hash(s) & (slots - 1);

	while (slot[i] && strcmp(d->string[slot[i] - 1], s) != 0)
		i = (i + 1) & (slots - 1);
	return &slot[i];
}

static void grow_strings(struct detail *d)
{
	const uint32_t slots = d->slots ? d->slots * 2 : 256;
	uint32_t *slot = memory_zeroed(slots, sizeof(*slot));

	for (uint32_t i = 0; i < d->strings; i++)
		*find(d, slot, slots, d->string[i]) = i + 1;
	free(d->slot);
	d->slot = slot;
	d->slots = slots;
	d->string = memory_grown(d->string, slots, sizeof(*d->string));
}

static uint32_t string(struct detail *d, const char *s)
{
	uint32_t *at;

	if (d->strings * 2 >= d->slots)
		grow_strings(d);
	at = find(d, d->slot, d->slots, s);
	if (!*at) {
		d->string[d->strings++] = memory_string(s);
		*at = d->strings;
	}
	return *at - 1;
}

static uint32_t function_of(struct detail *d, const struct trace_kvm_exit *x)
{
	char text[300];
	uint64_t at;
	const char *name = symbols_find(d->symbols, x->dom, x->guest_rip, &at);

	if (name)
		snprintf(text, sizeof(text), "%s+0x%" PRIx64, name, at);
	else
		snprintf(text, sizeof(text), "0x%" PRIx64, x->guest_rip);
	return string(d, text);
}

/* --- exits ---------------------------------------------------------------- */

void detail_guest(struct detail *d, const struct worlds_guest *g)
{
	d->guest = g->begin;
}

static struct detail_open *open_of(struct detail *d, uint32_t vcpu)
{
	for (unsigned i = 0; i < d->opens; i++)
		if (d->open[i].vcpu == vcpu)
			return &d->open[i];
	d->open = memory_grown(d->open, d->opens + 1, sizeof(*d->open));
	d->open[d->opens] = (struct detail_open){ vcpu, SIZE_MAX };
	return &d->open[d->opens++];
}

void detail_add(struct detail *d, unsigned cpu, const struct trace_kvm_exit *x)
{
	const uint64_t guest = d->guest;
	struct detail_open *open =
		open_of(d, (uint32_t)x->dom << 16 | x->vcpu_id);
	char key[EVENTS_NAME];

	d->guest = 0;
	open->at = SIZE_MAX;
	if (!wanted(d, x->header.timestamp))
		return;
	if (d->count == d->room) {
		d->room = d->room ? d->room * 2 : 1024;
		d->exit = memory_grown(d->exit, d->room, sizeof(*d->exit));
	}
	if (!d->strings)
		string(d, "");
	events_sub(key, x->dom, x->kind, x->sub);
	open->at = d->count;
	d->exit[d->count++] = (struct detail_exit){
		.guest = guest, .exit = x->header.timestamp,
		.entry = x->entry_tsc, .cpu = (uint16_t)cpu, .dom = x->dom,
		.vcpu = x->vcpu_id, .kind = x->kind, .outcome = x->outcome,
		.key = events_has_sub(x) ? string(d, key) : 0,
		.function = function_of(d, x) };
}

void detail_handled(struct detail *d, const struct worlds_handled *h)
{
	const uint32_t vcpu = (uint32_t)h->exit->dom << 16 | h->exit->vcpu_id;
	struct detail_open *open = open_of(d, vcpu);

	if (!h->left || open->at == SIZE_MAX)
		return;
	d->exit[open->at].again = h->again;
	d->exit[open->at].again_cpu = (uint16_t)h->again_cpu;
}

void detail_free(struct detail *d)
{
	for (uint32_t i = 0; i < d->strings; i++)
		free(d->string[i]);
	free(d->string);
	free(d->slot);
	free(d->window);
	free(d->exit);
	free(d->open);
}
