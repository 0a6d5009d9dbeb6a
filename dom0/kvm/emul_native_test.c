/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emul_native_test.c - instructions as the CPU here executes them, and as the
 * engine does, once on RAM and once on a device: same registers, flags, bytes.
 */
#include "emul.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#define DATA  512 /* bytes compared, at `data` */
#define FLAGS 0x8d5u
#define DF    0x400u

/* RSP, RBP and R15 are the thunk's. */
struct regs {
	uint64_t gpr[16], rflags;
	uint8_t xmm[16]; /* XMM0 */
};

void native_run(struct regs *r, const void *code);

__asm__(".text\n"
	"native_run:\n"
	"	push %rbx; push %rbp; push %r12; push %r13\n"
	"	push %r14; push %r15; push %rdi\n"
	"	mov %rdi, %rbp; mov %rsi, %r15\n"
	"	movdqu 136(%rbp), %xmm0\n"
	"	mov (%rbp), %rax; mov 8(%rbp), %rcx; mov 16(%rbp), %rdx\n"
	"	mov 24(%rbp), %rbx; mov 48(%rbp), %rsi; mov 56(%rbp), %rdi\n"
	"	mov 64(%rbp), %r8; mov 72(%rbp), %r9; mov 80(%rbp), %r10\n"
	"	mov 88(%rbp), %r11; mov 96(%rbp), %r12; mov 104(%rbp), %r13\n"
	"	mov 112(%rbp), %r14\n"
	"	pushq 128(%rbp); popfq\n"
	"	call *%r15\n"
	"	pushfq; popq 128(%rbp); cld\n"
	"	mov %rax, (%rbp); mov %rcx, 8(%rbp); mov %rdx, 16(%rbp)\n"
	"	mov %rbx, 24(%rbp); mov %rsi, 48(%rbp); mov %rdi, 56(%rbp)\n"
	"	mov %r8, 64(%rbp); mov %r9, 72(%rbp); mov %r10, 80(%rbp)\n"
	"	mov %r11, 88(%rbp); mov %r12, 96(%rbp); mov %r13, 104(%rbp)\n"
	"	mov %r14, 112(%rbp)\n"
	"	movdqu %xmm0, 136(%rbp)\n"
	"	pop %rdi; pop %r15; pop %r14; pop %r13\n"
	"	pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

static uint8_t *code, *data; /* below 4 GiB; guest-physical is the same */
static uint8_t copy[DATA];   /* what the guest has at `data` */
static bool as_device;
static struct regs now; /* XMM0 */
static uint64_t seed = 88172645463325252u;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static uint8_t *ram(uint64_t gpa, unsigned len)
{
	const uint64_t at = gpa - (uintptr_t)data;

	if (gpa - (uintptr_t)code < 64)
		return code + (gpa - (uintptr_t)code);
	return at < DATA && at + len <= DATA ? copy + at : NULL;
}

static bool is_ram(uint64_t gpa, unsigned len)
{
	return ram(gpa, len) != NULL &&
	       (!as_device || gpa - (uintptr_t)code < 64);
}

static const void *do_ram(struct emul_ctx *c, uint64_t gpa, unsigned len)
{
	(void)c;
	return is_ram(gpa, len) ? ram(gpa, len) : NULL;
}

static bool do_write(struct emul_ctx *c, uint64_t gpa, const void *buf,
		     unsigned len)
{
	(void)c;
	if (is_ram(gpa, len))
		memcpy(ram(gpa, len), buf, len);
	return is_ram(gpa, len);
}

static enum emul_cas do_cas(struct emul_ctx *c, uint64_t gpa, uint64_t old,
			    uint64_t new_, unsigned len)
{
	(void)c;
	if (!is_ram(gpa, len))
		return EMUL_CAS_MMIO;
	assert_memory_equal(ram(gpa, len), &old, len);
	memcpy(ram(gpa, len), &new_, len);
	return EMUL_CAS_OK;
}

static void get_xmm(struct emul_ctx *c, unsigned reg, void *buf)
{
	(void)c;
	assert_int_equal(reg, 0);
	memcpy(buf, now.xmm, 16);
}

static void set_xmm(struct emul_ctx *c, unsigned reg, const void *buf)
{
	(void)c;
	assert_int_equal(reg, 0);
	memcpy(now.xmm, buf, 16);
}

static struct emul_ctx ctx;

/* Give the engine the same registers, and take what it leaves in `now`. */
static enum emul_status emulate(const struct regs *r)
{
	enum emul_status s;

	now = *r;
	memcpy(ctx.gpr, r->gpr, sizeof(ctx.gpr));
	ctx.rflags = r->rflags;
	ctx.rip = (uintptr_t)code;
	while ((s = emul_step(&ctx)) == EMUL_MMIO_READ ||
	       s == EMUL_MMIO_WRITE) {
		uint8_t *p = ram(ctx.io.gpa, ctx.io.size);

		assert_true(as_device && p != NULL);
		if (s == EMUL_MMIO_READ)
			memcpy(ctx.io.data, p, ctx.io.size);
		else
			memcpy(p, ctx.io.data, ctx.io.size);
	}
	memcpy(now.gpr, ctx.gpr, sizeof(now.gpr));
	now.rflags = ctx.rflags;
	return s;
}

static void fail_with(unsigned n, const struct regs *in,
		      const struct regs *want)
{
	fprintf(stderr, "%s:", as_device ? "device" : "RAM");
	for (unsigned i = 0; i < n; i++)
		fprintf(stderr, " %02x", code[i]);
	fprintf(stderr, "\n       flags %llx, want %llx, before %llx\n",
		(unsigned long long)now.rflags,
		(unsigned long long)want->rflags,
		(unsigned long long)in->rflags);
	for (unsigned i = 0; i < 16; i++)
		if (now.gpr[i] != want->gpr[i])
			fprintf(stderr, "  r%u %llx, want %llx, before %llx\n",
				i, (unsigned long long)now.gpr[i],
				(unsigned long long)want->gpr[i],
				(unsigned long long)in->gpr[i]);
	fail_msg("differs from the CPU");
}

/* `n` bytes at `code`: on the CPU, then twice here. */
static void compare(unsigned n, const struct regs *in)
{
	struct regs want = *in;
	uint8_t before[DATA];

	code[n] = 0xc3; /* RET */
	memcpy(before, data, DATA);
	native_run(&want, code);
	for (unsigned i = 0; i < 2; i++) {
		as_device = i;
		memcpy(copy, before, DATA);
		if (emulate(in) != EMUL_DONE ||
		    ctx.rip != (uintptr_t)code + n ||
		    memcmp(now.gpr, want.gpr, sizeof(now.gpr)) ||
		    ((now.rflags ^ want.rflags) & (FLAGS | DF)) ||
		    memcmp(now.xmm, want.xmm, 16) ||
		    memcmp(copy, data, DATA))
			fail_with(n, in, &want);
	}
}

/* What follows an opcode. */
enum { RM = 1, LOCKS = 2, IMM8 = 4, IMM = 8, BYTE = 16, BITS = 32,
       NO_66 = 64, XMM = 128, NO_W = 256, ALIGN = 512 };

struct form {
	const char *opcode; /* mandatory prefix, escapes */
	unsigned n;
	int digit; /* -1: /r */
	unsigned what;
};

#define F(bytes, digit, what) { bytes, sizeof(bytes) - 1, digit, what }
#define ALU(n) \
	{ (const char[]){ (n) * 8 }, 1, -1, BYTE | LOCKS }, \
	{ (const char[]){ (n) * 8 + 1 }, 1, -1, LOCKS }, \
	{ (const char[]){ (n) * 8 + 2 }, 1, -1, BYTE }, \
	{ (const char[]){ (n) * 8 + 3 }, 1, -1, 0 }, \
	F("\x80", n, BYTE | IMM8 | LOCKS), F("\x81", n, IMM | LOCKS), \
	F("\x83", n, IMM8 | LOCKS)

static const struct form forms[] = {
	ALU(0), ALU(1), ALU(2), ALU(3), ALU(4), ALU(5), ALU(6),
	F("\x38", -1, BYTE), F("\x39", -1, 0), F("\x3a", -1, BYTE),
	F("\x3b", -1, 0), F("\x80", 7, BYTE | IMM8), F("\x81", 7, IMM),
	F("\x83", 7, IMM8), F("\x84", -1, BYTE), F("\x85", -1, 0),
	F("\xf6", 0, BYTE | IMM8), F("\xf7", 0, IMM),
	F("\xf6", 2, BYTE | LOCKS), F("\xf7", 2, LOCKS),
	F("\xf6", 3, BYTE | LOCKS), F("\xf7", 3, LOCKS),
	F("\xfe", 0, BYTE | LOCKS), F("\xff", 0, LOCKS),
	F("\xfe", 1, BYTE | LOCKS), F("\xff", 1, LOCKS),
	F("\x86", -1, BYTE | LOCKS), F("\x87", -1, LOCKS),
	F("\x0f\xb0", -1, BYTE | LOCKS), F("\x0f\xb1", -1, LOCKS),
	F("\x0f\xc0", -1, BYTE | LOCKS), F("\x0f\xc1", -1, LOCKS),
	F("\x0f\xa3", -1, BITS), F("\x0f\xab", -1, BITS | LOCKS),
	F("\x0f\xb3", -1, BITS | LOCKS), F("\x0f\xbb", -1, BITS | LOCKS),
	F("\x0f\xba", 4, IMM8), F("\x0f\xba", 5, IMM8 | LOCKS),
	F("\x0f\xba", 6, IMM8 | LOCKS), F("\x0f\xba", 7, IMM8 | LOCKS),
	F("\x88", -1, BYTE), F("\x89", -1, 0), F("\x8a", -1, BYTE),
	F("\x8b", -1, 0), F("\xc6", 0, BYTE | IMM8), F("\xc7", 0, IMM),
	F("\x0f\xb6", -1, 0), F("\x0f\xb7", -1, NO_66), F("\x0f\xbe", -1, 0),
	F("\x0f\xbf", -1, NO_66), F("\x63", -1, NO_66),
	F("\x0f\x38\xf0", -1, 0), F("\x0f\x38\xf1", -1, 0),
	F("\x0f\xc3", -1, NO_66),
	F("\x0f\x10", 0, XMM | NO_66), F("\x0f\x11", 0, XMM | NO_66),
	F("\x0f\x28", 0, XMM | NO_66 | ALIGN),
	F("\x0f\x29", 0, XMM | NO_66 | ALIGN),
	F("\x0f\x2b", 0, XMM | NO_66 | ALIGN),
	F("\x66\x0f\x10", 0, XMM), F("\x66\x0f\x11", 0, XMM),
	F("\x66\x0f\x6f", 0, XMM | ALIGN), F("\x66\x0f\x7f", 0, XMM | ALIGN),
	F("\x66\x0f\xe7", 0, XMM | ALIGN),
	F("\xf3\x0f\x6f", 0, XMM), F("\xf3\x0f\x7f", 0, XMM),
	F("\x66\x0f\x6e", 0, XMM), F("\x66\x0f\x7e", 0, XMM),
	F("\xf3\x0f\x7e", 0, XMM), F("\x66\x0f\xd6", 0, XMM),
	F("\xf3\x0f\x10", 0, XMM), F("\xf3\x0f\x11", 0, XMM),
	F("\xf2\x0f\x10", 0, XMM), F("\xf2\x0f\x11", 0, XMM),
};

static struct regs random_regs(void)
{
	struct regs r;

	for (unsigned i = 0; i < 16; i++)
		r.gpr[i] = rnd() >> (rnd() % 4 * 16);
	for (unsigned i = 0; i < 16; i++)
		r.xmm[i] = (uint8_t)rnd();
	r.rflags = (rnd() & FLAGS) | 0x202;
	for (unsigned i = 0; i < DATA; i++)
		data[i] = (uint8_t)(rnd() >> 8);
	return r;
}

/* A register for ModRM.reg that is not the thunk's. */
static unsigned pick_reg(const struct form *f, bool rex)
{
	for (;;) {
		const unsigned reg = rnd() % (rex ? 15 : 8);

		if ((f->what & BITS) && reg == 3) /* the address */
			continue;
		if (reg != 4 && reg != 5)
			return reg;
		if ((f->what & BYTE) && !rex) /* AH.. */
			return reg;
	}
}

static unsigned assemble(const struct form *f, struct regs *r)
{
	const bool rex = rnd() & 1;
	const bool is_mandatory = (f->what & XMM) && f->opcode[0] != 0x0f;
	const unsigned reg = f->digit >= 0 ? (unsigned)f->digit :
					     pick_reg(f, rex);
	unsigned n = 0, i = 0, size = f->what & BYTE ? 1 : 4;

	if ((f->what & LOCKS) && (rnd() & 1))
		code[n++] = 0xf0;
	if (!(f->what & (NO_66 | XMM)) && (rnd() & 1)) {
		code[n++] = 0x66;
		size = size == 4 ? 2 : size;
	}
	if (is_mandatory)
		code[n++] = (uint8_t)f->opcode[i++];
	if (rex) {
		const bool w = rnd() & 1;

		code[n++] = (uint8_t)(0x40 | (w ? 8 : 0) | (reg >> 3) << 2);
		size = w && size > 1 ? 8 : size;
	}
	while (i < f->n)
		code[n++] = (uint8_t)f->opcode[i++];
	code[n++] = (uint8_t)(0x43 | (reg & 7) << 3); /* [RBX + disp8] */
	code[n++] = 0x10;
	if (f->what & IMM8)
		code[n++] = (uint8_t)rnd();
	if (f->what & IMM)
		for (i = 0; i < (size == 8 ? 4 : size); i++)
			code[n++] = (uint8_t)(rnd() >> 3);
	r->gpr[3] = (uintptr_t)data + 200;
	r->gpr[3] += f->what & ALIGN ? 8 : rnd() % 16;
	if (f->what & BITS)
		r->gpr[reg] = rnd() % 1024 - 512;
	return n;
}

static void test_forms(void **state)
{
	(void)state;
	for (unsigned f = 0; f < sizeof(forms) / sizeof(*forms); f++) {
		for (unsigned i = 0; i < 300; i++) {
			struct regs r = random_regs();
			const unsigned n = assemble(&forms[f], &r);

			/* Else CMPXCHG never finds what it looks for. */
			if (!(forms[f].what & BITS) && (rnd() & 1))
				memcpy(&r.gpr[0],
				       data + r.gpr[3] + 0x10 -
					       (uintptr_t)data, 8);
			compare(n, &r);
		}
	}
}

static void test_strings(void **state)
{
	static const uint8_t opcodes[] = { 0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad,
					   0xa6, 0xa7, 0xae, 0xaf };

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct regs r = random_regs();
		unsigned n = 0;

		r.gpr[1] = rnd() % 10;
		r.gpr[6] = (uintptr_t)data + 100 + rnd() % 300;
		r.gpr[7] = (uintptr_t)data + 100 + rnd() % 300;
		r.rflags |= rnd() & DF;
		if (rnd() & 1) /* much that is equal */
			memset(data, (int)(r.gpr[0] & 0xff), DATA);
		if (rnd() & 1)
			code[n++] = rnd() & 1 ? 0xf2 : 0xf3;
		if (rnd() % 4 == 0)
			code[n++] = 0x66;
		if (rnd() % 4 == 0)
			code[n++] = 0x67;
		if (rnd() % 4 == 0)
			code[n++] = 0x48;
		code[n++] = opcodes[rnd() % sizeof(opcodes)];
		compare(n, &r);
	}
}

static int set_up(void **state)
{
	static const struct emul_ops ops = { do_ram, do_write, do_cas,
					     get_xmm, set_xmm };
	static uint8_t pio[EMUL_PIO_BYTES];

	(void)state;
	code = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (code == MAP_FAILED)
		return -1;
	/* Across a page: the first one has the code in front. */
	data = code + 4096 - DATA / 2;
	ctx.ops = &ops;
	ctx.pio_data = pio;
	ctx.cr0 = 1;
	ctx.efer = 1u << 10;
	ctx.cpl = 3;
	ctx.seg[EMUL_CS].attrib = 0xa0fb;
	return emul_init(&ctx) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	emul_free(&ctx);
	return munmap(code, 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
