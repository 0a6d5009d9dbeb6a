/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmdline_test.c - every option with its edges, the words that are not ours,
 * and the sentences for those that are wrong. The host's vsnprintf stands in
 * for fmt.c, which has its own test.
 */
#include "cmdline.h"
#include "fmt.h"
#include "string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

int fmt_snprintf(char *buf, size_t size, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	const int n = vsnprintf(buf, size, format, ap);
	va_end(ap);
	return n;
}

static bool contains(const char *s, const char *part)
{
	for (; *s; s++)
		if (strncmp(s, part, strlen(part)) == 0)
			return true;
	return false;
}

static struct options parse(const char *s)
{
	struct options o;
	char why[200] = "";

	memset(&o, 0xa5, sizeof(o));
	if (cmdline_parse(s, &o, why, sizeof(why)) != OK)
		fail_msg("\"%s\": %s", s, why);
	assert_string_equal(why, "");
	return o;
}

static void assert_defaults(const struct options *o)
{
	assert_int_equal(o->boot_drive, 0x80);
	assert_int_equal(o->cpus, ~0u);
	assert_false(o->hypervisor_bit);
	assert_int_equal(o->apic_trap, APIC_TRAP_AUTO);
	assert_true(o->apicv);
	assert_int_equal(o->serial, 0x3f8);
	assert_int_equal(o->crash, CRASH_NONE);
}

static void no_options(void **state)
{
	static const char *const lines[] = {
		"", " ", " \t \n", "/boot/luvalley.elf", "luvalley.elf",
		"/luvalley", "x/",
		"  luvalley.elf  ", "cpus=2/x", "--", "x/y -- cpus=1 zzz",
		"-- nonsense" };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		const struct options o = parse(lines[i]);
		assert_defaults(&o);
	}
}

static void all_options(void **state)
{
	const struct options o = parse(
		"/luvalley.elf boot_drive=0x81 cpus=3\thypervisor_bit=on "
		"apic_trap=always  serial=0x2f8 crash=pf -- cpus=9");

	(void)state;
	assert_int_equal(o.boot_drive, 0x81);
	assert_int_equal(o.cpus, 3);
	assert_true(o.hypervisor_bit);
	assert_int_equal(o.apic_trap, APIC_TRAP_ALWAYS);
	assert_int_equal(o.serial, 0x2f8);
	assert_int_equal(o.crash, CRASH_PF);
}

static void words(void **state)
{
	(void)state;
	assert_false(parse("hypervisor_bit=on hypervisor_bit=off")
			     .hypervisor_bit);
	assert_int_equal(parse("apic_trap=auto").apic_trap, APIC_TRAP_AUTO);
	assert_false(parse("apicv=off").apicv);
	assert_true(parse("apicv=auto").apicv);
	assert_int_equal(parse("crash=none").crash, CRASH_NONE);
	assert_int_equal(parse("crash=ud").crash, CRASH_UD);
	assert_int_equal(parse("crash=pf").crash, CRASH_PF);
	assert_int_equal(parse("crash=exit").crash, CRASH_EXIT);
	assert_int_equal(parse("serial=off").serial, 0);
}

static void numbers(void **state)
{
	(void)state;
	assert_int_equal(parse("boot_drive=128").boot_drive, 128);
	assert_int_equal(parse("boot_drive=0xff").boot_drive, 255);
	assert_int_equal(parse("boot_drive=0xFf").boot_drive, 255);
	assert_int_equal(parse("boot_drive=0xaA").boot_drive, 0xaa);
	assert_int_equal(parse("boot_drive=0x0000000000000000000080")
				 .boot_drive, 0x80);
	assert_int_equal(parse("cpus=1").cpus, 1);
	assert_int_equal(parse("cpus=4294967295").cpus, 4294967295);
	assert_int_equal(parse("serial=1016").serial, 0x3f8);
	assert_int_equal(parse("serial=0xfff8").serial, 0xfff8);
	assert_int_equal(parse("serial=1").serial, 1);
	/* An option leaves its neighbours alone. */
	struct options o = parse("boot_drive=0xff");
	o.boot_drive = 0x80;
	assert_defaults(&o);
	o = parse("serial=0xfff8");
	o.serial = 0x3f8;
	assert_defaults(&o);
}

/* Only the first word may be the image's name. */
static void image_name_is_the_first_word(void **state)
{
	struct options o;
	char why[200];

	(void)state;
	assert_int_equal(parse("a.elf cpus=2").cpus, 2);
	assert_int_equal(parse(".elf cpus=2").cpus, 2);
	assert_int_equal(cmdline_parse("cpus=2 a.elf", &o, why, 200),
			 ERR_INVAL);
	assert_int_equal(cmdline_parse("a/b a/b", &o, why, 200), ERR_INVAL);
	assert_int_equal(cmdline_parse("elf", &o, why, 200), ERR_INVAL);
}

