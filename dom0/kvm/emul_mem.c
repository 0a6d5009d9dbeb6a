/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_mem.c - a guest's memory as its instructions see it: segments, paging,
 * and behind them RAM, or a device that the caller plays.
 * SDM volume 3 "Protection", "Paging".
 */
#include "emul_int.h"
#include <string.h>

#define PTE_P	 (UINT64_C(1) << 0)
#define PTE_W	 (UINT64_C(1) << 1)
#define PTE_U	 (UINT64_C(1) << 2)
#define PTE_A	 (UINT64_C(1) << 5)
#define PTE_D	 (UINT64_C(1) << 6)
#define PTE_PS	 (UINT64_C(1) << 7)
#define PTE_NX	 (UINT64_C(1) << 63)
#define PTE_ADDR UINT64_C(0x000ffffffffff000)
#define CR0_WP	 (UINT64_C(1) << 16)
#define CR4_PSE	 (UINT64_C(1) << 4)
#define CR3_PAE	 UINT64_C(0xffffffe0)
#define PF_P	 1u
#define PF_W	 2u
#define PF_U	 4u
#define PF_I	 16u
#define PAGE	 UINT64_C(4096)

int emul_raise(struct emul_ctx *c, unsigned vector, uint32_t error)
{
	c->exc = (struct emul_exception){
		.vector = (uint8_t)vector,
		.has_error = c->cr0 & CR0_PE,
		.error = error,
	};
	return EMUL_EXCEPTION;
}

/* --- segments ------------------------------------------------------------- */

static bool is_64(const struct emul_ctx *c)
{
	return code_size(c) == 8;
}

static bool canonical(const struct emul_ctx *c, uint64_t va)
{
	const unsigned shift = c->cr4 & CR4_LA57 ? 7 : 16;

	return (uint64_t)((int64_t)(va << shift) >> shift) == va;
}

/* Is [ea, ea+size) within the limit, which expands up or down? */
static bool in_limit(const struct luv_segment *s, uint64_t ea, unsigned size)
{
	const uint64_t last = ea + (size ? size - 1 : 0);
	const bool down = (s->attrib & (SEG_TYPE_CODE | SEG_TYPE_DOWN)) ==
			  SEG_TYPE_DOWN;

	if (!down)
		return last <= s->limit;
	return ea > s->limit && last <= (s->attrib & SEG_DB ? 0xffffffff : 0xffff);
}

static bool allowed(const struct luv_segment *s, bool write)
{
	if (s->attrib & SEG_UNUSABLE)
		return false;
	if (s->attrib & SEG_TYPE_CODE)
		return !write && (s->attrib & SEG_TYPE_RW);
	return !write || (s->attrib & SEG_TYPE_RW);
}

int emul_linear(struct emul_ctx *c, unsigned seg, uint64_t ea, unsigned size,
		bool write, uint64_t *linear)
{
	const struct luv_segment *s = &c->seg[seg];
	const unsigned vector = seg == EMUL_SS ? VEC_SS : VEC_GP;

	if (is_64(c)) {
		*linear = ea + (seg == EMUL_FS || seg == EMUL_GS ? s->base : 0);
		if (!canonical(c, *linear) ||
		    !canonical(c, *linear + (size ? size - 1 : 0)))
			return emul_raise(c, vector, 0);
		return GO_ON;
	}
	if (seg != EMUL_CS || size) /* not a fetch: the CPU has checked that */
		if ((!is_real(c) && !allowed(s, write)) ||
		    !in_limit(s, ea, size))
			return emul_raise(c, vector, 0);
	*linear = (uint32_t)(s->base + ea);
	return GO_ON;
}

/* --- paging --------------------------------------------------------------- */

struct walk {
	uint64_t linear;
	enum emul_access access;
	bool user;
};

static int page_fault(struct emul_ctx *c, const struct walk *w, bool present)
{
	uint32_t error = (present ? PF_P : 0) | (w->user ? PF_U : 0) |
			 (w->access == EMUL_ACC_W ? PF_W : 0);

	if (w->access == EMUL_ACC_X &&
	    (((c->cr4 & CR4_PAE) && (c->efer & EFER_NXE)) ||
	     (c->cr4 & CR4_SMEP)))
		error |= PF_I;
	emul_raise(c, VEC_PF, error);
	c->exc.cr2 = w->linear;
	return EMUL_EXCEPTION;
}

