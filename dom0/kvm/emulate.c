/* SPDX-License-Identifier: BSD-2-Clause */
/* emulate.c - see emulate.h; emul.h is the engine. */
#include "emulate.h"
#include "devices.h"
#include "emul.h"
#include "fpu.h"
#include "say.h"
#include "state.h"
#include "vcpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VEC_DB	  1u
#define VEC_UD	  6u
#define VEC_PF	  14u
#define DR6_BS	  (UINT64_C(1) << 14)
#define CR0_PE	  1u
#define RFLAGS_VM (UINT64_C(1) << 17)
#define SHOW_INSN 15 /* bytes of an instruction that is not known */

/* --- what the engine reaches ----------------------------------------------------- */

static struct vcpu *vcpu_of(struct emul_ctx *c)
{
	return c->opaque;
}

static const void *ram(struct emul_ctx *c, uint64_t gpa, unsigned len)
{
	(void)len;
	return memory_ram(&vcpu_of(c)->vm->memory, gpa, false);
}

static bool write_gpa(struct emul_ctx *c, uint64_t gpa, const void *buf,
		      unsigned len)
{
	void *at = memory_ram(&vcpu_of(c)->vm->memory, gpa, true);

	if (at)
		memcpy(at, buf, len);
	return at;
}

static enum emul_cas cas_gpa(struct emul_ctx *c, uint64_t gpa, uint64_t old,
			     uint64_t new_, unsigned len)
{
	switch (memory_exchange(&vcpu_of(c)->vm->memory, gpa, old, new_, len)) {
	case 0:
		return EMUL_CAS_OK;
	case -EAGAIN:
		return EMUL_CAS_CHANGED;
	default:
		return EMUL_CAS_MMIO;
	}
}

static void get_xmm(struct emul_ctx *c, unsigned reg, void *buf16)
{
	fpu_get_xmm(vcpu_of(c), reg, buf16);
}

static void set_xmm(struct emul_ctx *c, unsigned reg, const void *buf16)
{
	fpu_set_xmm(vcpu_of(c), reg, buf16);
}

static const struct emul_ops ops = { ram, write_gpa, cas_gpa, get_xmm,
				     set_xmm };

bool emulate_init(struct vcpu *v)
{
	struct emul_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return false;
	c->ops = &ops;
	c->pio_data = v->pio;
	c->opaque = v;
	if (!emul_init(c)) {
		free(c);
		return false;
	}
	v->emul = c;
	return true;
}

void emulate_free(struct vcpu *v)
{
	if (!v->emul)
		return;
	emul_free(v->emul);
	free(v->emul);
	v->emul = NULL;
}

/* --- the guest's registers -------------------------------------------------------- */

static uint8_t cpl_of(uint64_t cr0, uint64_t rflags, unsigned ss_attrib)
{
	if (!(cr0 & CR0_PE))
		return 0;
	return rflags & RFLAGS_VM ? 3 : ss_attrib >> 5 & 3;
}

/* Two types with the same members. */
#define LOAD(c, s)                                                             \
	do {                                                                   \
		memcpy(c->gpr, s->gpr, sizeof(c->gpr));                        \
		c->rip = s->rip;                                               \
		c->rflags = s->rflags;                                         \
		c->cr0 = s->cr0;                                               \
		c->cr3 = s->cr3;                                               \
		c->cr4 = s->cr4;                                               \
		c->efer = s->efer;                                             \
		c->seg[EMUL_ES] = s->es;                                       \
		c->seg[EMUL_CS] = s->cs;                                       \
		c->seg[EMUL_SS] = s->ss;                                       \
		c->seg[EMUL_DS] = s->ds;                                       \
		c->seg[EMUL_FS] = s->fs;                                       \
		c->seg[EMUL_GS] = s->gs;                                       \
		c->cpl = cpl_of(s->cr0, s->rflags, s->ss.attrib);              \
	} while (0)

static void load(struct emul_ctx *c, const struct luv_vcpu *s)
{
	LOAD(c, s);
}

static void load_shared(struct emul_ctx *c, const struct luv_shared *s)
{
	LOAD(c, s);
}

/* The VMM takes it from there when the guest runs next. */
static void store_shared(struct luv_shared *s, const struct emul_ctx *c)
{
	memcpy(s->gpr, c->gpr, sizeof(s->gpr));
	s->rip = c->rip;
	s->rflags = c->rflags;
	s->dirty = 1;
}

/* The instruction is over: so is the shadow of an STI before it. */
static void store(struct vcpu *v)
{
	struct emul_ctx *c = v->emul;
	struct luv_vcpu *s;

	if (v->s_shared && !v->s_valid && !c->single_step) {
		store_shared(v->shared, c);
		return;
	}
	s = vcpu_change(v);
	memcpy(s->gpr, c->gpr, sizeof(s->gpr));
	s->rip = c->rip;
	s->rflags = c->rflags;
	s->shadow = 0;
	if (c->single_step) {
		s->dr6 |= DR6_BS;
		s->event = EVENT(EVENT_EXCEPTION, VEC_DB);
	}
}

static void raise_in(struct vcpu *v, const struct emul_exception *e)
{
	struct luv_vcpu *s = vcpu_change(v);

	s->event = EVENT(EVENT_EXCEPTION, e->vector);
	if (e->has_error) {
		s->event |= EVENT_ERROR;
		s->event_error = e->error;
	}
	if (e->vector == VEC_PF)
		s->cr2 = e->cr2;
}

