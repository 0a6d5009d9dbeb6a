/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu.c - virtual machines by bare hypercalls: states that a processor does
 * not take, instructions that a guest does not have, events and sleep, and
 * memory that goes away under a running guest. Guests are in real mode.
 */
#include "domu.h"

#include <pthread.h>

#define LOAD	0x1000u
#define HANDLER 0x3000u /* of vector n: 16 * n behind it; out %al, $0x90 + n */
#define IF	0x200u
#define STATES	1024u

static long vm;
static uint8_t *ram;

#define CALL(name, ...) luv_call(LUV_CALL_##name, (uint64_t)vm, __VA_ARGS__)

static long get(struct luv_vcpu *s)
{
	luv_touch(s, sizeof(*s));
	return CALL(vcpu_get, 0, (uintptr_t)s, 0, 0);
}

static long set(const struct luv_vcpu *s)
{
	return CALL(vcpu_set, 0, (uintptr_t)s, 0, 0);
}

static void slot(uint32_t nr, uint64_t gpa, uint64_t len, const void *at)
{
	struct luv_slot s = { .slot = nr, .gpa = gpa, .len = len,
			      .hva = (uintptr_t)at };

	expect(CALL(vm_slot, (uintptr_t)&s, 0, 0, 0) == 0, "slot %u", nr);
}

/* A VM with one vCPU and RAM at 0, whose first 64 KiB are there. */
static void begin(uint64_t flags)
{
	vm = luv_call(LUV_CALL_vm_create, token[0], token[1], 0, 0, 0);
	expect(vm > 0, "vm_create: %ld", vm);
	ram = pages_new(RAM / PAGE);
	memset(ram, 0, 0x10000);
	slot(0, 0, RAM, ram);
	expect(CALL(vcpu_create, 0, flags, 0, 0) == 0, "vcpu_create");
}

static void finish(void)
{
	expect(CALL(vm_destroy, 0, 0, 0, 0) == 0, "vm_destroy");
	munmap(ram, RAM);
}

static void handler(unsigned vector)
{
	const unsigned at = HANDLER + 16 * vector;
	const uint8_t code[] = { 0xe6, (uint8_t)(0x90 + vector), 0xcf };

	memcpy(ram + at, code, sizeof(code));
	((uint16_t *)(void *)ram)[vector * 2] = (uint16_t)at;
	((uint16_t *)(void *)ram)[vector * 2 + 1] = 0;
}

/* State to run code of real mode at LOAD; the caller sets it. */
static struct luv_vcpu at_code(const uint8_t *code, size_t len)
{
	const struct luv_segment flat = { 0, 0xffff, 0, 0x93 };
	struct luv_vcpu s;

	expect(get(&s) == 0, "vcpu_get");
	s.ds = s.es = s.ss = s.fs = s.gs = s.cs = flat;
	s.cs.attrib = 0x9b;
	s.idt_limit = 0x3ff;
	s.rip = LOAD;
	s.rflags = 2;
	s.gpr[4] = 0x8000;
	memcpy(ram + LOAD, code, len);
	return s;
}

static void start(const uint8_t *code, size_t len)
{
	struct luv_vcpu s = at_code(code, len);

	expect(set(&s) == 0, "vcpu_set");
}

static void is_port(const char *what, unsigned port)
{
	struct run r = run_until(vm, 0, 0, LUV_RUN_IO, what);

	expect(r.rdi == port, "%s: port %#lx, not %#x", what, r.rdi, port);
}

/* --- states --------------------------------------------------------------- */

static void refused(struct luv_vcpu *s, uint64_t *member, uint64_t value,
		    const char *what)
{
	const uint64_t was = *member;

	*member = value;
	expect(set(s) == -LUV_EINVAL, "%s %#" PRIx64 " is taken", what, value);
	*member = was;
	vcpu_run(vm, 0, 0, 0, LUV_RUN_NO_ENTRY);
}

