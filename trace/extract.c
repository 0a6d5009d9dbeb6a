/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extract.c - luvtrace extract: the rings of a machine that did not record,
 * out of an image of its memory: QEMU's memory file while it runs, a dump of
 * what is left after a crash. Reads only.
 */
#include "ctf.h"
#include "events.h"
#include "metadata.h"
#include "ring.h"
#include "say.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE	    4096u
#define PACKETS_MAX 0x100000u
#define HZ_UNKNOWN  UINT64_C(1000000000)
#define NS_PER_S    UINT64_C(1000000000)
#define CLOCKS_APART (NS_PER_S / 10) /* the least a TSC is measured over */

static const char usage_text[] =
	"usage: luvtrace extract [-o FOLDER] [-f HZ] IMAGE\n"
	"Writes the trace rings found in IMAGE, a file of a machine's memory, into\n"
	"FOLDER (luvtrace-extract). IMAGE may be that of a machine that runs.\n"
	"  -f  the TSC's frequency, if no two `clock` records tell it; with neither a\n"
	"      tick is taken for a nanosecond\n";

struct image {
	const char *name;
	const char *at;
	size_t len;
};

struct extract {
	struct image image;
	const char *folder;
	uint64_t hz;
	struct metadata meta;
	struct trace_clock early, late; /* of those there are; tsc 0: none */
	unsigned rings;
	uint64_t packets, torn;
};

static bool map_image(struct image *m)
{
	struct stat st;
	int fd = open(m->name, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0 || fstat(fd, &st)) {
		say("%s cannot be read: %s", m->name, strerror(errno));
		return false;
	}
	m->len = (size_t)st.st_size;
	p = m->len ? mmap(NULL, m->len, PROT_READ, MAP_SHARED, fd, 0) :
		     MAP_FAILED;
	close(fd);
	if (p == MAP_FAILED) {
		say("%s is empty, or cannot be mapped", m->name);
		return false;
	}
	m->at = p;
	return true;
}

/* Is there a ring, whole and of this layout? A copy: it may be in use. */
static bool is_ring(const struct image *m, size_t at, struct trace_ring *r)
{
	const uint64_t room = m->len - at - PAGE;

	memcpy(r, m->at + at, sizeof(*r));
	return !memcmp(r->magic, TRACE_RING_MAGIC, sizeof(r->magic)) &&
	       r->version == TRACE_RING_VERSION && r->cpu < r->cpus &&
	       r->packets && r->packets <= PACKETS_MAX &&
	       r->packet_size >= sizeof(struct ctf_packet) &&
	       (uint64_t)r->packets * r->packet_size <= room;
}

/* How much of an open packet is whole records; *last: the newest's time. */
static size_t records_end(const char *packet, size_t bytes, uint64_t *last)
{
	size_t at = sizeof(struct ctf_packet);

	while (at + sizeof(struct trace_header) <= bytes) {
		const struct trace_header *h = (const void *)(packet + at);
		const struct events_event *e = events_get(h->id);

		if (!e || at + e->bytes > bytes)
			break;
		*last = h->timestamp;
		at += e->bytes;
	}
	return at;
}

/* Keep the first and the last of all CPUs' clock records. */
static void note_clocks(struct extract *x, const char *packet, size_t end)
{
	for (size_t at = sizeof(struct ctf_packet);
	     at + sizeof(struct trace_header) <= end;) {
		const struct trace_header *h = (const void *)(packet + at);
		const struct events_event *e = events_get(h->id);
		struct trace_clock c;

		if (!e || at + e->bytes > end)
			return;
		at += e->bytes;
		if (h->id != TRACE_clock)
			continue;
		memcpy(&c, h, sizeof(c));
		if (!x->early.tsc || c.tsc < x->early.tsc)
			x->early = c;
		if (c.tsc > x->late.tsc)
			x->late = c;
	}
}

/* What the clock records say of the TSC goes into the metadata. */
static void set_clock(struct extract *x)
{
	const uint64_t ticks = x->late.tsc - x->early.tsc;
	const uint64_t ns = x->late.mono_ns - x->early.mono_ns;

	x->meta.tsc_hz = x->hz ? x->hz : HZ_UNKNOWN;
	if (!x->hz && ns >= CLOCKS_APART && ns <= INT64_MAX && ticks)
		x->meta.tsc_hz = (uint64_t)((long double)ticks * NS_PER_S / ns);
	if (x->late.tsc && x->meta.tsc_hz != HZ_UNKNOWN &&
	    x->late.wall_ns <= INT64_MAX)
		metadata_clock(&x->meta, x->late.tsc,
			       (int64_t)x->late.wall_ns);
}

