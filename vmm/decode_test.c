/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decode_test.c - stores assembled by hand, then put together from all their
 * parts: every ModRM and SIB byte, with the lengths that the tables of SDM
 * "Addressing-Mode Encoding of ModR/M and SIB Bytes" give them. Every
 * instruction is also cut at every length, in a buffer that ends there.
 */
#include "decode.h"
#include "string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define INSN_MAX 15

/* Decode exactly n bytes: ASan sees a read of one more. */
static enum err decode_n(const uint8_t *insn, size_t n, unsigned bits,
			 struct store *s)
{
	uint8_t *copy = malloc(n);

	if (n > 0)
		memcpy(copy, insn, n);
	const enum err e = decode_store(copy, n, bits, s);
	free(copy);
	return e;
}

static void assert_store(const uint8_t *insn, size_t n, unsigned bits,
			 const struct store *want)
{
	uint8_t longer[INSN_MAX + 5];
	struct store s;

	memset(&s, 0xa5, sizeof(s));
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(decode_n(insn, cut, bits, &s), ERR_INVAL);
	assert_int_equal(s.len, 0xa5); /* a failure writes nothing */

	assert_int_equal(decode_n(insn, n, bits, &s), OK);
	assert_int_equal(s.len, n);
	assert_int_equal(s.op, want->op);
	assert_int_equal(s.has_imm, want->has_imm);
	assert_int_equal(s.reg, want->reg);
	assert_int_equal(s.imm, want->imm);

	/* What follows the instruction is of no account. */
	memset(longer, 0xff, sizeof(longer));
	memcpy(longer, insn, n);
	assert_int_equal(decode_store(longer, sizeof(longer), bits, &s), OK);
	assert_int_equal(s.len, n);
}

