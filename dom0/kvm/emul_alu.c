/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_alu.c - integer arithmetic and what it does to RFLAGS.
 * A flag that the manual calls undefined is cleared (AF of logic).
 * SDM volume 1, "Status Flags"; volume 2, each instruction's "Flags Affected".
 */
#include "emul_int.h"

static uint64_t flag(bool on, uint64_t bit)
{
	return on ? bit : 0;
}

/* SF, ZF and PF, which are a result's alone. */
static uint64_t flags_of(uint64_t r, unsigned size)
{
	const bool even = !__builtin_parity((unsigned)(r & 0xff));

	return flag(r >> (size * 8 - 1) & 1, RFLAGS_SF) |
	       flag((r & size_mask(size)) == 0, RFLAGS_ZF) |
	       flag(even, RFLAGS_PF);
}

/*
 * The carries out of each bit of a + b + carry = r, also for a - b - borrow:
 * bit n is what went from bit n to bit n + 1.
 */
static uint64_t carries(uint64_t a, uint64_t b, uint64_t r)
{
	return (a & b) | ((a | b) & ~r);
}

static uint64_t borrows(uint64_t a, uint64_t b, uint64_t r)
{
	return (~a & b) | ((~a | b) & r);
}

/* CF, OF and AF of a vector of carries. */
static uint64_t flags_of_carries(uint64_t carry, unsigned size)
{
	const unsigned top = size * 8 - 1;

	return flag(carry >> top & 1, RFLAGS_CF) |
	       flag((carry >> top ^ carry >> (top - 1)) & 1, RFLAGS_OF) |
	       flag(carry >> 3 & 1, RFLAGS_AF);
}

static uint64_t add(uint64_t a, uint64_t b, bool carry, unsigned size,
		    uint64_t *flags)
{
	const uint64_t r = (a + b + carry) & size_mask(size);

	*flags = (*flags & ~RFLAGS_ALU) | flags_of(r, size) |
		 flags_of_carries(carries(a, b, r), size);
	return r;
}

static uint64_t sub(uint64_t a, uint64_t b, bool borrow, unsigned size,
		    uint64_t *flags)
{
	const uint64_t r = (a - b - borrow) & size_mask(size);

	*flags = (*flags & ~RFLAGS_ALU) | flags_of(r, size) |
		 flags_of_carries(borrows(a, b, r), size);
	return r;
}

static uint64_t logic(uint64_t r, unsigned size, uint64_t *flags)
{
	*flags = (*flags & ~RFLAGS_ALU) | flags_of(r, size);
	return r;
}

/* INC and DEC leave CF alone. */
static uint64_t keep_carry(uint64_t r, uint64_t old, uint64_t *flags)
{
	*flags = (*flags & ~RFLAGS_CF) | (old & RFLAGS_CF);
	return r;
}

uint64_t emul_alu(unsigned op, uint64_t a, uint64_t b, unsigned size,
		  uint64_t *flags)
{
	const uint64_t old = *flags;
	const bool carry = old & RFLAGS_CF;

	a &= size_mask(size);
	b &= size_mask(size);
	switch (op) {
	case OP_ADD:
		return add(a, b, false, size, flags);
	case OP_ADC:
		return add(a, b, carry, size, flags);
	case OP_SUB:
	case OP_CMP:
		return sub(a, b, false, size, flags);
	case OP_SBB:
		return sub(a, b, carry, size, flags);
	case OP_NEG:
		return sub(0, a, false, size, flags);
	case OP_INC:
		return keep_carry(add(a, 1, false, size, flags), old, flags);
	case OP_DEC:
		return keep_carry(sub(a, 1, false, size, flags), old, flags);
	case OP_AND:
	case OP_TEST:
		return logic(a & b, size, flags);
	case OP_OR:
		return logic(a | b, size, flags);
	case OP_XOR:
		return logic(a ^ b, size, flags);
	default: /* OP_NOT, which has no flags */
		return ~a & size_mask(size);
	}
}