/* Packet n out of its place. False: it is not there, or not whole any more. */
static bool take(const struct extract *x, const struct trace_ring *r,
		 const char *place, uint64_t n, char *packet)
{
	struct ctf_packet *p = (void *)packet;
	uint64_t last;
	size_t end;

	memcpy(packet, place, r->packet_size);
	if (p->magic != CTF_MAGIC || p->packet_seq_num != n ||
	    memcmp(p->uuid, x->meta.uuid, sizeof(p->uuid)))
		return false;
	if (n != r->finished)
		return p->content_size <= (uint64_t)r->packet_size * 8;
	last = p->timestamp_begin;
	end = records_end(packet, trace_ring_open(r, n, sizeof(*p)), &last);
	p->content_size = (uint64_t)end * 8;
	p->timestamp_end = last;
	p->events_discarded = p->discarded_full = r->lost;
	memset(packet + end, 0, r->packet_size - end);
	return end > sizeof(*p);
}

static bool write_ring(struct extract *x, const struct trace_ring *r,
		       const char *base)
{
	const uint64_t first = r->finished > r->packets ?
				       r->finished - r->packets : 0;
	char *packet = malloc(r->packet_size);
	char name[4096];
	bool ok;
	FILE *f;

	snprintf(name, sizeof(name), "%s/cpu%u", x->folder, r->cpu);
	f = fopen(name, "w");
	ok = f && packet;
	for (uint64_t n = first; ok && n <= r->finished; n++) {
		const char *place = base + n % r->packets * r->packet_size;

		if (n == r->finished &&
		    !trace_ring_open(r, n, sizeof(struct ctf_packet)))
			continue;
		if (take(x, r, place, n, packet)) {
			note_clocks(x, packet, ((struct ctf_packet *)packet)->
						       content_size / 8);
			ok = fwrite(packet, r->packet_size, 1, f) == 1;
			x->packets++;
		} else if (n + r->packets != r->finished) {
			x->torn++; /* that one's place is the open packet's */
		}
	}
	free(packet);
	if (f && fclose(f))
		ok = false;
	if (!ok)
		say("%s cannot be written: %s", name, strerror(errno));
	return ok;
}

static bool write_metadata(struct extract *x)
{
	char name[4096];
	FILE *f;
	int e;

	snprintf(name, sizeof(name), "%s/metadata", x->folder);
	f = fopen(name, "w");
	e = f ? metadata_write(f, &x->meta) : -1;
	if (f && fclose(f))
		e = -1;
	if (e)
		say("%s cannot be written: %s", name, strerror(errno));
	return !e;
}

/* Of several boots' rings the first found counts: the others are leftovers. */
static bool scan(struct extract *x)
{
	for (size_t at = 0; at + 2 * PAGE <= x->image.len; at += PAGE) {
		struct trace_ring r;

		if (!is_ring(&x->image, at, &r))
			continue;
		if (!x->rings) {
			memcpy(x->meta.uuid, r.uuid, sizeof(r.uuid));
			memcpy(x->meta.build, r.build,
			       sizeof(x->meta.build) - 1);
			x->meta.isa = (uint8_t)r.isa;
		} else if (memcmp(x->meta.uuid, r.uuid, sizeof(r.uuid))) {
			continue;
		}
		x->rings++;
		if (!write_ring(x, &r, x->image.at + at + PAGE))
			return false;
	}
	return true;
}

static enum status extract(struct extract *x)
{
	if (!map_image(&x->image))
		return STATUS_BAD;
	if (mkdir(x->folder, 0777) && errno != EEXIST) {
		say("%s cannot be made: %s", x->folder, strerror(errno));
		return STATUS_BAD;
	}
	if (!scan(x))
		return STATUS_BAD;
	if (!x->rings) {
		say("%s holds no trace rings: it is no image of a machine's "
		    "memory that Luvalley ran on with trace=, or not all of it",
		    x->image.name);
		return STATUS_BAD;
	}
	if (!x->packets)
		say("the rings in %s are empty: start Luvalley with "
		    "trace=flight", x->image.name);
	set_clock(x);
	if (!write_metadata(x))
		return STATUS_BAD;
	fprintf(stderr, "luvtrace: %s: %" PRIu64 " packets of %u CPUs; %" PRIu64
		" were being overwritten.\n", x->folder, x->packets, x->rings,
		x->torn);
	return STATUS_OK;
}

enum status tool_extract(int argc, char **argv)
{
	struct extract x = { .folder = "luvtrace-extract" };
	int opt;

	while ((opt = getopt(argc, argv, "o:f:")) != -1) {
		if (opt == 'o') {
			x.folder = optarg;
		} else if (opt != 'f' ||
			   !tool_number(optarg, UINT64_MAX, &x.hz)) {
			fputs(usage_text, stderr);
			return STATUS_USAGE;
		}
	}
	if (optind != argc - 1) {
		fputs(usage_text, stderr);
		return STATUS_USAGE;
	}
	x.image.name = argv[optind];
	return extract(&x);
}