/* The bits that CPUID tells of, as by a guest's WRMSR. */
static void efer_bits(struct luv_vcpu *s)
{
	uint32_t r[4];

	cpuid(0x80000001, 0, r);
	s->efer = 1u << 14; /* FFXSR */
	expect_eq("EFER.FFXSR", set(s), r[3] >> 25 & 1 ? 0 : -LUV_EINVAL);
	s->efer = 1u << 15; /* TCE */
	expect_eq("EFER.TCE", set(s), r[2] >> 17 & 1 ? 0 : -LUV_EINVAL);
	s->efer = 0;
}

/* What a switch to it would load into the processor, which then refuses. */
static void registers(void)
{
	struct luv_vcpu s;
	unsigned taken = 0;

	begin(0);
	expect(get(&s) == 0, "vcpu_get");
#define REFUSED(member, value) refused(&s, &s.member, value, #member)
	REFUSED(tsc_aux, 1ull << 32);
	REFUSED(sfmask, 1ull << 32);
	REFUSED(lstar, 1ull << 63);
	REFUSED(cstar, 1ull << 47);
	REFUSED(kernel_gs_base, 1ull << 63);
	REFUSED(dr6, 1ull << 32);
	REFUSED(pat, 2);
	REFUSED(cr4, 1ull << 13); /* VMXE */
	REFUSED(cr4, 1ull << 23); /* CET */
	REFUSED(cr4, 1ull << 24); /* PKS */
	REFUSED(efer, 1ull << 12); /* SVME */
	efer_bits(&s);
	REFUSED(xcr0, 0);
	REFUSED(xcr0, 1ull << 63);
	/* Not each half of MPX, AVX-512, AMX: whatever is taken must run. */
	for (uint64_t x = 0; x < STATES; x++) {
		s.xcr0 = x;
		if (set(&s) == 0)
			taken++;
		vcpu_run(vm, 0, 0, 0, LUV_RUN_NO_ENTRY);
	}
	expect(taken > 0, "no XCR0 is taken");
	finish();
}

static void mxcsr(void)
{
	uint8_t area[4096] = { 0 };
	uint32_t value = 0x1f80, mask = ~0u;
	long size;

	begin(0);
	luv_touch(area, sizeof(area));
	size = CALL(vcpu_fpu_get, 0, (uintptr_t)area, sizeof(area), 0);
	expect(size >= 512, "vcpu_fpu_get: %ld", size);
	memcpy(area + 24, &value, 4);
	memcpy(area + 28, &mask, 4);
	expect_eq("extended state", CALL(vcpu_fpu_set, 0, (uintptr_t)area,
					 (uint64_t)size, 0), 0);
	value |= 1u << 31;
	memcpy(area + 24, &value, 4);
	expect_eq("MXCSR with a reserved bit", CALL(vcpu_fpu_set, 0,
		  (uintptr_t)area, (uint64_t)size, 0), -LUV_EINVAL);
	vcpu_run(vm, 0, 0, 0, LUV_RUN_NO_ENTRY);
	finish();
}

/*
 * INT n whose gate is not there now: its delivery is cut short, and what is
 * read of the vCPU then can be written.
 */
static void soft_interrupt(void)
{
	static const uint8_t code[] = { 0xcd, 0x21, 0xf4 }; /* int $0x21; hlt */
	struct luv_vcpu s;
	struct run r;

	begin(0);
	handler(0x21);
	s = at_code(code, sizeof(code));
	s.idt_base = 0x20000; /* not touched yet */
	expect(set(&s) == 0, "vcpu_set");
	do {
		r = vcpu_run(vm, 0, 0, 0, 0);
		if (r.rax == LUV_RUN_FAULT && r.rdi < (uintptr_t)ram + 0x20000)
			luv_touch((void *)r.rdi, 1);
		else
			break;
	} while (true);
	expect(r.rax == LUV_RUN_FAULT, "the gate is read: exit %#lx", r.rax);
	expect(get(&s) == 0 && s.rip == LOAD, "RIP %#" PRIx64, s.rip);
	expect_eq("what was read", set(&s), 0);
	memcpy(ram + 0x20000, ram, 0x400);
	is_port("int $0x21", 0x90 + 0x21);
	run_until(vm, 0, 0, LUV_RUN_HLT, "behind it");
	finish();
}

