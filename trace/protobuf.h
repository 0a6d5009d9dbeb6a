/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * protobuf.h - write messages of Protocol Buffers: fields appended to a
 * buffer. Nested ones are written from the inside out: protobuf_message().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PROTOBUF_ROOM 1024u

/* What does not fit is cut off: `overflow` is set. */
struct protobuf {
	uint8_t bytes[PROTOBUF_ROOM];
	size_t len;
	int overflow;
};

void protobuf_uint(struct protobuf *p, unsigned field, uint64_t value);
void protobuf_fixed64(struct protobuf *p, unsigned field, uint64_t value);
void protobuf_string(struct protobuf *p, unsigned field, const char *s);
void protobuf_message(struct protobuf *p, unsigned field,
		      const struct protobuf *m);
