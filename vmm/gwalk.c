/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gwalk.c - translate a linear address through a guest's page tables.
 *
 * A paging mode is a row of numbers, and one loop walks them all. A walk
 * first reads the entries and checks everything; only an access that is
 * allowed sets flags, each with a compare-and-swap against the value that was
 * checked. If one fails, the tables changed: the walk starts over.
 * Not modelled, so not enforced: protection keys, and a CPU's MAXPHYADDR (an
 * address beyond it is no memory to the callbacks anyway).
 * SDM "Paging": "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level
 * Paging", "Access Rights", "Accessed and Dirty Flags".
 */
#include "gwalk.h"
#include "x86.h"

#define PTE_P	 BIT(0)
#define PTE_RW	 BIT(1)
#define PTE_US	 BIT(2)
#define PTE_A	 BIT(5)
#define PTE_D	 BIT(6)
#define PTE_PS	 BIT(7)
#define PTE_XD	 BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull /* bits 51:12 */

#define BITS(hi, lo) (BIT(hi) - BIT(lo) + BIT(hi)) /* hi..lo, hi < 63 */
#define PSE36_HIGH   BITS(20, 13) /* bits 39:32 of a 4 MiB page's address */
#define PSE36_RSVD   BIT(21)
#define PDPTE_RSVD   (BITS(2, 1) | BITS(8, 5))
#define PAE_RSVD     BITS(62, 52)

#define LEVELS_MAX 5
#define TRIES	   8 /* walks before a page table that changes is a fault */

struct mode {
	unsigned levels;
	unsigned index_bits; /* per level; 0: paging is off */
	unsigned entry_size; /* bytes */
	unsigned large_max;  /* highest level with large pages */
	unsigned va_bits;
	uint64_t cr3_mask;
	uint64_t rsvd;	     /* bits reserved in every entry */
	bool pdpte;	     /* PAE's top level: no rights, no Accessed */
};

static const struct mode no_paging = { .va_bits = 32 };
static const struct mode paging_32 = {
	.levels = 2, .index_bits = 10, .entry_size = 4, .large_max = 1,
	.va_bits = 32, .cr3_mask = BITS(31, 12),
};
static const struct mode paging_pse = {
	.levels = 2, .index_bits = 10, .entry_size = 4, .large_max = 2,
	.va_bits = 32, .cr3_mask = BITS(31, 12),
};
static const struct mode paging_pae = {
	.levels = 3, .index_bits = 9, .entry_size = 8, .large_max = 2,
	.va_bits = 32, .cr3_mask = BITS(31, 5), .rsvd = PAE_RSVD,
	.pdpte = true,
};
static const struct mode paging_4 = {
	.levels = 4, .index_bits = 9, .entry_size = 8, .large_max = 3,
	.va_bits = 48, .cr3_mask = PTE_ADDR,
};
static const struct mode paging_5 = {
	.levels = 5, .index_bits = 9, .entry_size = 8, .large_max = 3,
	.va_bits = 57, .cr3_mask = PTE_ADDR,
};

/* One level of a walk. */
struct visit {
	gpa_t pa; /* of the entry */
	uint64_t entry;
	unsigned level; /* 1 = page table */
};

/* A walk that found a page: its entries from the top down, rights combined. */
struct path {
	struct visit v[LEVELS_MAX];
	unsigned n;
	bool user, write, xd;
};

static const struct mode *mode_of(const struct gpaging *p)
{
	if (!(p->cr0 & CR0_PG))
		return &no_paging;
	if (p->efer & EFER_LMA)
		return p->cr4 & CR4_LA57 ? &paging_5 : &paging_4;
	if (p->cr4 & CR4_PAE)
		return &paging_pae;
	return p->cr4 & CR4_PSE ? &paging_pse : &paging_32;
}

/* Bits of the linear address below those that `level` translates. */
static unsigned shift_of(const struct mode *m, unsigned level)
{
	return 12 + (level - 1) * m->index_bits;
}

static bool is_leaf(const struct mode *m, const struct visit *v)
{
	return v->level == 1 ||
	       (v->level <= m->large_max && (v->entry & PTE_PS));
}

static bool is_pdpte(const struct mode *m, const struct visit *v)
{
	return m->pdpte && v->level == m->levels;
}

