/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metadata.c - TSDL from events.def. What differs from capture to capture is
 * at the head; from the mark on all captures of one layout have the same text.
 */
#include "metadata.h"
#include "ctf.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

#define MARK "/* The layout. */"
#define UUID_TEXT 37 /* 32 digits, 4 dashes, NUL */

static void field(FILE *f, const char *type, const char *name, const char *unit)
{
	fprintf(f, "\t\t%s_t %s;", type, name);
	fprintf(f, *unit ? " /* %s */\n" : "%s\n", unit);
}

static void types(FILE *f)
{
	fputs("typealias integer { size = 8; align = 8; } := u8_t;\n"
	      "typealias integer { size = 16; align = 8; } := u16_t;\n"
	      "typealias integer { size = 32; align = 8; } := u32_t;\n"
	      "typealias integer { size = 64; align = 8; } := u64_t;\n"
	      "typealias integer { size = 64; align = 8; signed = true; }"
	      " := s64_t;\n"
	      "typealias integer { size = 32; align = 8; base = 16; } := x32_t;\n"
	      "typealias integer { size = 64; align = 8; base = 16; } := x64_t;\n"
	      "typealias integer { size = 64; align = 8;"
	      " map = clock.tsc.value; } := tsc_t;\n"
	      "typealias integer { size = 32; align = 8; } := z4_t;\n"
	      "typealias integer { size = 40; align = 8; } := z5_t;\n"
	      "typealias integer { size = 48; align = 8; } := z6_t;\n"
	      "typealias integer { size = 56; align = 8; } := z7_t;\n", f);
}

static void enums(FILE *f)
{
#define ENUM(type) fputs("typealias enum : u8_t {\n", f);
#define VALUE(type, number, name, label) \
	fprintf(f, "\t\"%s\" = %u,\n", label, number);
#define ENUM_END(type) fputs("} := " #type "_t;\n", f);
#include "events.def"
	fputs("typealias enum : u8_t {\n", f);
#define X(kind, name) fputs("\t\"" name "\",\n", f);
#include <luvalley/exits.def>
#undef X
	fputs("} := kind_t;\n", f);
}

static void stream(FILE *f)
{
	fputs("\nstream {\n\tid = 0;\n\tevent.header := struct {\n"
	      "\t\tu64_t id;\n\t\ttsc_t timestamp; /* ticks */\n"
	      "\t};\n\tpacket.context := struct {\n", f);
#define CONTEXT(type, name, unit) field(f, #type, #name, unit);
#include "events.def"
	fputs("\t};\n};\n", f);
}

