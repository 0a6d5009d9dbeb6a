/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_walk.c - linear to physical address through the guest's paging, with
 * the page fault that follows, and a cache of translations.
 *
 * A paging mode is a row of numbers, and one loop walks them all. A walk reads
 * the entries and checks everything; only an access that is allowed sets
 * Accessed and Dirty, each with a compare-and-swap against what was checked.
 * The PDPTEs of PAE are read where CR3 points, not as they were when it was
 * loaded. Not modelled: protection keys, MAXPHYADDR.
 * SDM volume 3, "Paging": "32-Bit Paging", "PAE Paging", "4-Level Paging and
 * 5-Level Paging", "Access Rights", "Page-Fault Exceptions", "Accessed and
 * Dirty Flags".
 */
#include "emul_int.h"

#define BIT(n)	     (UINT64_C(1) << (n))
#define BITS(hi, lo) (BIT(hi) - BIT(lo) + BIT(hi)) /* hi..lo, hi < 63 */

#define PTE_P	 BIT(0)
#define PTE_RW	 BIT(1)
#define PTE_US	 BIT(2)
#define PTE_A	 BIT(5)
#define PTE_D	 BIT(6)
#define PTE_PS	 BIT(7)
#define PTE_XD	 BIT(63)
#define PTE_ADDR BITS(51, 12)

#define PSE36_HIGH BITS(20, 13) /* bits 39:32 of a 4 MiB page's address */
#define PSE36_RSVD BIT(21)
#define PDPTE_RSVD (BITS(2, 1) | BITS(8, 5))
#define PAE_RSVD   BITS(62, 52)

#define PF_P	1u
#define PF_W	2u
#define PF_U	4u
#define PF_RSVD 8u
#define PF_I	16u

#define TRIES 8	   /* walks of tables that change before the guest goes on */
#define RETRY (-2) /* the tables changed under a walk */

struct mode {
	uint8_t levels, index_bits, entry_size;
	uint8_t large_max; /* highest level with large pages */
	bool pdpte;	   /* PAE's top level: no rights, no Accessed */
	uint64_t cr3_mask;
	uint64_t rsvd; /* in every entry */
};

static const struct mode paging_32 = { 2, 10, 4, 1, false, BITS(31, 12), 0 };
static const struct mode paging_pse = { 2, 10, 4, 2, false, BITS(31, 12), 0 };
static const struct mode paging_pae = { 3, 9, 8, 2, true, BITS(31, 5),
					PAE_RSVD };
static const struct mode paging_4 = { 4, 9, 8, 3, false, PTE_ADDR, 0 };
static const struct mode paging_5 = { 5, 9, 8, 3, false, PTE_ADDR, 0 };

struct walk {
	const struct mode *m;
	unsigned access, level;
	bool supervisor;
	bool user, write, xd; /* of all entries met */
};

static const struct mode *mode_of(const struct emul_ctx *c)
{
	if (c->efer & EFER_LMA)
		return c->cr4 & CR4_LA57 ? &paging_5 : &paging_4;
	if (c->cr4 & CR4_PAE)
		return &paging_pae;
	return c->cr4 & CR4_PSE ? &paging_pse : &paging_32;
}

static bool is_user(const struct emul_ctx *c)
{
	return c->cpl == 3 || (c->rflags & RFLAGS_VM);
}

/* Bits of the linear address below those that `level` translates. */
static unsigned shift_of(const struct mode *m, unsigned level)
{
	return 12 + (level - 1) * m->index_bits;
}

static bool is_leaf(const struct walk *w, uint64_t entry)
{
	return w->level == 1 ||
	       (w->level <= w->m->large_max && (entry & PTE_PS));
}

static bool is_pdpte(const struct mode *m, unsigned level)
{
	return m->pdpte && level == m->levels;
}

static uint64_t reserved_bits(const struct emul_ctx *c, const struct walk *w,
			      uint64_t entry)
{
	const bool large = w->level > 1 && is_leaf(w, entry);
	uint64_t rsvd = w->m->rsvd;

	if (w->m->entry_size == 4)
		return large ? PSE36_RSVD : 0;
	if (is_pdpte(w->m, w->level))
		return rsvd | PDPTE_RSVD | PTE_XD;
	if (!(c->efer & EFER_NXE))
		rsvd |= PTE_XD;
	if (w->level > w->m->large_max)
		rsvd |= w->level > 3 ? PTE_PS : 0;
	else if (large)
		rsvd |= BIT(shift_of(w->m, w->level)) - BIT(13); /* 12: PAT */
	return rsvd;
}

