/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.c - random hypercalls from every CPU at once: usage fuzz [count] [seed].
 * Checks that results stay in the range the ABI gives, that not one byte
 * outside of what a call may fill changes, and that the VMM stays sane.
 * The calls of a thread follow from the seed (addresses aside); how many of
 * the calls each thread makes does not.
 */
#include "test.h"

#include <sys/io.h>

#include <pthread.h>
#include <stdatomic.h>
#include <ucontext.h>

#define THREADS_MAX   64
#define BUFFER_PAGES  20
#define GUARD_PAGES   2
#define ARENA_PAGES   (BUFFER_PAGES + 2 * GUARD_PAGES)
#define ARENA_LEN     (ARENA_PAGES * PAGE)
#define FILL	      0x5a
#define NEAR	      64   /* bytes looked at after each call */
#define SWEEP_EVERY   4096 /* calls between looks at the whole arena */
#define CHUNK	      256  /* calls a thread takes at a time */
#define RAISED_SIGILL (-0x51611) /* no LUV_E*: what the handler leaves */

/* One thread's state; only that thread touches it. */
struct fuzzer {
	unsigned cpu; /* it stays on this one */
	uint64_t random;
	unsigned char *arena;	  /* guards, buffer, guards: all FILL */
	unsigned char *read_only; /* one page, FILL */
	unsigned char *no_access; /* one page */
	unsigned char *untouched; /* one page, never written */
};

/* What one call is given. */
struct input {
	uint64_t rax, arg[5];
};

#define VM_RAM (2ul << 20)

static struct luv_info vmm;
static bool with_vms; /* "vms": a virtual machine to aim at as well */
static long vm; /* a virtual machine whose RAM is all HLT */
static uint64_t token[2];
/* What trace_control and trace_read take. */
static struct luv_trace_control trace_on = { LUV_TRACE_FLIGHT, 0, ~0ull, ~0ull,
					     ~0ull };
static char trace_packet[64 * 1024];
static struct luv_shared shared __attribute__((aligned(512)));
static struct luv_trace_read trace_one = { .len = sizeof(trace_packet) };
static uint64_t calls_wanted, seed;
static _Atomic uint64_t calls_taken;
static _Atomic bool failed;
static unsigned threads;

__attribute__((format(printf, 2, 3))) static void
fail(const struct input *in, const char *format, ...)
{
	va_list args;

	if (atomic_exchange(&failed, true))
		return;
	va_start(args, format);
	printf("FAIL: ");
	vprintf(format, args);
	va_end(args);
	printf("; RAX %" PRIx64 " arguments %" PRIx64 " %" PRIx64 " %" PRIx64
	       " %" PRIx64 " %" PRIx64 ", seed %" PRIu64 "\n",
	       in->rax, in->arg[0], in->arg[1], in->arg[2], in->arg[3],
	       in->arg[4], seed);
	fflush(stdout);
}

/* --- input ---------------------------------------------------------------- */

/* xorshift64*: repeatable, and good enough to visit everything. */
static uint64_t next(struct fuzzer *f)
{
	f->random ^= f->random >> 12;
	f->random ^= f->random << 25;
	f->random ^= f->random >> 27;
	return f->random * 0x2545f4914f6cdd1dull;
}

static uint64_t below(struct fuzzer *f, uint64_t limit)
{
	return (next(f) >> 16) % limit;
}

static uint64_t in_buffer(struct fuzzer *f)
{
	uint64_t buf = (uintptr_t)f->arena + GUARD_PAGES * PAGE;

	if (below(f, 2)) /* near the edge of a page */
		return buf + below(f, 3) * PAGE + PAGE - below(f, 40);
	return buf + below(f, 3 * PAGE);
}

static uint64_t interesting(struct fuzzer *f)
{
	static const uint64_t fixed[] = {
		0, 1, 7, 8, 15, 16, 17, 24, 4095, 4096, 4097, 8192, 65535,
		65536, 65537, 0xa0000, 0x100000, 0xfee00000, 0xfee00300,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
		0x7ffffffff000, 0x7fffffffffff, 0x800000000000,
		0xffff7fffffffffff, 0xffff800000000000, 0xffff888000000000,
		0xffffffff80000000, 0xffffffff81000000, 0xffffffffff600000,
		0xfffffffffffff000, 0x7fffffffffffffff, 0x8000000000000000,
		0xffffffffffffffff,
	};
	return fixed[below(f, sizeof(fixed) / sizeof(fixed[0]))];
}

