/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decode.c - decode a 32-bit store to memory, and MOV to a control register.
 *
 * The instruction is read byte by byte through next(), which remembers that
 * the bytes ran out; so the parsers need not look after every byte, and one
 * check at the end tells "too short" from "not one of ours". Where the operand
 * lies is not computed: the hardware has told the address already.
 * SDM volume 2, "Instruction Format", "Addressing-Mode Encoding of ModR/M and
 * SIB Bytes", "REX Prefixes", "Opcode Map".
 */
#include "decode.h"

#define INSN_MAX 15 /* bytes; longer is #GP */

#define REX_R 4
#define REX_W 8

#define MODRM_MOD(m) ((m) >> 6)
#define MODRM_REG(m) ((m) >> 3 & 7)
#define MODRM_RM(m)  ((m)&7)
#define MOD_REGISTER 3
#define RM_SIB	     4 /* with 32- and 64-bit addresses */
#define RM_DISP32    5 /* with mod 0; as the SIB's base too */
#define RM_DISP16    6 /* with mod 0 and 16-bit addresses */

struct reader {
	const uint8_t *insn;
	size_t n;   /* bytes there are */
	size_t pos; /* bytes consumed */
	bool ended; /* more were wanted */
};

struct prefixes {
	bool opsize, addrsize, lock; /* 66h, 67h, LOCK */
	uint8_t rex;
};

/* Where the source of a store is. */
enum form { FORM_REG, FORM_IMM32, FORM_IMM8, FORM_MOFFS };

static const struct opcode {
	uint8_t code, digit; /* digit: ModRM.reg of the immediate forms */
	uint8_t op, form;
} opcodes[] = {
	{ 0x89, 0, STORE_MOV, FORM_REG },   { 0xc7, 0, STORE_MOV, FORM_IMM32 },
	{ 0xa3, 0, STORE_MOV, FORM_MOFFS }, { 0x87, 0, STORE_XCHG, FORM_REG },
	{ 0x09, 0, STORE_OR, FORM_REG },    { 0x21, 0, STORE_AND, FORM_REG },
	{ 0x31, 0, STORE_XOR, FORM_REG },   { 0x01, 0, STORE_ADD, FORM_REG },
	{ 0x29, 0, STORE_SUB, FORM_REG },
	{ 0x81, 1, STORE_OR, FORM_IMM32 },  { 0x83, 1, STORE_OR, FORM_IMM8 },
	{ 0x81, 4, STORE_AND, FORM_IMM32 }, { 0x83, 4, STORE_AND, FORM_IMM8 },
	{ 0x81, 6, STORE_XOR, FORM_IMM32 }, { 0x83, 6, STORE_XOR, FORM_IMM8 },
	{ 0x81, 0, STORE_ADD, FORM_IMM32 }, { 0x83, 0, STORE_ADD, FORM_IMM8 },
	{ 0x81, 5, STORE_SUB, FORM_IMM32 }, { 0x83, 5, STORE_SUB, FORM_IMM8 },
};

static uint8_t next(struct reader *r)
{
	if (r->pos < r->n)
		return r->insn[r->pos++];
	r->ended = true;
	return 0;
}

static uint32_t next_u32(struct reader *r)
{
	uint32_t v = 0;

	for (unsigned shift = 0; shift < 32; shift += 8)
		v |= (uint32_t)next(r) << shift;
	return v;
}

static void skip(struct reader *r, size_t n)
{
	while (n-- > 0)
		(void)next(r);
}

static bool is_legacy_prefix(uint8_t b, struct prefixes *p)
{
	switch (b) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
		return true; /* a segment: the hardware has applied it */
	case 0x66:
		p->opsize = true;
		return true;
	case 0x67:
		p->addrsize = true;
		return true;
	case 0xf0:
		p->lock = true;
		return true;
	default:
		return false;
	}
}

/* Consume the prefixes; returns the byte after them. */
static uint8_t read_prefixes(struct reader *r, unsigned bits,
			     struct prefixes *p)
{
	for (;;) {
		const uint8_t b = next(r);

		if (is_legacy_prefix(b, p))
			p->rex = 0; /* a REX counts only directly before */
		else if (bits == 64 && (b & 0xf0) == 0x40)
			p->rex = b;
		else
			return b;
	}
}

static bool is_32bit(const struct prefixes *p, unsigned bits)
{
	return !(p->rex & REX_W) && p->opsize == (bits == 16);
}

