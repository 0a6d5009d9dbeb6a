/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decode.h - the instruction forms the VMM must read itself: a 32-bit store to
 * the xAPIC page, and MOV to a control register. Pure. Everything else is
 * decoded in ring 3.
 * SDM volume 2, "Instruction Format".
 */
#pragma once

#include "types.h"

enum store_op { STORE_MOV, STORE_XCHG, STORE_OR, STORE_AND, STORE_XOR,
		STORE_ADD, STORE_SUB };

struct store {
	uint8_t len;	  /* bytes of the instruction */
	uint8_t op;	  /* enum store_op */
	bool has_imm;	  /* source is imm, not reg */
	uint8_t reg;	  /* 0..15, hardware order RAX, RCX, RDX, RBX, ... */
	uint32_t imm;	  /* sign-extended to 32 bits */
};

/*
 * decode_store - decode `n` bytes at the instruction pointer.
 *   bits  16, 32 or 64: the default operand/address size of the code segment
 * Knows: MOV 89 / C7 /0 / A3, XCHG 87, OR/AND/XOR/ADD/SUB with a register
 * (09 21 31 01 29) or immediate (81, 83 /1 /4 /6 /0 /5), with segment, 66h, 67h, LOCK
 * and REX prefixes, memory operand, operand size 32 bits only.
 * Returns OK; ERR_NOTSUP: another instruction or another size; ERR_INVAL: n
 * is too short.
 */
MUST_USE enum err decode_store(const uint8_t *insn, size_t n, unsigned bits,
			       struct store *s);

/* Are the n bytes, code of that many bits, MOV to a control register? */
bool decode_is_mov_to_cr(const uint8_t *insn, size_t n, unsigned bits);
