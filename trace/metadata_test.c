/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metadata_test.c - the layout that packets have for good, the text about it,
 * and what is refused.
 */
#include "ctf.h"
#include "metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct metadata sample = {
	.uuid = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10, 0x32,
		  0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe },
	.tsc_hz = 2600000001, .absolute = true, .offset_s = -5,
	.offset = 2600000000, .precision = 7, .isa = LUV_ISA_SVM,
	.build = "1.2-3-gabc",
};

static char *text_of(const struct metadata *m)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(metadata_write(f, m), 0);
	fclose(f);
	return text;
}

/* Captures outlive the program: these numbers never change. */
static void layout_is_for_good(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct ctf_packet), 104);
	assert_int_equal(offsetof(struct ctf_packet, timestamp_begin), 24);
	assert_int_equal(offsetof(struct ctf_packet, content_size), 40);
	assert_int_equal(offsetof(struct ctf_packet, packet_seq_num), 56);
	assert_int_equal(offsetof(struct ctf_packet, events_discarded), 64);
	assert_int_equal(offsetof(struct ctf_packet, cpu_id), 72);
	assert_int_equal(offsetof(struct trace_kvm_exit, header.timestamp), 8);
	assert_int_equal(offsetof(struct trace_kvm_exit, seq), 16);
	assert_int_equal(offsetof(struct trace_kvm_exit, entry_tsc), 24);
	assert_int_equal(offsetof(struct trace_kvm_exit, exit_reason), 64);
	assert_int_equal(offsetof(struct trace_kvm_exit, vcpu_id), 76);
	assert_int_equal(offsetof(struct trace_kvm_exit, kind), 81);
	assert_int_equal(offsetof(struct trace_kvm_exit, sub), 88);
	assert_int_equal(TRACE_clock, 13);
	assert_int_equal(TRACE_EVENTS, 14);
}

static void text_has_the_rows(void **state)
{
	static const char *const lines[] = {
		"/* CTF 1.8 */", "byte_order = le;", "isa = 2;",
		"uuid = \"01234567-89ab-cdef-1032-547698badcfe\";",
		"freq = 2600000001;", "offset_s = -5;", "absolute = true;",
		"name = \"kvm_exit\";", "x64_t guest_rip;",
		"u64_t entry_tsc; /* ticks */", "\"external-interrupt\",",
		"\"ring3\" = 1,", "build = \"1.2-3-gabc\";",
		"tsc_t timestamp_begin; /* ticks */",
	};
	char *text = text_of(&sample);

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(text, lines[i]))
			fail_msg("no \"%s\" in the metadata", lines[i]);
	free(text);
}

static void round_trip(const struct metadata *m)
{
	struct metadata parsed;
	char *text = text_of(m), *again;

	assert_true(metadata_parse(text, &parsed));
	again = text_of(&parsed);
	assert_string_equal(text, again);
	free(text);
	free(again);
}

static void parse_is_the_inverse(void **state)
{
	struct metadata m = sample;

	(void)state;
	round_trip(&m);
	m.build[0] = '\0';
	m.absolute = false;
	m.offset_s = INT64_MAX;
	round_trip(&m);
}

static void another_layout_is_seen(void **state)
{
	struct metadata m;
	char *text = text_of(&sample), *at;

	(void)state;
	at = strstr(text, "guest_rip");
	*at = 'G';
	assert_false(metadata_parse(text, &m));
	*at = 'g';
	assert_true(metadata_parse(text, &m));
	at = strstr(text, "uuid = \"") + 8;
	*at = '?';
	assert_false(metadata_parse(text, &m));
	free(text);
	assert_false(metadata_parse("", &m));
}

/* However short, no reading past the end: ASan looks. */
static void cut_text_is_refused(void **state)
{
	char *text = text_of(&sample);
	size_t len = strlen(text);
	struct metadata m;

	(void)state;
	for (size_t i = 0; i < len; i += i < 900 ? 1 : 97) {
		char *cut = strndup(text, i);

		assert_false(metadata_parse(cut, &m));
		free(cut);
	}
	free(text);
}

static void refused(struct metadata m)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_int_equal(metadata_write(f, &m), -1);
	assert_int_equal(ftell(f), 0);
	fclose(f);
}

static void invalid_is_refused(void **state)
{
	struct metadata m = sample;

	(void)state;
	m.tsc_hz = 0;
	refused(m);
	m = sample;
	m.offset = m.tsc_hz;
	refused(m);
	m = sample;
	strcpy(m.build, "a\"b");
	refused(m);
	m = sample;
	memset(m.build, 'x', sizeof(m.build));
	refused(m);
}

/* Clock and TSC as of some moment, back from offset_s and offset. */
static void clock_is_right(void **state)
{
	static const struct { uint64_t hz, tsc; int64_t ns; } rows[] = {
		{ 2596122000, 77777777777, 1700000000123456789 },
		{ 1000000000, 5, 1700000000000000000 },
		{ 3000000001, 2999999999, 1700000000999999999 },
		{ 2596122000, UINT64_C(1) << 55, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct metadata m = { .tsc_hz = rows[i].hz };
		long double ns;

		metadata_clock(&m, rows[i].tsc, rows[i].ns);
		assert_true(m.absolute && m.offset < m.tsc_hz);
		ns = m.offset_s * 1e9L + ((long double)m.offset + rows[i].tsc) *
						 1e9L / m.tsc_hz;
		assert_true(ns - rows[i].ns < 2 && rows[i].ns - ns < 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_is_for_good),
		cmocka_unit_test(text_has_the_rows),
		cmocka_unit_test(parse_is_the_inverse),
		cmocka_unit_test(another_layout_is_seen),
		cmocka_unit_test(cut_text_is_refused),
		cmocka_unit_test(invalid_is_refused),
		cmocka_unit_test(clock_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
