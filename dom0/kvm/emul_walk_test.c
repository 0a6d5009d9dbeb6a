/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_walk_test.c - paging: random tables against vmm/gwalk.c, which is
 * another's work on the same manual; and the error codes of page faults.
 */
#include "emul_test.h"
#include "../../vmm/gwalk.h"

#define TABLES 0x10000u /* five pages of them */

static struct rig rig;
static uint64_t seed = 88172645463325252u;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

/* --- against gwalk --------------------------------------------------------- */

static bool walk_read(void *ctx, gpa_t pa, void *entry, unsigned size)
{
	return emul_read(ctx, pa.v, entry, size);
}

static bool walk_cas(void *ctx, gpa_t pa, uint64_t old, uint64_t new_,
		     unsigned size)
{
	return rig_cas(ctx, pa.v, old, new_, size) == EMUL_CAS_OK;
}

/* An entry that mostly points to the next of the tables, mostly allowed. */
static uint64_t random_entry(unsigned level, unsigned size)
{
	uint64_t e = (rnd() & 0xe7f) | 7;

	if (rnd() % 4 == 0)
		e &= ~UINT64_C(7) | rnd();
	if (rnd() % 4 == 0)
		e |= 1 << 7;
	e |= rnd() % 4 ? TABLES + level * 0x1000 : rnd() & 0x3ffff000;
	if (size == 8 && rnd() % 4 == 0)
		e |= UINT64_C(1) << 63;
	if (size == 8 && rnd() % 8 == 0)
		e |= UINT64_C(1) << (52 + rnd() % 11);
	return e;
}

/* The tables are small in what differs, so that walks meet. */
static void random_tables(unsigned size)
{
	for (unsigned level = 0; level < 5; level++)
		for (unsigned i = 0; i < 0x1000; i += size)
			rig_put(&rig, TABLES + level * 0x1000 + i,
				random_entry(level + 1, size), size);
}

static void random_mode(struct emul_ctx *c)
{
	const unsigned mode = rnd() % 5;

	c->cr0 = CR0_PE | CR0_PG | (rnd() & CR0_WP);
	c->cr4 = rnd() & (CR4_SMEP | CR4_SMAP);
	c->efer = rnd() & EFER_NXE;
	if (mode == 1)
		c->cr4 |= CR4_PSE;
	if (mode >= 2)
		c->cr4 |= CR4_PAE;
	if (mode >= 3)
		c->efer |= EFER_LMA;
	if (mode == 4)
		c->cr4 |= CR4_LA57;
	c->cpl = rnd() & 1 ? 3 : 0;
	c->cr3 = TABLES;
}

static void test_like_gwalk(void **state)
{
	static uint8_t before[RAM_SIZE], after[RAM_SIZE];
	const struct gwalk_mem mem = { &rig.c, walk_read, walk_cas };
	unsigned found = 0;

	(void)state;
	rig_start(&rig, 64);
	for (unsigned i = 0; i < 8000; i++) {
		struct gpaging p;
		const uint64_t va = (rnd() & 0x7fffffff) >> rnd() % 12;
		const unsigned access = rnd() % 3;
		uint64_t left, gpa = 0;
		gpa_t want = { 0 };
		enum err e;
		int r;

		random_mode(&rig.c);
		if (i % 50 == 0)
			random_tables(rig.c.cr4 & CR4_PAE ? 8 : 4);
		p = (struct gpaging){ rig.c.cr0, rig.c.cr3, rig.c.cr4,
				      rig.c.efer, rig.c.cpl == 3 };
		memcpy(before + TABLES, rig.ram + TABLES, 0x5000);
		e = gwalk(&p, GVA(va), (enum gwalk_access)access, &mem, &want,
			  &left);
		memcpy(after + TABLES, rig.ram + TABLES, 0x5000);
		memcpy(rig.ram + TABLES, before + TABLES, 0x5000);
		for (unsigned again = 0; again < 2; again++) {
			r = emul_translate(&rig.c, va, access, &gpa);
			if (e == OK) {
				assert_int_equal(r, GO_ON);
				assert_int_equal(gpa, want.v);
				found++;
			} else {
				assert_true(r == EMUL_EXCEPTION ||
					    r == EMUL_UNHANDLED);
			}
			assert_memory_equal(rig.ram + TABLES, after + TABLES,
					    0x5000);
		}
	}
	assert_true(found > 1000);
	rig_stop(&rig);
}

