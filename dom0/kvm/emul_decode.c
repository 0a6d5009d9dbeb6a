/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_decode.c - bytes to struct emul_insn, by way of Zydis, and a cache.
 *
 * A row of the cache holds what bytes and mode determine, in a form of our
 * own: Zydis' two structures are 1.1 KiB an instruction. A row is found by RIP
 * and believed only if the guest's memory still has its bytes, so nobody has
 * to tell us of new code, and CR3 need not be in the key: it decides which
 * bytes are found, not what they mean.
 * SDM volume 2, "Instruction Format".
 */
#include "emul_int.h"
#include <Zydis/Zydis.h>
#include <string.h>

/* What Zydis calls an instruction, what we call it. */
static const struct {
	uint16_t mnemonic;
	uint8_t op;
} names[] = {
#define SAME(name) { ZYDIS_MNEMONIC_##name, OP_##name }
#define XMM(name)  { ZYDIS_MNEMONIC_##name, OP_XMM }
#define XMMA(name) { ZYDIS_MNEMONIC_##name, OP_XMM_ALIGNED }
#define STR(name, suffix) { ZYDIS_MNEMONIC_##name##suffix, OP_##name }
	SAME(MOV), SAME(MOVSX), SAME(MOVBE),
	{ ZYDIS_MNEMONIC_MOVZX, OP_MOV }, { ZYDIS_MNEMONIC_MOVSXD, OP_MOVSX },
	SAME(ADD), SAME(OR), SAME(ADC), SAME(SBB), SAME(AND), SAME(SUB),
	SAME(XOR), SAME(CMP), SAME(TEST), SAME(INC), SAME(DEC), SAME(NEG),
	SAME(NOT), SAME(XCHG), SAME(CMPXCHG), SAME(XADD), SAME(BT),
	SAME(BTS), SAME(BTR), SAME(BTC), SAME(PUSH), SAME(POP), SAME(CALL),
	SAME(JMP),
	STR(MOVS, B), STR(MOVS, W), STR(MOVS, D), STR(MOVS, Q),
	STR(STOS, B), STR(STOS, W), STR(STOS, D), STR(STOS, Q),
	STR(LODS, B), STR(LODS, W), STR(LODS, D), STR(LODS, Q),
	STR(CMPS, B), STR(CMPS, W), STR(CMPS, D), STR(CMPS, Q),
	STR(SCAS, B), STR(SCAS, W), STR(SCAS, D), STR(SCAS, Q),
	STR(INS, B), STR(INS, W), STR(INS, D),
	STR(OUTS, B), STR(OUTS, W), STR(OUTS, D),
	XMM(MOVD), XMM(MOVQ), XMM(MOVDQU), XMM(MOVUPS), XMM(MOVUPD),
	XMM(MOVSS),
	XMMA(MOVDQA), XMMA(MOVAPS), XMMA(MOVAPD), XMMA(MOVNTDQ),
	XMMA(MOVNTPS), XMMA(MOVNTPD), XMMA(MOVNTDQA),
	{ ZYDIS_MNEMONIC_MOVNTI, OP_MOV },
#undef SAME
#undef XMM
#undef XMMA
#undef STR
};

static unsigned op_of(const ZydisDecodedInstruction *z)
{
	const bool legacy = z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	unsigned op = OP_NONE;

	for (size_t i = 0; legacy && i < sizeof(names) / sizeof(*names); i++)
		if (names[i].mnemonic == z->mnemonic)
			op = names[i].op;
	/* MOVSD and CMPSD are names of two instructions each. */
	if (op >= OP_MOVS && z->meta.category != ZYDIS_CATEGORY_STRINGOP &&
	    z->meta.category != ZYDIS_CATEGORY_IOSTRINGOP)
		return z->mnemonic == ZYDIS_MNEMONIC_MOVSD ? OP_XMM : OP_NONE;
	return op;
}

/* One general register of the four widths, or of the high bytes. */
static bool decode_gpr(ZydisRegister r, struct operand *o)
{
	static const struct {
		uint16_t first, last;
		uint8_t reg, shift, size;
	} files[] = {
		{ ZYDIS_REGISTER_AL, ZYDIS_REGISTER_BL, 0, 0, 1 },
		{ ZYDIS_REGISTER_AH, ZYDIS_REGISTER_BH, 0, 8, 1 },
		{ ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_R15B, 4, 0, 1 },
		{ ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W, 0, 0, 2 },
		{ ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D, 0, 0, 4 },
		{ ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15, 0, 0, 8 },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		if (r < files[i].first || r > files[i].last)
			continue;
		*o = (struct operand){
			OPND_REG, (uint8_t)(files[i].reg + r - files[i].first),
			files[i].shift, files[i].size,
		};
		return true;
	}
	return false;
}

