/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gwalk_test.c - every paging mode in a small fake memory.
 *
 * One page holds one table: the page of level n is at n * 4 KiB, CR3 points
 * to the top one. The rights of a walk and the reserved bits of an entry are
 * compared with their definitions for every combination there is.
 */
#include "gwalk.h"
#include "string.h"
#include "x86.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define P   BIT(0)
#define RW  BIT(1)
#define US  BIT(2)
#define A   BIT(5)
#define D   BIT(6)
#define PS  BIT(7)
#define XD  BIT(63)

#define MEM_PAGES 8
#define MEM_SIZE  (MEM_PAGES * PAGE_SIZE)

struct fake {
	uint8_t mem[MEM_SIZE];
	unsigned size; /* of an entry, as the mode has it */
	unsigned cas_calls;
	unsigned cas_fails; /* that many fail first */
	/* What "another CPU" does while a compare-and-swap fails. */
	void (*meanwhile)(struct fake *f);
};

static bool fake_has(const struct fake *f, gpa_t pa, unsigned size)
{
	assert_int_equal(size, f->size);
	assert_int_equal(pa.v % size, 0);
	return pa.v <= MEM_SIZE - size;
}

static bool fake_read(void *ctx, gpa_t pa, void *entry, unsigned size)
{
	struct fake *f = ctx;

	if (!fake_has(f, pa, size))
		return false;
	memcpy(entry, f->mem + pa.v, size);
	return true;
}

static bool fake_cas(void *ctx, gpa_t pa, uint64_t old, uint64_t new_,
		     unsigned size)
{
	struct fake *f = ctx;

	if (!fake_has(f, pa, size))
		return false;
	f->cas_calls++;
	if (f->cas_fails > 0) {
		f->cas_fails--;
		if (f->meanwhile)
			f->meanwhile(f);
		return false;
	}
	if (memcmp(f->mem + pa.v, &old, size) != 0)
		return false;
	memcpy(f->mem + pa.v, &new_, size);
	return true;
}

/* --- modes as the manual lists them -------------------------------------- */

struct mode {
	uint64_t cr4, efer;
	unsigned levels, size, bits, large; /* large: highest level with PS */
	uint64_t va;
};

static const struct mode modes[] = {
	{ 0, 0, 2, 4, 10, 1, 0xc1234567 },
	{ CR4_PSE, 0, 2, 4, 10, 2, 0xc1234567 },
	{ CR4_PAE, EFER_NXE, 3, 8, 9, 2, 0xc1234567 },
	{ CR4_PAE | CR4_PSE, 0, 3, 8, 9, 2, 0x41234567 },
	{ CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE, 4, 8, 9, 3,
	  0x00007f1234567abc },
	{ CR4_PAE, EFER_LME | EFER_LMA, 4, 8, 9, 3, 0xffff888012345678 },
	{ CR4_PAE | CR4_LA57, EFER_LME | EFER_LMA | EFER_NXE, 5, 8, 9, 3,
	  0x00ed7f1234567abc },
	{ CR4_PAE | CR4_LA57, EFER_LME | EFER_LMA | EFER_NXE, 5, 8, 9, 3,
	  0xff11000012345678 },
};

static bool is_pae(const struct mode *m)
{
	return m->levels == 3;
}

static unsigned shift_of(const struct mode *m, unsigned level)
{
	return 12 + (level - 1) * m->bits;
}

static uint64_t entry_pa(const struct mode *m, unsigned level)
{
	const uint64_t index = m->va >> shift_of(m, level);

	if (is_pae(m) && level == 3)
		return level * PAGE_SIZE + (index & 3) * 8;
	return level * PAGE_SIZE + index % BIT(m->bits) * m->size;
}

static void set_entry(struct fake *f, const struct mode *m, unsigned level,
		      uint64_t entry)
{
	memcpy(f->mem + entry_pa(m, level), &entry, m->size);
}