static int page_fault(struct emul_ctx *c, const struct walk *w,
		      uint64_t linear, uint32_t error)
{
	const bool nx = (c->efer & EFER_NXE) && (c->cr4 & CR4_PAE);

	if (w->access == XLAT_WRITE)
		error |= PF_W;
	if (w->access == XLAT_EXEC && (nx || (c->cr4 & CR4_SMEP)))
		error |= PF_I;
	if (!w->supervisor)
		error |= PF_U;
	emul_raise(c, VEC_PF, error);
	c->exc.cr2 = linear;
	return EMUL_EXCEPTION;
}

static void combine_rights(struct walk *w, uint64_t entry)
{
	if (is_pdpte(w->m, w->level))
		return;
	w->user &= (entry & PTE_US) != 0;
	w->write &= (entry & PTE_RW) != 0;
	w->xd |= (entry & PTE_XD) != 0;
}

static bool is_allowed(const struct emul_ctx *c, const struct walk *w)
{
	if (w->access == XLAT_EXEC && w->xd)
		return false;
	if (!w->supervisor)
		return w->user && (w->access != XLAT_WRITE || w->write);
	if (w->user && w->access == XLAT_EXEC)
		return !(c->cr4 & CR4_SMEP);
	if (w->user && (c->cr4 & CR4_SMAP) && !(c->rflags & RFLAGS_AC))
		return false;
	return w->access != XLAT_WRITE || w->write || !(c->cr0 & CR0_WP);
}

