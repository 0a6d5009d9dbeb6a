/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metadata.h - the text in a trace's folder that says what its packets hold:
 * TSDL, the description language of CTF 1.8, made from events.def.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct metadata {
	uint8_t uuid[16];   /* the packets have the same */
	uint64_t tsc_hz;    /* > 0 */
	bool absolute;	    /* the clock below counts from 1970 */
	int64_t offset_s;   /* clock = offset_s s + (offset + TSC) ticks */
	uint64_t offset;    /* ticks, < tsc_hz */
	uint64_t precision; /* ticks; 0: not known */
	uint8_t isa;	    /* enum luv_isa; 0: not known */
	char build[32];	    /* the VMM's version; "" not known */
};

/* The clock's offset, by m->tsc_hz: at this TSC it was wall_ns since 1970. */
void metadata_clock(struct metadata *m, uint64_t tsc, int64_t wall_ns);

/* The whole text. 0, or -1 and errno; EINVAL: *m is not valid. */
int metadata_write(FILE *f, const struct metadata *m);

/*
 * metadata_parse - the other way, for text that metadata_write() wrote with
 * the events.def of now. False: it is another's, or of another layout.
 *   text  NUL-terminated
 */
bool metadata_parse(const char *text, struct metadata *m);
