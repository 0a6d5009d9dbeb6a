/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native.h - read a stream of packets whose layout is the one of events.def
 * (metadata_parse() says so): fast, forgiving and able to follow a file that
 * grows. One packet is in memory at a time. What is damaged is skipped and
 * said.
 */
#pragma once

#include "ctf.h"

#include <stdbool.h>
#include <sys/types.h>

#define NATIVE_WHY 200

struct native {
	char *path;	   /* as messages name it */
	int fd;
	uint8_t uuid[16];
	uint32_t cpu_id;   /* of the first packet; 0 before */
	bool has_cpu;
	uint64_t lost;	   /* events that the writer says it discarded */
	uint64_t lost_by[3]; /* by trace_cause_value, the same */
	uint64_t packets_lost; /* gaps in packet_seq_num */
	unsigned errors;   /* damaged places */
	char why[NATIVE_WHY]; /* the first of them, a sentence */

	/* private */
	struct native_packet { uint64_t seq; off_t at; } *packet;
	size_t packets, next_packet;
	off_t indexed;	   /* file position after the last of them */
	bool complain;	   /* about an unfinished end; not when following */
	char *data;	   /* the current packet */
	size_t room, end, at; /* of data, bytes */
	uint64_t last;	   /* timestamp of the last record */
	uint64_t limit;	   /* of the packet's last */
	uint64_t last_seq;
	bool has_seq;
};

/*
 * native_open - 0, or -1 with a sentence in n->why; native_close() either way.
 *   uuid    what the packets must have
 *   follow  the file may still grow: an unfinished end is no damage
 */
int native_open(struct native *n, const char *path, const uint8_t uuid[16],
		bool follow);
/* Look what the file has now, so that cpu_id is known. native_next() does. */
void native_look(struct native *n);
/*
 * native_next - the next record in order of time, valid until the next call;
 * NULL: no more, for now if following.
 */
const struct trace_header *native_next(struct native *n);
/*
 * native_packet - the next packet in order, as far as its records are whole:
 * content_size and packet_size say how far. Valid until the next call; NULL:
 * no more. Not to be mixed with native_next().
 */
const struct ctf_packet *native_packet(struct native *n);
void native_close(struct native *n);
