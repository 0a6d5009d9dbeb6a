/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report_page.c - the page: trace/report/page.html with the charting library,
 * style and scripts put in, and the data as JSON and as packed arrays.
 */
#include "report.h"
#include "events.h"
#include "memory.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <zlib.h>

#define STACKS_SHOWN 20000u
#define KEYS_SHOWN   1000u

/* page.S */
#define PAGE_PARTS(X) X(page) X(charts) X(style) X(script)
#define X(name) extern const char page_##name[], page_##name##_end[];
PAGE_PARTS(X)
#undef X

static json_t *u64(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static double ns(const struct report *r, uint64_t ticks)
{
	return capture_ns(&r->tool.capture, ticks);
}

/* --- packed arrays -------------------------------------------------------- */

static void base64(FILE *out, const uint8_t *p, size_t n)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		const unsigned more = n - i > 2 ? 3 : (unsigned)(n - i);
		const unsigned v = (unsigned)p[i] << 16 |
			(more > 1 ? (unsigned)p[i + 1] << 8 : 0) |
			(more > 2 ? (unsigned)p[i + 2] : 0);

		putc(digit[v >> 18], out);
		putc(digit[v >> 12 & 63], out);
		putc(more > 1 ? digit[v >> 6 & 63] : '=', out);
		putc(more > 2 ? digit[v & 63] : '=', out);
	}
}

static void packed(FILE *out, const char *id, const void *data, size_t n)
{
	uLongf len = compressBound(n);
	uint8_t *small = memory_zeroed(len, 1);

	compress2(small, &len, data, n, Z_DEFAULT_COMPRESSION);
	fprintf(out, "<script type=\"text/plain\" id=\"%s\">", id);
	base64(out, small, len);
	fputs("</script>\n", out);
	free(small);
}

/* One array of a member of all exits; returns its end. */
#define COLUMN(type, at, d, value)                                             \
	for (size_t i = 0; i < (d)->count; i++) {                              \
		const struct detail_exit *x = &(d)->exit[i];                   \
		const type v = (type)(value);                                  \
		memcpy(at, &v, sizeof(v));                                     \
		at += sizeof(v);                                               \
	}

static void detail(const struct report *r, FILE *out)
{
	const struct detail *d = &r->detail;
	char *all = memory_zeroed(d->count, 8 + 3 * 4 + 2 * 4 + 4 * 2 + 2);
	char *at = all;

	COLUMN(double, at, d, ns(r, x->exit - r->from));
	COLUMN(float, at, d, x->guest ? ns(r, x->exit - x->guest) : -1);
	COLUMN(float, at, d, x->entry >= x->exit ? ns(r, x->entry - x->exit) :
	       -1);
	COLUMN(float, at, d, x->again ? ns(r, x->again - x->exit) : -1);
	COLUMN(uint32_t, at, d, x->key);
	COLUMN(uint32_t, at, d, x->function);
	COLUMN(uint16_t, at, d, x->cpu);
	COLUMN(uint16_t, at, d, x->again_cpu);
	COLUMN(uint16_t, at, d, x->dom);
	COLUMN(uint16_t, at, d, x->vcpu);
	COLUMN(uint8_t, at, d, x->kind);
	COLUMN(uint8_t, at, d, x->outcome);
	packed(out, "detail", all, (size_t)(at - all));
	free(all);
}

static void bins(const struct report *r, FILE *out)
{
	const struct bins *b = &r->bins;
	const size_t n = (size_t)b->cpus * BINS_WORLDS * BINS;
	uint8_t *all = memory_zeroed(n, 1), *at = all;

	for (unsigned c = 0; c < b->cpus; c++)
		for (unsigned w = 0; w < BINS_WORLDS; w++)
			for (unsigned i = 0; i < BINS; i++)
				*at++ = bins_share(b, c, i, w);
	packed(out, "bins", all, n);
	free(all);
}

/* --- JSON ----------------------------------------------------------------- */

static json_t *names(const char *(*name)(unsigned), unsigned n)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(a, json_string(name(i)));
	return a;
}

struct buckets { const struct report *r; json_t *list; };

static void bucket(void *ctx, uint64_t from, uint64_t width, uint64_t count)
{
	const struct buckets *b = ctx;

	json_array_append_new(b->list, json_pack("[f, f, o]", ns(b->r, from),
		ns(b->r, width), u64(count)));
}

static json_t *row(const struct report *r, const struct row *row)
{
	const struct histogram *h = &row->time;
	struct buckets b = { r, json_array() };
	char key[EVENTS_NAME] = "(more)";

	if (!row->key.has_sub)
		histogram_each(h, bucket, &b);
	if (row->key.has_sub && !row->key.rest)
		events_sub(key, row->key.dom, row->key.kind, row->key.sub);
	return json_pack("{s:i s:i s:s s:o s:f s:f s:f s:f s:f s:f s:f s:f "
		"s:o}", "dom", (int)row->key.dom, "kind", (int)row->key.kind, "key",
		row->key.has_sub ? key : "", "count", u64(h->count), "sum",
		ns(r, h->sum), "vmm", ns(r, row->vmm), "min", ns(r, h->min),
		"p50", ns(r, histogram_quantile(h, 0.5)),
		"p90", ns(r, histogram_quantile(h, 0.9)),
		"p99", ns(r, histogram_quantile(h, 0.99)),
		"p999", ns(r, histogram_quantile(h, 0.999)), "max",
		ns(r, h->max), "buckets", b.list);
}