static uint64_t reserved_bits(const struct gpaging *p, const struct mode *m,
			      const struct visit *v)
{
	uint64_t rsvd = m->rsvd;

	if (m->entry_size == 4)
		return is_leaf(m, v) && v->level > 1 ? PSE36_RSVD : 0;
	if (is_pdpte(m, v))
		return rsvd | PDPTE_RSVD | PTE_XD;
	if (!(p->efer & EFER_NXE))
		rsvd |= PTE_XD;
	if (v->level > m->large_max)
		rsvd |= PTE_PS;
	else if (is_leaf(m, v) && v->level > 1)
		rsvd |= BIT(shift_of(m, v->level)) - BIT(13); /* 12 is PAT */
	return rsvd;
}

static void combine_rights(const struct mode *m, const struct visit *v,
			   struct path *path)
{
	if (is_pdpte(m, v))
		return;
	path->user &= (v->entry & PTE_US) != 0;
	path->write &= (v->entry & PTE_RW) != 0;
	/* Without NXE, or in 4 bytes, the bit is not there to be set. */
	path->xd |= (v->entry & PTE_XD) != 0;
}

static MUST_USE bool walk(const struct gpaging *p, const struct mode *m,
			  uint64_t va, const struct gwalk_mem *mem,
			  struct path *path)
{
	uint64_t table = p->cr3 & m->cr3_mask;

	*path = (struct path){ .user = true, .write = true };
	for (unsigned level = m->levels;; level--) {
		struct visit *v = &path->v[path->n++];
		const uint64_t index = va >> shift_of(m, level) &
				       (BIT(m->index_bits) - 1);

		*v = (struct visit){ .level = level };
		v->pa = GPA(table + index * m->entry_size);
		if (!mem->read(mem->ctx, v->pa, &v->entry, m->entry_size))
			return false;
		if (!(v->entry & PTE_P) ||
		    (v->entry & reserved_bits(p, m, v)))
			return false;
		combine_rights(m, v, path);
		if (is_leaf(m, v))
			return true;
		table = v->entry & PTE_ADDR;
	}
}

static bool is_allowed(const struct gpaging *p, enum gwalk_access access,
		       const struct path *path)
{
	if (access == GW_EXEC && path->xd)
		return false;
	if (p->user)
		return path->user && (access != GW_WRITE || path->write);

	if (path->user && access == GW_EXEC)
		return !(p->cr4 & CR4_SMEP);
	if (path->user && (p->cr4 & CR4_SMAP))
		return false;
	return access != GW_WRITE || path->write || !(p->cr0 & CR0_WP);
}

/* Accessed in every entry of the path, Dirty in the last for a write. */
static MUST_USE bool set_flags(const struct mode *m, const struct path *path,
			       enum gwalk_access access,
			       const struct gwalk_mem *mem)
{
	for (unsigned i = 0; i < path->n; i++) {
		const struct visit *v = &path->v[i];
		uint64_t new_ = v->entry | PTE_A;

		if (is_pdpte(m, v))
			continue;
		if (access == GW_WRITE && i == path->n - 1)
			new_ |= PTE_D;
		if (new_ != v->entry && !mem->cas(mem->ctx, v->pa, v->entry,
						  new_, m->entry_size))
			return false;
	}
	return true;
}

/* Physical address of the page that a leaf maps. */
static uint64_t page_of(const struct mode *m, const struct visit *leaf,
			uint64_t size)
{
	uint64_t pa = leaf->entry & PTE_ADDR & ~(size - 1);

	if (m->entry_size == 4 && leaf->level > 1)
		pa |= (leaf->entry & PSE36_HIGH) << (32 - 13);
	return pa;
}

/* Sign-extended from the top bit that is translated? */
static bool is_canonical(const struct mode *m, uint64_t va)
{
	const uint64_t high = va >> (m->va_bits - 1);

	return high == 0 || high == UINT64_MAX >> (m->va_bits - 1);
}

static enum err finish(uint64_t page, uint64_t size, uint64_t va, gpa_t *pa,
		       uint64_t *left)
{
	const uint64_t offset = va & (size - 1);

	*pa = GPA(page + offset);
	*left = size - offset;
	return OK;
}

/*
 * The walk that nearly all are: 4-level paging, present, accessed, dirty if
 * written to, allowed by every entry. What is not so walk() finds out.
 */
