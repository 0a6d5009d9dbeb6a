/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fmt.c - formatted text into a buffer.
 *
 * A conversion is parsed into a struct spec, turned into digits or text, and
 * laid out by one function. A conversion that does not exist is printed as it
 * stands: this code reports failures, so it has none of its own.
 */
#include "fmt.h"
#include "string.h"

#define MAX_DIGITS 20 /* of UINT64_MAX in decimal */

struct out {
	char *buf;
	size_t size;
	size_t len; /* of the whole text, kept or not */
};

struct spec {
	bool left, zero, alt; /* flags - 0 # */
	bool wide;	      /* argument of 64 bits: %l, %ll, %z */
	int width;	      /* 0: none */
	int precision;	      /* -1: none */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_n(struct out *o, const char *s, size_t n)
{
	while (n-- > 0)
		put(o, *s++);
}

static void pad(struct out *o, char c, size_t len, size_t width)
{
	for (; len < width; len++)
		put(o, c);
}

/* Lay out one field: blanks, prefix, zeroes, text, blanks. */
static void put_field(struct out *o, const struct spec *s, const char *prefix,
		      const char *text, size_t len)
{
	const size_t prefix_len = strlen(prefix);
	const size_t whole = prefix_len + len;
	const size_t width = (size_t)s->width;

	if (!s->left && !s->zero)
		pad(o, ' ', whole, width);
	put_n(o, prefix, prefix_len);
	if (!s->left && s->zero)
		pad(o, '0', whole, width);
	put_n(o, text, len);
	if (s->left)
		pad(o, ' ', whole, width);
}

static void put_number(struct out *o, const struct spec *s, const char *prefix,
		       uint64_t v, unsigned base)
{
	char digits[MAX_DIGITS];
	size_t first = sizeof(digits);

	do {
		digits[--first] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	put_field(o, s, prefix, digits + first, sizeof(digits) - first);
}

static void put_signed(struct out *o, const struct spec *s, int64_t v)
{
	if (v < 0)
		put_number(o, s, "-", 0 - (uint64_t)v, 10);
	else
		put_number(o, s, "", (uint64_t)v, 10);
}

static void put_string(struct out *o, struct spec *s, const char *text)
{
	size_t len = 0;

	/* With a precision the text need not be terminated. */
	if (!text)
		text = "(null)";
	while ((s->precision < 0 || len < (size_t)s->precision) && text[len])
		len++;
	s->zero = false;
	put_field(o, s, "", text, len);
}

static bool parse_flag(const char **f, struct spec *s)
{
	switch (**f) {
	case '-':
		s->left = true;
		break;
	case '0':
		s->zero = true;
		break;
	case '#':
		s->alt = true;
		break;
	default:
		return false;
	}
	(*f)++;
	return true;
}

/* Digits; none are 0. What no buffer can hold is cut. */
static int parse_int(const char **f)
{
	enum { LIMIT = 100000 };
	int v = 0;

	for (; **f >= '0' && **f <= '9'; (*f)++)
		v = v < LIMIT ? v * 10 + (**f - '0') : v;
	return v;
}

/* The callee of a va_list parameter may not pass its address on. */
struct args {
	va_list ap;
};

static int parse_int_or_star(const char **f, struct args *a)
{
	if (**f != '*')
		return parse_int(f);
	(*f)++;
	return va_arg(a->ap, int);
}

static struct spec parse_spec(const char **f, struct args *a)
{
	struct spec s = { .precision = -1 };

	while (parse_flag(f, &s))
		;
	s.width = parse_int_or_star(f, a);
	if (s.width < 0) {
		s.left = true;
		s.width = s.width == INT32_MIN ? 0 : -s.width;
	}
	if (**f == '.') {
		(*f)++;
		s.precision = parse_int_or_star(f, a);
	}
	for (; **f == 'l' || **f == 'z'; (*f)++)
		s.wide = true;
	return s;
}

static uint64_t next_unsigned(const struct spec *s, struct args *a)
{
	_Static_assert(sizeof(long) == 8 && sizeof(size_t) == 8, "LP64");
	return s->wide ? va_arg(a->ap, uint64_t) : va_arg(a->ap, uint32_t);
}

static int64_t next_signed(const struct spec *s, struct args *a)
{
	return s->wide ? va_arg(a->ap, int64_t) : va_arg(a->ap, int32_t);
}

/* One conversion letter; false: there is no such conversion. */
static bool convert(struct out *o, struct spec *s, char letter, struct args *a)
{
	uint64_t v;
	char c;

	switch (letter) {
	case '%':
		put(o, '%');
		return true;
	case 'c':
		c = (char)va_arg(a->ap, int);
		s->zero = false;
		put_field(o, s, "", &c, 1);
		return true;
	case 's':
		put_string(o, s, va_arg(a->ap, const char *));
		return true;
	case 'd':
	case 'i':
		put_signed(o, s, next_signed(s, a));
		return true;
	case 'u':
		put_number(o, s, "", next_unsigned(s, a), 10);
		return true;
	case 'x':
		v = next_unsigned(s, a);
		put_number(o, s, s->alt && v ? "0x" : "", v, 16);
		return true;
	case 'p':
		put_number(o, s, "0x", (uintptr_t)va_arg(a->ap, void *), 16);
		return true;
	default:
		return false;
	}
}

int fmt_vsnprintf(char *buf, size_t size, const char *format, va_list ap)
{
	struct out o = { buf, size, 0 };
	struct args a;

	va_copy(a.ap, ap);
	for (const char *f = format; *f;) {
		const char *start = f++;

		if (*start != '%') {
			put(&o, *start);
			continue;
		}
		struct spec s = parse_spec(&f, &a);
		const bool known = *f && convert(&o, &s, *f, &a);
		if (*f)
			f++;
		if (!known)
			put_n(&o, start, (size_t)(f - start));
	}
	va_end(a.ap);
	if (size > 0)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int fmt_snprintf(char *buf, size_t size, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	const int len = fmt_vsnprintf(buf, size, format, ap);
	va_end(ap);
	return len;
}
