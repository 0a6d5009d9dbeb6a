/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * protobuf.c - the wire format: protobuf.dev, "Encoding".
 */
#include "protobuf.h"

#include <string.h>

enum wire { VARINT = 0, I64 = 1, LEN = 2 };

static void put(struct protobuf *p, const void *from, size_t len)
{
	if (len > PROTOBUF_ROOM - p->len) {
		p->overflow = 1;
		return;
	}
	memcpy(p->bytes + p->len, from, len);
	p->len += len;
}

static void varint(struct protobuf *p, uint64_t v)
{
	uint8_t byte;

	do {
		byte = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		put(p, &byte, 1);
		v >>= 7;
	} while (v);
}

static void tag(struct protobuf *p, unsigned field, enum wire type)
{
	varint(p, (uint64_t)field << 3 | type);
}

void protobuf_uint(struct protobuf *p, unsigned field, uint64_t value)
{
	tag(p, field, VARINT);
	varint(p, value);
}

void protobuf_fixed64(struct protobuf *p, unsigned field, uint64_t value)
{
	tag(p, field, I64);
	put(p, &value, sizeof(value));
}

static void bytes(struct protobuf *p, unsigned field, const void *from,
		  size_t len)
{
	tag(p, field, LEN);
	varint(p, len);
	put(p, from, len);
}

void protobuf_string(struct protobuf *p, unsigned field, const char *s)
{
	bytes(p, field, s, strlen(s));
}

void protobuf_message(struct protobuf *p, unsigned field,
		      const struct protobuf *m)
{
	p->overflow |= m->overflow;
	bytes(p, field, m->bytes, m->len);
}