struct quick {
	uint64_t table;	   /* the last */
	uint64_t all, any; /* of the bits of the entries above it */
	unsigned shift;	   /* of the page */
};

static bool quick_ok(const struct gpaging *p, enum gwalk_access access,
		     const struct quick *q, uint64_t leaf)
{
	const uint64_t need = PTE_P | PTE_A |
			      (access == GW_WRITE ? PTE_RW : 0) |
			      (p->user ? PTE_US : 0);

	return (q->all & leaf & need) == need &&
	       !((q->any | leaf) & paging_4.rsvd) && q->shift <= 30 &&
	       !(q->shift > 12 && (leaf & (BIT(q->shift) - BIT(13)))) &&
	       !(access == GW_WRITE && !(leaf & PTE_D)) &&
	       (p->user || !(p->cr4 & CR4_SMAP));
}

/* Down to a leaf, if all above it is present. */
static bool descend(const struct gpaging *p, uint64_t va,
		    const struct gwalk_mem *mem, struct quick *q,
		    uint64_t *leaf)
{
	*q = (struct quick){ p->cr3 & PTE_ADDR, ~0ull, 0, 39 };
	for (;; q->shift -= 9) {
		const uint64_t at = q->table + (va >> q->shift & 511) * 8;

		if (!mem->read(mem->ctx, GPA(at), leaf, 8) ||
		    !(*leaf & PTE_P))
			return false;
		if (q->shift == 12 || (*leaf & PTE_PS))
			return true;
		q->all &= *leaf;
		q->any |= *leaf;
		q->table = *leaf & PTE_ADDR;
	}
}

static bool walk_quickly(const struct gpaging *p, uint64_t va,
			 enum gwalk_access access, const struct gwalk_mem *mem,
			 gpa_t *pa, uint64_t *left)
{
	uint64_t leaf, size;
	struct quick q;

	if (access == GW_EXEC || !(p->efer & EFER_NXE) ||
	    !descend(p, va, mem, &q, &leaf) || !quick_ok(p, access, &q, leaf))
		return false;
	size = BIT(q.shift);
	return finish(leaf & PTE_ADDR & ~(size - 1), size, va, pa, left) == OK;
}

bool gwalk_around(const struct gpaging *p, gva_t va, enum gwalk_access access,
		  const struct gwalk_mem *mem, uint64_t pa[GW_AROUND])
{
	const uint64_t first = va.v >> 12 & 511 & ~(uint64_t)(GW_AROUND - 1);
	struct quick q;
	uint64_t leaf;

	if (mode_of(p) != &paging_4 || !is_canonical(&paging_4, va.v) ||
	    access == GW_EXEC || !(p->efer & EFER_NXE) ||
	    !descend(p, va.v, mem, &q, &leaf) || q.shift != 12)
		return false;
	for (unsigned i = 0; i < GW_AROUND; i++) {
		const gpa_t at = GPA(q.table + (first + i) * 8);

		pa[i] = mem->read(mem->ctx, at, &leaf, 8) &&
			quick_ok(p, access, &q, leaf) ? leaf & PTE_ADDR :
							GW_NONE;
	}
	return true;
}

enum err gwalk(const struct gpaging *p, gva_t va_, enum gwalk_access access,
	       const struct gwalk_mem *mem, gpa_t *pa, uint64_t *left)
{
	const struct mode *m = mode_of(p);
	uint64_t va = va_.v;

	if (m->va_bits == 32)
		va = (uint32_t)va;
	else if (!is_canonical(m, va))
		return ERR_FAULT;
	if (m == &paging_4 && walk_quickly(p, va, access, mem, pa, left))
		return OK;
	if (m->levels == 0)
		return finish(ALIGN_DOWN(va, PAGE_SIZE), PAGE_SIZE, va, pa,
			      left);

	for (unsigned i = 0; i < TRIES; i++) {
		struct path path;

		if (!walk(p, m, va, mem, &path) ||
		    !is_allowed(p, access, &path))
			return ERR_FAULT;
		if (!set_flags(m, &path, access, mem))
			continue;
		const struct visit *leaf = &path.v[path.n - 1];
		const uint64_t size = BIT(shift_of(m, leaf->level));
		return finish(page_of(m, leaf, size), size, va, pa, left);
	}
	return ERR_FAULT;
}