static bool decode_register(ZydisRegister r, struct operand *o)
{
	if (decode_gpr(r, o))
		return true;
	if (r >= ZYDIS_REGISTER_ES && r <= ZYDIS_REGISTER_GS) {
		*o = (struct operand){
			OPND_SEG, (uint8_t)(r - ZYDIS_REGISTER_ES), 0, 2 };
		return true;
	}
	if (r >= ZYDIS_REGISTER_XMM0 && r <= ZYDIS_REGISTER_XMM15) {
		*o = (struct operand){
			OPND_XMM, (uint8_t)(r - ZYDIS_REGISTER_XMM0), 0, 16 };
		return true;
	}
	return false;
}

static uint8_t address_register(ZydisRegister r)
{
	struct operand o;

	if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
		return RIP_REG;
	return decode_gpr(r, &o) ? o.reg : NO_REG;
}

static bool decode_memory(struct emul_insn *insn,
			  const ZydisDecodedOperand *z, struct operand *o)
{
	if (z->mem.type != ZYDIS_MEMOP_TYPE_MEM || z->size > 128)
		return false;
	*o = (struct operand){ OPND_MEM, 0, 0, (uint8_t)(z->size / 8) };
	insn->seg = (uint8_t)(z->mem.segment - ZYDIS_REGISTER_ES);
	insn->base = address_register(z->mem.base);
	insn->index = address_register(z->mem.index);
	insn->scale = z->mem.scale;
	insn->disp = (uint64_t)z->mem.disp.value;
	return insn->seg < EMUL_SEGS;
}

static bool decode_operand(struct emul_insn *insn,
			   const ZydisDecodedOperand *z, struct operand *o)
{
	switch (z->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return decode_register(z->reg.value, o);
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return decode_memory(insn, z, o);
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		*o = (struct operand){ OPND_IMM, 0, 0, (uint8_t)(z->size / 8) };
		insn->imm = z->imm.value.u;
		return !z->imm.is_relative;
	default:
		return false;
	}
}

/* The last of F2 and F3; what else they select is not in our list. */
static uint8_t decode_rep(const ZydisDecodedInstruction *z)
{
	uint8_t rep = REP_NONE;

	for (unsigned i = 0; i < z->raw.prefix_count; i++) {
		if (z->raw.prefixes[i].value == 0xf3)
			rep = REP_E;
		else if (z->raw.prefixes[i].value == 0xf2)
			rep = REP_NE;
	}
	return rep;
}

/*
 * A string instruction's operands are hidden: all that matters is the
 * segment of the source, which a prefix changes. ES:rDI has no such choice.
 */
static bool decode_string(struct emul_insn *insn,
			  const ZydisDecodedOperand *z, unsigned n)
{
	struct operand o;

	insn->seg = EMUL_DS;
	for (unsigned i = 0; i < n; i++) {
		if (z[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		insn->size = (uint8_t)(z[i].size / 8);
		if (address_register(z[i].mem.base) == RSI &&
		    !decode_memory(insn, &z[i], &o))
			return false;
	}
	return true;
}

static bool decode_two(struct emul_insn *insn,
		       const ZydisDecodedInstruction *z,
		       const ZydisDecodedOperand *operands)
{
	if (z->operand_count_visible > 2 || z->operand_count == 0)
		return false;
	if (!decode_operand(insn, &operands[0], &insn->dst))
		return false;
	if (z->operand_count_visible == 2 &&
	    !decode_operand(insn, &operands[1], &insn->src))
		return false;
	insn->size = insn->dst.size;
	return true;
}

/* Forms of a known name that are somebody else's. */
static bool is_known_form(const struct emul_insn *insn,
			  const ZydisDecodedInstruction *z)
{
	const bool xmm = insn->op == OP_XMM || insn->op == OP_XMM_ALIGNED;
	const bool has_xmm = insn->dst.kind == OPND_XMM ||
			     insn->src.kind == OPND_XMM;

	if (insn->op >= OP_MOVS)
		return true;
	if (insn->dst.kind == OPND_SEG || insn->dst.kind == OPND_IMM)
		return insn->op == OP_PUSH; /* a segment is loaded */
	if (insn->op == OP_CALL || insn->op == OP_JMP)
		return z->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
	return xmm == has_xmm;
}

static const ZydisDecoder *decoder_for(unsigned mode, ZydisDecoder *d)
{
	switch (mode) {
	case 8:
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LONG_64,
				 ZYDIS_STACK_WIDTH_64);
		break;
	case 4:
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LEGACY_32,
				 ZYDIS_STACK_WIDTH_32);
		break;
	default:
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LEGACY_16,
				 ZYDIS_STACK_WIDTH_16);
	}
	return d;
}

