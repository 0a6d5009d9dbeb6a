/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctf.h - packets of a trace as they lie in memory and in files: Common Trace
 * Format 1.8, little-endian, no implicit padding. Made from events.def, for
 * whoever writes packets (freestanding too) and whoever reads them.
 *
 * A packet is struct ctf_packet, then records back to back to content_size,
 * then anything to packet_size. Each CPU has a stream of its own: a file with
 * its packets in the order of packet_seq_num, without empty ones.
 */
#pragma once

#include <luvalley/luvalley.h>
#include <stddef.h>
#include <stdint.h>

#define CTF_MAGIC 0xc1fc1fc1u

typedef uint8_t trace_u8, trace_kind;
typedef uint16_t trace_u16;
typedef uint32_t trace_u32, trace_x32;
typedef uint64_t trace_u64, trace_x64, trace_tsc;
typedef int64_t trace_s64;
typedef struct { uint8_t zero[4]; } trace_z4;
typedef struct { uint8_t zero[5]; } trace_z5;
typedef struct { uint8_t zero[6]; } trace_z6;
typedef struct { uint8_t zero[7]; } trace_z7;

#define ENUM(type) typedef uint8_t trace_##type; enum trace_##type##_value {
#define VALUE(type, number, name, label) TRACE_##type##_##name = (number),
#define ENUM_END(type) };
#include "events.def"

struct ctf_packet {
	uint32_t magic; /* CTF_MAGIC */
	uint8_t uuid[16]; /* of the trace; the metadata has the same */
	uint32_t stream_id; /* 0 */
#define CONTEXT(type, name, unit) trace_##type name;
#include "events.def"
};
_Static_assert(sizeof(struct ctf_packet) == 24
#define CONTEXT(type, name, unit) + sizeof(trace_##type)
#include "events.def"
	, "no padding");
_Static_assert(sizeof(struct ctf_packet) % 8 == 0, "records are aligned");

/* Before every record. */
struct trace_header {
	uint64_t id; /* enum trace_event */
	uint64_t timestamp; /* ticks */
};

enum trace_event {
#define EVENT(number, name) TRACE_##name = (number),
#define FIELD(type, name, unit)
#define EVENT_END(name, bytes)
#include "events.def"
	TRACE_EVENTS
};

#define EVENT(number, name) struct trace_##name { struct trace_header header;
#define FIELD(type, name, unit) trace_##type name;
#define EVENT_END(name, bytes) };
#include "events.def"

#define EVENT(number, name) _Static_assert(sizeof(struct trace_header)
#define FIELD(type, name, unit) + sizeof(trace_##type)
#define EVENT_END(name, bytes) == (bytes), "fields of " #name); \
	_Static_assert(sizeof(struct trace_##name) == (bytes), #name); \
	_Static_assert((bytes) % 8 == 0, #name);
#include "events.def"

_Static_assert((int)TRACE_isa_VMX == LUV_ISA_VMX &&
	       (int)TRACE_isa_SVM == LUV_ISA_SVM, "one numbering");