/* --- error codes ----------------------------------------------------------- */

/* Page 5 has `entry` in its PTE: what does `bytes` at `cpl` get? */
static uint32_t fault(uint64_t entry, unsigned cpl, bool write)
{
	enum emul_status s;

	rig_put(&rig, PT + 5 * 8, entry, 8);
	rig.c.cpl = (uint8_t)cpl;
	rig.c.gpr[3] = 0x5010;
	s = write ? RUN(&rig, "\x89\x03") : RUN(&rig, "\x8b\x03");
	if (s == EMUL_DONE)
		return 0xffff;
	assert_int_equal(s, EMUL_EXCEPTION);
	assert_int_equal(rig.c.exc.vector, 14);
	assert_true(rig.c.exc.has_error);
	assert_int_equal(rig.c.exc.cr2, 0x5010);
	assert_int_equal(rig.c.rip, CODE);
	return rig.c.exc.error;
}

static void test_error_codes(void **state)
{
	const uint64_t nx = UINT64_C(1) << 63;

	(void)state;
	rig_start(&rig, 64);
	rig_paging(&rig);
	assert_int_equal(fault(0x5006, 0, false), 0);
	assert_int_equal(fault(0x5006, 0, true), 2);
	assert_int_equal(fault(0x5006, 3, false), 4);
	assert_int_equal(fault(0x5006, 3, true), 6);
	assert_int_equal(fault(0x5003, 3, false), 5);
	assert_int_equal(fault(0x5003, 3, true), 7);
	assert_int_equal(fault(0x5005, 3, true), 7);
	assert_int_equal(fault(0x5005, 3, false), 0xffff);
	assert_int_equal(fault(0x5005, 0, true), 0xffff);
	rig.c.cr0 |= CR0_WP;
	assert_int_equal(fault(0x5005, 0, true), 3);
	assert_int_equal(fault(nx | 0x5007, 0, true), 11); /* no NXE */
	rig.c.efer |= EFER_NXE;
	assert_int_equal(fault(nx | 0x5007, 0, true), 0xffff);
	rig.c.efer &= ~EFER_NXE;
	/* A and D have been set, and only those. */
	assert_int_equal(rig_get(&rig, PT + 5 * 8, 8), nx | 0x5067);
	assert_int_equal(fault(0x5007, 0, false), 0xffff);
	assert_int_equal(rig_get(&rig, PT + 5 * 8, 8), 0x5027);
	/* SMAP, with CODE a supervisor's page. */
	rig_put(&rig, PT + 8, CODE | 3, 8);
	rig.c.cr4 |= CR4_SMAP | CR4_SMEP;
	assert_int_equal(fault(0x5007, 0, false), 1);
	assert_int_equal(fault(0x5007, 0, true), 3);
	rig.c.rflags |= RFLAGS_AC;
	assert_int_equal(fault(0x5007, 0, true), 0xffff);
	rig.c.rflags &= ~RFLAGS_AC;
	rig_stop(&rig);
}

