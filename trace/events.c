/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.c - tables and names from events.def, exits.def and reasons.def.
 */
#include "events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct label {
	const char *type;
	unsigned value;
	const char *label;
};

static const struct label labels[] = {
#define ENUM(type)
#define VALUE(type, number, name, label) { #type, number, label },
#define ENUM_END(type)
#include "events.def"
#define X(kind, name) { "kind", EXIT_##kind, name },
#include <luvalley/exits.def>
#undef X
};

const struct events_event *events_get(uint64_t id)
{
	switch (id) {
#define EVENT(number, event)                                                   \
	case number: {                                                         \
		typedef struct trace_##event this;                             \
		static const struct events_field field[] = {
#define FIELD(type, name, unit)                                                \
	{ #name, #type, unit, offsetof(this, name), sizeof(trace_##type) },
#define EVENT_END(event, bytes)                                                \
		};                                                             \
		static const struct events_event e = {                         \
			#event, bytes, field, ARRAY_SIZE(field) };             \
		return &e;                                                     \
	}
#include "events.def"
	default:
		return NULL;
	}
}

uint64_t events_value(const struct events_field *f, const void *record)
{
	uint64_t v = 0;

	memcpy(&v, (const char *)record + f->at, f->bytes);
	return v;
}

static const char *label_of(const char *type, uint64_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		if (labels[i].value == value &&
		    strcmp(labels[i].type, type) == 0)
			return labels[i].label;
	return NULL;
}

const char *events_label(const struct events_field *f, uint64_t value)
{
	return label_of(f->type, value);
}

void events_text(char *out, size_t len, const struct events_field *f,
		 const void *record)
{
	const uint64_t v = events_value(f, record);
	const char *label = events_label(f, v);

	if (label)
		snprintf(out, len, "%s", label);
	else if (f->type[0] == 'x')
		snprintf(out, len, "0x%" PRIx64, v);
	else if (f->type[0] == 's')
		snprintf(out, len, "%" PRId64, (int64_t)v);
	else
		snprintf(out, len, "%" PRIu64, v);
}

const char *events_kind(unsigned kind)
{
	const char *s = label_of("kind", kind);

	return s ? s : "?";
}

const char *events_outcome(unsigned outcome)
{
	const char *s = label_of("outcome", outcome);

	return s ? s : "?";
}

void events_dom(char out[EVENTS_NAME], unsigned dom)
{
	snprintf(out, EVENTS_NAME, "dom%u", dom);
}

static const char *call_name(uint64_t nr)
{
	switch (nr) {
#define X(n, name) case n: return #name;
	LUV_CALLS(X)
#undef X
	default: return NULL;
	}
}

static const char *const sub_names[EXIT_KINDS] = {
	[EXIT_EXCEPTION] = "vector", [EXIT_INTR] = "vector",
	[EXIT_CPUID] = "leaf", [EXIT_HYPERCALL] = "call", [EXIT_CR] = "CR",
	[EXIT_DR] = "DR", [EXIT_IO] = "port", [EXIT_RDMSR] = "MSR",
	[EXIT_WRMSR] = "MSR", [EXIT_STAGE2] = "GPA",
	[EXIT_APIC_WRITE] = "register",
};

bool events_has_sub(const struct trace_kvm_exit *x)
{
	return x->kind < EXIT_KINDS && sub_names[x->kind] &&
	       x->sub != EVENTS_NO_SUB;
}

void events_sub(char out[EVENTS_NAME], unsigned dom, unsigned kind,
		uint64_t sub)
{
	/* The calls of luvalley.h are dom0's; a domU has its own. */
	const char *call = kind == EXIT_HYPERCALL && dom == 0 ?
		call_name(sub) : NULL;

	out[0] = '\0';
	if (call)
		snprintf(out, EVENTS_NAME, "%s", call);
	else if (kind < EXIT_KINDS && sub_names[kind])
		snprintf(out, EVENTS_NAME, kind == EXIT_CR || kind == EXIT_DR ?
			 "%s%" PRIx64 : "%s 0x%" PRIx64, sub_names[kind], sub);
}

/* --- the hardware's numbers ----------------------------------------------- */

struct reason {
	uint8_t isa, kind;
	uint16_t first, last;
	const char *name;
};

static const struct reason reasons[] = {
#define REASON(isa, first, last, name, kind) \
	{ LUV_ISA_##isa, EXIT_##kind, first, last, name },
#include "reasons.def"
};

static const struct reason *find_reason(unsigned isa, uint32_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].isa == isa && code >= reasons[i].first &&
		    code <= reasons[i].last)
			return &reasons[i];
	return NULL;
}

void events_reason(char out[EVENTS_NAME], unsigned isa, uint32_t reason)
{
	static const char *const exceptions[] = {
		[0] = "DE", [1] = "DB", [3] = "BP", [4] = "OF", [5] = "BR",
		[6] = "UD", [7] = "NM", [8] = "DF", [10] = "TS", [11] = "NP",
		[12] = "SS", [13] = "GP", [14] = "PF", [16] = "MF", [17] = "AC",
		[18] = "MC", [19] = "XF" };
	const struct reason *r = find_reason(isa, reason);
	const uint32_t nth = r ? reason - r->first : 0;

	if (r && isa == LUV_ISA_SVM && r->kind == EXIT_EXCEPTION &&
	    nth < ARRAY_SIZE(exceptions) && exceptions[nth])
		snprintf(out, EVENTS_NAME, "%s excp", exceptions[nth]);
	else if (r && r->first != r->last)
		snprintf(out, EVENTS_NAME, "%s%" PRIu32, r->name, nth);
	else
		snprintf(out, EVENTS_NAME, "%s", r ? r->name : "UNKNOWN");
}

unsigned events_kind_of(unsigned isa, uint32_t reason)
{
	const struct reason *r = find_reason(isa, reason);

	return r ? r->kind : EXIT_OTHER;
}
