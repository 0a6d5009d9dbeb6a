/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bt_event.h - from an event of libbabeltrace2 to a record of ctf.h: ours by
 * the names of its fields, whatever the layout; KVM's by what LTTng, perf and
 * trace-cmd call them.
 */
#pragma once

#include "capture.h"

#include <babeltrace2/babeltrace.h>

/* What is known of a trace's classes of events; one for all streams. */
struct bt_schema;
/* Sets c->meta from the first event's clock. */
struct bt_schema *bt_schema_new(struct capture *c);
void bt_schema_free(struct bt_schema *s);

enum bt_what { BT_OURS, BT_KVM_EXIT, BT_KVM_ENTRY };

struct bt_event {
	enum bt_what what;
	bool has_vcpu; /* the event names its vCPU */
	union {
		struct trace_header header;
		struct trace_kvm_exit exit;
		struct trace_kvm_entry entry;
		uint64_t room[32];
	} as;
};
#define EVENT(number, name)
#define FIELD(type, name, unit)
#define EVENT_END(name, bytes) _Static_assert(bytes <= 256, #name " in room");
#include "events.def"

/* False: not an event that we know. */
bool bt_event_read(struct bt_schema *s, const bt_message *m,
		   struct bt_event *to);
/* An integer member of a structure, by name. */
bool bt_event_member(const bt_field *structure, const char *name,
		     uint64_t *value);

/*
 * KVM's exit and the entry after it on the same CPU become one record. An entry
 * before the CPU's first exit stays one.
 */
struct bt_pairing {
	struct trace_kvm_exit exit, result;
	union { struct trace_header header; uint64_t room[32]; } ours;
	bool waits;	   /* `exit` has no entry yet */
	uint64_t seq;
	uint16_t vcpu_id; /* of the last entry */
	const struct trace_header *last;
};

/* A record that is complete now, or NULL; valid until the next call. */
const struct trace_header *bt_pairing_add(struct bt_pairing *p,
					  const struct bt_event *e);
/* At the end: the exit that still waits, or NULL. */
const struct trace_header *bt_pairing_end(struct bt_pairing *p);
