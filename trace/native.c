/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native.c - packets and records of our own layout. First the heads of all
 * packets are read, since a ring that was dumped as it lay begins in its
 * middle; then packet after packet. Nothing of a file is believed unchecked.
 */
#include "native.h"
#include "events.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACKET_MAX (64u << 20) /* bytes; nobody makes such sub-buffers */
#define RESYNC	   4096	/* packets begin at multiples of it, in practice */

__attribute__((format(printf, 2, 3)))
static void damaged(struct native *n, const char *format, ...)
{
	va_list ap;

	if (n->errors++)
		return;
	va_start(ap, format);
	vsnprintf(n->why, sizeof(n->why), format, ap);
	va_end(ap);
}

static bool read_at(struct native *n, void *to, size_t len, off_t at)
{
	return pread(n->fd, to, len, at) == (ssize_t)len;
}

/* NULL, or what is wrong with the head of a packet. */
static const char *head_wrong(const struct native *n,
			      const struct ctf_packet *p)
{
	if (p->magic != CTF_MAGIC)
		return "no packet begins";
	if (memcmp(p->uuid, n->uuid, sizeof(p->uuid)) != 0)
		return "a packet of another capture begins";
	if (p->stream_id != 0)
		return "a packet of an unknown stream begins";
	if (p->packet_size % 64 || p->packet_size / 8 < sizeof(*p) ||
	    p->packet_size / 8 > PACKET_MAX)
		return "the size of a packet is impossible";
	if (p->content_size % 64 || p->content_size / 8 < sizeof(*p) ||
	    p->content_size > p->packet_size)
		return "the size of a packet's content is impossible";
	if (n->has_cpu && p->cpu_id != n->cpu_id)
		return "a packet of another CPU begins";
	return NULL;
}

/* The next place that looks like a packet, or the end of the file. */
static off_t resync(struct native *n, off_t at, off_t size)
{
	struct ctf_packet p;

	for (at = (at / RESYNC + 1) * RESYNC; at < size; at += RESYNC)
		if (read_at(n, &p, sizeof(p), at) && !head_wrong(n, &p))
			return at;
	return size;
}

static void add_packet(struct native *n, const struct ctf_packet *p)
{
	if (!n->has_cpu) {
		n->cpu_id = p->cpu_id;
		n->has_cpu = true;
	}
	/* A sub-buffer that was never used says nothing. */
	if (p->content_size / 8 == sizeof(*p))
		return;
	if ((n->packets & (n->packets - 1)) == 0)
		n->packet = memory_grown(n->packet, n->packets ?
					 n->packets * 2 : 1,
					 sizeof(*n->packet));
	n->packet[n->packets++] = (struct native_packet){
		.seq = p->packet_seq_num, .at = n->indexed };
}