/*
 * PAE paging, whose four entries the processor keeps: those of vcpu_set, and
 * of a MOV to CR0 by a guest that has not touched them.
 */
static void pae(void)
{
	static const uint8_t code[] = {
		0xb8, 0x31, 0, 0, 0x80, /* mov $PG|NE|ET|PE, %eax */
		0x0f, 0x22, 0xc0,	/* mov %eax, %cr0 */
		0xe6, 0x80,		/* out %al, $0x80 */
		0xe6, 0x81,		/* out %al, $0x81 */
	};
	struct luv_vcpu s;

	begin(0);
	s = at_code(code, sizeof(code));
	s.ds.limit = 0xffffffff;
	s.ds.attrib = 0xc093;
	s.es = s.ss = s.fs = s.gs = s.cs = s.ds;
	s.cs.attrib = 0xc09b;
	s.cr0 = 0x11;
	s.cr3 = 0x20000;
	s.cr4 = 0x20;
	*(uint64_t *)(void *)(ram + 0x20000) = 0x21000 | 1;
	*(uint64_t *)(void *)(ram + 0x21000) = 0x83; /* 2 MiB */
	expect(set(&s) == 0, "vcpu_set");
	is_port("PAE by MOV to CR0", 0x80);
	get(&s);
	s.cr3 = 0x40000;
	s.rip = LOAD + 10;
	expect_eq("entries that are not there", set(&s), -LUV_EFAULT);
	*(uint64_t *)(void *)(ram + 0x40000) = 0x41000 | 1;
	*(uint64_t *)(void *)(ram + 0x41000) = 0x83;
	s.cr0 = 0x80000011;
	expect_eq("entries that are", set(&s), 0);
	is_port("PAE by vcpu_set", 0x81);
	finish();
}

/* --- instructions --------------------------------------------------------- */

static void instructions(void)
{
	static const struct {
		const char *name;
		unsigned vector;
		uint8_t code[10];
	} rows[] = {
		{ "monitor", 6, { 0x0f, 0x01, 0xc8, 0xf4 } },
		{ "mwait", 6, { 0x0f, 0x01, 0xc9, 0xf4 } },
		{ "rdpmc", 13, { 0x66, 0x31, 0xc9, 0x0f, 0x33, 0xf4 } },
		{ "CR4.CET", 13, { 0x66, 0xb8, 0, 0, 0x80, 0, 0x0f, 0x22, 0xe0,
				   0xf4 } },
		{ "CR4.PKS", 13, { 0x66, 0xb8, 0, 0, 0, 1, 0x0f, 0x22, 0xe0,
				   0xf4 } },
		{ "xsaves", 6, { 0x0f, 0xc7, 0x2e, 0, 0x50, 0xf4 } },
	};

	begin(0);
	handler(6);
	handler(13);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct luv_vcpu s = at_code(rows[i].code, sizeof(rows[i].code));

		s.cr4 = 0x40200; /* OSXSAVE, OSFXSR */
		if (set(&s))
			continue; /* no XSAVE */
		is_port(rows[i].name, 0x90 + rows[i].vector);
	}
	finish();
}

/* --- events --------------------------------------------------------------- */

static void nmi(void)
{
	expect(CALL(vcpu_nmi, 0, 0, 0, 0) >= 0, "vcpu_nmi");
}