static uint64_t entry_at(const void *at, unsigned size)
{
	uint64_t wide;
	uint32_t narrow;

	if (size == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

/* The entries down to the leaf; w->level is the leaf's. */
static int read_entries(struct emul_ctx *c, struct walk *w, struct xlat *x,
			uint64_t linear)
{
	const struct mode *m = w->m;
	uint64_t table = c->cr3 & m->cr3_mask;

	for (w->level = m->levels;; w->level--) {
		const uint64_t index = linear >> shift_of(m, w->level) &
				       (BIT(m->index_bits) - 1);
		const uint64_t gpa = table + index * m->entry_size;
		const void *at = c->ops->ram(c, gpa, m->entry_size);
		uint64_t entry;

		if (!at)
			return EMUL_UNHANDLED;
		entry = entry_at(at, m->entry_size);
		x->entry[x->entries].gpa = gpa;
		x->entry[x->entries].at = at;
		x->entry[x->entries++].value = entry;
		if (!(entry & PTE_P))
			return page_fault(c, w, linear, 0);
		if (entry & reserved_bits(c, w, entry))
			return page_fault(c, w, linear, PF_P | PF_RSVD);
		combine_rights(w, entry);
		if (is_leaf(w, entry))
			return GO_ON;
		table = entry & PTE_ADDR;
	}
}

/* Accessed in every entry, Dirty in the last for a write. */
static int set_flags(struct emul_ctx *c, const struct walk *w, struct xlat *x)
{
	for (unsigned i = 0; i < x->entries; i++) {
		const uint64_t old = x->entry[i].value;
		uint64_t new_ = old | PTE_A;

		if (is_pdpte(w->m, w->m->levels - i))
			continue;
		if (w->access == XLAT_WRITE && i == x->entries - 1u)
			new_ |= PTE_D;
		if (new_ == old)
			continue;
		/* Tables in ROM keep what they have, as on the CPU. */
		switch (c->ops->cas_gpa(c, x->entry[i].gpa, old, new_,
					w->m->entry_size)) {
		case EMUL_CAS_CHANGED:
			return RETRY;
		case EMUL_CAS_OK:
			x->entry[i].value = new_;
			break;
		case EMUL_CAS_MMIO:
			break;
		}
	}
	return GO_ON;
}

static uint64_t page_of(const struct walk *w, uint64_t leaf, uint64_t linear)
{
	const uint64_t size = BIT(shift_of(w->m, w->level));
	uint64_t gpa = leaf & PTE_ADDR & ~(size - 1);

	if (w->m->entry_size == 4 && w->level > 1)
		gpa |= (leaf & PSE36_HIGH) << (32 - 13);
	return gpa | (linear & (size - 1) & ~UINT64_C(0xfff));
}

static int walk_once(struct emul_ctx *c, struct xlat *x, uint64_t linear,
		     unsigned access)
{
	struct walk w = { .m = mode_of(c), .access = access,
			  .supervisor = !is_user(c), .user = true,
			  .write = true };
	int r;

	x->entries = 0;
	x->entry_size = w.m->entry_size;
	r = read_entries(c, &w, x, linear);
	if (r != GO_ON)
		return r;
	if (!is_allowed(c, &w))
		return page_fault(c, &w, linear, PF_P);
	r = set_flags(c, &w, x);
	x->gpa = page_of(&w, x->entry[x->entries - 1].value, linear);
	return r;
}

/* --- the cache ------------------------------------------------------------- */

static uint64_t key_of(const struct emul_ctx *c, uint64_t linear,
		       unsigned access)
{
	return (linear & ~UINT64_C(0xfff)) | access |
	       (is_user(c) ? 4u : 0u) | (c->rflags & RFLAGS_AC ? 8u : 0u);
}

/* Of 4 bytes: the others. */
static bool is_same_narrow(const struct xlat *x)
{
	for (unsigned i = 0; i < x->entries; i++)
		if (entry_at(x->entry[i].at, 4) != x->entry[i].value)
			return false;
	return true;
}

static inline bool is_same(const struct xlat *x)
{
	uint64_t changed = 0, entry;

	if (x->entry_size != sizeof(entry))
		return is_same_narrow(x);
	for (unsigned i = 0; i < x->entries; i++) {
		memcpy(&entry, x->entry[i].at, sizeof(entry));
		changed |= entry ^ x->entry[i].value;
	}
	return !changed;
}

static inline bool is_hit(const struct emul_ctx *c, const struct xlat *x, uint64_t key)
{
	return x->key == key && x->cr3 == c->cr3 && x->cr0 == c->cr0 &&
	       x->cr4 == c->cr4 && x->efer == c->efer &&
	       x->memory == c->memory && x->entries != 0 && is_same(x);
}

static int walk(struct emul_ctx *c, struct xlat *x, uint64_t linear,
		unsigned access)
{
	int r = RETRY;

	for (unsigned i = 0; r == RETRY && i < TRIES; i++)
		r = walk_once(c, x, linear, access);
	if (r != GO_ON)
		x->entries = 0;
	/* Enough: the CPU tries again, and interrupts get their turn. */
	return r == RETRY ? (int)EMUL_DONE : r;
}

__attribute__((noinline)) static int fill(struct emul_ctx *c, struct xlat *x, uint64_t linear,
		unsigned access)
{
	const int r = walk(c, x, linear, access);

	if (r != GO_ON)
		return r;
	x->key = key_of(c, linear, access);
	x->cr0 = c->cr0;
	x->cr3 = c->cr3;
	x->cr4 = c->cr4;
	x->efer = c->efer;
	x->memory = c->memory;
	x->at = access == XLAT_EXEC ? c->ops->ram(c, x->gpa, 0x1000) : NULL;
	return GO_ON;
}

static inline int find(struct emul_ctx *c, uint64_t linear, unsigned access,
		       const struct xlat **row)
{
	struct xlat *x = &c->state->xlat[((linear >> 12) * 4 + access) %
					 XLAT_ROWS];

	*row = x;
	return is_hit(c, x, key_of(c, linear, access)) ?
		       GO_ON : fill(c, x, linear, access);
}

int emul_translate(struct emul_ctx *c, uint64_t linear, unsigned access,
		   uint64_t *gpa)
{
	const struct xlat *x;
	int r = GO_ON;

	if (!(c->cr0 & CR0_PG)) {
		*gpa = linear;
		return GO_ON;
	}
	r = find(c, linear, access, &x);
	if (r == GO_ON)
		*gpa = x->gpa | (linear & 0xfff);
	return r;
}

int emul_code_at(struct emul_ctx *c, uint64_t linear, unsigned len,
		 const void **at)
{
	const struct xlat *x;
	int r = GO_ON;

	if (!(c->cr0 & CR0_PG)) {
		*at = c->ops->ram(c, linear, len);
		return GO_ON;
	}
	r = find(c, linear, XLAT_EXEC, &x);
	if (r == GO_ON)
		*at = x->at ? x->at + (linear & 0xfff) : NULL;
	return r;
}
