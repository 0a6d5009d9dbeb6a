/* SPDX-License-Identifier: BSD-2-Clause */
/* trace_read.c - packets of any CPU's ring to dom0, while they are written. */
#include "trace.h"
#include "trace_exit.h"
#include "dom0.h"
#include "string.h"

#define READ_TRIES 4 /* of a packet that is overwritten meanwhile */

/*
 * Packet q->packet, or the oldest after it that is there, to the caller. Its
 * place may be overwritten: then the number in it is another. Returns its bytes,
 * 0 for none, or a negated error.
 */
static int64_t copy_packet(const struct gpaging *g, struct trace_ring *r,
			   struct luv_trace_read *q)
{
	uint64_t finished = atomic_load(&r->finished);
	uint64_t bytes = TRACE_PACKET_SIZE;
	struct ctf_packet head;
	const struct ctf_packet *at;

	if (finished > r->packets && q->packet < finished - r->packets)
		q->packet = finished - r->packets;
	if (q->packet > finished)
		return 0;
	q->open = q->packet == finished;
	if (q->open)
		bytes = trace_ring_open(r, finished, sizeof(head));
	if (!bytes)
		return 0;
	at = (void *)((char *)r + PAGE_SIZE +
		      q->packet % r->packets * TRACE_PACKET_SIZE);
	memcpy(&head, at, sizeof(head));
	if (head.packet_seq_num != q->packet) {
		q->packet++;
		return -LUV_EBUSY;
	}
	if (q->open) {
		head.content_size = bytes * 8;
		head.timestamp_end = rdtsc();
	}
	if (dom0_copy_out(g, GVA(q->buf), &head, sizeof(head)) != OK ||
	    dom0_copy_out(g, GVA(q->buf + sizeof(head)), at + 1,
			  bytes - sizeof(head)) != OK)
		return -LUV_EFAULT;
	atomic_thread_fence(memory_order_acquire);
	memcpy(&head, at, sizeof(head));
	if (head.packet_seq_num != q->packet ||
	    (q->open && atomic_load(&r->finished) != finished))
		return -LUV_EBUSY; /* it changed under the copy */
	return (int64_t)bytes;
}

int64_t trace_read(const struct gpaging *g, uint64_t buf)
{
	struct luv_trace_read q;
	struct trace_ring *r;
	int64_t n = -LUV_EBUSY;

	if (dom0_copy_in(g, &q, GVA(buf), sizeof(q)) != OK)
		return -LUV_EFAULT;
	if (q.cpu >= machine.cpus || !machine.cpu[q.cpu]->trace)
		return -LUV_ENOENT;
	if (q.len < TRACE_PACKET_SIZE)
		return -LUV_E2BIG;
	r = &machine.cpu[q.cpu]->trace->ring;
	if (q.packet > r->consumed && q.packet <= r->finished)
		atomic_store(&r->consumed, q.packet);
	for (unsigned i = 0; i < READ_TRIES && n == -LUV_EBUSY; i++)
		n = copy_packet(g, r, &q);
	q.lost = r->lost;
	if (n >= 0 && dom0_copy_out(g, GVA(buf), &q, sizeof(q)) != OK)
		return -LUV_EFAULT;
	return n;
}