static void events(FILE *f)
{
#define EVENT(number, name) \
	fprintf(f, "\nevent {\n\tname = \"%s\";\n\tid = %u;\n" \
		"\tstream_id = 0;\n\tfields := struct {\n", #name, number);
#define FIELD(type, name, unit) field(f, #type, #name, unit);
#define EVENT_END(name, bytes) fputs("\t};\n};\n", f);
#include "events.def"
}

static void layout(FILE *f)
{
	fputs(MARK "\n", f);
	types(f);
	enums(f);
	stream(f);
	events(f);
}

static void uuid_text(char out[UUID_TEXT], const uint8_t uuid[16])
{
	for (unsigned i = 0; i < 16; i++) {
		const bool dash = i == 4 || i == 6 || i == 8 || i == 10;

		out += sprintf(out, "%s%02x", dash ? "-" : "", uuid[i]);
	}
}

static void head(FILE *f, const struct metadata *m)
{
	char uuid[UUID_TEXT];

	uuid_text(uuid, m->uuid);
	fprintf(f, "/* CTF 1.8 */\n\n"
		"trace {\n\tmajor = 1;\n\tminor = 8;\n\tuuid = \"%s\";\n"
		"\tbyte_order = le;\n\tpacket.header := struct {\n"
		"\t\tinteger { size = 32; align = 8; base = 16; } magic;\n"
		"\t\tinteger { size = 8; align = 8; base = 16; } uuid[16];\n"
		"\t\tinteger { size = 32; align = 8; } stream_id;\n"
		"\t};\n};\n\n", uuid);
	fprintf(f, "env {\n\tdomain = \"hypervisor\";\n"
		"\ttracer_name = \"luvalley\";\n\ttracer_major = 1;\n"
		"\tisa = %u;\n\tbuild = \"%s\";\n};\n\n", m->isa, m->build);
	fprintf(f, "clock {\n\tname = \"tsc\";\n\tfreq = %" PRIu64 ";\n"
		"\tprecision = %" PRIu64 ";\n\toffset_s = %" PRId64 ";\n"
		"\toffset = %" PRIu64 ";\n\tabsolute = %s;\n};\n\n", m->tsc_hz,
		m->precision, m->offset_s, m->offset,
		m->absolute ? "true" : "false");
}

static bool valid(const struct metadata *m)
{
	return m->tsc_hz > 0 && m->offset < m->tsc_hz &&
	       memchr(m->build, '\0', sizeof(m->build)) &&
	       !strpbrk(m->build, "\"\\\n");
}

void metadata_clock(struct metadata *m, uint64_t tsc, int64_t wall_ns)
{
	const int64_t hz = (int64_t)m->tsc_hz;
	/* Of the second's part: ticks, with one second to borrow from. */
	const int64_t ticks = (int64_t)((long double)(wall_ns % NS_PER_S) *
					hz / NS_PER_S) + hz -
			      (int64_t)(tsc % m->tsc_hz);

	m->offset_s = wall_ns / NS_PER_S - (int64_t)(tsc / m->tsc_hz) - 1 +
		      ticks / hz;
	m->offset = (uint64_t)(ticks % hz);
	m->absolute = true;
}

int metadata_write(FILE *f, const struct metadata *m)
{
	if (!valid(m)) {
		errno = EINVAL;
		return -1;
	}
	head(f, m);
	layout(f);
	return ferror(f) || fflush(f) ? -1 : 0;
}

static bool same_layout(const char *text)
{
	char *mine = NULL;
	size_t len;
	FILE *f = open_memstream(&mine, &len);
	bool same;

	if (!f)
		return false;
	layout(f);
	same = fclose(f) == 0 && strcmp(text, mine) == 0;
	free(mine);
	return same;
}

/* The text after "name = " in the head. */
static const char *value(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? at + strlen(name) : "";
}

static bool parse_uuid(const char *s, uint8_t uuid[16])
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned byte;

		s += *s == '-';
		if (!isxdigit((unsigned char)s[0]) ||
		    !isxdigit((unsigned char)s[1]))
			return false;
		sscanf(s, "%2x", &byte);
		uuid[i] = (uint8_t)byte;
		s += 2;
	}
	return *s == '"';
}

bool metadata_parse(const char *text, struct metadata *m)
{
	const char *mark = strstr(text, MARK);
	char absolute[6] = "";

	*m = (struct metadata){ 0 };
	return mark && same_layout(mark) &&
	       parse_uuid(value(text, "\tuuid = \""), m->uuid) &&
	       sscanf(value(text, "\tisa = "), "%hhu;", &m->isa) == 1 &&
	       sscanf(value(text, "\tbuild = "), "\"%31[^\"]\"",
		      m->build) >= 0 &&
	       sscanf(value(text, "\tfreq = "), "%" SCNu64, &m->tsc_hz) == 1 &&
	       sscanf(value(text, "\tprecision = "), "%" SCNu64,
		      &m->precision) == 1 &&
	       sscanf(value(text, "\toffset_s = "), "%" SCNd64,
		      &m->offset_s) == 1 &&
	       sscanf(value(text, "\toffset = "), "%" SCNu64,
		      &m->offset) == 1 &&
	       sscanf(value(text, "\tabsolute = "), "%5[a-z]", absolute) == 1 &&
	       (m->absolute = strcmp(absolute, "true") == 0, valid(m));
}
