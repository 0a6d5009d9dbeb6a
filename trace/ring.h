/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - a CPU's ring of packets in the VMM's memory, as whoever sees that
 * memory finds it: a page that begins with TRACE_RING_MAGIC, packets of
 * packet_size bytes (struct ctf_packet) behind it. Packet n is at place
 * n % packets. Those before `finished` are whole; the one after them is open:
 * its first `open_bytes` bytes are valid, its header says nothing about its
 * end yet.
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
	_Atomic uint64_t open_bytes; /* of packet number `finished`; 0: none */
	_Atomic uint64_t consumed; /* packets the reader is done with */
	_Atomic uint64_t lost;	/* events, so far */
};
#define TRACE_RING_VERSION 1u
#define TRACE_PACKET_SIZE  (16u * 1024)