static uint64_t get_entry(const struct fake *f, const struct mode *m,
			  unsigned level)
{
	uint64_t entry = 0;

	memcpy(&entry, f->mem + entry_pa(m, level), m->size);
	return entry;
}

/* PAE's top entries have no rights and no Accessed flag. */
static bool has_flags(const struct mode *m, unsigned level)
{
	return !(is_pae(m) && level == 3);
}

#define PAGE_PA 0x76543210000ull /* of the page, cut to what a mode can say */

static uint64_t page_pa(const struct mode *m, unsigned leaf)
{
	uint64_t pa = PAGE_PA & ~(BIT(shift_of(m, leaf)) - 1);

	if (m->size == 4)
		pa &= leaf > 1 ? 0xffffffffff : 0xffffffff;
	return pa;
}

static uint64_t leaf_entry(const struct mode *m, unsigned leaf)
{
	const uint64_t pa = page_pa(m, leaf);

	if (m->size == 4 && leaf > 1) /* PSE-36 */
		return (pa & 0xffffffff) | (pa >> 32) << 13 | PS;
	return pa | (leaf > 1 ? PS : 0);
}

/* Tables that map m->va by a leaf at that level, with all rights. */
static struct gpaging build(struct fake *f, const struct mode *m, unsigned leaf)
{
	memset(f, 0, sizeof(*f));
	f->size = m->size;
	for (unsigned level = m->levels; level > leaf; level--)
		set_entry(f, m, level, (level - 1) * PAGE_SIZE | P |
			  (has_flags(m, level) ? RW | US : 0));
	set_entry(f, m, leaf, leaf_entry(m, leaf) | P | RW | US);
	return (struct gpaging){
		.cr0 = CR0_PE | CR0_PG | CR0_WP,
		.cr3 = m->levels * PAGE_SIZE,
		.cr4 = m->cr4,
		.efer = m->efer,
		.user = true,
	};
}

static enum err walk(struct fake *f, const struct gpaging *p, uint64_t va,
		     enum gwalk_access access, uint64_t *pa, uint64_t *left)
{
	const struct gwalk_mem mem = { f, fake_read, fake_cas };
	gpa_t out = GPA(0xdead);
	const enum err e = gwalk(p, GVA(va), access, &mem, &out, left);

	if (e != OK)
		assert_int_equal(out.v, 0xdead);
	*pa = out.v;
	return e;
}

static enum err try_access(struct fake *f, const struct gpaging *p,
			   const struct mode *m, enum gwalk_access access)
{
	uint64_t pa, left;

	return walk(f, p, m->va, access, &pa, &left);
}

#define FOR_EACH_LEAF(m, leaf)                                                 \
	for (const struct mode *m = modes; m < modes + ARRAY_SIZE(modes); m++) \
		for (unsigned leaf = 1; leaf <= m->large; leaf++)

/* --- translation --------------------------------------------------------- */

static void no_paging(void **state)
{
	struct fake f = { .size = 4 };
	struct gpaging p = { .cr0 = CR0_PE, .user = true, .cr4 = CR4_SMAP };
	uint64_t pa, left;

	(void)state;
	assert_int_equal(walk(&f, &p, 0xfee00ffc, GW_WRITE, &pa, &left), OK);
	assert_int_equal(pa, 0xfee00ffc);
	assert_int_equal(left, 4);
	assert_int_equal(walk(&f, &p, 0x1ffffffff, GW_EXEC, &pa, &left), OK);
	assert_int_equal(pa, 0xffffffff);
	assert_int_equal(left, 1);
	assert_int_equal(f.cas_calls, 0);
}

static void address_and_rest_of_page(void **state)
{
	(void)state;
	FOR_EACH_LEAF(m, leaf) {
		struct fake f;
		const struct gpaging p = build(&f, m, leaf);
		const uint64_t size = BIT(shift_of(m, leaf));
		const uint64_t first = m->va & ~(size - 1);
		const uint64_t offsets[] = { 0, 1, m->va & (size - 1),
					     size - 1 };

		for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
			uint64_t pa, left;

			/* Other parts of a page share no entry below `leaf`. */
			assert_int_equal(walk(&f, &p, first + offsets[i],
					      GW_READ, &pa, &left), OK);
			assert_int_equal(pa, page_pa(m, leaf) + offsets[i]);
			assert_int_equal(left, size - offsets[i]);
		}
	}
}