#define BYTES(...) ((const uint8_t[]){ __VA_ARGS__ })
#define REG(bits, op, reg, ...)                                                \
	assert_store(BYTES(__VA_ARGS__), sizeof(BYTES(__VA_ARGS__)), bits,     \
		     &(struct store){ 0, STORE_##op, false, reg, 0 })
#define IMM(bits, op, imm, ...)                                                \
	assert_store(BYTES(__VA_ARGS__), sizeof(BYTES(__VA_ARGS__)), bits,     \
		     &(struct store){ 0, STORE_##op, true, 0, imm })
#define NOT(bits, ...)                                                         \
	do {                                                                   \
		struct store s_;                                               \
		assert_int_equal(decode_n(BYTES(__VA_ARGS__),                  \
					  sizeof(BYTES(__VA_ARGS__)), bits,    \
					  &s_), ERR_NOTSUP);                   \
	} while (0)

enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, R8D, R15D = 15 };

static void mov_64(void **state)
{
	(void)state;
	REG(64, MOV, EAX, 0x89, 0x07);			  /* [rdi], eax */
	REG(64, MOV, ESI, 0x89, 0x37);			  /* [rdi], esi */
	REG(64, MOV, R8D, 0x44, 0x89, 0x07);		  /* [rdi], r8d */
	REG(64, MOV, R15D, 0x45, 0x89, 0x3c, 0x24);	  /* [r12], r15d */
	REG(64, MOV, EDI, 0x89, 0xb8, 0x00, 0xd3, 0x5f, 0xff); /* Linux's */
	REG(64, MOV, ESI, 0x89, 0x34, 0x25, 0, 0xc3, 0x5f, 0xff); /* [abs] */
	REG(64, MOV, EAX, 0x89, 0x05, 1, 2, 3, 4);	  /* [rip+...] */
	REG(64, MOV, EAX, 0xa3, 1, 2, 3, 4, 5, 6, 7, 8);  /* [moffs64] */
	REG(64, MOV, EAX, 0x67, 0xa3, 1, 2, 3, 4);	  /* [moffs32] */
	REG(64, MOV, EAX, 0x44, 0xa3, 1, 2, 3, 4, 5, 6, 7, 8); /* no REX.R */
	IMM(64, MOV, 0x000000b0, 0xc7, 0x47, 0x10, 0xb0, 0, 0, 0);
	IMM(64, MOV, 0x12345678, 0xc7, 0x04, 0x25, 0xb0, 0, 0xe0, 0xfe, 0x78,
	    0x56, 0x34, 0x12);
	IMM(64, MOV, 0xffffffff, 0x41, 0xc7, 0x00, 0xff, 0xff, 0xff, 0xff);
	/* REX.R does not extend an opcode's digit. */
	IMM(64, MOV, 1, 0x44, 0xc7, 0x00, 1, 0, 0, 0);
}

static void mov_32(void **state)
{
	(void)state;
	REG(32, MOV, EDX, 0x89, 0x15, 0xb0, 0x00, 0xe0, 0xfe);
	REG(32, MOV, EAX, 0xa3, 0xb0, 0x00, 0xe0, 0xfe);
	REG(32, MOV, EAX, 0x67, 0xa3, 0xb0, 0x00);
	REG(32, MOV, ESP, 0x89, 0x20);
	REG(32, MOV, EBX, 0x67, 0x89, 0x1e, 0x34, 0x12); /* [1234h], ebx */
	REG(32, MOV, EBX, 0x89, 0x1e);			  /* [esi], ebx */
	IMM(32, MOV, 0, 0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0, 0, 0, 0);
}

static void mov_16(void **state)
{
	(void)state;
	REG(16, MOV, EAX, 0x66, 0xa3, 0xb0, 0x00);
	REG(16, MOV, EAX, 0x66, 0x67, 0xa3, 0xb0, 0x00, 0xe0, 0xfe);
	REG(16, MOV, ECX, 0x67, 0x66, 0x89, 0x0d, 0xb0, 0x00, 0xe0, 0xfe);
	REG(16, MOV, ECX, 0x66, 0x89, 0x0e, 0x34, 0x12);
	REG(16, MOV, ECX, 0x66, 0x89, 0x0c);
	IMM(16, MOV, 0x04030201, 0x66, 0xc7, 0x46, 0x08, 1, 2, 3, 4);
	IMM(16, MOV, 0x04030201, 0x64, 0x66, 0x67, 0xc7, 0x04, 0x8d, 1, 2, 3, 4,
	    1, 2, 3, 4);
}

static void xchg_and_arithmetic(void **state)
{
	(void)state;
	REG(64, XCHG, EDX, 0x87, 0x10);
	REG(64, XCHG, 10, 0x44, 0x87, 0x10);
	REG(64, OR, ECX, 0x09, 0x08);
	REG(64, AND, ECX, 0x21, 0x08);
	REG(64, XOR, ECX, 0x31, 0x08);
	REG(64, ADD, ECX, 0x01, 0x08);
	REG(64, SUB, ECX, 0x29, 0x08);
	IMM(64, OR, 0x100, 0x81, 0x08, 0x00, 0x01, 0, 0);
	IMM(64, AND, 0xfffffeff, 0x81, 0x20, 0xff, 0xfe, 0xff, 0xff);
	IMM(64, XOR, 5, 0x81, 0x30, 5, 0, 0, 0);
	IMM(64, ADD, 5, 0x81, 0x00, 5, 0, 0, 0);
	IMM(64, SUB, 5, 0x81, 0x28, 5, 0, 0, 0);
	IMM(64, OR, 0x7f, 0x83, 0x08, 0x7f);
	IMM(64, AND, 0xffffff80, 0x83, 0x20, 0x80);
	IMM(64, XOR, 0xffffffff, 0x83, 0x30, 0xff);
	IMM(64, ADD, 0, 0x83, 0x00, 0x00);
	IMM(64, SUB, 1, 0x83, 0x28, 0x01);
}

static void prefixes(void **state)
{
	(void)state;
	REG(64, MOV, EAX, 0x65, 0x89, 0x07);
	REG(64, MOV, EAX, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67, 0x89, 0x07);
	REG(64, OR, EAX, 0xf0, 0x09, 0x07);
	REG(64, XCHG, EAX, 0xf0, 0x87, 0x07);
	REG(64, MOV, R8D, 0x3e, 0x44, 0x89, 0x07);
	/* The last REX counts, and only directly before the opcode. */
	REG(64, MOV, EAX, 0x44, 0x40, 0x89, 0x07);
	REG(64, MOV, EAX, 0x44, 0x3e, 0x89, 0x07);
	REG(64, MOV, EAX, 0x48, 0x3e, 0x89, 0x07);
	/* 15 bytes are the most. */
	REG(64, MOV, EAX, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e,
	    0x3e, 0x3e, 0x3e, 0x3e, 0x89, 0x07);
	NOT(64, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e,
	    0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x89, 0x07);
	NOT(64, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e,
	    0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e);
	NOT(64, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e,
	    0x3e, 0x3e, 0xc7, 0x00, 1, 2, 3, 4);
}

static void other_operand_sizes(void **state)
{
	(void)state;
	NOT(64, 0x66, 0x89, 0x07);	 /* 16 bits */
	NOT(32, 0x66, 0x89, 0x07);
	NOT(16, 0x89, 0x07);
	NOT(16, 0x67, 0x89, 0x07);
	NOT(64, 0x48, 0x89, 0x07);	 /* 64 bits */
	NOT(64, 0x66, 0x48, 0x89, 0x07);
	NOT(64, 0x48, 0xa3, 1, 2, 3, 4, 5, 6, 7, 8);
	NOT(64, 0x88, 0x07);		 /* 8 bits */
	NOT(64, 0xc6, 0x07, 1);
	NOT(64, 0x80, 0x0f, 1);
	NOT(64, 0xa2, 1, 2, 3, 4, 5, 6, 7, 8);
	REG(64, MOV, EAX, 0x40, 0x89, 0x07);
}

static void other_instructions(void **state)
{
	(void)state;
	NOT(64, 0x8b, 0x07);		 /* a load */
	NOT(64, 0x89, 0xc0);		 /* a register */
	NOT(64, 0x87, 0xd8);
	NOT(64, 0xc7, 0xc0, 1, 2, 3, 4);
	NOT(64, 0xc7, 0x08, 1, 2, 3, 4); /* C7 /1 */
	NOT(64, 0xc7, 0xf8, 1, 2, 3, 4); /* XBEGIN */
	NOT(64, 0x81, 0x10, 1, 2, 3, 4); /* ADC, SBB, CMP */
	NOT(64, 0x81, 0x18, 1, 2, 3, 4);
	NOT(64, 0x81, 0x38, 1, 2, 3, 4);
	NOT(64, 0x83, 0x10, 1);
	NOT(64, 0x83, 0x38, 1);
	NOT(64, 0x82, 0x00, 1);
	NOT(64, 0x11, 0x07);
	NOT(64, 0x39, 0x07);
	NOT(64, 0xf0, 0x89, 0x07);	 /* LOCK MOV */
	NOT(64, 0xf0, 0xa3, 1, 2, 3, 4, 5, 6, 7, 8);
	NOT(64, 0xf3, 0x89, 0x07);	 /* XRELEASE */
	NOT(64, 0x0f, 0xc3, 0x07);	 /* MOVNTI */
	NOT(64, 0xab);			 /* STOSD */
	NOT(64, 0x90);
	NOT(32, 0x44, 0x89, 0x07);	 /* INC ESP; ... */
	NOT(16, 0x66, 0x44, 0x89, 0x07);
	NOT(64, 0x0f);
	NOT(64, 0xff);
}

/* No other first opcode byte is taken for a store of ours. */
static void all_opcodes(void **state)
{
	static const uint8_t known[] = { 0x89, 0xc7, 0xa3, 0x87, 0x09, 0x21,
					 0x31, 0x01, 0x29, 0x81, 0x83 };
	static const uint8_t prefix[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					  0x66, 0x67, 0xf0 };

	(void)state;
	for (unsigned code = 0; code < 256; code++) {
		uint8_t insn[INSN_MAX] = { (uint8_t)code };
		struct store s;
		bool ours = code / 16 == 4;

		for (unsigned i = 0; i < sizeof(known); i++)
			ours |= code == known[i];
		for (unsigned i = 0; i < sizeof(prefix); i++)
			ours |= code == prefix[i];
		if (!ours)
			assert_int_equal(decode_store(insn, INSN_MAX, 64, &s),
					 ERR_NOTSUP);
	}
}

/* --- built from parts ----------------------------------------------------- */

/* Bytes after ModRM (and SIB) with 16-bit addresses, by mod and r/m. */
static const uint8_t disp16[3][8] = {
	{ 0, 0, 0, 0, 0, 0, 2, 0 },
	{ 1, 1, 1, 1, 1, 1, 1, 1 },
	{ 2, 2, 2, 2, 2, 2, 2, 2 },
};
/* With 32- and 64-bit ones, by mod and r/m; r/m 4 has a SIB. */
static const uint8_t disp32[3][8] = {
	{ 0, 0, 0, 0, 0, 4, 0, 0 },
	{ 1, 1, 1, 1, 1, 1, 1, 1 },
	{ 4, 4, 4, 4, 4, 4, 4, 4 },
};

static size_t memory_operand_len(unsigned mod, unsigned rm, unsigned sib,
				 unsigned addr_bits)
{
	if (addr_bits == 16)
		return disp16[mod][rm];
	if (rm != 4)
		return disp32[mod][rm];
	return 1 + (mod == 0 && sib % 8 == 5 ? 4 : disp32[mod][rm]);
}

static const struct form {
	uint8_t code, digit, imm_len, op;
} forms[] = {
	{ 0x89, 8, 0, STORE_MOV },  { 0xc7, 0, 4, STORE_MOV },
	{ 0x87, 8, 0, STORE_XCHG }, { 0x09, 8, 0, STORE_OR },
	{ 0x21, 8, 0, STORE_AND },  { 0x31, 8, 0, STORE_XOR },
	{ 0x01, 8, 0, STORE_ADD },  { 0x29, 8, 0, STORE_SUB },
	{ 0x81, 1, 4, STORE_OR },   { 0x81, 4, 4, STORE_AND },
	{ 0x81, 6, 4, STORE_XOR },  { 0x81, 0, 4, STORE_ADD },
	{ 0x81, 5, 4, STORE_SUB },  { 0x83, 1, 1, STORE_OR },
	{ 0x83, 4, 1, STORE_AND },  { 0x83, 6, 1, STORE_XOR },
	{ 0x83, 0, 1, STORE_ADD },  { 0x83, 5, 1, STORE_SUB },
};

/* One instruction of a form; digit 8 stands for a register, `reg`. */
static void build(const struct form *f, unsigned bits, bool addrsize,
		  unsigned rex, unsigned modrm, unsigned sib)
{
	const unsigned addr_bits = !addrsize ? bits : bits == 32 ? 16 : 32;
	const unsigned reg = f->digit < 8 ? f->digit : modrm >> 3 & 7;
	struct store want = { 0, f->op, f->imm_len > 0, 0, 0 };
	uint8_t insn[24];
	size_t n = 0;

	memset(insn, 0x82, sizeof(insn)); /* displacements, immediates */
	modrm = (modrm & 0xc7) | reg << 3;
	if (addrsize)
		insn[n++] = 0x67;
	if (bits == 16)
		insn[n++] = 0x66;
	if (rex)
		insn[n++] = (uint8_t)rex;
	insn[n++] = f->code;
	insn[n++] = (uint8_t)modrm;
	insn[n] = (uint8_t)sib; /* if there is none, any byte does */
	n += memory_operand_len(modrm >> 6, modrm & 7, sib, addr_bits);
	if (f->imm_len > 0)
		memset(insn + n, 0x82, f->imm_len);
	n += f->imm_len;
	if (f->imm_len == 4)
		want.imm = 0x82828282;
	else if (f->imm_len == 1)
		want.imm = 0xffffff82;
	else
		want.reg = (uint8_t)(reg + (rex & 4 ? 8 : 0));
	assert_true(n <= INSN_MAX);
	assert_store(insn, n, bits, &want);
}

static void every_modrm(void **state)
{
	static const uint8_t sibs[] = { 0x00, 0x25, 0x65, 0xed, 0x24, 0xff };
	static const uint8_t rexes[] = { 0, 0x41, 0x44, 0x47 };

	(void)state;
	for (unsigned f = 0; f < ARRAY_SIZE(forms); f++)
	for (unsigned modrm = 0; modrm < 0xc0; modrm++)
	for (unsigned s = 0; s < sizeof(sibs); s++)
	for (unsigned a = 0; a < 2; a++) {
		build(&forms[f], 16, a, 0, modrm, sibs[s]);
		build(&forms[f], 32, a, 0, modrm, sibs[s]);
		build(&forms[f], 64, a, rexes[s % 4], modrm, sibs[s]);
	}
}

static void every_sib(void **state)
{
	(void)state;
	for (unsigned sib = 0; sib < 256; sib++)
	for (unsigned mod = 0; mod < 3; mod++) {
		build(&forms[0], 64, false, 0x43, mod << 6 | 4, sib);
		build(&forms[1], 32, false, 0, mod << 6 | 4, sib);
		build(&forms[1], 16, true, 0, mod << 6 | 4, sib);
	}
}

/* Whatever the bytes: an answer of the three, and a length within them. */
static void random_bytes(void **state)
{
	static const unsigned bits[] = { 16, 32, 64 };
	unsigned ok = 0;

	(void)state;
	for (unsigned round = 0; round < 300000; round++) {
		const size_t n = (unsigned)rand() % (INSN_MAX + 3);
		uint8_t insn[INSN_MAX + 3];
		struct store s;

		for (size_t i = 0; i < n; i++)
			insn[i] = (uint8_t)rand();
		const enum err e = decode_n(insn, n, bits[round % 3], &s);
		assert_true(e == OK || e == ERR_NOTSUP ||
			    (e == ERR_INVAL && n < INSN_MAX));
		if (e != OK)
			continue;
		ok++;
		assert_true(s.len >= 2 && s.len <= n && s.len <= INSN_MAX);
		assert_true(s.reg < 16 && s.op <= STORE_SUB);
	}
	assert_true(ok > 1000);
}

static void mov_to_cr(void **state)
{
	static const struct {
		uint8_t insn[5], n, bits;
		bool is;
	} rows[] = {
		{ { 0x0f, 0x22, 0xe0 }, 3, 16, true },
		{ { 0x0f, 0x22, 0xe0 }, 3, 64, true },
		{ { 0x66, 0x0f, 0x22, 0xd8 }, 4, 32, true },
		{ { 0x41, 0x0f, 0x22, 0xe7 }, 4, 64, true },
		{ { 0x41, 0x0f, 0x22, 0xe7 }, 4, 32, false }, /* INC ECX */
		{ { 0xf0, 0x0f, 0x22, 0xc0 }, 4, 32, true },  /* CR8 */
		{ { 0x0f, 0x20, 0xe0 }, 3, 64, false },	      /* from CR4 */
		{ { 0x0f, 0x23, 0xe0 }, 3, 64, false },	      /* to DR4 */
		{ { 0x0f, 0x22 }, 2, 64, false },
		{ { 0x90, 0x0f, 0x22, 0xe0 }, 4, 64, false },
		{ { 0 }, 0, 64, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(decode_is_mov_to_cr(rows[i].insn, rows[i].n,
						     rows[i].bits),
				 rows[i].is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mov_to_cr),
		cmocka_unit_test(mov_64),
		cmocka_unit_test(mov_32),
		cmocka_unit_test(mov_16),
		cmocka_unit_test(xchg_and_arithmetic),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(other_operand_sizes),
		cmocka_unit_test(other_instructions),
		cmocka_unit_test(all_opcodes),
		cmocka_unit_test(every_modrm),
		cmocka_unit_test(every_sib),
		cmocka_unit_test(random_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
