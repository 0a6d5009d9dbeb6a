/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul.h - execute one instruction of a guest that touches a device.
 *
 * The VMM decodes nothing: an instruction that left the guest for MMIO, or
 * string I/O on a port, is fetched from guest memory and executed here, in
 * ring 3. RAM is reached through callbacks; an access to anything else is
 * handed to the caller as KVM's exits have it, and emul_step() is called
 * again when it is done. The guest's registers change only when all of the
 * instruction has happened; with REP, when all of an iteration has.
 *
 * Owns the decoded instructions and translations it caches, one set for each
 * vCPU. Knows no VM, no thread and no hypercall.
 *
 * Knows: MOV (but not to segment, control and debug registers), MOVZX, MOVSX,
 * MOVSXD, MOVBE, ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT, XCHG,
 * CMPXCHG, XADD, BT BTS BTR BTC, PUSH, POP, near CALL and JMP, MOVS STOS LODS
 * CMPS SCAS INS OUTS, and moves of 4, 8 and 16 bytes from and to XMM.
 * Not modelled: #AC, protection keys, shadow stacks, and breakpoints on data.
 * What precedes the exit in the CPU's own order (#UD, #NM, permission to use
 * a port) is the CPU's to check and is not checked again.
 *
 * SDM volume 2 for each instruction; volume 1 "Operand Addressing"; volume 3
 * "Protection", "Interrupt and Exception Handling".
 */
#pragma once

#include <luvalley/luvalley.h>
#include <stdbool.h>
#include <stdint.h>

#define EMUL_PIO_BYTES 4096 /* of emul_ctx.pio_data */

enum emul_status {
	EMUL_DONE,	 /* retired, or a REP stopped early with RIP still on
			    it: enter the guest */
	EMUL_MMIO_READ,	 /* fill io.data[0..size), call again */
	EMUL_MMIO_WRITE, /* io.data[0..size) goes to io.gpa, call again */
	EMUL_PIO_READ,	 /* fill pio_data with io.count elements, call again */
	EMUL_PIO_WRITE,	 /* pio_data has io.count elements, call again */
	EMUL_EXCEPTION,	 /* inject exc; registers are as before */
	EMUL_UNHANDLED,	 /* not known here; registers are as before. At CPL 3
			    it can be the guest program's doing: #UD is kind */
};

enum emul_seg { EMUL_ES, EMUL_CS, EMUL_SS, EMUL_DS, EMUL_FS, EMUL_GS,
		EMUL_SEGS };

enum emul_cas { EMUL_CAS_OK, EMUL_CAS_CHANGED, EMUL_CAS_MMIO };

struct emul_ctx;

/* None may be NULL but the last two. A range never crosses a 4 KiB page. */
struct emul_ops {
	/*
	 * Where `len` bytes of RAM are to be read; NULL: not RAM. Good until
	 * emul_ctx.memory is another number.
	 */
	const void *(*ram)(struct emul_ctx *c, uint64_t gpa, unsigned len);
	/* Copy; false, with nothing copied: not RAM that can be written. */
	bool (*write_gpa)(struct emul_ctx *c, uint64_t gpa, const void *buf,
			  unsigned len);
	/* Atomically old -> new_; `len` 1, 2, 4, 8, any alignment. */
	enum emul_cas (*cas_gpa)(struct emul_ctx *c, uint64_t gpa,
				 uint64_t old, uint64_t new_, unsigned len);
	/* XMM register 0..15. NULL: instructions that use one are unhandled. */
	void (*get_xmm)(struct emul_ctx *c, unsigned reg, void *buf16);
	void (*set_xmm)(struct emul_ctx *c, unsigned reg, const void *buf16);
};

struct emul_io {
	uint64_t gpa;  /* MMIO; a range never crosses a page */
	uint16_t port; /* PIO */
	uint8_t size;  /* MMIO: 1..8 bytes, any; PIO: of an element */
	uint32_t count; /* PIO: elements, count * size <= EMUL_PIO_BYTES */
	uint8_t data[8]; /* MMIO */
};

struct emul_exception {
	uint8_t vector;
	bool has_error; /* an error code is pushed: not in real mode */
	uint32_t error;
	uint64_t cr2; /* of #PF */
};

struct emul_state; /* what emul.c keeps: see emul_int.h */

struct emul_ctx {
	/* The guest's, in and out. */
	uint64_t gpr[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
	uint64_t rip, rflags;

	/* The guest's, in. */
	uint64_t cr0, cr3, cr4, efer;
	struct luv_segment seg[EMUL_SEGS];
	uint8_t cpl;

	/*
	 * Optional help from the exit, set before an instruction's first step
	 * and cleared by it. insn: bytes the CPU fetched (AMD's decode
	 * assist). hint: where the access that exited went, only if it was
	 * the instruction's own and not that of a page walk.
	 */
	uint8_t insn[15], insn_len;
	bool hint_valid, hint_write;
	uint64_t hint_gpa;

	/* Which guest memory it is: see emul_ops.ram. In. */
	uint64_t memory;

	/* A REP stops at the next iteration: an interrupt waits. In. */
	bool stop;

	/* Results of a step. */
	struct emul_io io;
	struct emul_exception exc;
	bool single_step; /* DONE with RFLAGS.TF set before: #DB, DR6.BS */

	uint8_t *pio_data; /* [I] EMUL_PIO_BYTES, such as kvm_run's PIO page */
	const struct emul_ops *ops; /* [I] */
	void *opaque;		    /* [I] the caller's */
	struct emul_state *state;   /* [I] */
};

/* Set ops and pio_data before. False: no memory. */
bool emul_init(struct emul_ctx *c);
void emul_free(struct emul_ctx *c);

/*
 * emul_step - begin the instruction at RIP, or go on with the one that waits
 * for its device. RFLAGS.RF is clear after DONE, RIP wraps as the mode has it.
 * Interrupt shadow and debug registers are the caller's.
 * Bounded: a REP over RAM alone stops (DONE, RIP unmoved) now and then.
 */
enum emul_status emul_step(struct emul_ctx *c);

/* Is there an instruction that waits? Its registers are not to be changed. */
bool emul_pending(const struct emul_ctx *c);

/* Does the next step look at guest memory? If not, nothing of it need hold. */
bool emul_looks(const struct emul_ctx *c);

/* Forget the instruction that waits, as a reset of the vCPU does. */
void emul_abandon(struct emul_ctx *c);