static void accessed_and_dirty(void **state)
{
	static const enum gwalk_access accesses[] = { GW_READ, GW_EXEC,
						      GW_WRITE };
	(void)state;
	FOR_EACH_LEAF(m, leaf)
	for (unsigned i = 0; i < 3; i++) {
		struct fake f;
		const struct gpaging p = build(&f, m, leaf);
		uint64_t before[6];

		for (unsigned l = leaf; l <= m->levels; l++)
			before[l] = get_entry(&f, m, l);
		assert_int_equal(try_access(&f, &p, m, accesses[i]), OK);
		for (unsigned l = leaf; l <= m->levels; l++) {
			uint64_t want = before[l];

			if (has_flags(m, l))
				want |= A;
			if (l == leaf && accesses[i] == GW_WRITE)
				want |= D;
			assert_int_equal(get_entry(&f, m, l), want);
		}
		/* The second time there is nothing to set. */
		f.cas_calls = 0;
		assert_int_equal(try_access(&f, &p, m, accesses[i]), OK);
		assert_int_equal(f.cas_calls, 0);
	}
}

static void faults_set_nothing(void **state)
{
	(void)state;
	FOR_EACH_LEAF(m, leaf) {
		struct fake f, before;
		struct gpaging p = build(&f, m, leaf);

		set_entry(&f, m, leaf, leaf_entry(m, leaf) | P | US);
		before = f;
		assert_int_equal(try_access(&f, &p, m, GW_WRITE), ERR_FAULT);
		assert_memory_equal(f.mem, before.mem, MEM_SIZE);
		assert_int_equal(f.cas_calls, 0);
	}
}

static void not_present_at_each_level(void **state)
{
	(void)state;
	FOR_EACH_LEAF(m, leaf)
	for (unsigned l = leaf; l <= m->levels; l++) {
		struct fake f;
		const struct gpaging p = build(&f, m, leaf);

		set_entry(&f, m, l, get_entry(&f, m, l) & ~P);
		assert_int_equal(try_access(&f, &p, m, GW_READ), ERR_FAULT);
	}
}

static void table_outside_memory(void **state)
{
	(void)state;
	FOR_EACH_LEAF(m, leaf) {
		struct fake f;
		struct gpaging p = build(&f, m, leaf);

		p.cr3 = MEM_SIZE;
		assert_int_equal(try_access(&f, &p, m, GW_READ), ERR_FAULT);
		for (unsigned l = leaf + 1; l <= m->levels; l++) {
			p = build(&f, m, leaf);
			set_entry(&f, m, l, get_entry(&f, m, l) | MEM_SIZE * 4);
			assert_int_equal(try_access(&f, &p, m, GW_READ),
					 ERR_FAULT);
		}
	}
}

static void cr3_bits_that_are_no_address(void **state)
{
	(void)state;
	FOR_EACH_LEAF(m, leaf) {
		struct fake f;
		struct gpaging p = build(&f, m, leaf);

		/* PWT, PCD; a PCID; above, what MOV to CR3 takes or ignores. */
		p.cr3 |= m->levels > 3 ? 0xfff | BIT(63) | BIT(61) :
			 is_pae(m) ? 0x18 | BIT(40) : 0xfff | BIT(40);
		assert_int_equal(try_access(&f, &p, m, GW_READ), OK);
	}
}