static void fill(struct emul_insn *insn, const ZydisDecodedInstruction *z,
		 const ZydisDecodedOperand *operands)
{
	bool known;

	insn->len = z->length;
	insn->op = (uint8_t)op_of(z);
	insn->asize = z->address_width / 8;
	insn->rep = decode_rep(z);
	insn->lock = z->attributes & ZYDIS_ATTRIB_HAS_LOCK;
	if (insn->op == OP_NONE)
		return;
	known = insn->op >= OP_MOVS ?
			decode_string(insn, operands, z->operand_count) :
			decode_two(insn, z, operands);
	/* Their operand's size is not their own: a segment, an immediate. */
	if (insn->op >= OP_PUSH && insn->op <= OP_JMP)
		insn->size = z->operand_width / 8;
	if (!known || !is_known_form(insn, z))
		insn->op = OP_NONE;
}

bool emul_decode(struct emul_insn *insn, const uint8_t *bytes, unsigned n,
		 unsigned mode, bool *more)
{
	ZydisDecoder d;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const ZyanStatus status = ZydisDecoderDecodeFull(
		decoder_for(mode, &d), bytes, n, &z, operands);

	*more = status == ZYDIS_STATUS_NO_MORE_DATA && n < INSN_MAX;
	*insn = (struct emul_insn){ .base = NO_REG, .index = NO_REG,
				    .mode = (uint8_t)mode };
	if (!ZYAN_SUCCESS(status))
		return false;
	fill(insn, &z, operands);
	memcpy(insn->bytes, bytes, insn->len);
	return true;
}

/* --- the cache ------------------------------------------------------------- */

static struct emul_insn *row_of(struct emul_state *s, uint64_t rip)
{
	/* Few low bits differ between neighbours, many between functions. */
	return &s->decoded[(rip ^ rip >> 7) % DECODE_ROWS];
}

/* Bytes up to the end of the page, and if they are too few, beyond it. */
static int decode_from_memory(struct emul_ctx *c, struct emul_insn *row,
			      uint64_t rip)
{
	uint8_t bytes[INSN_MAX];
	const unsigned in_page = (unsigned)(0x1000 - (rip & 0xfff));
	unsigned n = in_page < INSN_MAX ? in_page : INSN_MAX;
	bool more;
	int r = emul_read_code(c, rip, bytes, n);

	if (r != GO_ON)
		return r;
	if (emul_decode(row, bytes, n, code_size(c), &more))
		return GO_ON;
	if (!more)
		return EMUL_UNHANDLED;
	r = emul_read_code(c, rip + n, bytes + n, INSN_MAX - n);
	if (r != GO_ON)
		return r;
	return emul_decode(row, bytes, INSN_MAX, code_size(c), &more) ?
		       GO_ON : EMUL_UNHANDLED;
}

/* Are those of 16 bytes that the instruction has the row's? */
static bool is_same(const struct emul_insn *row, const uint8_t *bytes)
{
	const unsigned bits = row->len * 8u;
	uint64_t a[2], b[2];

	memcpy(a, row->bytes, sizeof(a));
	memcpy(b, bytes, sizeof(b));
	a[0] ^= b[0];
	a[1] ^= b[1];
	if (bits <= 64)
		return a[0] << (64 - bits) == 0;
	return (a[0] | a[1] << (128 - bits)) == 0;
}

/* Does memory (or the CPU's copy) have the row's bytes? */
static int check_row(struct emul_ctx *c, const struct emul_insn *row,
		     bool *hit)
{
	uint8_t bytes[16] = { 0 };
	const void *at = bytes;
	int r;

	if (c->insn_len >= row->len) {
		memcpy(bytes, c->insn, row->len);
	} else if ((row->rip & 0xfff) <= 0x1000 - sizeof(bytes)) {
		r = emul_code_at(c, row->rip, sizeof(bytes), &at);
		if (r != GO_ON)
			return r;
		if (!at)
			return EMUL_UNHANDLED;
	} else {
		r = emul_read_code(c, row->rip, bytes, row->len);
		if (r != GO_ON)
			return r;
	}
	*hit = is_same(row, at);
	return GO_ON;
}

static int decode_new(struct emul_ctx *c, struct emul_insn *row, uint64_t rip)
{
	struct emul_insn insn;
	bool more;
	int r = GO_ON;

	if (!emul_decode(&insn, c->insn, c->insn_len, code_size(c), &more))
		r = decode_from_memory(c, &insn, rip);
	if (r != GO_ON)
		return r;
	*row = insn;
	row->rip = rip;
	return GO_ON;
}

int emul_fetch(struct emul_ctx *c)
{
	struct emul_state *s = c->state;
	const unsigned mode = code_size(c);
	struct emul_insn *row;
	uint64_t rip;
	bool hit = false;
	int r = emul_linear(c, EMUL_CS, mode == 8 ? c->rip : (uint32_t)c->rip,
			    0, false, &rip);

	if (r != GO_ON)
		return r;
	row = row_of(s, rip);
	if (row->len != 0 && row->rip == rip && row->mode == mode)
		r = check_row(c, row, &hit);
	if (r == GO_ON && !hit)
		r = decode_new(c, row, rip);
	if (r != GO_ON)
		return r;
	s->insn = row;
	return row->op == OP_NONE ? EMUL_UNHANDLED : GO_ON;
}