static unsigned address_bits(const struct prefixes *p, unsigned bits)
{
	if (!p->addrsize)
		return bits;
	return bits == 32 ? 16 : 32;
}

static size_t disp_len16(uint8_t modrm)
{
	if (MODRM_MOD(modrm) == 0)
		return MODRM_RM(modrm) == RM_DISP16 ? 2 : 0;
	return MODRM_MOD(modrm);
}

/* With 32- or 64-bit addresses; `base` is ModRM.rm or the SIB's base. */
static size_t disp_len32(unsigned mod, unsigned base)
{
	if (mod == 0)
		return base == RM_DISP32 ? 4 : 0;
	return mod == 1 ? 1 : 4;
}

static void skip_memory_operand(struct reader *r, uint8_t modrm,
				unsigned addr_bits)
{
	unsigned base = MODRM_RM(modrm);

	if (addr_bits == 16) {
		skip(r, disp_len16(modrm));
		return;
	}
	if (base == RM_SIB)
		base = next(r) & 7;
	skip(r, disp_len32(MODRM_MOD(modrm), base));
}

static bool has_imm(const struct opcode *o)
{
	return o->form == FORM_IMM32 || o->form == FORM_IMM8;
}

/* The row for an opcode, of those whose ModRM.reg is fixed the one for it. */
static const struct opcode *find_opcode(uint8_t code, uint8_t modrm)
{
	for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++) {
		const struct opcode *o = &opcodes[i];

		if (o->code == code &&
		    (!has_imm(o) || o->digit == MODRM_REG(modrm)))
			return o;
	}
	return NULL;
}

/*
 * All rows of an opcode agree on what is asked before its ModRM is read:
 * whether there are any, and whether a ModRM follows.
 */
static const struct opcode *any_of_opcode(uint8_t code)
{
	const struct opcode *o = opcodes;

	while (o < opcodes + ARRAY_SIZE(opcodes) && o->code != code)
		o++;
	return o < opcodes + ARRAY_SIZE(opcodes) ? o : NULL;
}

static void read_source(struct reader *r, const struct opcode *o, uint8_t modrm,
			const struct prefixes *p, struct store *s)
{
	s->op = o->op;
	s->has_imm = has_imm(o);
	if (o->form == FORM_IMM32)
		s->imm = next_u32(r);
	else if (o->form == FORM_IMM8)
		s->imm = (uint32_t)(int8_t)next(r);
	else if (o->form == FORM_REG)
		s->reg = (uint8_t)(MODRM_REG(modrm) | (p->rex & REX_R) << 1);
}

enum err decode_store(const uint8_t *insn, size_t n, unsigned bits,
		      struct store *s)
{
	struct reader r = { insn, n < INSN_MAX ? n : INSN_MAX, 0, false };
	const enum err too_short = n < INSN_MAX ? ERR_INVAL : ERR_NOTSUP;
	struct prefixes p = { 0 };
	struct store out = { 0 };

	const uint8_t code = read_prefixes(&r, bits, &p);
	if (r.ended)
		return too_short;
	const struct opcode *o = any_of_opcode(code);
	/* LOCK is #UD before MOV. */
	if (!o || !is_32bit(&p, bits) || (p.lock && o->op == STORE_MOV))
		return ERR_NOTSUP;
	const uint8_t modrm = o->form == FORM_MOFFS ? 0 : next(&r);
	if (r.ended)
		return too_short;
	o = find_opcode(code, modrm);
	if (!o || (o->form != FORM_MOFFS && MODRM_MOD(modrm) == MOD_REGISTER))
		return ERR_NOTSUP;

	if (o->form == FORM_MOFFS)
		skip(&r, address_bits(&p, bits) / 8);
	else
		skip_memory_operand(&r, modrm, address_bits(&p, bits));
	read_source(&r, o, modrm, &p, &out);
	if (r.ended)
		return too_short;
	out.len = (uint8_t)r.pos;
	*s = out;
	return OK;
}

/* The hardware takes ModRM.mod as 3, whatever it is. */
bool decode_is_mov_to_cr(const uint8_t *insn, size_t n, unsigned bits)
{
	struct reader r = { insn, n < INSN_MAX ? n : INSN_MAX, 0, false };
	struct prefixes p = { 0 };

	if (read_prefixes(&r, bits, &p) != 0x0f || next(&r) != 0x22)
		return false;
	(void)next(&r); /* ModRM */
	return !r.ended;
}
