/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_mem.c - from an operand's address to pieces of guest memory: segments,
 * then paging, one piece for each page and 8 bytes.
 * SDM volume 3, "Protection": "Limit Checking", "Type Checking"; volume 1,
 * "Canonical Addressing".
 */
#include "emul_int.h"

#define PAGE 0x1000u

int emul_raise(struct emul_ctx *c, unsigned vector, uint32_t error)
{
	c->exc = (struct emul_exception){ .vector = (uint8_t)vector };
	c->exc.has_error = (c->cr0 & CR0_PE) != 0;
	c->exc.error = error;
	return EMUL_EXCEPTION;
}

static int segment_fault(struct emul_ctx *c, unsigned seg)
{
	return emul_raise(c, seg == EMUL_SS ? VEC_SS : VEC_GP, 0);
}

static bool is_canonical(const struct emul_ctx *c, uint64_t linear)
{
	const unsigned unused = c->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

/* The type matters in protected mode: CS can be written to in real mode. */
static bool is_type_ok(const struct emul_ctx *c, const struct luv_segment *s,
		       bool write)
{
	if (is_real(c))
		return true;
	if (s->attrib & SEG_UNUSABLE)
		return false;
	if (s->attrib & SEG_TYPE_CODE)
		return !write && (s->attrib & SEG_TYPE_RW);
	return !write || (s->attrib & SEG_TYPE_RW);
}

static bool is_in_limit(const struct emul_ctx *c, const struct luv_segment *s,
			uint64_t ea, unsigned size)
{
	const uint64_t last = ea + size - 1;
	const unsigned down = s->attrib & (SEG_TYPE_DOWN | SEG_TYPE_CODE);

	if (!is_real(c) && down == SEG_TYPE_DOWN)
		return ea > s->limit &&
		       last <= (s->attrib & SEG_DB ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

int emul_linear(struct emul_ctx *c, unsigned seg, uint64_t ea, unsigned size,
		bool write, uint64_t *linear)
{
	const struct luv_segment *s = &c->seg[seg];

	if (code_size(c) == 8) {
		*linear = seg >= EMUL_FS ? s->base + ea : ea;
		if (size != 0 && (!is_canonical(c, *linear) ||
				  !is_canonical(c, *linear + size - 1)))
			return segment_fault(c, seg);
		return GO_ON;
	}
	*linear = (uint32_t)(s->base + ea);
	if (size != 0 &&
	    (!is_type_ok(c, s, write) || !is_in_limit(c, s, ea, size)))
		return segment_fault(c, seg);
	return GO_ON;
}

/*
 * The CPU has translated what it could not access, so that need not be done
 * again; not where two operands could be meant.
 */
bool emul_is_hinted(const struct emul_ctx *c, uint64_t linear, bool write)
{
	const struct emul_state *s = c->state;
	const unsigned op = s->insn->op;
	const bool one = op < OP_PUSH || op == OP_XMM || op == OP_XMM_ALIGNED;

	return s->hint_valid && one &&
	       ((linear ^ s->hint_gpa) & (PAGE - 1)) == 0 &&
	       (s->hint_write || !write);
}

/* Add the part of an access that lies in one page. */
static int add_pieces(struct emul_ctx *c, struct access *a, uint64_t linear,
		      unsigned off, unsigned n)
{
	uint64_t gpa;

	if (n == a->size && emul_is_hinted(c, linear, a->mode & ACC_W)) {
		gpa = c->state->hint_gpa;
	} else {
		const int r = emul_translate(
			c, linear, a->mode & ACC_W ? XLAT_WRITE : XLAT_READ,
			&gpa);

		if (r != GO_ON)
			return r;
	}
	while (n > 0) {
		const unsigned len = n < 8 ? n : 8;

		a->piece[a->pieces++] = (struct piece){
			gpa, (uint8_t)off, (uint8_t)len };
		gpa += len;
		off += len;
		n -= len;
	}
	return GO_ON;
}

int emul_access(struct emul_ctx *c, struct access *a, unsigned mode,
		unsigned seg, uint64_t ea, unsigned size)
{
	uint64_t linear;
	int r = emul_linear(c, seg, ea, size, mode & ACC_W, &linear);

	a->mode = (uint8_t)mode;
	a->size = (uint8_t)size;
	a->pieces = 0;
	for (unsigned off = 0, n; r == GO_ON && off < size; off += n) {
		const unsigned in_page = PAGE - (linear & (PAGE - 1));

		n = size - off < in_page ? size - off : in_page;
		r = add_pieces(c, a, linear, off, n);
		linear += n;
		if (code_size(c) != 8)
			linear = (uint32_t)linear;
	}
	return r;
}

int emul_read_code(struct emul_ctx *c, uint64_t linear, uint8_t *buf,
		   unsigned n)
{
	while (n > 0) {
		const unsigned in_page = PAGE - (linear & (PAGE - 1));
		const unsigned len = n < in_page ? n : in_page;
		uint64_t gpa;
		const int r = emul_translate(c, linear, XLAT_EXEC, &gpa);

		if (r != GO_ON)
			return r;
		if (!emul_read(c, gpa, buf, len))
			return EMUL_UNHANDLED;
		linear += len;
		if (code_size(c) != 8)
			linear = (uint32_t)linear;
		buf += len;
		n -= len;
	}
	return GO_ON;
}