/* An NMI waits for the IRET of the handler that vcpu_set says it is in. */
static void nmi_blocked(void)
{
	static const uint8_t code[] = {
		0xe6, 0x80,		/* out %al, $0x80 */
		0x9c, 0x0e,		/* pushf; push %cs */
		0x68, 0x08, 0x10,	/* push $LOAD + 8 */
		0xcf,			/* iret */
		0xe6, 0x81,		/* out %al, $0x81 */
		0xe6, 0x82,		/* out %al, $0x82 */
		0xeb, 0xfe,		/* jmp . */
	};
	struct luv_vcpu s;
	struct run r;

	begin(0);
	handler(2);
	s = at_code(code, sizeof(code));
	s.nmi = LUV_NMI_BLOCKED;
	expect(set(&s) == 0, "vcpu_set");
	nmi();
	is_port("NMIs blocked", 0x80);
	/* One instruction may pass first. */
	r = run_until(vm, 0, 0, LUV_RUN_IO, "the IRET");
	if (r.rdi == 0x81)
		r = run_until(vm, 0, 0, LUV_RUN_IO, "behind the IRET");
	expect(r.rdi == 0x92, "no NMI behind the IRET: port %#lx", r.rdi);
	finish();
}

static void apic_write(unsigned id, unsigned offset, uint32_t value)
{
	expect(CALL(vcpu_apic_write, id, offset, value, 0) == 0,
	       "register %#x of APIC %u", offset, id);
}

static void msi(unsigned vector)
{
	expect(CALL(vm_msi, 0xfee00000, vector, 0, 0) >= 0, "vm_msi");
}

/* HLT with RFLAGS.IF = 0 is for NMI and INIT alone. */
static void sleep_of_cli(void)
{
	static const uint8_t code[] = {
		0xfa, 0xf4,	  /* cli; hlt */
		0xe6, 0x80,	  /* out %al, $0x80 */
		0xfb, 0xf4,	  /* sti; hlt */
		0xe6, 0x81,	  /* out %al, $0x81 */
	};

	begin(LUV_VCPU_APIC);
	handler(2);
	handler(0x40);
	start(code, sizeof(code));
	apic_write(0, 0xf0, 0x1ff);
	run_until(vm, 0, 0, LUV_RUN_HLT, "cli; hlt");
	msi(0x40);
	run_until(vm, 0, 0, LUV_RUN_HLT, "cli; hlt with an interrupt");
	nmi();
	is_port("an NMI", 0x92);
	is_port("behind the NMI", 0x80);
	is_port("the interrupt", 0xd0);
	is_port("behind sti; hlt", 0x81);
	start(code + 4, sizeof(code) - 4);
	apic_write(0, 0xb0, 0); /* EOI */
	run_until(vm, 0, 0, LUV_RUN_HLT, "sti; hlt");
	msi(0x40);
	is_port("an interrupt", 0xd0);
	is_port("behind sti; hlt", 0x81);
	finish();
}

/* The lowest-priority message goes to an APIC that takes it. */
static void lowest_priority(void)
{
	begin(LUV_VCPU_APIC);
	expect(CALL(vcpu_create, 1, LUV_VCPU_APIC, 0, 0) == 0, "second vCPU");
	apic_write(0, 0xd0, 1u << 24);
	apic_write(1, 0xd0, 2u << 24);
	apic_write(1, 0xf0, 0x1ff);
	expect_eq("APICs that took it", CALL(vm_msi, 0xfee0300c, 0x141, 0, 0),
		  1);
	expect_eq("IRR of APIC 1", CALL(vcpu_apic_read, 1, 0x220, 0, 0), 2);
	finish();
}

/* Ring 3 arms the timer on one CPU; on another it has to know it again. */
static void timer_moves(void)
{
	static const uint8_t code[] = { 0xfb, 0xeb, 0xfe }; /* sti; jmp . */
	struct run r;

	if (cpus_online() < 2)
		return;
	begin(LUV_VCPU_APIC);
	handler(0x40);
	start(code, sizeof(code));
	apic_write(0, 0xf0, 0x1ff);
	apic_write(0, 0x320, 0x40);
	apic_write(0, 0x3e0, 0xb);
	apic_write(0, 0x380, 0xffffffff);
	pin(0);
	r = run_until(vm, 0, 0, LUV_RUN_TIMER, "an armed timer");
	expect(r.rdi > 0 && r.rdi <= 0xffffffff, "%lu ticks", r.rdi);
	pin(1);
	run_until(vm, 0, 0, LUV_RUN_TIMER, "on another CPU");
	finish();
}