/* PAE's top table is 32 bytes anywhere, not a page. */
static void pae_table_of_32_bytes(void **state)
{
	const struct mode *m = &modes[2];
	struct fake f;
	struct gpaging p = build(&f, m, 1);
	const uint64_t entry = get_entry(&f, m, 3);

	(void)state;
	memcpy(f.mem + 0x3460 + 3 * 8, &entry, sizeof(entry));
	set_entry(&f, m, 3, 0);
	assert_int_equal(try_access(&f, &p, m, GW_READ), ERR_FAULT);
	p.cr3 = 0x3460;
	assert_int_equal(try_access(&f, &p, m, GW_READ), OK);
}

static void linear_address_width(void **state)
{
	(void)state;
	FOR_EACH_LEAF(m, leaf) {
		struct fake f;
		const struct gpaging p = build(&f, m, leaf);
		const unsigned bits = m->levels == 5 ? 57 : 48;
		uint64_t pa, left;

		if (m->levels <= 3) {
			/* 32-bit code: bits above are not part of it. */
			assert_int_equal(walk(&f, &p, m->va | 0xabcd00000000,
					      GW_READ, &pa, &left), OK);
			continue;
		}
		for (unsigned bit = bits - 1; bit < 64; bit++)
			assert_int_equal(walk(&f, &p, m->va ^ BIT(bit), GW_READ,
					      &pa, &left), ERR_FAULT);
	}
	/* What is canonical with five levels need not be with four. */
	struct fake f;
	const struct gpaging p = build(&f, &modes[4], 1);
	uint64_t pa, left;
	assert_int_equal(walk(&f, &p, modes[6].va, GW_READ, &pa, &left),
			 ERR_FAULT);
}

/* Without CR4.PSE bit 7 of a 32-bit directory entry means nothing. */
static void bit_7_without_pse(void **state)
{
	struct fake f;
	struct gpaging p = build(&f, &modes[0], 1);
	uint64_t pa, left;

	(void)state;
	set_entry(&f, &modes[0], 2, get_entry(&f, &modes[0], 2) | PS);
	assert_int_equal(walk(&f, &p, modes[0].va, GW_READ, &pa, &left), OK);
	assert_int_equal(left, 0x1000 - 0x567);
	p.cr4 |= CR4_PSE;
	assert_int_equal(walk(&f, &p, modes[0].va, GW_READ, &pa, &left), OK);
	assert_int_equal(left, 4 * MIB - 0x234567);
}

/* --- rights -------------------------------------------------------------- */

struct rights {
	bool user, write, xd; /* of the translation */
};

/* SDM "Determination of Access Rights", sentence by sentence. */
static bool allowed(const struct gpaging *p, const struct rights *r,
		    enum gwalk_access access)
{
	const bool nxe = p->efer & EFER_NXE;

	if (!p->user && access == GW_READ)
		return !r->user || !(p->cr4 & CR4_SMAP);
	if (!p->user && access == GW_WRITE) {
		if (!r->user)
			return !(p->cr0 & CR0_WP) || r->write;
		return !(p->cr4 & CR4_SMAP) &&
		       (!(p->cr0 & CR0_WP) || r->write);
	}
	if (!p->user) {
		if (!r->user)
			return !nxe || !r->xd;
		return !(p->cr4 & CR4_SMEP) && (!nxe || !r->xd);
	}
	if (!r->user)
		return false;
	if (access == GW_READ)
		return true;
	return access == GW_WRITE ? r->write : !nxe || !r->xd;
}

/* Give every level that has flags its three bits of `choice`. */
static struct rights set_rights(struct fake *f, const struct mode *m,
				unsigned leaf, unsigned choice)
{
	struct rights r = { true, true, false };

	for (unsigned l = leaf; l <= m->levels; l++) {
		uint64_t e = get_entry(f, m, l) & ~(RW | US | XD);

		if (!has_flags(m, l))
			continue;
		e |= (choice & 1 ? US : 0) | (choice & 2 ? RW : 0);
		if ((choice & 4) && (m->efer & EFER_NXE))
			e |= XD;
		r.user &= choice & 1;
		r.write &= choice >> 1 & 1;
		r.xd |= choice >> 2 & 1;
		choice >>= 3;
		set_entry(f, m, l, e);
	}
	return r;
}

