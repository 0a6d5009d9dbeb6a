/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - a CPU's ring of packets in the VMM's memory, as whoever sees that
 * memory finds it: a page that begins with TRACE_RING_MAGIC, packets of
 * packet_size bytes (struct ctf_packet) behind it. Packet n is at place
 * n % packets. Those before `finished` are whole; the one after them is open,
 * its header says nothing about its end yet. What it has ends at `open_end`, if
 * that lies in it: see trace_ring_open().
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define TRACE_RING_MAGIC "Luvalley trace\n"

struct trace_ring {
	char magic[16];		/* TRACE_RING_MAGIC, with its NUL */
	uint8_t uuid[16];	/* of this boot's trace */
	uint32_t version;	/* TRACE_RING_VERSION */
	uint32_t cpu, cpus;
	uint32_t packets;	/* in this ring */
	uint32_t packet_size;	/* bytes */
	uint32_t isa;		/* enum luv_isa */
	char build[32];		/* the VMM's version, NUL-terminated */
	_Atomic uint64_t finished; /* packets, since the ring was made */
	_Atomic uint64_t open_end; /* address; 0: none */
	_Atomic uint64_t consumed; /* packets the reader is done with */
	_Atomic uint64_t lost;	/* events, so far */
	uint64_t base;		/* address of the first packet, as open_end's */
};
#define TRACE_RING_VERSION 2u
#define TRACE_PACKET_SIZE  (16u * 1024)

/* Bytes that packet n, the open one, has with its header; 0: it has no record. */
static inline uint64_t trace_ring_open(const struct trace_ring *r, uint64_t n,
				       uint64_t header)
{
	uint64_t bytes = atomic_load_explicit(&r->open_end,
					      memory_order_acquire) - r->base -
			 n % r->packets * r->packet_size;

	return bytes > header && bytes <= r->packet_size ? bytes : 0;
}