/* The rights of all levels together: user, write, no-execute. */
static bool rights_ok(const struct emul_ctx *c, const struct walk *w, bool user,
		      bool write, bool nx)
{
	if (w->user && !user)
		return false;
	if (w->access == EMUL_ACC_X)
		return !nx && !(!w->user && user && (c->cr4 & CR4_SMEP));
	if (!w->user && user && (c->cr4 & CR4_SMAP) &&
	    !(c->rflags & RFLAGS_AC))
		return false;
	return w->access != EMUL_ACC_W || write ||
	       (!w->user && !(c->cr0 & CR0_WP));
}

struct entry {
	uint64_t gpa, value;
};

static bool read_entry(struct emul_ctx *c, struct entry *e, unsigned size)
{
	e->value = 0;
	return c->ops->read_gpa(c, e->gpa, &e->value, size);
}

/* Set Accessed and Dirty as the CPU does: atomically, or the walk is stale. */
static bool mark(struct emul_ctx *c, const struct entry *e, uint64_t bits,
		 unsigned size)
{
	return (e->value & bits) == bits ||
	       c->ops->cas_gpa(c, e->gpa, e->value, e->value | bits, size) ==
		       EMUL_CAS_OK;
}

struct format {
	unsigned levels, index_bits, size;
	uint64_t root;
};

static struct format format_of(const struct emul_ctx *c)
{
	if (c->efer & EFER_LMA)
		return (struct format){ c->cr4 & CR4_LA57 ? 5 : 4, 9, 8,
					c->cr3 & PTE_ADDR };
	if (c->cr4 & CR4_PAE)
		return (struct format){ 3, 9, 8, c->cr3 & CR3_PAE };
	return (struct format){ 2, 10, 4, c->cr3 & 0xfffff000 };
}

/* Can an entry of this level be a page? */
static bool large_allowed(const struct emul_ctx *c, const struct format *f,
			  unsigned level)
{
	if (f->size == 4)
		return level == 1 && (c->cr4 & CR4_PSE);
	return level == 1 || (level == 2 && f->levels >= 4);
}

/* GO_ON; a fault; EMUL_UNHANDLED: tables in a device; AGAIN: changed. */
#define AGAIN (-2)

static int walk_once(struct emul_ctx *c, const struct walk *w, uint64_t *gpa)
{
	const struct format f = format_of(c);
	uint64_t table = f.root, page, mask;
	bool user = true, write = true, nx = false;

	for (unsigned level = f.levels; level-- > 0;) {
		const unsigned shift = 12 + level * f.index_bits;
		const unsigned index_bits = f.levels == 3 && level == 2 ?
						    2 : f.index_bits;
		struct entry e = { table + (w->linear >> shift &
					    ((1u << index_bits) - 1)) * f.size,
				   0 };
		const bool pdpte = f.levels == 3 && level == 2;
		bool leaf;

		if (!read_entry(c, &e, f.size))
			return EMUL_UNHANDLED;
		if (!(e.value & PTE_P))
			return page_fault(c, w, false);
		leaf = level == 0 ||
		       ((e.value & PTE_PS) && large_allowed(c, &f, level));
		if (!pdpte) { /* PAE's top level has no rights */
			user &= !!(e.value & PTE_U);
			write &= !!(e.value & PTE_W);
			nx |= (c->efer & EFER_NXE) && f.size == 8 &&
			      (e.value & PTE_NX);
		}
		if (leaf) {
			if (!rights_ok(c, w, user, write, nx))
				return page_fault(c, w, true);
			if (!mark(c, &e, PTE_A | (w->access == EMUL_ACC_W ?
							  PTE_D : 0), f.size))
				return AGAIN;
			mask = (UINT64_C(1) << shift) - 1;
			page = e.value & PTE_ADDR & ~mask;
			if (f.size == 4 && level == 1) /* PSE-36 */
				page = (e.value & 0xffc00000) |
				       (e.value >> 13 & 0xff) << 32;
			*gpa = page | (w->linear & mask);
			return GO_ON;
		}
		if (!pdpte && !mark(c, &e, PTE_A, f.size))
			return AGAIN;
		table = e.value & PTE_ADDR;
		if (f.size == 4)
			table &= 0xfffff000;
	}
	return EMUL_UNHANDLED;
}