static void set_controls(struct gpaging *p, const struct mode *m,
			 unsigned choice)
{
	p->user = choice & 1;
	p->cr0 = CR0_PE | CR0_PG | (choice & 2 ? CR0_WP : 0);
	p->cr4 = m->cr4 | (choice & 4 ? CR4_SMEP : 0) |
		 (choice & 8 ? CR4_SMAP : 0);
}

static void every_combination_of_rights(void **state)
{
	static const enum gwalk_access accesses[] = { GW_READ, GW_WRITE,
						      GW_EXEC };
	(void)state;
	FOR_EACH_LEAF(m, leaf) {
		const unsigned levels = m->levels - leaf + 1 - is_pae(m);
		struct fake f;
		struct gpaging p = build(&f, m, leaf);

		for (unsigned c = 0; c < 1u << 3 * levels; c++) {
			const struct rights r = set_rights(&f, m, leaf, c);
			/* 2^15 choices of rights: some controls each. */
			const unsigned step = levels > 3 ? 5 : 1;

			for (unsigned k = c % step; k < 16 * 3; k += step) {
				const enum gwalk_access a = accesses[k % 3];

				set_controls(&p, m, k / 3);
				if ((try_access(&f, &p, m, a) == OK) !=
				    allowed(&p, &r, a))
					fail_msg("levels %u leaf %u rights %#x "
						 "controls %#x access %d",
						 m->levels, leaf, c, k / 3, a);
			}
		}
	}
}

/* --- reserved bits ------------------------------------------------------- */

/*
 * The bits of a present entry that must be 0, from the figure "Formats of CR3
 * and Paging-Structure Entries" of each mode, with MAXPHYADDR 52.
 */
static uint64_t reserved(const struct mode *m, unsigned level, bool leaf)
{
	const uint64_t no_xd = m->efer & EFER_NXE ? 0 : XD;

	if (m->size == 4)
		return leaf && level == 2 ? BIT(21) : 0;
	if (is_pae(m) && level == 3)
		return 0xfff00000000001e6;
	if (is_pae(m) && level == 2 && leaf)
		return 0x7ff00000001fe000 | no_xd;
	if (is_pae(m))
		return 0x7ff0000000000000 | no_xd;
	if (level >= 4)
		return BIT(7) | no_xd;
	if (leaf && level == 3)
		return 0x000000003fffe000 | no_xd;
	if (leaf && level == 2)
		return 0x00000000001fe000 | no_xd;
	return no_xd;
}

static void each_bit_of_each_entry(void **state)
{
	(void)state;
	FOR_EACH_LEAF(m, leaf)
	for (unsigned l = leaf; l <= m->levels; l++)
	for (unsigned bit = 1; bit < m->size * 8; bit++) {
		struct fake f;
		struct gpaging p = build(&f, m, leaf);
		const bool rsvd = reserved(m, l, l == leaf) & BIT(bit);
		const bool is_address = bit >= 12 && bit < 52;

		/* Rights and PS of an entry that may have it: not here. */
		if ((bit == 1 || bit == 2 || bit == 63) && !rsvd)
			continue;
		if (bit == 7 && l <= m->large && l > 1)
			continue;
		/* An address that leads to no table is another matter. */
		if (is_address && l > leaf)
			continue;
		set_entry(&f, m, l, get_entry(&f, m, l) | BIT(bit));
		if ((try_access(&f, &p, m, GW_READ) == OK) == rsvd)
			fail_msg("levels %u leaf %u level %u bit %u",
				 m->levels, leaf, l, bit);
	}
}

/* --- entries that change under the walk ---------------------------------- */

static const struct mode *const m4 = &modes[4];

