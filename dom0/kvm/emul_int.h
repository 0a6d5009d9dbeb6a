/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_int.h - what the files of the instruction engine share.
 *   emul.c         the phases of an instruction, and emul_step()
 *   emul_decode.c  bytes to struct emul_insn, and the cache of those
 *   emul_mem.c     segments, fetching, and the pieces of an access
 *   emul_walk.c    paging, and the cache of translations
 *   emul_exec.c    what an instruction does with its operands
 *   emul_alu.c     arithmetic and RFLAGS
 *   emul_fast.c    a plain move, without the phases
 *   emul_string.c  string instructions and their REP
 */
#pragma once

#include "emul.h"
#include <stddef.h>
#include <string.h>

#define CR0_PE	   (UINT64_C(1) << 0)
#define CR0_WP	   (UINT64_C(1) << 16)
#define CR0_PG	   (UINT64_C(1) << 31)
#define CR4_PSE	   (UINT64_C(1) << 4)
#define CR4_PAE	   (UINT64_C(1) << 5)
#define CR4_LA57   (UINT64_C(1) << 12)
#define CR4_SMEP   (UINT64_C(1) << 20)
#define CR4_SMAP   (UINT64_C(1) << 21)
#define EFER_LMA   (UINT64_C(1) << 10)
#define EFER_NXE   (UINT64_C(1) << 11)
#define RFLAGS_CF  (UINT64_C(1) << 0)
#define RFLAGS_PF  (UINT64_C(1) << 2)
#define RFLAGS_AF  (UINT64_C(1) << 4)
#define RFLAGS_ZF  (UINT64_C(1) << 6)
#define RFLAGS_SF  (UINT64_C(1) << 7)
#define RFLAGS_TF  (UINT64_C(1) << 8)
#define RFLAGS_DF  (UINT64_C(1) << 10)
#define RFLAGS_OF  (UINT64_C(1) << 11)
#define RFLAGS_RF  (UINT64_C(1) << 16)
#define RFLAGS_VM  (UINT64_C(1) << 17)
#define RFLAGS_AC  (UINT64_C(1) << 18)
#define RFLAGS_ALU (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | \
		    RFLAGS_SF | RFLAGS_OF)

/* luv_segment.attrib */
#define SEG_TYPE_RW	0x002u /* data: writable; code: readable */
#define SEG_TYPE_DOWN	0x004u /* data: expands down */
#define SEG_TYPE_CODE	0x008u
#define SEG_UNUSABLE	0x100u
#define SEG_L		0x2000u
#define SEG_DB		0x4000u

enum { VEC_SS = 12, VEC_GP = 13, VEC_PF = 14 };

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

#define INSN_MAX 15 /* bytes: SDM volume 3, "Instruction Format", #GP beyond */

enum operand_kind { OPND_NONE, OPND_REG, OPND_MEM, OPND_IMM, OPND_SEG,
		    OPND_XMM };

struct operand {
	uint8_t kind;  /* enum operand_kind */
	uint8_t reg;   /* number in its file */
	uint8_t shift; /* 8: AH, CH, DH, BH */
	uint8_t size;  /* bytes */
};

enum emul_op {
	OP_NONE, /* not known: unhandled */
	OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,
	OP_TEST, OP_INC, OP_DEC, OP_NEG, OP_NOT,
	OP_MOV, OP_MOVSX, OP_MOVBE, OP_XCHG, OP_CMPXCHG, OP_XADD,
	OP_BT, OP_BTS, OP_BTR, OP_BTC,
	OP_PUSH, OP_POP, OP_CALL, OP_JMP,
	OP_XMM, OP_XMM_ALIGNED,
	OP_MOVS, OP_STOS, OP_LODS, OP_CMPS, OP_SCAS, OP_INS, OP_OUTS,
	OP_COUNT
};

#define NO_REG 0xff
#define RIP_REG 0xfe

enum { REP_NONE, REP_E, REP_NE }; /* F3, F2 */

