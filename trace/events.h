/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.h - events.def as tables, for programs that go through all fields,
 * and names for people.
 */
#pragma once

#include "ctf.h"

#include <stdbool.h>

struct events_field {
	const char *name, *type, *unit; /* as in events.def */
	uint16_t at, bytes;		/* within the record */
};

struct events_event {
	const char *name;
	uint32_t bytes;
	const struct events_field *field;
	uint32_t fields;
};

/* The event of this number, or NULL. */
const struct events_event *events_get(uint64_t id);

/* Is it only there to fill the record? */
static inline bool events_zeros(const struct events_field *f)
{
	return f->type[0] == 'z';
}

/* A field's value; signed types are sign-extended. */
uint64_t events_value(const struct events_field *f, const void *record);
/* An ENUM's label, or NULL: not an ENUM, or no such value. */
const char *events_label(const struct events_field *f, uint64_t value);
/* A field's value as text: decimal, 0x..., or its label. */
void events_text(char *out, size_t len, const struct events_field *f,
		 const void *record);

#define EVENTS_NAME 32 /* bytes that hold any of these names */

/* Names; "?" if there is none. */
const char *events_kind(unsigned kind);
const char *events_outcome(unsigned outcome);
/* "dom0", "dom1", ... */
void events_dom(char out[EVENTS_NAME], unsigned dom);
#define EVENTS_NO_SUB UINT64_MAX /* `sub` of another tracer's exit */

/* Does `sub` say anything? */
bool events_has_sub(const struct trace_kvm_exit *x);
/* What an exit's `sub` is, by kind: "port 0x3f8"; "" if the kind has none. */
void events_sub(char out[EVENTS_NAME], unsigned dom, unsigned kind,
		uint64_t sub);

/* KVM's name of an exit reason of the hardware; "UNKNOWN". */
void events_reason(char out[EVENTS_NAME], unsigned isa, uint32_t reason);
/* enum luv_exit_kind of an exit reason of the hardware. */
unsigned events_kind_of(unsigned isa, uint32_t reason);
