/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_fuzz_test.c - any bytes, in any state of a guest: no crash, no step
 * without an end, and nothing changed by an instruction that did not happen.
 */
#include "emul_test.h"

#define ROUNDS 60000

static struct rig r;
static uint64_t seed = 88172645463325252u;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

/* Addresses that matter: RAM, ROM, device, the ends of everything. */
static uint64_t random_value(void)
{
	static const uint64_t near[] = {
		0, CODE, 0x5ff8, ROM - 8, RAM_SIZE - 8, DEVICE, DEVICE + 0xff8,
		0xfff8, 0xfffffff8, 0x7ffffffffff8, 0xffff800000000000,
		UINT64_MAX - 8,
	};

	if (rnd() % 8 == 0)
		return rnd() >> rnd() % 64;
	return near[rnd() % (sizeof(near) / sizeof(*near))] + rnd() % 16;
}

static void random_segments(void)
{
	for (unsigned i = 0; i < EMUL_SEGS; i++) {
		struct luv_segment *s = &r.c.seg[i];

		if (rnd() % 4 == 0)
			s->base = random_value();
		if (rnd() % 4 == 0)
			s->limit = (uint32_t)random_value();
		if (rnd() % 8 == 0)
			s->attrib = (uint16_t)rnd();
	}
	/* Or there would be nothing to execute, mostly. */
	r.c.seg[EMUL_CS].base = 0;
}

static void random_state(void)
{
	static const unsigned bits[] = { 16, 32, 64 };

	emul_abandon(&r.c);
	rig_stop(&r);
	rig_start(&r, bits[rnd() % 3]);
	if (rnd() & 1)
		rig_paging(&r);
	for (unsigned i = 0; rnd() % 4 == 0 && i < 40; i++)
		r.ram[PML4 + (rnd() & 0x3fff)] = (uint8_t)rnd();
	random_segments();
	r.c.cpl = rnd() & 1 ? 3 : 0;
	if (rnd() % 4 == 0)
		r.c.cr0 ^= (rnd() & 0x80010001);
	if (rnd() % 4 == 0)
		r.c.cr4 ^= rnd() & 0x301030;
	if (rnd() % 4 == 0)
		r.c.efer ^= rnd() & 0xc00;
}

static void random_registers(void)
{
	for (unsigned i = 0; i < 16; i++)
		r.c.gpr[i] = random_value();
	if (rnd() & 1)
		r.c.gpr[1] = rnd() % 64;
	r.c.rflags = 2 | (rnd() & 0x40dd5);
	r.c.stop = rnd() % 16 == 0;
	r.races = rnd() % 16 == 0 ? rnd() % 1000 : 0;
	r.c.hint_valid = rnd() % 8 == 0;
	r.c.hint_write = rnd() & 1;
	r.c.hint_gpa = random_value();
	r.exits = r.log_len = 0;
	r.c.rip = rnd() % 64 ? CODE : random_value();
}

static void random_code(void)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3,
					    0x26, 0x2e, 0x64, 0x48, 0x41 };
	static const uint8_t opcodes[] = {
		0x00, 0x11, 0x2a, 0x3b, 0x6c, 0x6d, 0x6e, 0x6f, 0x80, 0x81,
		0x83, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8f, 0xa0,
		0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac,
		0xad, 0xae, 0xaf, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff, 0x63,
	};
	uint8_t *p = r.ram + CODE;

	for (unsigned i = 0; i < 16; i++)
		p[i] = (uint8_t)(rnd() >> 5);
	if (rnd() % 8 == 0)
		return;
	while (rnd() & 1)
		*p++ = prefixes[rnd() % sizeof(prefixes)];
	if (rnd() % 4 == 0)
		*p++ = 0x0f;
	else
		*p++ = opcodes[rnd() % sizeof(opcodes)];
}

static void check_unchanged(const struct emul_ctx *before)
{
	/* A REP has iterations that did. */
	if (memcmp(r.c.gpr, before->gpr, sizeof(r.c.gpr)) == 0)
		assert_int_equal((r.c.rflags ^ before->rflags) & ~0x108d5u, 0);
	assert_int_equal(r.c.rip, before->rip);
}

static void test_random_bytes(void **state)
{
	unsigned statuses[EMUL_UNHANDLED + 1] = { 0 };

	(void)state;
	rig_start(&r, 32);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct emul_ctx before;
		enum emul_status s;

		if (i % 16 == 0)
			random_state();
		random_registers();
		random_code();
		before = r.c;
		s = rig_run(&r);
		assert_in_range(s, 0, EMUL_UNHANDLED);
		statuses[s]++;
		if (s != EMUL_DONE)
			check_unchanged(&before);
		if (r.exits < 2 && s == EMUL_UNHANDLED)
			assert_memory_equal(r.c.gpr, before.gpr,
					    sizeof(before.gpr));
	}
	/* It was not all the same. */
	assert_true(statuses[EMUL_DONE] > ROUNDS / 10);
	assert_true(statuses[EMUL_EXCEPTION] > ROUNDS / 20);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