/* An instruction, decoded: what its bytes and the CPU's mode determine. */
struct emul_insn {
	uint64_t rip;	   /* linear: where it was met */
	uint8_t bytes[16]; /* len of them, then 0 */
	uint8_t len;	   /* 0: an empty row of the cache */
	uint8_t mode;	   /* 2, 4, 8: bytes of the code segment's default */
	uint8_t op;	   /* enum emul_op */
	uint8_t size;	   /* of the operation, bytes */
	uint8_t asize;	   /* of addresses, bytes */
	uint8_t rep;
	bool lock;
	struct operand dst, src;
	uint8_t seg, base, index, scale; /* of the one operand in memory */
	uint64_t disp, imm;		 /* sign-extended */
};

/* An operand in memory: its bytes, and where they lie. */
struct piece {
	uint64_t gpa;
	uint8_t off, len; /* in data; at most 8 bytes, in one page */
};

enum { ACC_R = 1, ACC_W = 2 };

struct access {
	uint8_t mode; /* ACC_*; 0: not there */
	uint8_t size, pieces;
	struct piece piece[4]; /* 16 bytes across a page: 3 */
	union { uint8_t b[16]; uint64_t q[2]; } data;
};

enum xlat_access { XLAT_READ, XLAT_WRITE, XLAT_EXEC };

/*
 * A translation, and the paging-structure entries it is made of. It is
 * believed only while memory has the same entries: nobody tells of INVLPG.
 */
#define WALK_MAX 5

struct xlat {
	uint64_t key; /* linear page, and in its low bits what was checked */
	uint64_t cr0, cr3, cr4, efer;
	uint64_t memory; /* emul_ctx's */
	uint64_t gpa; /* of the page */
	const uint8_t *at; /* of a page of code: where it is; NULL: not RAM */
	uint8_t entries, entry_size; /* entries 0: an empty row */
	struct { uint64_t gpa, value; const void *at; } entry[WALK_MAX];
};

enum phase { PHASE_PREPARE, PHASE_LOAD, PHASE_EXEC, PHASE_STORE,
	     PHASE_COMMIT };

#define DECODE_ROWS 128
#define XLAT_ROWS   32
#define WRITES_MAX  4

struct emul_state {
	uint8_t phase, acc, piece; /* where it stands */
	bool waiting;		   /* for what the last step asked */
	uint8_t asked;		   /* enum emul_status */
	bool fast;		   /* it waits in emul_fast.c */
	bool again;		   /* REP: this is not the last iteration */
	unsigned iterations;	   /* of REP, since emul_step() was called */
	unsigned retries;	   /* of a locked operation that was raced */
	const struct emul_insn *insn;
	/* [0]: the operand in memory, or what is read of two. */
	struct access a[2];
	uint64_t locked; /* what a locked operation found */
	bool hint_valid, hint_write;
	uint64_t hint_gpa;

	/* What commit does. */
	uint64_t new_rip, new_rflags;
	uint8_t writes;
	struct { uint8_t reg; uint64_t value; } write[WRITES_MAX];
	bool write_xmm;
	uint8_t xmm[16];

	/*
	 * Elements of an iteration of a string instruction: INS and OUTS with
	 * REP take as many as pio_data and the page in memory have, in one.
	 * 0: REP with a count of 0.
	 */
	uint32_t bulk, stored;
	bool pio_done; /* the port has had its access */

	struct xlat xlat[XLAT_ROWS];
	struct emul_insn decoded[DECODE_ROWS];
};

/* What a function of the engine leaves: go on, or one of emul_status. */
#define GO_ON (-1)

static inline uint64_t size_mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;
}

static inline uint64_t sign_extend(uint64_t v, unsigned size)
{
	const unsigned shift = 64 - size * 8;

	return (uint64_t)((int64_t)(v << shift) >> shift);
}

static inline bool is_real(const struct emul_ctx *c)
{
	return !(c->cr0 & CR0_PE) || (c->rflags & RFLAGS_VM);
}

/* Bytes of the code segment's default size: 8 in 64-bit mode. */
static inline unsigned code_size(const struct emul_ctx *c)
{
	const unsigned attrib = c->seg[EMUL_CS].attrib;

	if ((c->efer & EFER_LMA) && (attrib & SEG_L))
		return 8;
	return attrib & SEG_DB ? 4 : 2;
}

