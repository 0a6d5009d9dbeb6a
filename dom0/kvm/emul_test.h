/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_test.h - a guest for the tests of the instruction engine: RAM at 0, a
 * ROM, and a device everywhere else that remembers bytes and writes a log.
 */
#pragma once

#include "emul_int.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define RAM_SIZE 0x40000u
#define ROM	 0x30000u /* the last of RAM cannot be written to */
#define CODE	 0x1000u
#define DEVICE	 0xd0000u
#define LOG_MAX	 8192

struct rig {
	struct emul_ctx c;
	uint8_t ram[RAM_SIZE];
	uint8_t pio[EMUL_PIO_BYTES];
	uint8_t xmm[16][16];
	uint8_t dev[0x3000]; /* at DEVICE */
	/* What has been done to the device, as text. */
	char log[LOG_MAX];
	unsigned log_len, exits;
	uint8_t port_next; /* what the port has next */
	unsigned races;	   /* cas_gpa: this many fail */
};

static inline struct rig *rig_of(struct emul_ctx *c)
{
	return c->opaque;
}

static inline const void *rig_ram(struct emul_ctx *c, uint64_t gpa,
				  unsigned len)
{
	assert_true((gpa & 0xfff) + len <= 0x1000);
	if (gpa >= RAM_SIZE || gpa + len > RAM_SIZE)
		return NULL;
	return rig_of(c)->ram + gpa;
}

static inline bool rig_write(struct emul_ctx *c, uint64_t gpa,
			     const void *buf, unsigned len)
{
	assert_true((gpa & 0xfff) + len <= 0x1000);
	if (gpa >= ROM || gpa + len > ROM)
		return false;
	memcpy(rig_of(c)->ram + gpa, buf, len);
	return true;
}

static inline enum emul_cas rig_cas(struct emul_ctx *c, uint64_t gpa,
				    uint64_t old, uint64_t new_, unsigned len)
{
	uint64_t now = 0;

	if (gpa >= ROM || gpa + len > ROM)
		return EMUL_CAS_MMIO;
	if (rig_of(c)->races > 0) {
		rig_of(c)->races--;
		return EMUL_CAS_CHANGED;
	}
	memcpy(&now, rig_of(c)->ram + gpa, len);
	if (now != old)
		return EMUL_CAS_CHANGED;
	memcpy(rig_of(c)->ram + gpa, &new_, len);
	return EMUL_CAS_OK;
}

static inline void rig_get_xmm(struct emul_ctx *c, unsigned reg, void *buf)
{
	memcpy(buf, rig_of(c)->xmm[reg], 16);
}

static inline void rig_set_xmm(struct emul_ctx *c, unsigned reg,
			       const void *buf)
{
	memcpy(rig_of(c)->xmm[reg], buf, 16);
}

static inline void rig_segments(struct rig *r, unsigned code, unsigned data,
				uint32_t limit)
{
	for (unsigned i = 0; i < EMUL_SEGS; i++)
		r->c.seg[i] = (struct luv_segment){
			.limit = limit,
			.attrib = (uint16_t)(i == EMUL_CS ? code : data) };
}

/* bits 16: real mode; 32: flat, no paging; 64: paging is the test's. */
static inline void rig_start(struct rig *r, unsigned bits)
{
	static const struct emul_ops ops = {
		rig_ram, rig_write, rig_cas, rig_get_xmm, rig_set_xmm };

	memset(r, 0, sizeof(*r));
	r->c.ops = &ops;
	r->c.opaque = r;
	r->c.pio_data = r->pio;
	r->c.rip = CODE;
	r->c.rflags = 2;
	assert_true(emul_init(&r->c));
	if (bits == 16)
		rig_segments(r, 0x9b, 0x93, 0xffff);
	else if (bits == 32)
		rig_segments(r, 0xc09b, 0xc093, 0xffffffff);
	else
		rig_segments(r, 0xa09b, 0xc093, 0xffffffff);
	r->c.cr0 = bits == 16 ? 0 : 1;
	if (bits == 64)
		r->c.efer = 1u << 10 | 1u << 8;
}

static inline void rig_stop(struct rig *r)
{
	emul_free(&r->c);
}