static uint64_t argument(struct fuzzer *f)
{
	switch (below(f, 12)) {
	case 0:
	case 1:
	case 2:
		return in_buffer(f);
	case 3:
	case 4:
		return below(f, 256);
	case 5:
		return below(f, 2 * LUV_MAX_COPY);
	case 6:
		return (uintptr_t)f->read_only + below(f, PAGE);
	case 7:
		return below(f, 2) ? (uintptr_t)f->no_access + below(f, PAGE)
				   : (uintptr_t)f->untouched + below(f, PAGE);
	case 8: /* the VMM's memory, as an address and through Linux's map */
		return vmm.vmm_base + below(f, vmm.vmm_len) +
		       (below(f, 2) ? 0xffff888000000000 : 0);
	case 9:
		return next(f) >> below(f, 64);
	default:
		return interesting(f);
	}
}

static uint64_t number(struct fuzzer *f)
{
	switch (below(f, 16)) {
	case 0:
		return LUV_CALL(below(f, 0x10000));
	case 1:
		return LUV_CALL(below(f, 48));
	case 3:
	case 4:
		return LUV_CALL(LUV_CALL_vm_slot +
				below(f, LUV_CALL_exit_hist -
						 LUV_CALL_vm_slot + 1));
	case 2: /* not ours: the process gets #UD */
		return below(f, 4) ? LUV_CALL(below(f, 4)) : next(f);
	default:
		return LUV_CALL(below(f, 4));
	}
}

static uint64_t trace_buffer(struct fuzzer *f)
{
	switch (below(f, 3)) {
	case 0:
		return (uintptr_t)&trace_on;
	case 1:
		return (uintptr_t)&trace_one;
	default:
		return in_buffer(f);
	}
}

static struct input make_input(struct fuzzer *f)
{
	struct input in = { .rax = number(f) };

	for (int i = 0; i < 5; i++)
		in.arg[i] = argument(f);
	/* The buffer is where it should be more often than chance has it. */
	if (below(f, 2)) {
		bool identify = (uint32_t)in.rax == LUV_CALL(LUV_CALL_identify);

		in.arg[identify ? 0 : 1] = in_buffer(f);
		if (!identify)
			in.arg[0] = below(f, 3) ? below(f, 4) : argument(f);
	}
	if (with_vms && (uint32_t)in.rax >= LUV_CALL(LUV_CALL_vm_slot) &&
	    below(f, 8)) {
		in.arg[0] = (uint64_t)vm;
		if ((uint32_t)in.rax != LUV_CALL(LUV_CALL_vm_slot))
			in.arg[1] = below(f, 5);
		if (below(f, 2))
			in.arg[2] = in_buffer(f);
	}
	if (with_vms && below(f, 2) &&
	    ((uint32_t)in.rax == LUV_CALL(LUV_CALL_trace_control) ||
	     (uint32_t)in.rax == LUV_CALL(LUV_CALL_trace_read) ||
	     (uint32_t)in.rax == LUV_CALL(LUV_CALL_trace_clock))) {
		in.arg[0] = token[0];
		in.arg[1] = token[1];
		in.arg[2] = trace_buffer(f);
	}
	/* The VMM writes to it later, whenever that vCPU runs. */
	if ((uint32_t)in.rax == LUV_CALL(LUV_CALL_vcpu_share))
		in.arg[2] = below(f, 4) ? (uintptr_t)&shared
					: (uintptr_t)f->read_only;
	return in;
}

/* --- the call ------------------------------------------------------------- */