int emul_translate(struct emul_ctx *c, uint64_t linear, enum emul_access access,
		   uint64_t *gpa)
{
	const struct walk w = { linear, access, c->cpl == 3 };
	int r = AGAIN;

	if (!(c->cr0 & CR0_PG)) {
		*gpa = linear;
		return GO_ON;
	}
	for (unsigned tries = 0; r == AGAIN && tries < 8; tries++)
		r = walk_once(c, &w, gpa);
	return r == AGAIN ? EMUL_UNHANDLED : r;
}

int emul_read_code(struct emul_ctx *c, uint64_t linear, uint8_t *buf,
		   unsigned n)
{
	while (n) {
		const unsigned left = (unsigned)(PAGE - (linear & (PAGE - 1)));
		const unsigned now = n < left ? n : left;
		uint64_t gpa;
		int r = emul_translate(c, linear, EMUL_ACC_X, &gpa);

		if (r != GO_ON)
			return r;
		if (!c->ops->read_gpa(c, gpa, buf, now))
			return EMUL_UNHANDLED;
		linear += now;
		buf += now;
		n -= now;
	}
	return GO_ON;
}

/* --- RAM and devices ------------------------------------------------------ */

int emul_place(struct emul_ctx *c, struct place *p, bool write, unsigned seg,
	       uint64_t ea, unsigned size)
{
	const enum emul_access access = write ? EMUL_ACC_W : EMUL_ACC_R;
	uint64_t linear;
	int r = emul_linear(c, seg, ea, size, write, &linear);
	const unsigned left = (unsigned)(PAGE - (linear & (PAGE - 1)));

	if (r != GO_ON)
		return r;
	*p = (struct place){ .len = { size < left ? size : left } };
	p->len[1] = size - p->len[0];
	r = emul_translate(c, linear, access, &p->gpa[0]);
	if (r == GO_ON && p->len[1])
		r = emul_translate(c, linear + left, access, &p->gpa[1]);
	return r;
}

/* Ask for a device's access, or take the answer that came. */
static int device(struct emul_ctx *c, bool write, uint64_t gpa, void *data,
		  unsigned len)
{
	struct emul_state *s = c->state;

	if (s->next < s->done) {
		if (!write)
			memcpy(data, s->log[s->next].data, len);
		s->next++;
		return GO_ON;
	}
	if (s->done == LOG_MAX)
		return EMUL_UNHANDLED;
	c->io = (struct emul_io){ .gpa = gpa, .size = (uint8_t)len };
	if (write)
		memcpy(c->io.data, data, len);
	s->asked = write ? EMUL_MMIO_WRITE : EMUL_MMIO_READ;
	s->pending = true;
	return s->asked;
}

static int transfer(struct emul_ctx *c, bool write, uint64_t gpa, uint8_t *buf,
		    unsigned len)
{
	int r = GO_ON;

	if (write ? c->ops->write_gpa(c, gpa, buf, len) :
		    c->ops->read_gpa(c, gpa, buf, len))
		return GO_ON;
	for (unsigned at = 0; r == GO_ON && at < len; at += 8)
		r = device(c, write, gpa + at, buf + at,
			   len - at < 8 ? len - at : 8);
	return r;
}

int emul_load(struct emul_ctx *c, const struct place *p, void *buf)
{
	int r = transfer(c, false, p->gpa[0], buf, p->len[0]);

	if (r == GO_ON && p->len[1])
		r = transfer(c, false, p->gpa[1], (uint8_t *)buf + p->len[0],
			     p->len[1]);
	return r;
}

int emul_store(struct emul_ctx *c, const struct place *p, const void *buf)
{
	uint8_t copy[16];
	int r;

	memcpy(copy, buf, p->len[0] + p->len[1]);
	r = transfer(c, true, p->gpa[0], copy, p->len[0]);
	if (r == GO_ON && p->len[1])
		r = transfer(c, true, p->gpa[1], copy + p->len[0], p->len[1]);
	return r;
}