static void cas_fails_at_first(void **state)
{
	(void)state;
	FOR_EACH_LEAF(m, leaf)
	for (unsigned fails = 1; fails <= 3; fails++) {
		struct fake f;
		const struct gpaging p = build(&f, m, leaf);

		f.cas_fails = fails;
		assert_int_equal(try_access(&f, &p, m, GW_WRITE), OK);
		assert_int_equal(f.cas_fails, 0);
		assert_int_equal(get_entry(&f, m, leaf) & (A | D), A | D);
	}
}

static void cas_fails_always(void **state)
{
	struct fake f;
	const struct gpaging p = build(&f, m4, 1);

	(void)state;
	f.cas_fails = 1000000;
	assert_int_equal(try_access(&f, &p, m4, GW_READ), ERR_FAULT);
	assert_true(f.cas_calls < 100);
}

static void unmap(struct fake *f)
{
	set_entry(f, m4, 1, 0);
}

static void move(struct fake *f)
{
	set_entry(f, m4, 1, 0x5000 | P | RW | US);
}

static void make_read_only(struct fake *f)
{
	set_entry(f, m4, 2, get_entry(f, m4, 2) & ~RW);
}

static void mark_accessed(struct fake *f)
{
	for (unsigned l = 1; l <= 4; l++)
		set_entry(f, m4, l, get_entry(f, m4, l) | A);
}

static void entries_change_meanwhile(void **state)
{
	struct fake f;
	struct gpaging p = build(&f, m4, 1);
	uint64_t pa, left;

	(void)state;
	f.cas_fails = 1;
	f.meanwhile = unmap;
	assert_int_equal(try_access(&f, &p, m4, GW_READ), ERR_FAULT);

	p = build(&f, m4, 1);
	f.cas_fails = 1;
	f.meanwhile = move;
	assert_int_equal(walk(&f, &p, m4->va, GW_READ, &pa, &left), OK);
	assert_int_equal(pa, 0x5abc);

	p = build(&f, m4, 1);
	f.cas_fails = 1;
	f.meanwhile = make_read_only;
	assert_int_equal(try_access(&f, &p, m4, GW_WRITE), ERR_FAULT);
	assert_int_equal(get_entry(&f, m4, 1) & D, 0);

	p = build(&f, m4, 1);
	f.cas_fails = 1;
	f.meanwhile = mark_accessed;
	assert_int_equal(try_access(&f, &p, m4, GW_READ), OK);
	assert_int_equal(f.cas_calls, 1);
}

/* A lost update would undo what another CPU wrote: values are compared. */
static bool stale_read(void *ctx, gpa_t pa, void *entry, unsigned size)
{
	struct fake *f = ctx;
	const bool ok = fake_read(ctx, pa, entry, size);

	if (pa.v == entry_pa(m4, 1) && f->cas_fails == 0 && !f->meanwhile) {
		/* Right after this read another CPU sets a bit. */
		f->meanwhile = move;
		set_entry(f, m4, 1, get_entry(f, m4, 1) | BIT(9));
	}
	return ok;
}

static void no_update_is_lost(void **state)
{
	struct fake f;
	const struct gpaging p = build(&f, m4, 1);
	const struct gwalk_mem mem = { &f, stale_read, fake_cas };
	gpa_t pa;
	uint64_t left;

	(void)state;
	assert_int_equal(gwalk(&p, GVA(m4->va), GW_WRITE, &mem, &pa, &left),
			 OK);
	assert_int_equal(get_entry(&f, m4, 1) & (BIT(9) | A | D),
			 BIT(9) | A | D);
}

/* Any tables, any registers: an answer, and no access outside memory. */
static void random_tables(void **state)
{
	unsigned ok = 0;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		const struct mode *m = &modes[round % ARRAY_SIZE(modes)];
		struct fake f;
		struct gpaging p = build(&f, m, 1);

		for (unsigned i = 0; i < 3; i++) {
			const unsigned l = 1 + (unsigned)rand() % m->levels;
			const unsigned bit = (unsigned)rand() % (m->size * 8);

			set_entry(&f, m, l, get_entry(&f, m, l) ^ BIT(bit));
		}
		set_controls(&p, m, (unsigned)rand());
		ok += try_access(&f, &p, m,
				 (enum gwalk_access)(rand() % 3)) == OK;
	}
	assert_true(ok > 1000);
}