static void test_code_faults(void **state)
{
	(void)state;
	rig_start(&rig, 64);
	rig_paging(&rig);
	rig.c.gpr[3] = DEVICE;
	rig.c.cr4 |= CR4_SMEP;
	assert_int_equal(RUN(&rig, "\x89\x03"), EMUL_EXCEPTION);
	assert_int_equal(rig.c.exc.error, 0x11); /* a user's page */
	assert_int_equal(rig.c.exc.cr2, CODE);
	rig.c.cr4 = CR4_PAE;
	rig.c.efer |= EFER_NXE;
	rig_put(&rig, PD, (UINT64_C(1) << 63) | PT | 7, 8);
	assert_int_equal(RUN(&rig, "\x89\x03"), EMUL_EXCEPTION);
	assert_int_equal(rig.c.exc.error, 0x11);
	rig_put(&rig, PD, PT | 7, 8);
	/* The second half of an instruction is in a page that is not there. */
	memcpy(rig.ram + 0x1fff, "\x89\x03", 2);
	rig_put(&rig, PT + 2 * 8, 0, 8);
	rig.c.rip = 0x1fff;
	assert_int_equal(rig_run(&rig), EMUL_EXCEPTION);
	assert_int_equal(rig.c.exc.error, 0x10);
	assert_int_equal(rig.c.exc.cr2, 0x2000);
	rig_put(&rig, PT + 2 * 8, 0x2007, 8);
	assert_int_equal(rig_run(&rig), EMUL_DONE);
	rig_stop(&rig);
}

/* A cached translation, and cached code, end with what they were made of. */
static void test_caches(void **state)
{
	(void)state;
	rig_start(&rig, 64);
	rig_paging(&rig);
	rig.c.gpr[3] = 0x5000;
	rig.c.gpr[0] = 1;
	assert_int_equal(RUN(&rig, "\x89\x03"), EMUL_DONE);
	rig_put(&rig, PT + 5 * 8, DEVICE | 7, 8);
	assert_int_equal(RUN(&rig, "\x89\x03"), EMUL_DONE);
	assert_string_equal(rig.log, "Wd0000:01000000 ");
	assert_int_equal(RUN(&rig, "\x88\x03"), EMUL_DONE);
	assert_string_equal(rig.log, "Wd0000:01 ");
	/* Same code, through other tables. */
	memcpy(rig.ram + 0x8000, "\x66\x89\x03", 3);
	rig_put(&rig, PT + 8, 0x8007, 8);
	rig.c.rip = CODE;
	rig.log_len = 0;
	assert_int_equal(rig_run(&rig), EMUL_DONE);
	assert_string_equal(rig.log, "Wd0000:0100 ");
	/* In another mode the bytes mean something else: MOV EAX, not AX. */
	rig.c.seg[EMUL_CS].attrib = 0x9b;
	rig.c.rip = CODE;
	rig.exits = 0;
	assert_int_equal(rig_run(&rig), EMUL_DONE);
	assert_int_equal(rig.exits, 0);
	assert_int_equal(rig_get(&rig, 0, 4), 1); /* [BP + DI] */
	rig_stop(&rig);
}

/* The CPU's own help: its bytes, and where it went. */
static void test_hints(void **state)
{
	(void)state;
	rig_start(&rig, 64);
	rig_paging(&rig);
	rig_put(&rig, PML4, 0, 8); /* a walk would fault */
	rig.c.gpr[3] = 0x5010;
	rig.c.gpr[0] = 1;
	memcpy(rig.c.insn, "\x89\x03\x90", 3);
	rig.c.insn_len = 3;
	rig.c.hint_valid = rig.c.hint_write = true;
	rig.c.hint_gpa = DEVICE + 0x10;
	assert_int_equal(rig_run(&rig), EMUL_DONE);
	assert_string_equal(rig.log, "Wd0010:01000000 ");
	assert_false(rig.c.hint_valid);
	assert_int_equal(rig.c.insn_len, 0);
	/* A read was allowed, not a write. */
	rig.c.rip = CODE;
	rig.c.insn_len = 3;
	rig.c.hint_valid = true;
	rig.c.hint_write = false;
	assert_int_equal(rig_run(&rig), EMUL_EXCEPTION);
	assert_int_equal(rig.c.exc.error, 2);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_gwalk),
		cmocka_unit_test(test_error_codes),
		cmocka_unit_test(test_code_faults),
		cmocka_unit_test(test_caches),
		cmocka_unit_test(test_hints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