static void bad_words_are_named(void **state)
{
	static const struct {
		const char *line, *word, *allowed;
	} t[] = {
		{ "cpus=0", "\"cpus=0\"", "from 1" },
		{ "cpus=", "\"cpus=\"", "from 1" },
		{ "cpus", "\"cpus\"", "from 1" },
		{ "cpus=-1", "\"cpus=-1\"", "from 1" },
		{ "cpus=1x", "\"cpus=1x\"", "from 1" },
		{ "cpus=0x", "\"cpus=0x\"", "from 1" },
		{ "cpus=a", "\"cpus=a\"", "from 1" },
		{ "cpus=4294967296", "\"cpus=4294967296\"", "from 1" },
		{ "cpus=18446744073709551617", "51617\"", "from 1" },
		{ "cpus=1=2", "\"cpus=1=2\"", "from 1" },
		{ "boot_drive=0x7f", "=0x7f\"", "0x80 to 0xff" },
		{ "boot_drive=0x100", "=0x100\"", "0x80 to 0xff" },
		{ "boot_drive=fd0", "=fd0\"", "0x80 to 0xff" },
		{ "serial=0", "\"serial=0\"", "or off" },
		{ "serial=0x10000", "=0x10000\"", "or off" },
		{ "serial=on", "\"serial=on\"", "or off" },
		{ "hypervisor_bit=1", "_bit=1\"", "on or off" },
		{ "hypervisor_bit", "_bit\"", "on or off" },
		{ "hypervisor_bit=of", "_bit=of\"", "on or off" },
		{ "apic_trap=never", "=never\"", "auto or always" },
		{ "apicv=on", "=on\"", "auto or off" },
		{ "crash=pff", "\"crash=pff\"", "none, ud, pf or exit" },
		{ "cpu=1", "\"cpu=1\"", "cpus=" },
		{ "cpus2=1", "\"cpus2=1\"", "cpus=" },
		{ "quiet", "\"quiet\"", "boot_drive=" },
		{ "=", "\"=\"", "crash=" },
		{ "=5", "\"=5\"", "serial=" },
		{ "x.elf cpus=2 -quiet cpus=0", "\"-quiet\"", "crash=" },
		{ "Cpus=2", "\"Cpus=2\"", "apic_trap=" },
		{ "--cpus=2", "\"--cpus=2\"", "hypervisor_bit=" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		struct options o;
		char why[200] = "";

		assert_int_equal(cmdline_parse(t[i].line, &o, why, 200),
				 ERR_INVAL);
		if (!contains(why, t[i].word) || !contains(why, t[i].allowed))
			fail_msg("\"%s\": %s", t[i].line, why);
		assert_true(strlen(why) < 199);
	}
}

static void options_are_complete_after_an_error(void **state)
{
	struct options o;
	char why[200];

	(void)state;
	memset(&o, 0xa5, sizeof(o));
	assert_int_equal(cmdline_parse("serial=0x2f8 oops cpus=2", &o, why,
				       sizeof(why)), ERR_INVAL);
	assert_int_equal(o.serial, 0x2f8);
	o.serial = 0x3f8;
	assert_defaults(&o);
}

/* A sentence that does not fit is cut, in every buffer: ASan watches. */
static void short_buffers(void **state)
{
	static const char *const lines[] = { "unknown_word", "cpus=zero" };
	struct options o;
	char whole[200];

	(void)state;
	for (unsigned l = 0; l < ARRAY_SIZE(lines); l++) {
		assert_int_equal(cmdline_parse(lines[l], &o, whole, 200),
				 ERR_INVAL);
		for (size_t n = 0; n <= strlen(whole) + 1; n++) {
			char *why = malloc(n);

			assert_int_equal(cmdline_parse(lines[l], &o, why, n),
					 ERR_INVAL);
			if (n > 0) {
				assert_int_equal(strlen(why), n - 1);
				assert_memory_equal(why, whole, n - 1);
			}
			free(why);
		}
	}
}

/* Any text ends in OK or in a sentence. */
static void random_lines(void **state)
{
	static const char alphabet[] = "cpus=019xf -/.elfonserial\t=auto";

	(void)state;
	for (unsigned round = 0; round < 100000; round++) {
		const unsigned len = (unsigned)rand() % 30;
		struct options o;
		char line[32], why[100] = "";

		for (unsigned i = 0; i < len; i++)
			line[i] = alphabet[(unsigned)rand() %
					   (sizeof(alphabet) - 1)];
		line[len] = 0;
		const enum err e = cmdline_parse(line, &o, why, sizeof(why));
		assert_true(e == OK || (e == ERR_INVAL && why[0]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_options),
		cmocka_unit_test(all_options),
		cmocka_unit_test(words),
		cmocka_unit_test(numbers),
		cmocka_unit_test(image_name_is_the_first_word),
		cmocka_unit_test(bad_words_are_named),
		cmocka_unit_test(options_are_complete_after_an_error),
		cmocka_unit_test(short_buffers),
		cmocka_unit_test(random_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
