/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * export_perfetto.c - Perfetto's trace: packets with track descriptors and
 * track events (protos/perfetto/trace/ of Perfetto has the field numbers).
 * One track for each CPU, one for each vCPU; flows as in export_chrome.c.
 */
#include "events.h"
#include "export.h"
#include "protobuf.h"

#include <inttypes.h>
#include <stdarg.h>

enum trace_field { TRACE_PACKET = 1 };
enum packet_field {
	PACKET_TIMESTAMP = 8, PACKET_SEQUENCE = 10, PACKET_EVENT = 11,
	PACKET_DESCRIPTOR = 60,
};
enum descriptor_field { DESC_UUID = 1, DESC_NAME = 2, DESC_PARENT = 5 };
enum event_field {
	EVENT_ANNOTATION = 4, EVENT_TYPE = 9, EVENT_TRACK = 11,
	EVENT_NAME = 23, EVENT_FLOW = 47, EVENT_FLOW_END = 48,
};
enum event_type { SLICE_BEGIN = 1, SLICE_END = 2 };
enum annotation_field { NOTE_UINT = 3, NOTE_STRING = 6, NOTE_POINTER = 7,
			NOTE_NAME = 10 };

/* Tracks; 0 is Perfetto's own. */
#define TRACK_CPUS	     1u
#define TRACK_DOM(dom)	     (0x10000u + (dom))
#define TRACK_CPU(cpu)	     ((uint64_t)1 << 40 | (cpu))
#define TRACK_VCPU(dom, id)  ((uint64_t)2 << 40 | (uint64_t)(dom) << 16 | (id))

struct perfetto {
	struct tool *tool;
	FILE *out;
};

static void write_packet(struct perfetto *p, struct protobuf *packet)
{
	struct protobuf trace = { 0 };

	protobuf_uint(packet, PACKET_SEQUENCE, 1);
	protobuf_message(&trace, TRACE_PACKET, packet);
	fwrite(trace.bytes, 1, trace.len, p->out);
}

static void write_event(struct perfetto *p, uint64_t timestamp,
			const struct protobuf *event)
{
	struct protobuf packet = { 0 };

	protobuf_uint(&packet, PACKET_TIMESTAMP, (uint64_t)
		      capture_time(&p->tool->capture, timestamp));
	protobuf_message(&packet, PACKET_EVENT, event);
	write_packet(p, &packet);
}

static struct protobuf begin(uint64_t track, const char *name)
{
	struct protobuf e = { 0 };

	protobuf_uint(&e, EVENT_TYPE, SLICE_BEGIN);
	protobuf_uint(&e, EVENT_TRACK, track);
	protobuf_string(&e, EVENT_NAME, name);
	return e;
}

static void end(struct perfetto *p, uint64_t timestamp, uint64_t track)
{
	struct protobuf e = { 0 };

	protobuf_uint(&e, EVENT_TYPE, SLICE_END);
	protobuf_uint(&e, EVENT_TRACK, track);
	write_event(p, timestamp, &e);
}

static void note(struct protobuf *e, const char *name,
		 enum annotation_field type, uint64_t value, const char *text)
{
	struct protobuf n = { 0 };

	protobuf_string(&n, NOTE_NAME, name);
	if (type == NOTE_STRING)
		protobuf_string(&n, type, text);
	else
		protobuf_uint(&n, type, value);
	protobuf_message(e, EVENT_ANNOTATION, &n);
}

static void guest(void *ctx, const struct worlds_guest *g)
{
	struct perfetto *p = ctx;
	const struct trace_kvm_exit *x = g->end;
	const uint64_t cpu = TRACK_CPU(p->tool->capture.cpu_id[g->cpu]),
		vcpu = TRACK_VCPU(x->dom, x->vcpu_id);
	char name[EVENTS_NAME];
	struct protobuf e;

	snprintf(name, sizeof(name), "dom%u vcpu%u", x->dom, x->vcpu_id);
	e = begin(cpu, name);
	if (g->serves)
		protobuf_fixed64(&e, EVENT_FLOW, g->serves);
	if (g->resumes)
		protobuf_fixed64(&e, EVENT_FLOW_END, g->resumes);
	write_event(p, g->begin, &e);
	end(p, x->header.timestamp, cpu);
	e = begin(vcpu, "runs");
	note(&e, "cpu", NOTE_UINT, p->tool->capture.cpu_id[g->cpu], NULL);
	write_event(p, g->begin, &e);
	end(p, x->header.timestamp, vcpu);
}

static void exits(void *ctx, unsigned cpu, const struct trace_kvm_exit *x,
		  uint64_t flow)
{
	struct perfetto *p = ctx;
	const uint64_t track = TRACK_CPU(p->tool->capture.cpu_id[cpu]);
	struct protobuf e = begin(track, events_kind(x->kind));
	char sub[EVENTS_NAME];

	if (x->entry_tsc < x->header.timestamp)
		return;
	note(&e, "dom", NOTE_UINT, x->dom, NULL);
	note(&e, "vcpu", NOTE_UINT, x->vcpu_id, NULL);
	note(&e, "outcome", NOTE_STRING, 0, events_outcome(x->outcome));
	events_sub(sub, x->dom, x->kind, x->sub);
	if (events_has_sub(x))
		note(&e, "key", NOTE_STRING, 0, sub);
	note(&e, "rip", NOTE_POINTER, x->guest_rip, NULL);
	note(&e, "cr3", NOTE_POINTER, x->cr3, NULL);
	if (flow)
		protobuf_fixed64(&e, EVENT_FLOW, flow);
	write_event(p, x->header.timestamp, &e);
	end(p, x->entry_tsc, track);
}

__attribute__((format(printf, 4, 5)))
static void track(struct perfetto *p, uint64_t uuid, uint64_t parent,
		  const char *format, ...)
{
	struct protobuf d = { 0 }, packet = { 0 };
	char name[64];
	va_list ap;

	va_start(ap, format);
	vsnprintf(name, sizeof(name), format, ap);
	va_end(ap);
	protobuf_uint(&d, DESC_UUID, uuid);
	protobuf_string(&d, DESC_NAME, name);
	if (parent)
		protobuf_uint(&d, DESC_PARENT, parent);
	protobuf_message(&packet, PACKET_DESCRIPTOR, &d);
	write_packet(p, &packet);
}

static void tracks(struct perfetto *p)
{
	const struct worlds *w = &p->tool->worlds;

	track(p, TRACK_CPUS, 0, "CPUs");
	for (unsigned i = 0; i < p->tool->capture.cpus; i++) {
		const uint32_t id = p->tool->capture.cpu_id[i];

		track(p, TRACK_CPU(id), TRACK_CPUS, "CPU %" PRIu32, id);
	}
	for (size_t i = 0; i < w->slots; i++) {
		const unsigned dom = w->vcpu[i].key >> 16,
			vcpu = w->vcpu[i].key & 0xffff;

		if (!w->vcpu[i].used)
			continue;
		track(p, TRACK_DOM(dom), 0, "dom%u", dom);
		track(p, TRACK_VCPU(dom, vcpu), TRACK_DOM(dom), "vcpu%u", vcpu);
	}
}

enum status export_perfetto(struct tool *t, const char *folder, FILE *out)
{
	static const struct worlds_ops ops = { .guest = guest, .exit = exits };
	struct perfetto p = { .tool = t, .out = out };

	if (!tool_read(t, folder, &ops, &p))
		return STATUS_BAD;
	tracks(&p);
	return tool_status(t);
}