/* --- the pages beside one ------------------------------------------------- */

#define ROUNDS 20000

/* Rights at random, in the tables above and in the leaves of one window. */
static void random_window(struct fake *f, struct mode *m, uint64_t page)
{
	for (unsigned level = 4; level > 1; level--)
		set_entry(f, m, level, (level - 1) * PAGE_SIZE | P | A |
			  (rand() % 8 ? RW : 0) | (rand() % 8 ? US : 0));
	for (unsigned i = 0; i < GW_AROUND; i++) {
		m->va = page + i * PAGE_SIZE;
		set_entry(f, m, 1, ((PAGE_PA + i * GIB) & ~(PAGE_SIZE - 1)) |
			  (rand() % 8 ? P : 0) | (rand() % 4 ? RW : 0) |
			  (rand() % 4 ? US : 0) | (rand() % 4 ? A : 0) |
			  (rand() % 4 ? D : 0) | (rand() % 8 ? 0 : BIT(52)));
	}
}

/* What a user may do and no flag is in the way of, and nothing else. */
static void around(void **state)
{
	const uint64_t page = modes[4].va & ~(16 * PAGE_SIZE - 1);
	struct mode m = modes[4];
	struct fake f;
	struct gpaging p = build(&f, &m, 1);
	const struct gwalk_mem mem = { &f, fake_read, fake_cas };
	uint64_t got[GW_AROUND], pa, left;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		const enum gwalk_access access = rand() % 2;

		random_window(&f, &m, page);
		m.va = page + rand() % GW_AROUND * PAGE_SIZE;
		if (!gwalk_around(&p, GVA(m.va + 8), access, &mem, got)) {
			assert_false(get_entry(&f, &m, 1) & P);
			continue;
		}
		for (unsigned i = 0; i < GW_AROUND; i++) {
			f.cas_calls = 0;
			pa = GW_NONE;
			if (walk(&f, &p, page + i * PAGE_SIZE, access, &pa,
				 &left) != OK || f.cas_calls)
				pa = GW_NONE;
			assert_int_equal(got[i], pa);
		}
	}
}

static void around_what_is_no_small_page(void **state)
{
	uint64_t got[GW_AROUND] = { 7 };

	(void)state;
	FOR_EACH_LEAF(m, leaf) {
		struct fake f;
		const struct gwalk_mem mem = { &f, fake_read, fake_cas };
		const struct gpaging p = build(&f, m, leaf);
		const bool small = leaf == 1 && m->levels == 4 &&
				   (m->efer & EFER_NXE);

		assert_int_equal(gwalk_around(&p, GVA(m->va), GW_READ, &mem,
					      got), small);
		if (!small)
			assert_int_equal(got[0], 7);
		got[0] = 7;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(around),
		cmocka_unit_test(around_what_is_no_small_page),
		cmocka_unit_test(no_paging),
		cmocka_unit_test(address_and_rest_of_page),
		cmocka_unit_test(accessed_and_dirty),
		cmocka_unit_test(faults_set_nothing),
		cmocka_unit_test(not_present_at_each_level),
		cmocka_unit_test(table_outside_memory),
		cmocka_unit_test(cr3_bits_that_are_no_address),
		cmocka_unit_test(pae_table_of_32_bytes),
		cmocka_unit_test(linear_address_width),
		cmocka_unit_test(bit_7_without_pse),
		cmocka_unit_test(every_combination_of_rights),
		cmocka_unit_test(each_bit_of_each_entry),
		cmocka_unit_test(cas_fails_at_first),
		cmocka_unit_test(cas_fails_always),
		cmocka_unit_test(entries_change_meanwhile),
		cmocka_unit_test(no_update_is_lost),
		cmocka_unit_test(random_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
