/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * export_chrome.c - Trace Event Format. Process 1 has a thread for each CPU,
 * with guests and the VMM as slices; process 2 + n has the vCPUs of domain n.
 * Flows go from a domU's exit over dom0's work to where the vCPU goes on.
 */
#include "events.h"
#include "export.h"

#include <inttypes.h>

#define PID_CPUS 1u
#define PID_DOM	 2u

struct chrome {
	struct tool *tool;
	FILE *out;
	const char *comma;
};

static double us(const struct chrome *c, uint64_t ticks)
{
	return capture_ns(&c->tool->capture, ticks) / 1000;
}

static void begin(struct chrome *c, const char *phase, unsigned pid,
		  unsigned tid)
{
	fprintf(c->out, "%s\n{\"ph\":\"%s\",\"pid\":%u,\"tid\":%u", c->comma,
		phase, pid, tid);
	c->comma = ",";
}

static void slice(struct chrome *c, unsigned pid, unsigned tid,
		  const char *name, uint64_t from, uint64_t to)
{
	begin(c, "X", pid, tid);
	fprintf(c->out, ",\"ts\":%.4f,\"dur\":%.4f,\"name\":\"%s\"",
		us(c, from), us(c, to - from), name);
}

/* phase: s begins, t goes on, f ends; bound to the slice that has `at`. */
static void flow(struct chrome *c, const char *phase, unsigned cpu,
		 uint64_t at, uint64_t id)
{
	begin(c, phase, PID_CPUS, c->tool->capture.cpu_id[cpu]);
	fprintf(c->out, ",\"ts\":%.4f,\"id\":%" PRIu64 ",\"name\":\"exit\","
		"\"cat\":\"exit\",\"bp\":\"e\"}", us(c, at), id);
}

static void guest(void *ctx, const struct worlds_guest *g)
{
	struct chrome *c = ctx;
	const struct trace_kvm_exit *x = g->end;
	char name[EVENTS_NAME], dom[EVENTS_NAME];

	events_dom(dom, x->dom);
	snprintf(name, sizeof(name), "%.12s vcpu%u", dom, x->vcpu_id);
	slice(c, PID_CPUS, c->tool->capture.cpu_id[g->cpu], name, g->begin,
	      x->header.timestamp);
	fputc('}', c->out);
	slice(c, PID_DOM + x->dom, x->vcpu_id, "runs", g->begin,
	      x->header.timestamp);
	fprintf(c->out, ",\"args\":{\"cpu\":%" PRIu32 "}}",
		c->tool->capture.cpu_id[g->cpu]);
	if (g->serves)
		flow(c, "t", g->cpu, g->begin, g->serves);
	if (g->resumes)
		flow(c, "f", g->cpu, g->begin, g->resumes);
}

static void exits(void *ctx, unsigned cpu, const struct trace_kvm_exit *x,
		  uint64_t id)
{
	struct chrome *c = ctx;
	char sub[EVENTS_NAME];

	if (x->entry_tsc < x->header.timestamp)
		return;
	events_sub(sub, x->dom, x->kind, x->sub);
	slice(c, PID_CPUS, c->tool->capture.cpu_id[cpu], events_kind(x->kind),
	      x->header.timestamp, x->entry_tsc);
	fprintf(c->out, ",\"args\":{\"dom\":%u,\"vcpu\":%u,\"outcome\":\"%s\","
		"\"key\":\"%s\",\"rip\":\"0x%" PRIx64 "\",\"cr3\":\"0x%" PRIx64
		"\",\"info1\":\"0x%" PRIx64 "\",\"info2\":\"0x%" PRIx64 "\"}}",
		x->dom, x->vcpu_id, events_outcome(x->outcome),
		events_has_sub(x) ? sub : "", x->guest_rip, x->cr3, x->info1,
		x->info2);
	if (id)
		flow(c, "s", cpu, x->header.timestamp, id);
}

static void name(struct chrome *c, const char *what, unsigned pid, unsigned tid,
		 const char *format, unsigned n)
{
	begin(c, "M", pid, tid);
	fprintf(c->out, ",\"name\":\"%s\",\"args\":{\"name\":\"", what);
	fprintf(c->out, format, n);
	fputs("\"}}", c->out);
}

/* Names are known only when all is read; their place does not matter. */
static void names(struct chrome *c)
{
	const struct worlds *w = &c->tool->worlds;

	name(c, "process_name", PID_CPUS, 0, "CPUs", 0);
	for (unsigned i = 0; i < c->tool->capture.cpus; i++)
		name(c, "thread_name", PID_CPUS, c->tool->capture.cpu_id[i],
		     "CPU %u", c->tool->capture.cpu_id[i]);
	for (size_t i = 0; i < w->slots; i++) {
		const unsigned dom = w->vcpu[i].key >> 16,
			vcpu = w->vcpu[i].key & 0xffff;

		if (!w->vcpu[i].used)
			continue;
		name(c, "process_name", PID_DOM + dom, vcpu, "dom%u", dom);
		name(c, "thread_name", PID_DOM + dom, vcpu, "vcpu%u", vcpu);
	}
}

enum status export_chrome(struct tool *t, const char *folder, FILE *out)
{
	static const struct worlds_ops ops = { .guest = guest, .exit = exits };
	struct chrome c = { .tool = t, .out = out, .comma = "" };

	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", out);
	if (!tool_read(t, folder, &ops, &c))
		return STATUS_BAD;
	names(&c);
	fputs("\n]}\n", out);
	return tool_status(t);
}