static inline uint64_t get_gpr(const struct emul_ctx *c, unsigned reg,
			       unsigned size)
{
	return c->gpr[reg] & size_mask(size);
}

/* A register of which `size` bytes at bit `shift` are written. */
static inline uint64_t emul_merge(uint64_t old, uint64_t value, unsigned shift,
				  unsigned size)
{
	const uint64_t mask = size_mask(size) << shift;

	if (size >= 4) /* 4 bytes clear the upper half */
		return value & mask;
	return (old & ~mask) | (value << shift & mask);
}

static inline bool emul_read(struct emul_ctx *c, uint64_t gpa, void *buf,
			     unsigned len)
{
	const void *at = c->ops->ram(c, gpa, len);

	if (at)
		memcpy(buf, at, len);
	return at;
}

/* --- emul_decode.c --------------------------------------------------------- */

/* Decode `n` bytes. False: too few, or no instruction; *more tells which. */
bool emul_decode(struct emul_insn *insn, const uint8_t *bytes, unsigned n,
		 unsigned mode, bool *more);

/* The instruction at RIP, in s->insn. GO_ON or a status. */
int emul_fetch(struct emul_ctx *c);

/* --- emul_mem.c ------------------------------------------------------------- */

/* Leave an exception; returns EMUL_EXCEPTION. */
int emul_raise(struct emul_ctx *c, unsigned vector, uint32_t error);

/*
 * Linear address of `size` bytes at `ea` of a segment, which allows them.
 * Size 0: nothing is checked, the CPU has.
 */
int emul_linear(struct emul_ctx *c, unsigned seg, uint64_t ea, unsigned size,
		bool write, uint64_t *linear);

/* Is hint_gpa where this operand, within a page, lies? */
bool emul_is_hinted(const struct emul_ctx *c, uint64_t linear, bool write);

/* Make *a of `size` <= 16 bytes at seg:ea, translated; nothing is read. */
int emul_access(struct emul_ctx *c, struct access *a, unsigned mode,
		unsigned seg, uint64_t ea, unsigned size);

/* Copy `n` bytes of code. GO_ON, a fault, or EMUL_UNHANDLED: not RAM. */
int emul_read_code(struct emul_ctx *c, uint64_t linear, uint8_t *buf,
		   unsigned n);

/* --- emul_walk.c ------------------------------------------------------------ */

/* Translate one linear address. access: enum xlat_access. */
int emul_translate(struct emul_ctx *c, uint64_t linear, unsigned access,
		   uint64_t *gpa);

/* Where `len` bytes of code are, within a page; NULL: not in RAM. */
int emul_code_at(struct emul_ctx *c, uint64_t linear, unsigned len,
		 const void **at);

/* --- emul_exec.c ------------------------------------------------------------ */

uint64_t emul_ea(const struct emul_ctx *c, const struct emul_insn *insn);
/* The value of an operand; one in memory has been loaded. */
uint64_t emul_operand(const struct emul_ctx *c, const struct operand *o);

int emul_prepare(struct emul_ctx *c);
int emul_exec(struct emul_ctx *c);

/* Have commit write `size` bytes, at bit `shift`, of a register. */
void emul_set_gpr(struct emul_ctx *c, unsigned reg, unsigned shift,
		  unsigned size, uint64_t value);

/* --- emul_fast.c ------------------------------------------------------------ */

/* The instruction just fetched. GO_ON: it is not for this file. */
int emul_fast(struct emul_ctx *c);
/* What emul_fast() asked has been done. */
int emul_fast_answer(struct emul_ctx *c);

/* --- emul_alu.c ------------------------------------------------------------- */

/* OP_ADD .. OP_NOT on operands of `size` bytes; *flags is RFLAGS. */
uint64_t emul_alu(unsigned op, uint64_t a, uint64_t b, unsigned size,
		  uint64_t *flags);

/* --- emul_string.c ---------------------------------------------------------- */

int emul_string_prepare(struct emul_ctx *c);
int emul_string_exec(struct emul_ctx *c);