/* Each instruction is stepped over, also behind STI and MOV to SS. */
static void steps(void)
{
	static const uint8_t code[] = {
		0xfb, 0x90,		/* sti; nop */
		0x8e, 0xd0, 0x90,	/* mov %ax, %ss; nop */
		0xfb, 0xfa, 0x90,	/* sti; cli; nop */
		0xe6, 0x80,		/* out %al, $0x80 */
	};
	struct luv_vcpu s;
	unsigned n = 0;
	struct run r;

	begin(0);
	s = at_code(code, sizeof(code));
	s.gpr[0] = 0;
	s.debug = LUV_DEBUG_ON | LUV_DEBUG_STEP;
	expect(set(&s) == 0, "vcpu_set");
	do {
		r = vcpu_run(vm, 0, 0, 0, 0);
		n += r.rax == LUV_RUN_DEBUG;
		if (n % 2) { /* as a debugger that writes registers */
			get(&s);
			expect(set(&s) == 0, "vcpu_set at %#" PRIx64, s.rip);
		}
	} while (r.rax == LUV_RUN_DEBUG);
	expect(r.rax == LUV_RUN_IO && n >= 4, "exit %#lx after %u steps", r.rax,
	       n);
	finish();
}

/* --- memory that goes away -------------------------------------------------- */

#define HOLE 0x40000u
static volatile bool stop;

static void *run_on_cpu_1(void *arg)
{
	struct run r;

	(void)arg;
	pin(1);
	while (!stop) {
		r = vcpu_run(vm, 0, 0, 0, 0);
		if (r.rax == LUV_RUN_FAULT)
			luv_touch((void *)r.rdi, 1);
		else if (r.rax != LUV_RUN_MMIO && r.rax != LUV_RUN_KICKED)
			break;
	}
	expect(stop, "the guest stopped: exit %#lx", r.rax);
	return NULL;
}

/*
 * When vm_slot returns no CPU writes there any more, whatever the guest is
 * doing: the owner may use the page for something else at once.
 */
static void slot_goes(void)
{
	static const uint8_t code[] = {
		0xb8, 0x00, 0x40, 0x8e, 0xd8,	  /* mov $HOLE >> 4, %ax; %ds */
		0x66, 0xff, 0x06, 0x00, 0x00,	  /* 1: incl 0 */
		0xeb, 0xf9,			  /* jmp 1b */
	};
	volatile uint32_t *count;
	unsigned late = 0, ran = 0;
	pthread_t thread;

	if (cpus_online() < 2)
		return;
	begin(0);
	slot(0, 0, HOLE, ram);
	count = (volatile uint32_t *)(void *)(ram + HOLE);
	start(code, sizeof(code));
	stop = false;
	pin(0);
	pthread_create(&thread, NULL, run_on_cpu_1, NULL);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t until;
		uint32_t was;

		*count = 0;
		slot(1, HOLE, PAGE, ram + HOLE);
		until = ticks_now() + 2000000000;
		while (*count < 1000 && ticks_now() < until)
			sched_yield();
		slot(1, 0, 0, NULL);
		was = *count;
		ran += was > 0;
		until = ticks_now() + 4000000;
		while (ticks_now() < until)
			;
		late += *count != was;
	}
	stop = true;
	CALL(vcpu_kick, 0, 0, 0, 0);
	pthread_join(thread, NULL);
	expect(ran > 50, "the guest wrote in %u of 100 rounds", ran);
	expect(!late, "%u of 100 times it wrote to a slot that was gone", late);
	finish();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} tests[] = {
#define T(name) { #name, name }
		T(registers), T(mxcsr), T(soft_interrupt), T(pae),
		T(instructions), T(nmi_blocked), T(sleep_of_cli),
		T(lowest_priority), T(timer_moves), T(steps), T(slot_goes),
#undef T
	};

	test_open(&info);
	require(token_read(), "ioperm on the token's port");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (argc > 1 && strcmp(argv[1], tests[i].name))
			continue;
		note("vcpu: %s", tests[i].name);
		tests[i].fn();
	}
	return test_end("vcpu", NULL);
}
