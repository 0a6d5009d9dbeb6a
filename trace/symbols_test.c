/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symbols_test.c - names from a System.map and from this very program.
 */
#include "symbols.h"
#include "test.h"

#include <unistd.h>

static char path[] = "/tmp/symbols_test.XXXXXX";
static struct symbols s;

static const char map[] =
	"0000000000000000 A fixed_percpu_data\n"
	"ffffffff81000000 T _stext\n"
	"ffffffff81000200 t inner\n"
	"ffffffff81000100 T outer\n"
	"ffffffff82000000 D data\n"
	"ffffffffc0000000 t driver_irq\t[driver]\n";

static int begin(void **state)
{
	FILE *f = fopen(path, "w");

	(void)state;
	fputs(map, f);
	return fclose(f);
}

static int end(void **state)
{
	(void)state;
	symbols_free(&s);
	return 0;
}

static void load(const char *format)
{
	char what[200];
	const char *wrong;

	snprintf(what, sizeof(what), format, path);
	wrong = symbols_load(&s, what);
	if (wrong)
		fail_msg("%s", wrong);
}

static void expect(unsigned dom, uint64_t address, const char *name,
		   uint64_t offset)
{
	uint64_t at = 0;
	const char *found = symbols_find(&s, dom, address, &at);

	if (!name) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, name);
	assert_int_equal(at, offset);
}

static void system_map(void **state)
{
	(void)state;
	load("%s");
	expect(1, 0xffffffff81000000, "_stext", 0);
	expect(1, 0xffffffff810001ff, "outer", 0xff);
	expect(9, 0xffffffff81000210, "inner", 0x10);
	expect(1, 0xffffffffc0000004, "driver_irq", 4);
	expect(1, 0xffffffff80ffffff, NULL, 0);
	expect(1, 0xffffffff90000000, NULL, 0); /* far from all */
	expect(1, 0x1000, NULL, 0);
}

static void of_one_domain(void **state)
{
	(void)state;
	load("2=%s+0x1000");
	expect(2, 0xffffffff81001104, "outer", 4);
	expect(1, 0xffffffff81001104, NULL, 0);
	load("1=%s");
	expect(1, 0xffffffff81000104, "outer", 4);
}

static void elf(void **state)
{
	char self[300], what[400];
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	uint64_t at;

	(void)state;
	assert_true(n > 0);
	self[n] = '\0';
	/* The load address is what `elf` has more than its symbol. */
	assert_null(symbols_load(&s, self));
	for (uint64_t low = (uint64_t)elf & 0xfff; low < 0x10000000;
	     low += 0x1000) {
		const char *name = symbols_find(&s, 0, low, &at);

		if (!name || strcmp(name, "elf") || at)
			continue;
		snprintf(what, sizeof(what), "%s+%lu", self,
			 (unsigned long)((uint64_t)elf - low));
		symbols_free(&s);
		assert_null(symbols_load(&s, what));
		expect(0, (uint64_t)elf + 1, "elf", 1);
		expect(0, (uint64_t)expect, "expect", 0);
		return;
	}
	fail_msg("this program has no symbol \"elf\"");
}

static void wrong_files(void **state)
{
	(void)state;
	assert_has(symbols_load(&s, "/nowhere"), "/nowhere: No such file");
	assert_has(symbols_load(&s, "3=/dev/null"), "no functions in it");
	assert_has(symbols_load(&s, "/etc/passwd"), "System.map");
	expect(3, 1, NULL, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(system_map), TEST(of_one_domain), TEST(elf),
		TEST(wrong_files),
	};
	int failed;

	close(mkstemp(path));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