static inline void rig_log(struct rig *r, const char *what, uint64_t where,
			   const uint8_t *data, unsigned n)
{
	if (++r->exits >= 2000) /* a REP without end */
		r->c.stop = true;
	if (r->log_len > LOG_MAX - 128)
		return;
	r->log_len += (unsigned)sprintf(r->log + r->log_len, "%s%llx:", what,
					(unsigned long long)where);
	for (unsigned i = 0; i < n && i < 16; i++)
		r->log_len += (unsigned)sprintf(r->log + r->log_len, "%02x",
						data[i]);
	r->log_len += (unsigned)sprintf(r->log + r->log_len, " ");
}

static inline void rig_mmio(struct rig *r, bool write)
{
	struct emul_io *io = &r->c.io;

	assert_true(io->size >= 1 && io->size <= 8);
	assert_true((io->gpa & 0xfff) + io->size <= 0x1000);
	for (unsigned i = 0; i < io->size; i++) {
		uint8_t *b = &r->dev[(io->gpa + i - DEVICE) % sizeof(r->dev)];

		if (write)
			*b = io->data[i];
		else
			io->data[i] = *b;
	}
	rig_log(r, write ? "W" : "R", io->gpa, io->data, io->size);
}

static inline void rig_pio(struct rig *r, bool write)
{
	struct emul_io *io = &r->c.io;
	const unsigned n = io->size * io->count;

	assert_true(n >= 1 && n <= EMUL_PIO_BYTES);
	for (unsigned i = 0; !write && i < n; i++)
		r->pio[i] = r->port_next++;
	rig_log(r, write ? "O" : "I", io->port, r->pio, n);
}

/* Registers of an instruction that waits are as before; of REP, not all. */
static inline void rig_check_waiting(const struct rig *r,
				     const struct emul_ctx *before)
{
	assert_int_equal(r->c.rip, before->rip);
	if (r->c.state->insn->rep != REP_NONE)
		return;
	assert_memory_equal(r->c.gpr, before->gpr, sizeof(before->gpr));
	assert_int_equal(r->c.rflags, before->rflags);
}

/* Serve the devices until the instruction ends. */
static inline enum emul_status rig_run(struct rig *r)
{
	for (;;) {
		const struct emul_ctx before = r->c;
		const enum emul_status s = emul_step(&r->c);

		assert_int_equal(emul_pending(&r->c),
				 s >= EMUL_MMIO_READ && s <= EMUL_PIO_WRITE);
		switch (s) {
		case EMUL_MMIO_READ:
		case EMUL_MMIO_WRITE:
			rig_mmio(r, s == EMUL_MMIO_WRITE);
			rig_check_waiting(r, &before);
			break;
		case EMUL_PIO_READ:
		case EMUL_PIO_WRITE:
			rig_pio(r, s == EMUL_PIO_WRITE);
			rig_check_waiting(r, &before);
			break;
		default:
			return s;
		}
	}
}

static inline void rig_code(struct rig *r, const char *bytes, unsigned n)
{
	r->c.rip = CODE;
	memcpy(r->ram + CODE, bytes, n);
	r->log_len = 0;
	r->log[0] = 0;
	r->exits = 0;
}

/* Execute the bytes of a string literal at CODE. */
#define RUN(r, bytes) (rig_code((r), bytes, sizeof(bytes) - 1), rig_run(r))

/* Page tables at 0x20000 for 64-bit mode: 2 MiB of identity, RW, user. */
#define PML4 0x20000u
#define PDPT 0x21000u
#define PD   0x22000u
#define PT   0x23000u

static inline void rig_put(struct rig *r, uint64_t at, uint64_t value,
			   unsigned size)
{
	memcpy(r->ram + at, &value, size);
}

static inline uint64_t rig_get(const struct rig *r, uint64_t at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, r->ram + at, size);
	return v;
}

static inline void rig_paging(struct rig *r)
{
	rig_put(r, PML4, PDPT | 7, 8);
	rig_put(r, PDPT, PD | 7, 8);
	rig_put(r, PD, PT | 7, 8);
	for (unsigned i = 0; i < 512; i++)
		rig_put(r, PT + i * 8, i << 12 | 7, 8);
	r->c.cr3 = PML4;
	r->c.cr0 |= UINT64_C(1) << 31;
	r->c.cr4 |= 1u << 5;
}