static int by_time(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a;
	const struct row *y = *(struct row *const *)b;

	if (x->key.has_sub != y->key.has_sub)
		return x->key.has_sub ? 1 : -1;
	return x->time.sum < y->time.sum ? 1 : x->time.sum > y->time.sum ? -1 :
		0;
}

static json_t *rows(const struct report *r)
{
	struct row **list = rows_sorted(&r->rows, by_time);
	json_t *a = json_array();
	size_t keys = 0;

	for (size_t i = 0; i < r->rows.count && keys < KEYS_SHOWN; i++) {
		keys += list[i]->key.has_sub;
		json_array_append_new(a, row(r, list[i]));
	}
	free(list);
	return a;
}

struct folded { const struct report *r; json_t *list; };

static void stack(void *ctx, const char *text, uint64_t weight)
{
	const struct folded *f = ctx;

	if (json_array_size(f->list) < STACKS_SHOWN)
		json_array_append_new(f->list, json_pack("[s, f]", text,
			ns(f->r, weight)));
}

static json_t *flame(const struct report *r)
{
	struct folded f = { r, json_array() };

	stacks_each(&r->stacks, stack, &f);
	return f.list;
}

static json_t *windows(const struct report *r)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < r->detail.windows; i++) {
		const struct detail_window *w = &r->detail.window[i];
		const uint64_t from = w->from > r->from ? w->from : r->from;

		json_array_append_new(a, json_pack("[f, f]",
			ns(r, from - r->from), ns(r, w->to - r->from)));
	}
	return a;
}

static json_t *strings(const struct report *r)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < r->detail.strings; i++) {
		json_t *s = json_string(r->detail.string[i]);

		json_array_append_new(a, s ? s : json_string("?"));
	}
	return a;
}

static json_t *doms(const struct report *r)
{
	json_t *a = json_array();

	for (unsigned d = 0; d <= UINT16_MAX; d++)
		for (size_t i = 0; i < r->rows.slots; i++)
			if (r->rows.slot[i] && r->rows.slot[i]->key.dom == d) {
				json_array_append_new(a, u64(d));
				break;
			}
	return a;
}

static json_t *cpus(const struct report *r)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < r->tool.capture.cpus; i++)
		json_array_append_new(a, u64(r->tool.capture.cpu_id[i]));
	return a;
}

static json_t *losses(const struct report *r)
{
	char *text = NULL;
	size_t len;
	FILE *f = memory_checked(open_memstream(&text, &len));
	json_t *s;

	tool_losses(&r->tool, f);
	for (unsigned i = 0; i < r->tool.capture.problems; i++)
		fprintf(f, "NOT READ: %s.\n", r->tool.capture.problem[i]);
	fclose(f);
	s = json_string(text);
	free(text);
	return s;
}

static json_t *meta(const struct report *r)
{
	const struct capture *c = &r->tool.capture;
	json_t *folder = json_string(c->folder);

	return json_pack("{s:o s:o s:f s:f s:b s:b s:o s:o s:o s:o s:o s:i s:f "
		"s:i s:o s:o s:o s:o s:o}", "folder",
		folder ? folder : json_string("?"), "losses", losses(r),
		"start", (double)capture_time(c, r->from),
		"span", ns(r, r->to - r->from), "absolute", c->meta.absolute,
		"foreign", c->foreign, "exits", u64(r->exits), "cpus", cpus(r),
		"doms", doms(r), "kinds", names(events_kind, EXIT_KINDS),
		"outcomes", names(events_outcome, TRACE_outcome_DOMU + 1),
		"bins", (int)BINS, "binWidth", ns(r, r->bins.width),
		"worlds", (int)BINS_WORLDS, "count", u64(r->detail.count),
		"windows", windows(r), "strings", strings(r), "rows", rows(r),
		"stacks", flame(r));
}

static int data(const struct report *r, FILE *out)
{
	json_t *root = meta(r);
	int err;

	if (!root) {
		errno = ENOMEM;
		return -1;
	}
	fputs("<script type=\"application/json\" id=\"meta\">", out);
	err = json_dumpf(root, out, JSON_COMPACT | JSON_ESCAPE_SLASH |
			 JSON_REAL_PRECISION(12));
	fputs("</script>\n", out);
	json_decref(root);
	bins(r, out);
	detail(r, out);
	return err;
}

/* --- the page ------------------------------------------------------------- */

static int part(const struct report *r, const char *name, size_t len, FILE *out)
{
	if (len == 4 && memcmp(name, "data", 4) == 0)
		return data(r, out);
#define X(part)                                                                \
	if (len == sizeof(#part) - 1 && memcmp(name, #part, len) == 0)         \
		fwrite(page_##part, 1, (size_t)(page_##part##_end -            \
						page_##part), out);
	PAGE_PARTS(X)
#undef X
	return 0;
}

/* In page.html, <!--name--> is where a part goes. */
int report_page(const struct report *r, FILE *out)
{
	const char *at = page_page;

	while (at < page_page_end) {
		const char *mark = memmem(at, (size_t)(page_page_end - at),
					  "<!--", 4), *end;

		if (!mark)
			mark = page_page_end;
		fwrite(at, 1, (size_t)(mark - at), out);
		if (mark == page_page_end)
			break;
		mark += 4;
		end = memmem(mark, (size_t)(page_page_end - mark), "-->", 3);
		if (part(r, mark, (size_t)(end - mark), out))
			return -1;
		at = end + 3;
	}
	return ferror(out) ? -1 : 0;
}