static int by_seq(const void *a, const void *b)
{
	const struct native_packet *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Heads of the packets that the file has now and had not before. */
void native_look(struct native *n)
{
	struct stat st;
	struct ctf_packet p;
	const char *wrong;

	if (fstat(n->fd, &st))
		return;
	while (n->indexed < st.st_size) {
		const off_t left = st.st_size - n->indexed;

		if (left < (off_t)sizeof(p) ||
		    !read_at(n, &p, sizeof(p), n->indexed)) {
			if (n->complain)
				damaged(n, "%s: ends within the head of a "
					"packet, at byte %jd: it was cut off",
					n->path, (intmax_t)n->indexed);
			break;
		}
		wrong = head_wrong(n, &p);
		if (wrong) {
			damaged(n, "%s: byte %jd: %s: damaged, or not a file "
				"of this capture", n->path,
				(intmax_t)n->indexed, wrong);
			n->indexed = resync(n, n->indexed, st.st_size);
			continue;
		}
		if ((uint64_t)left < p.packet_size / 8) {
			if (!n->complain)
				break; /* it is being written */
			damaged(n, "%s: ends within packet %" PRIu64 ", "
				"%" PRIu64 " bytes short: it was cut off",
				n->path, p.packet_seq_num, p.packet_size / 8 -
				(uint64_t)left);
		}
		add_packet(n, &p);
		n->indexed += (off_t)(p.packet_size / 8);
	}
	if (n->packets)
		qsort(n->packet + n->next_packet, n->packets - n->next_packet,
		      sizeof(*n->packet), by_seq);
}

static void losses(struct native *n, const struct ctf_packet *p)
{
	if (n->has_seq && p->packet_seq_num > n->last_seq + 1)
		n->packets_lost += p->packet_seq_num - n->last_seq - 1;
	n->has_seq = true;
	n->last_seq = p->packet_seq_num;
	n->lost = p->events_discarded;
	n->lost_by[TRACE_cause_FULL] = p->discarded_full;
	n->lost_by[TRACE_cause_NESTED] = p->discarded_nested;
	n->lost_by[TRACE_cause_NORING] = p->discarded_noring;
}

static bool load_packet(struct native *n, const struct native_packet *where)
{
	struct ctf_packet p;
	ssize_t got;
	size_t want;

	if (!read_at(n, &p, sizeof(p), where->at) || head_wrong(n, &p)) {
		damaged(n, "%s: byte %jd: a packet has changed while it was "
			"read", n->path, (intmax_t)where->at);
		return false;
	}
	want = (size_t)(p.content_size / 8);
	if (want > n->room) {
		free(n->data);
		n->data = memory_zeroed(want, 1);
		n->room = want;
	}
	got = pread(n->fd, n->data, want, where->at);
	if (got < (ssize_t)sizeof(p))
		got = sizeof(p);
	n->at = sizeof(p);
	n->end = (size_t)got & ~(size_t)7;
	if (p.timestamp_begin < n->last)
		damaged(n, "%s: packet %" PRIu64 " begins before the one "
			"before it has ended", n->path, p.packet_seq_num);
	n->last = p.timestamp_begin;
	n->limit = p.timestamp_end;
	losses(n, &p);
	return true;
}

/* NULL, or what is wrong with the record at n->at. */
static const char *record_wrong(const struct native *n, size_t *len)
{
	const size_t left = n->end - n->at;
	const struct trace_header *h =
		(const struct trace_header *)(n->data + n->at);
	const struct events_event *e;

	if (left < sizeof(*h))
		return "a record is cut off";
	e = events_get(h->id);
	if (!e)
		return "a record of an unknown event";
	if (e->bytes > left)
		return "a record is cut off";
	if (h->timestamp < n->last)
		return "time goes back";
	if (h->timestamp > n->limit)
		return "a record is later than the end of its packet";
	*len = e->bytes;
	return NULL;
}

static void skip_rest(struct native *n, const char *wrong)
{
	damaged(n, "%s: packet %" PRIu64 ", byte %zu of it: %s; the rest of "
		"this packet is not read", n->path, n->last_seq, n->at, wrong);
	n->at = n->end;
}

const struct trace_header *native_next(struct native *n)
{
	for (;;) {
		const struct trace_header *h;
		const char *wrong;
		size_t len;

		if (n->at == n->end) {
			if (n->next_packet == n->packets)
				native_look(n);
			if (n->next_packet == n->packets)
				return NULL;
			load_packet(n, &n->packet[n->next_packet++]);
			continue;
		}
		wrong = record_wrong(n, &len);
		if (!wrong) {
			h = (const struct trace_header *)(n->data + n->at);
			n->at += len;
			n->last = h->timestamp;
			return h;
		}
		skip_rest(n, wrong);
	}
}

const struct ctf_packet *native_packet(struct native *n)
{
	struct ctf_packet *p;
	size_t len;
	const char *wrong = NULL;

	if (n->next_packet == n->packets)
		native_look(n);
	if (n->next_packet == n->packets)
		return NULL;
	if (!load_packet(n, &n->packet[n->next_packet++]))
		return native_packet(n);
	while (n->at < n->end && !(wrong = record_wrong(n, &len))) {
		n->last = ((struct trace_header *)(n->data + n->at))->timestamp;
		n->at += len;
	}
	p = (struct ctf_packet *)n->data;
	p->content_size = p->packet_size = n->at * 8;
	if (wrong)
		skip_rest(n, wrong);
	return p;
}

int native_open(struct native *n, const char *path, const uint8_t uuid[16],
		bool follow)
{
	*n = (struct native){ .complain = !follow };
	n->path = memory_string(path);
	memcpy(n->uuid, uuid, sizeof(n->uuid));
	n->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (n->fd < 0) {
		damaged(n, "%s: %s", path, strerror(errno));
		return -1;
	}
	native_look(n);
	return 0;
}

void native_close(struct native *n)
{
	if (n->fd >= 0)
		close(n->fd);
	free(n->path);
	free(n->packet);
	free(n->data);
}
