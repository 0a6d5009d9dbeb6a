/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmdline.c - the VMM's boot options, as a table.
 *
 * An option is a row: a name, a member of struct options, and its values,
 * which are a number in a range, a word of a list, or either. A word's value
 * is its place in the list, which is also the value of its enum.
 */
#include "cmdline.h"
#include "fmt.h"
#include "string.h"

static const char *const on_off[] = { "off", "on", NULL };
static const char *const apic_traps[] = {
	[APIC_TRAP_AUTO] = "auto", [APIC_TRAP_ALWAYS] = "always", NULL };
static const char *const apicvs[] = { "off", "auto", NULL };
static const char *const off_only[] = { "off", NULL };
static const char *const crashes[] = {
	[CRASH_NONE] = "none", [CRASH_UD] = "ud", [CRASH_PF] = "pf",
	[CRASH_EXIT] = "exit", NULL };
static const char *const traces[] = { "off", "stop", "flight", NULL };
_Static_assert(ARRAY_SIZE(apic_traps) == APIC_TRAP_ALWAYS + 2, "a word each");
_Static_assert(ARRAY_SIZE(crashes) == CRASH_EXIT + 2, "a word each");

#define MEMBER(m) offsetof(struct options, m), sizeof(((struct options *)0)->m)

static const struct option {
	const char *name;
	const char *allowed;	  /* for the error sentence */
	size_t offset, size;	  /* member of struct options */
	const char *const *words; /* or NULL */
	uint64_t min, max;	  /* of a number; max 0: none allowed */
} table[] = {
	{ "boot_drive", "0x80 to 0xff", MEMBER(boot_drive), NULL, 0x80, 0xff },
	{ "cpus", "a number from 1", MEMBER(cpus), NULL, 1, UINT32_MAX },
	{ "hypervisor_bit", "on or off", MEMBER(hypervisor_bit), on_off, 0, 0 },
	{ "apic_trap", "auto or always", MEMBER(apic_trap), apic_traps, 0, 0 },
	{ "apicv", "auto or off", MEMBER(apicv), apicvs, 0, 0 },
	{ "serial", "an I/O port such as 0x3f8, or off", MEMBER(serial),
	  off_only, 1, 0xfff8 },
	{ "trace", "off, stop or flight", MEMBER(trace), traces, 0, 0 },
	{ "trace_kib", "KiB, 0 to 1048576", MEMBER(trace_kib), NULL, 0,
	  1048576 },
	{ "crash", "none, ud, pf or exit", MEMBER(crash), crashes, 0, 0 },
};

static const struct options defaults = {
	.boot_drive = 0x80,
	.cpus = ~0u,
	.apicv = true,
	.serial = 0x3f8,
	.trace_kib = 512,
};

struct word {
	const char *s;
	size_t len;
};

static bool equals(struct word w, const char *s)
{
	return strlen(s) == w.len && memcmp(w.s, s, w.len) == 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word of *s, which moves behind it; len 0 at the end. */
static struct word next_word(const char **s)
{
	struct word w;

	while (is_blank(**s))
		(*s)++;
	w.s = *s;
	while (**s && !is_blank(**s))
		(*s)++;
	w.len = (size_t)(*s - w.s);
	return w;
}

static size_t index_of(struct word w, char c)
{
	size_t i = 0;

	while (i < w.len && w.s[i] != c)
		i++;
	return i;
}

static bool is_image_name(struct word w)
{
	static const char suffix[] = ".elf";
	const size_t n = sizeof(suffix) - 1;

	return index_of(w, '/') < w.len ||
	       (w.len >= n && memcmp(w.s + w.len - n, suffix, n) == 0);
}

/* Value of a digit in any base up to 16; 16 if it is none. */
static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

/* Decimal, or hexadecimal after 0x; false if `w` is no number up to max. */
static bool parse_number(struct word w, uint64_t max, uint64_t *value)
{
	const bool hex = w.len > 2 && memcmp(w.s, "0x", 2) == 0;
	const unsigned base = hex ? 16 : 10;
	uint64_t v = 0;

	_Static_assert(UINT32_MAX < UINT64_MAX / 16, "no overflow before max");
	for (size_t i = hex ? 2 : 0; i < w.len; i++) {
		const unsigned d = digit(w.s[i]);

		if (d >= base)
			return false;
		v = v * base + d;
		if (v > max)
			return false;
	}
	*value = v;
	return w.len > 0;
}

static bool parse_value(const struct option *opt, struct word w, uint64_t *v)
{
	for (unsigned i = 0; opt->words && opt->words[i]; i++) {
		if (equals(w, opt->words[i])) {
			*v = i;
			return true;
		}
	}
	return opt->max > 0 && parse_number(w, opt->max, v) && *v >= opt->min;
}

static const struct option *find_option(struct word name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (equals(name, table[i].name))
			return &table[i];
	return NULL;
}

static void say_unknown(struct word w, char *why, size_t why_len)
{
	size_t n = (size_t)fmt_snprintf(why, why_len,
					"unknown option \"%.*s\"; there are",
					(int)w.len, w.s);

	for (unsigned i = 0; i < ARRAY_SIZE(table) && n < why_len; i++)
		n += (size_t)fmt_snprintf(why + n, why_len - n, "%s %s=",
					  i ? "," : "", table[i].name);
}

static enum err parse_option(struct word w, struct options *o, char *why,
			     size_t why_len)
{
	const size_t eq = index_of(w, '=');
	const struct option *opt = find_option((struct word){ w.s, eq });
	struct word value = { w.s + eq, 0 };
	uint64_t v;

	if (!opt) {
		say_unknown(w, why, why_len);
		return ERR_INVAL;
	}
	if (eq < w.len)
		value = (struct word){ w.s + eq + 1, w.len - eq - 1 };
	if (!parse_value(opt, value, &v)) {
		fmt_snprintf(why, why_len, "bad option \"%.*s\"; %s= takes %s",
			     (int)w.len, w.s, opt->name, opt->allowed);
		return ERR_INVAL;
	}
	/* Little-endian: the low bytes are the member's value. */
	memcpy((char *)o + opt->offset, &v, opt->size);
	return OK;
}

enum err cmdline_parse(const char *s, struct options *o, char *why,
		       size_t why_len)
{
	enum err e = OK;
	bool first = true;

	*o = defaults;
	for (struct word w = next_word(&s); w.len && e == OK;
	     w = next_word(&s)) {
		if (equals(w, "--"))
			break;
		if (!(first && is_image_name(w)))
			e = parse_option(w, o, why, why_len);
		first = false;
	}
	return e;
}
