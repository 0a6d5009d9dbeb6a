/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_screen.c - see top_screen.h; curses.
 */
#include "top_screen.h"

#include <curses.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NUMBERS	       66 /* columns */
#define NAME_MIN_WIDTH 14
#define NAME_MAX_WIDTH 36

static double us(const struct top *t, uint64_t ticks)
{
	return capture_ns(&t->capture, ticks) / 1000;
}

static double exits_per_second(const struct top *t)
{
	uint64_t exits = 0;

	for (unsigned i = 0; i < t->worlds.cpus; i++)
		exits += t->worlds.cpu[i].exits;
	return t->all_seconds > 0 ? (double)exits / t->all_seconds : 0;
}

static void live_summary(const struct top *t, char *out, size_t len)
{
	uint64_t exits = 0;

	for (size_t i = 0; i < t->all.slots; i++)
		if (t->all.slot[i] && !t->all.slot[i]->key.has_sub)
			exits += t->all.slot[i]->time.count;
	snprintf(out, len, "histograms of the VMM: %" PRIu64 " exits in %.3f s; "
		 "shown: %s", exits, t->all_seconds, t->total ? "all" : "the last");
	if (!t->total)
		snprintf(out + strlen(out), len - strlen(out), " %.3f s",
			 t->seconds);
}

void top_screen_summary(const struct top *t, char *out, size_t len)
{
	uint64_t gaps = 0;

	if (t->live) {
		live_summary(t, out, len);
		return;
	}
	for (unsigned i = 0; i < t->worlds.cpus; i++)
		gaps += t->worlds.cpu[i].gaps;
	snprintf(out, len, "%s: %.3f s, %u CPUs, %.0f exits/s; %s: %.3f s, lost "
		 "%" PRIu64 ", exits missing %" PRIu64, t->capture.folder,
		 t->all_seconds, t->worlds.cpus, exits_per_second(t), t->total ? "shown: all" :
		 "shown: the last", t->total ? t->all_seconds : t->seconds,
		 t->capture.lost, gaps);
}

/* What is left of a line for names: a serial console has 80 columns. */
static int name_width(const struct top *t)
{
	const int left = t->width ? t->width - NUMBERS : NAME_MAX_WIDTH;

	if (left < NAME_MIN_WIDTH)
		return NAME_MIN_WIDTH;
	return left < NAME_MAX_WIDTH ? left : NAME_MAX_WIDTH;
}

void top_screen_head(const struct top *t, char *out, size_t len)
{
	static const char *const first[] = {
		[TOP_REASONS] = "DOMAIN EXIT", [TOP_KEYS] = "KEY",
		[TOP_ADDRESSES] = "ADDRESS" };

	snprintf(out, len, "%-*.*s %10s %9s %6s %8s %8s %9s %9s",
		 name_width(t), name_width(t), first[t->level], "COUNT",
		 "RATE/s", "TIME%", t->live ? "MIN us" : "VMM%", "p50 us",
		 "p99 us", "MAX us");
}

void top_screen_line(const struct top *t, const struct top_line *l, char *out,
		     size_t len)
{
	const struct histogram *h = &l->row->time;

	snprintf(out, len, "%-*.*s %10" PRIu64 " %9.0f %6.2f %8.2f %8.2f "
		 "%9.2f %9.2f", name_width(t), name_width(t), l->name, h->count,
		 l->rate, l->share, t->live ? us(t, h->min) :
		 h->sum ? 100.0 * (double)l->row->vmm / (double)h->sum : 0,
		 us(t, histogram_quantile(h, 0.5)),
		 us(t, histogram_quantile(h, 0.99)), us(t, h->max));
}

struct screen {
	struct top *t;
	size_t at, lines; /* the line chosen */
	struct top_line *line;
	bool paused;
};

static void draw(struct screen *s)
{
	static const char *const sorts[] = { "count", "time", "p99" };
	char text[300], where[80];
	const size_t room = LINES > 4 ? (size_t)LINES - 4 : 1;
	const size_t first = s->at >= room ? s->at - room + 1 : 0;

	s->t->width = COLS;
	erase();
	top_screen_summary(s->t, text, sizeof(text));
	mvaddnstr(0, 0, text, COLS);
	top_where(s->t, where, sizeof(where));
	snprintf(text, sizeof(text), "by %s%s  %s", sorts[s->t->sort],
		 s->paused ? ", paused" : "", where);
	mvaddnstr(1, 0, text, COLS);
	attron(A_REVERSE);
	top_screen_head(s->t, text, sizeof(text));
	mvaddnstr(2, 0, text, COLS);
	attroff(A_REVERSE);
	for (size_t i = first; i < s->lines && i < first + room; i++) {
		top_screen_line(s->t, &s->line[i], text, sizeof(text));
		if (i == s->at)
			attron(A_BOLD | A_UNDERLINE);
		mvaddnstr((int)(3 + i - first), 0, text, COLS);
		attroff(A_BOLD | A_UNDERLINE);
	}
	if (!s->lines)
		mvaddstr(3, 0, s->t->end ? "nothing here in this interval" :
			 "waiting for the first packet");
	mvaddnstr(LINES - 1, 0, "up/down  Enter: into  Backspace: back  "
		  "s: sort  a: all  p: pause  q: end", COLS);
	refresh();
}

static void lines(struct screen *s)
{
	free(s->line);
	s->line = top_lines(s->t, &s->lines);
	if (s->at >= s->lines)
		s->at = s->lines ? s->lines - 1 : 0;
}

/* False: end. */
static bool key(struct screen *s, int k)
{
	struct top *t = s->t;

	switch (k) {
	case 'q':
		return false;
	case KEY_UP:
		s->at -= s->at > 0;
		break;
	case KEY_DOWN:
		s->at += s->at + 1 < s->lines;
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
	case KEY_RIGHT:
		if (s->lines && top_into(t, s->line[s->at].row))
			s->at = 0;
		break;
	case KEY_BACKSPACE:
	case KEY_LEFT:
	case 127:
	case '\b':
		if (top_back(t))
			s->at = 0;
		break;
	case 's':
		t->sort = (t->sort + 1) % TOP_SORTS;
		break;
	case 'a':
		t->total = !t->total;
		break;
	case '\f': /* after what others wrote on this console */
		clearok(curscr, TRUE);
		break;
	case 'p':
		s->paused = !s->paused;
		break;
	}
	lines(s);
	return true;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void loop(struct screen *s, double interval, uint64_t count)
{
	double next = now();
	uint64_t done = 0;

	for (;;) {
		int k;

		if (!s->paused && now() >= next) {
			if (count && done++ == count)
				return;
			top_read(s->t);
			lines(s);
			next = now() + interval;
		}
		draw(s);
		k = getch(); /* waits a tenth of a second */
		if (k != ERR && !key(s, k))
			return;
	}
}

int top_screen(struct top *t, double interval, uint64_t count)
{
	struct screen s = { .t = t };
	SCREEN *screen = newterm(NULL, stdout, stdin);

	if (!screen)
		return -1;
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	timeout(100);
	loop(&s, interval, count);
	endwin();
	delscreen(screen);
	free(s.line);
	return 0;
}