/* Step over a hypercall that was refused, and leave a result no VMM gives. */
static void refused(int signal_nr, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *regs = uc->uc_mcontext.gregs;
	const unsigned char *insn = (void *)regs[REG_RIP];

	(void)info;
	if (insn[0] == 0x0f && insn[1] == 0x01 &&
	    (insn[2] == 0xc1 || insn[2] == 0xd9)) {
		regs[REG_RIP] += 3;
		regs[REG_RAX] = RAISED_SIGILL;
		return;
	}
	signal(signal_nr, SIG_DFL); /* a crash of our own */
}

/* The bytes that the call may have filled, if it returned this. */
struct filled {
	uint64_t addr, len;
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool is_error(long result)
{
	static const int errors[] = { LUV_EPERM,  LUV_ENOENT, LUV_E2BIG,
				      LUV_EFAULT, LUV_EINVAL, LUV_ENOMEM,
				      LUV_EBUSY,  LUV_EEXIST, LUV_EAGAIN };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (result == -errors[i])
			return true;
	return false;
}

static bool known(unsigned nr)
{
	static const bool there[0x10000] = {
#define X(call, name) [call] = true,
		LUV_CALLS(X)
#undef X
	};

	return there[nr];
}

/* The calls of virtual machines, or none. */
static bool judge_vm(const struct input *in, long result, struct filled *out)
{
	unsigned nr = in->rax & 0xffff;

	if (!known(nr))
		return result == -LUV_ENOSYS;
	if (result == -LUV_EAGAIN)
		return nr == LUV_CALL_exit_hist;
	if (result < 0)
		return is_error(result);
	switch (nr) {
	case LUV_CALL_vcpu_run:
		return result != 0;
	case LUV_CALL_vcpu_get:
		*out = (struct filled){ in->arg[2], sizeof(struct luv_vcpu) };
		return result == 0;
	case LUV_CALL_vcpu_apic_get:
		*out = (struct filled){ in->arg[2], 1024 };
		return result == 0;
	case LUV_CALL_vcpu_fpu_get:
		*out = (struct filled){ in->arg[2],
					min_u64(in->arg[3], result) };
		return result >= 512;
	case LUV_CALL_vm_stat:
		*out = (struct filled){ in->arg[1],
					min_u64(in->arg[2], result) };
		return result == sizeof(struct luv_vm_stat);
	case LUV_CALL_trace_info:
		*out = (struct filled){ in->arg[0],
					min_u64(in->arg[1], result) };
		return result == sizeof(struct luv_trace_info);
	case LUV_CALL_trace_read:
		return result <= (long)sizeof(trace_packet);
	case LUV_CALL_exit_hist:
		*out = (struct filled){ in->arg[1],
					result * sizeof(struct luv_hist) };
		return (uint64_t)result <= in->arg[3];
	case LUV_CALL_vm_msi:
	case LUV_CALL_vcpu_kick:
	case LUV_CALL_vcpu_nmi:
		return result <= LUV_VCPUS;
	case LUV_CALL_vcpu_apic_read:
		return result <= 0xffffffff;
	default:
		return result == 0;
	}
}

/* Is the result one that the ABI knows? Sets *out if it is a success. */
static bool judge(const struct input *in, long result, struct filled *out)
{
	const uint64_t *a = in->arg;

	*out = (struct filled){ 0, 0 };
	if ((uint32_t)in->rax >> 16 != LUV_MAGIC >> 16)
		return result == RAISED_SIGILL;
	if ((in->rax & 0xffff) > LUV_CALL_memmap)
		return judge_vm(in, result, out);
	if (result < 0)
		return is_error(result);
	switch (in->rax & 0xffff) {
	case LUV_CALL_identify:
		*out = (struct filled){ a[0], min_u64(a[1], result) };
		return result == sizeof(struct luv_info);
	case LUV_CALL_cpu_stat:
		*out = (struct filled){ a[1], min_u64(a[2], result) };
		return result == sizeof(struct luv_cpu_stat) &&
		       a[0] < vmm.cpus;
	case LUV_CALL_log:
		*out = (struct filled){ a[1], result };
		return (uint64_t)result <= min_u64(a[2], LUV_MAX_COPY);
	default: /* memmap */
		*out = (struct filled){ a[1], result * sizeof(struct luv_mem) };
		return out->len <= min_u64(a[2], LUV_MAX_COPY);
	}
}

static bool holds_fill(const struct fuzzer *f, uint64_t from, uint64_t to)
{
	uint64_t first = (uintptr_t)f->arena, last = first + ARENA_LEN;

	if (from < first)
		from = first;
	if (to > last)
		to = last;
	for (; from < to; from++)
		if (*(unsigned char *)from != FILL)
			return false;
	return true;
}

/* A success must lie in the buffer; nothing near it may have changed. */
static void check_memory(struct fuzzer *f, const struct input *in,
			 const struct filled *out)
{
	uint64_t first = (uintptr_t)f->arena, last = first + ARENA_LEN;

	if (out->len == 0) { /* nothing filled: look where it might be */
		for (int i = 0; i < 2; i++)
			if (in->arg[i] >= first && in->arg[i] < last &&
			    !holds_fill(f, in->arg[i] - NEAR,
					in->arg[i] + NEAR))
				fail(in, "a call that filled nothing wrote");
		return;
	}
	if (out->addr < first || out->addr >= last ||
	    out->len > last - out->addr) {
		fail(in, "a call filled what it cannot reach");
		return;
	}
	if (!holds_fill(f, out->addr - NEAR, out->addr) ||
	    !holds_fill(f, out->addr + out->len, out->addr + out->len + NEAR))
		fail(in, "a call wrote beside its buffer");
	memset((void *)out->addr, FILL, out->len);
}

static void check_all_memory(struct fuzzer *f, const struct input *in)
{
	unsigned char resident = 0;

	if (!all_bytes(f->arena, ARENA_LEN, FILL))
		fail(in, "some call before this one wrote beside its buffer");
	if (mincore(f->untouched, PAGE, &resident) || (resident & 1))
		fail(in, "some call before this one paged something in");
	if (!all_bytes(f->read_only, PAGE, FILL))
		fail(in, "some call before this one wrote a read-only page");
}

static void check_vmm(const struct input *in)
{
	struct luv_info now;
	struct luv_cpu_stat stat;

	if (luv_identify(&now) != (long)sizeof(now) ||
	    memcmp(now.signature, LUV_SIGNATURE, sizeof(now.signature)) ||
	    memcmp(now.build, vmm.build, sizeof(now.build)) ||
	    now.vmm_base != vmm.vmm_base || now.cpus != vmm.cpus)
		fail(in, "identify is not what it was at the start");
	if (luv_cpu_stat(0, &stat) != (long)sizeof(stat) || stat.cpu != 0)
		fail(in, "cpu_stat of CPU 0 is wrong");
}

static void one_call(struct fuzzer *f, uint64_t nth)
{
	struct input in = make_input(f);
	struct filled out;
	long result = luv_raw(in.rax, in.arg[0], in.arg[1], in.arg[2],
			      in.arg[3], in.arg[4]);

	if (!judge(&in, result, &out))
		fail(&in, "result %ld is not in the ABI", result);
	else
		check_memory(f, &in, &out);
	if (nth % SWEEP_EVERY == 0) {
		check_all_memory(f, &in);
		check_vmm(&in);
	}
}

/* --- threads -------------------------------------------------------------- */

static void progress(uint64_t from, uint64_t to)
{
	uint64_t tenth = calls_wanted / 10;

	if (tenth > 0 && from / tenth != to / tenth && to < calls_wanted)
		note("fuzz: %" PRIu64 " %%", to / tenth * 10);
}

static void *fuzz_thread(void *arg)
{
	struct fuzzer *f = arg;
	struct input none = { 0 };
	uint64_t nth = 0;

	pin(f->cpu);
	while (!failed) {
		uint64_t from = atomic_fetch_add(&calls_taken, CHUNK);
		uint64_t to = min_u64(from + CHUNK, calls_wanted);

		if (from >= calls_wanted)
			break;
		for (uint64_t i = from; i < to && !failed; i++)
			one_call(f, nth++);
		progress(from, to);
	}
	check_all_memory(f, &none);
	return NULL;
}

static void fuzzer_init(struct fuzzer *f, unsigned index)
{
	f->cpu = index;
	f->random = (seed + index + 1) * 0x9e3779b97f4a7c15ull | 1;
	f->arena = pages_new(ARENA_PAGES);
	f->read_only = pages_new(1);
	f->no_access = pages_new(1);
	f->untouched = pages_new(1);
	memset(f->arena, FILL, ARENA_LEN);
	memset(f->read_only, FILL, PAGE);
	mprotect(f->read_only, PAGE, PROT_READ);
	mprotect(f->no_access, PAGE, PROT_NONE);
}

static void fuzz_all(void)
{
	static struct fuzzer fuzzer[THREADS_MAX];
	pthread_t thread[THREADS_MAX];

	for (unsigned i = 0; i < threads; i++)
		fuzzer_init(&fuzzer[i], i);
	for (unsigned i = 0; i < threads; i++)
		require(pthread_create(&thread[i], NULL, fuzz_thread,
				       &fuzzer[i]) == 0,
			"starting a thread");
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

static bool parse_u64(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return *text && !*end && !errno;
}

/* A VM with RAM and two vCPUs, for the calls to hit. */
static void make_vm(void)
{
	struct luv_slot slot = { .len = VM_RAM };
	uint64_t w[4];
	void *ram = mmap(NULL, VM_RAM, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	require(ram != MAP_FAILED, "memory for a VM");
	require(!ioperm(LUV_TOKEN_PORT, 16, 1), "ioperm on the token's port");
	for (int i = 0; i < 4; i++)
		w[i] = inl(LUV_TOKEN_PORT + 4 * i);
	token[0] = w[0] | w[1] << 32;
	token[1] = w[2] | w[3] << 32;
	memset(trace_packet, 1, sizeof(trace_packet)); /* present */
	trace_one.buf = (uintptr_t)trace_packet;
	memset(ram, 0xf4, VM_RAM);
	slot.hva = (uintptr_t)ram;
	vm = luv_call(LUV_CALL_vm_create, token[0], token[1], 0, 0, 0);
	require(vm > 0 && !luv_call(LUV_CALL_vm_slot, vm, (uintptr_t)&slot, 0,
				    0, 0) &&
		!luv_call(LUV_CALL_vcpu_create, vm, 0, 0, 0, 0) &&
		!luv_call(LUV_CALL_vcpu_create, vm, 1, 0, 0, 0) &&
		!luv_call(LUV_CALL_vcpu_create, vm, 2, LUV_VCPU_APIC, 0, 0) &&
		!luv_call(LUV_CALL_vcpu_create, vm, 3, LUV_VCPU_APIC, 0, 0), "a VM");
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO };
	struct input none = { 0 };

	calls_wanted = 1000000;
	with_vms = argc > 1 && !strcmp(argv[argc - 1], "vms");
	argc -= with_vms;
	seed = ticks_now() & 0xffffffff;
	if (argc > 3 || (argc > 1 && !parse_u64(argv[1], &calls_wanted)) ||
	    (argc > 2 && !parse_u64(argv[2], &seed))) {
		fprintf(stderr, "usage: fuzz [count] [seed] [vms]\n");
		return 2;
	}
	test_open(&vmm);
	if (with_vms)
		make_vm();
	act.sa_sigaction = refused;
	sigaction(SIGILL, &act, NULL);
	threads = cpus_online() < THREADS_MAX ? cpus_online() : THREADS_MAX;
	note("fuzz: %" PRIu64 " hypercalls, seed %" PRIu64 ", %u threads",
	     calls_wanted, seed, threads);
	fuzz_all();
	check_vmm(&none);
	if (with_vms)
		expect_eq("vm_destroy", luv_call(LUV_CALL_vm_destroy, vm, 0, 0, 0, 0),
		  0);
	if (failed || test_failures)
		return TEST_FAIL;
	note("fuzz: passed.");
	note("LUV json {\"fuzz_calls\":%" PRIu64 ",\"fuzz_seed\":%" PRIu64
	     ",\"fuzz_threads\":%u}", calls_wanted, seed, threads);
	return TEST_PASS;
}