/* --- what the engine cannot do -------------------------------------------------- */

static enum emulate_end unhandled(struct vcpu *v)
{
	static const struct emul_exception undefined = { .vector = VEC_UD };
	const struct luv_vcpu *s = vcpu_state(v);
	struct kvm_run *run = v->run;
	uint8_t *bytes = run->emulation_failure.insn_bytes;
	unsigned n = 0;

	/* A program of the guest's shall not stop the guest. */
	if (cpl_of(s->cr0, s->rflags, s->ss.attrib)) {
		raise_in(v, &undefined);
		return EMULATE_GO_ON;
	}
	memset(bytes, 0, SHOW_INSN);
	if (!(s->cr0 >> 31 & 1)) /* with paging it is the client's to walk */
		while (n < SHOW_INSN &&
		       memory_read(&v->vm->memory, s->cs.base + s->rip + n,
				   &bytes[n], 1))
			n++;
	say("vCPU %u: an instruction at %#lx (%#lx in its segment) that "
	    "touches a device is not known: %02x %02x %02x %02x %02x %02x",
	    v->id, s->cs.base + s->rip, s->rip, bytes[0], bytes[1], bytes[2],
	    bytes[3], bytes[4], bytes[5]);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 4;
	run->emulation_failure.flags =
		KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = (uint8_t)n;
	return EMULATE_CLIENT;
}

/* --- devices: ours first, then the client's --------------------------------------- */

static enum emulate_end mmio_exit(struct vcpu *v, bool write)
{
	const struct emul_io *io = &v->emul->io;
	struct kvm_run *run = v->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = io->gpa;
	run->mmio.len = io->size;
	run->mmio.is_write = write;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (write)
		memcpy(run->mmio.data, io->data, io->size);
	v->wait = WAIT_EMULATOR;
	return EMULATE_CLIENT;
}

static enum emulate_end pio_exit(struct vcpu *v, bool write)
{
	const struct emul_io *io = &v->emul->io;
	struct kvm_run *run = v->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = io->size;
	run->io.port = io->port;
	run->io.count = io->count;
	run->io.data_offset = (uint64_t)(v->pio - (uint8_t *)run);
	v->wait = WAIT_EMULATOR;
	return EMULATE_CLIENT;
}

/* All elements of a string access are for one port: all ours or none. */
static bool pio_own(struct vcpu *v, bool write)
{
	const struct emul_io *io = &v->emul->io;

	for (uint32_t i = 0; i < io->count; i++) {
		uint8_t *at = v->pio + i * io->size;
		uint32_t value = 0;

		memcpy(&value, at, io->size);
		if (write ? !devices_port_write(v, io->port, io->size, value)
			  : !devices_port_read(v, io->port, io->size, &value))
			return false;
		memcpy(at, &value, io->size);
	}
	return true;
}

static enum emul_status step(struct vcpu *v)
{
	struct memory *m = &v->vm->memory;
	enum emul_status status;

	if (!emul_looks(v->emul))
		return emul_step(v->emul);
	memory_enter(m);
	v->emul->memory = m->changes;
	status = emul_step(v->emul);
	memory_leave(m);
	return status;
}

static enum emulate_end steps(struct vcpu *v)
{
	struct emul_ctx *c = v->emul;

	for (;;) {
		enum emul_status status = step(v);

		switch (status) {
		case EMUL_DONE:
			store(v);
			return EMULATE_GO_ON;
		case EMUL_MMIO_READ:
			if (!devices_mmio_read(v, c->io.gpa, c->io.size,
					       c->io.data))
				return mmio_exit(v, false);
			break;
		case EMUL_MMIO_WRITE:
			if (!devices_mmio_write(v, c->io.gpa, c->io.size,
						c->io.data))
				return mmio_exit(v, true);
			break;
		case EMUL_PIO_READ:
		case EMUL_PIO_WRITE:
			if (!pio_own(v, status == EMUL_PIO_WRITE))
				return pio_exit(v, status == EMUL_PIO_WRITE);
			break;
		case EMUL_EXCEPTION:
			raise_in(v, &c->exc);
			return EMULATE_GO_ON;
		case EMUL_UNHANDLED:
			return unhandled(v);
		}
	}
}

enum emulate_end emulate_start(struct vcpu *v, bool own, uint64_t gpa,
			       bool write)
{
	struct emul_ctx *c = v->emul;

	if (v->s_shared)
		load_shared(c, v->shared);
	else
		load(c, vcpu_state(v));
	c->insn_len = 0;
	c->hint_valid = own;
	c->hint_gpa = gpa;
	c->hint_write = write;
	c->stop = v->event;
	return steps(v);
}

enum emulate_end emulate_resume(struct vcpu *v)
{
	struct emul_ctx *c = v->emul;

	/* The client sent the guest somewhere else, as a reset does. */
	if (v->s_dirty && v->s.rip != c->rip) {
		emulate_abandon(v);
		return EMULATE_GO_ON;
	}
	if (!v->run->mmio.is_write || v->run->exit_reason != KVM_EXIT_MMIO)
		memcpy(c->io.data, v->run->mmio.data, sizeof(c->io.data));
	c->stop = v->event || v->run->immediate_exit;
	return steps(v);
}

void emulate_abandon(struct vcpu *v)
{
	emul_abandon(v->emul);
}
