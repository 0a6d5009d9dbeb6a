/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hypercalls.c - every call of the ABI does what luvalley.h says, and nothing
 * else: results, sizes, unknown numbers, registers, and memory in every state
 * that a page of a process can be in.
 */
#include "test.h"

#include <stddef.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <ucontext.h>

#define FILL 0xa5

static struct luv_info vmm;

/* A call that fills a buffer, with its other arguments fixed. */
struct call {
	const char *name;
	unsigned nr;
	bool buf_first;	 /* identify: the buffer is argument 0 */
	uint64_t first;	 /* argument 0 otherwise */
	size_t len;	 /* a length that is right */
};

static struct call calls[] = {
	{ "identify", LUV_CALL_identify, true, 0, sizeof(struct luv_info) },
	{ "cpu_stat", LUV_CALL_cpu_stat, false, 0,
	  sizeof(struct luv_cpu_stat) },
	{ "log", LUV_CALL_log, false, 0, 64 },
	{ "memmap", LUV_CALL_memmap, false, 0, sizeof(struct luv_mem) },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static long call_at(const struct call *c, uint64_t addr, uint64_t len)
{
	if (c->buf_first)
		return luv_call(c->nr, addr, len, 0, 0, 0);
	return luv_call(c->nr, c->first, addr, len, 0, 0);
}

/* --- the structures ------------------------------------------------------- */

/* Every length gives the same result and not one byte too many. */
static void truncation(const struct call *c, long size)
{
	static const size_t lens[] = { 16,  17,	  23,  24,   31,
				       100, 127,  128, 4096, LUV_MAX_COPY };
	unsigned char *buf = pages_new(LUV_MAX_COPY / PAGE + 1);

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t len = lens[i];
		size_t copied = len < (size_t)size ? len : (size_t)size;

		memset(buf, FILL, LUV_MAX_COPY + PAGE);
		expect(call_at(c, (uintptr_t)buf, len) == size,
		       "%s with length %zu: expected %ld", c->name, len, size);
		expect(all_bytes(buf + copied, LUV_MAX_COPY + PAGE - copied,
				 FILL),
		       "%s with length %zu wrote beyond byte %zu", c->name, len,
		       copied);
	}
	for (size_t len = 0; len < 16; len++) {
		memset(buf, FILL, PAGE);
		expect_eq("a structure's length below 16",
			  call_at(c, (uintptr_t)buf, len), -LUV_EINVAL);
		expect(all_bytes(buf, PAGE, FILL),
		       "%s with length %zu wrote something", c->name, len);
	}
	munmap(buf, LUV_MAX_COPY + PAGE);
}

static void test_identify(void)
{
	struct luv_info i;
	uint32_t r[4];

	expect_eq("identify", luv_identify(&i), (long)sizeof(i));
	expect(!memcmp(i.signature, LUV_SIGNATURE, 12), "wrong signature");
	expect_eq("abi_version", i.abi_version, LUV_ABI_VERSION);
	expect_eq("exit_kinds", i.exit_kinds, EXIT_KINDS);
	expect(memchr(i.build, 0, sizeof(i.build)) != NULL && i.build[0],
	       "build is empty or not terminated");
	cpuid(0, 0, r);
	expect_eq("isa", i.isa,
		  r[1] == signature_AMD_ebx || !memcmp(&r[1], "Hygo", 4)
			  ? LUV_ISA_SVM
			  : LUV_ISA_VMX);
	expect(i.cpus >= cpus_online(), "%u CPUs, but dom0 runs on %u", i.cpus,
	       cpus_online());
	expect(i.vmm_base && i.vmm_base % PAGE == 0, "vmm_base 0x%" PRIx64,
	       i.vmm_base);
	expect(i.vmm_len && i.vmm_len % PAGE == 0, "vmm_len 0x%" PRIx64,
	       i.vmm_len);
	expect(i.vmm_used && i.vmm_used <= i.vmm_len, "vmm_used is wrong");
	expect(i.image_len && i.image_len <= i.vmm_used,
	       "image_len %" PRIu64 " is not within vmm_used %" PRIu64,
	       i.image_len, i.vmm_used);
	expect(i.ram_len > i.vmm_len, "ram_len is wrong");
	expect(i.log_first < i.log_next, "the log is empty");
	expect(i.start_ticks > 0, "start_ticks is 0");
	expect(i.apic_trap <= 1, "apic_trap %u", i.apic_trap);
	truncation(&calls[LUV_CALL_identify], sizeof(i));
}

static void test_cpu_stat(void)
{
	static const uint64_t beyond[] = { 1ull << 16, 1ull << 31, 1ull << 32,
					   1ull << 63, UINT64_MAX };
	struct luv_cpu_stat s, other;

	for (uint32_t i = 0; i < vmm.cpus; i++) {
		expect_eq("cpu_stat", luv_cpu_stat(i, &s), (long)sizeof(s));
		expect_eq("cpu", s.cpu, i);
		expect_eq("exit_kinds", s.exit_kinds, EXIT_KINDS);
		expect(s.state <= LUV_CPU_RUNNING, "CPU %u: state %u", i,
		       s.state);
		expect_eq("an exit of no kind", (long)s.exits[0].count, 0);
		for (uint32_t j = 0; j < i; j++)
			expect(luv_cpu_stat(j, &other) > 0 &&
				       other.apic_id != s.apic_id,
			       "CPUs %u and %u have one APIC ID", i, j);
	}
	expect_eq("CPU one too far", luv_cpu_stat(vmm.cpus, &s), -LUV_ENOENT);
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
		expect_eq("no such CPU", luv_cpu_stat(beyond[i], &s),
			  -LUV_ENOENT);
	truncation(&calls[LUV_CALL_cpu_stat], sizeof(s));
}

/* The whole log, in pieces of `step`; the length. */
static size_t log_in_steps(char *out, size_t max, size_t step)
{
	uint64_t at = vmm.log_first;
	size_t len = 0;
	long got = 1;

	while (got > 0 && len + step <= max) {
		got = luv_log(at, out + len, step);
		if (got > 0) {
			expect((size_t)got <= step, "log: %ld of %zu bytes",
			       got, step);
			at += (uint64_t)got;
			len += (size_t)got;
		}
	}
	expect(got >= 0, "log: %s", luv_strerror(got));
	return len;
}

static void test_log(void)
{
	const size_t max = 4u << 20;
	char *whole = malloc(max), *pieces = malloc(max);
	char few[8];
	size_t len, again;

	require(whole && pieces, "memory for the log");
	len = log_in_steps(whole, max, LUV_MAX_COPY);
	expect(len >= vmm.log_next - vmm.log_first,
	       "the log has %zu bytes, identify says %" PRIu64, len,
	       vmm.log_next - vmm.log_first);
	again = log_in_steps(pieces, max, 1000);
	expect(again >= len && !memcmp(whole, pieces, len),
	       "the log read in pieces differs");
	for (size_t i = 0; i < len; i++)
		if (!expect((whole[i] >= ' ' && whole[i] < 0x7f) ||
				    strchr("\n\r\t", whole[i]),
			    "log byte %zu is 0x%02x", i,
			    (unsigned char)whole[i]))
			break;
	expect_eq("log, 3 bytes", luv_log(vmm.log_first + 5, few, 3), 3);
	expect(!memcmp(few, whole + 5, 3), "log from byte 5 is other text");
	expect_eq("log, no bytes", luv_log(vmm.log_first, few, 0), 0);
	for (unsigned bit = 32; bit < 64; bit++) {
		long got = luv_log(1ull << bit, few, 8);

		expect(got == 0 || got == -LUV_EINVAL,
		       "log from 1 << %u: expected 0 or %d, got %ld", bit,
		       -LUV_EINVAL, got);
	}
	free(whole);
	free(pieces);
}

/* Rows read one by one, checked against what came before. Sets *ram. */
static uint64_t check_rows(uint64_t *ram, unsigned *of_vmm)
{
	struct luv_mem row = { 0 };
	uint64_t end = 0, n = 0;

	*ram = 0;
	*of_vmm = 0;
	for (; luv_memmap(n, &row, 1) == 1; n++) {
		expect(row.len > 0 && row.base + row.len - 1 >= row.base,
		       "row %" PRIu64 " is empty or overflows", n);
		expect(row.base >= end, "row %" PRIu64 " is not sorted", n);
		expect(row.type >= LUV_MEM_RAM && row.type <= LUV_MEM_BAD,
		       "row %" PRIu64 ": type %u", n, row.type);
		end = row.base + row.len;
		if (row.type == LUV_MEM_RAM)
			*ram += row.len;
		if (!row.vmm)
			continue;
		++*of_vmm;
		expect(row.base == vmm.vmm_base && row.len == vmm.vmm_len,
		       "the VMM's row is not the VMM's memory");
		expect_eq("type of the VMM's row", row.type, LUV_MEM_RESERVED);
	}
	return n;
}

static void test_memmap(void)
{
	struct luv_mem rows[128], one;
	unsigned of_vmm;
	uint64_t ram;
	uint64_t n = check_rows(&ram, &of_vmm);

	expect(n >= 2, "%" PRIu64 " rows", n);
	expect_eq("rows of the VMM", of_vmm, 1);
	/* A few KiB of base memory and ACPI tables may be the VMM's too. */
	expect(ram + vmm.vmm_len <= vmm.ram_len &&
		       ram + vmm.vmm_len + (1 << 20) >= vmm.ram_len,
	       "RAM rows 0x%" PRIx64 " + VMM 0x%" PRIx64
	       " do not make RAM 0x%" PRIx64, ram, vmm.vmm_len, vmm.ram_len);
	expect_eq("all rows", luv_memmap(0, rows, 128), (long)n);
	for (uint64_t i = 0; i < n && i < 128; i++)
		expect(luv_memmap(i, &one, 1) == 1 &&
			       !memcmp(&one, &rows[i], sizeof(one)),
		       "row %" PRIu64 " alone differs", i);
	expect_eq("row one too far", luv_memmap(n, rows, 128), 0);
	expect_eq("row far beyond", luv_memmap(1ull << 32, rows, 128), 0);
	expect_eq("row far beyond", luv_memmap(UINT64_MAX, rows, 128), 0);
	memset(rows, FILL, sizeof(rows));
	luv_call(LUV_CALL_memmap, 0, (uintptr_t)rows, 2 * sizeof(one) - 1, 0,
		 0);
	expect(all_bytes(&rows[1], sizeof(one), FILL),
	       "memmap wrote part of a row");
}

/* --- numbers and registers ------------------------------------------------ */

static uint64_t raw_rax;

static void raw_call(void *unused)
{
	(void)unused;
	luv_raw(raw_rax, 0, 0, 0, 0, 0);
}

static void other_opcode(void *unused)
{
	uint64_t rax = LUV_CALL(LUV_CALL_identify);

	(void)unused;
	if (vmm.isa == LUV_ISA_SVM)
		__asm__ volatile("vmcall" : "+a"(rax)::"memory");
	else
		__asm__ volatile("vmmcall" : "+a"(rax)::"memory");
}

static bool is_call(uint64_t nr)
{
	static const uint32_t numbers[] = {
#define X(nr, name) nr,
		LUV_CALLS(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i] == nr)
			return true;
	return false;
}

static void test_numbers(void)
{
	static const uint64_t foreign[] = { 0,		1,
					    38,		0x4c55ffff,
					    0x4c570000, 0x4c580000,
					    0xffffffff, UINT64_MAX,
					    0x564c0000, 0x4b4d564b };
	int raised;

	for (unsigned nr = 0; nr < 0x10000; nr = nr < 300 ? nr + 1 : nr * 2)
		if (!is_call(nr))
			expect_eq("unknown number",
				  luv_call(nr, 0, 0, 0, 0, 0), -LUV_ENOSYS);
	expect_eq("last number", luv_call(0xffff, 0, 0, 0, 0, 0), -LUV_ENOSYS);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		raw_rax = foreign[i];
		expect(catch_signal(raw_call, NULL) == SIGILL,
		       "RAX 0x%" PRIx64 " without the magic: no SIGILL",
		       raw_rax);
	}
	/* A KVM underneath may rewrite it and fault on the write: SEGV. */
	raised = catch_signal(other_opcode, NULL);
	expect(raised == SIGILL || raised == SIGSEGV,
	       "the other vendor's opcode: expected SIGILL, got signal %d",
	       raised);
}

/*
 * Load 15 registers and the arithmetic flags from regs[0..15], execute one of
 * the two instructions, store all back. regs[0] is RAX, then RBX RCX RDX RSI
 * RDI RBP R8-R15, then RFLAGS; then XMM15 at regs + 16.
 */
void call_with_registers(uint64_t regs[18], uint64_t vmmcall);
__asm__(".pushsection .text\n"
	".type call_with_registers, @function\n"
	"call_with_registers:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14\n"
	"	push %r15; push %rdi; push %rsi\n"
	"	movdqu 128(%rdi), %xmm15\n"
	"	push 120(%rdi); popfq\n"
	"	mov (%rdi), %rax; mov 8(%rdi), %rbx; mov 16(%rdi), %rcx\n"
	"	mov 24(%rdi), %rdx; mov 32(%rdi), %rsi; mov 48(%rdi), %rbp\n"
	"	mov 56(%rdi), %r8; mov 64(%rdi), %r9; mov 72(%rdi), %r10\n"
	"	mov 80(%rdi), %r11; mov 88(%rdi), %r12; mov 96(%rdi), %r13\n"
	"	mov 104(%rdi), %r14; mov 112(%rdi), %r15\n"
	"	mov 40(%rdi), %rdi\n"
	/* No instruction that changes flags until they are saved. */
	"	push %rcx; mov 8(%rsp), %rcx; jrcxz 1f\n"
	"	pop %rcx; vmmcall; jmp 2f\n"
	"1:	pop %rcx; vmcall\n"
	"2:	pushfq; push %rdi; mov 24(%rsp), %rdi\n"
	"	mov %rax, (%rdi); mov %rbx, 8(%rdi); mov %rcx, 16(%rdi)\n"
	"	mov %rdx, 24(%rdi); mov %rsi, 32(%rdi); mov %rbp, 48(%rdi)\n"
	"	mov %r8, 56(%rdi); mov %r9, 64(%rdi); mov %r10, 72(%rdi)\n"
	"	mov %r11, 80(%rdi); mov %r12, 88(%rdi); mov %r13, 96(%rdi)\n"
	"	mov %r14, 104(%rdi); mov %r15, 112(%rdi)\n"
	"	movdqu %xmm15, 128(%rdi)\n"
	"	pop %rax; mov %rax, 40(%rdi); pop %rax; mov %rax, 120(%rdi)\n"
	"	pop %rsi; pop %rdi\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	".size call_with_registers, . - call_with_registers\n"
	".popsection\n");

static void registers_with_flags(uint64_t flags)
{
	static const char *const names[] = {
		"RAX", "RBX", "RCX", "RDX", "RSI", "RDI",    "RBP",   "R8",
		"R9",  "R10", "R11", "R12", "R13", "R14",    "R15",   "RFLAGS",
		"XMM15 low", "XMM15 high",
	};
	static struct luv_info info;
	uint64_t in[18], out[18];

	for (unsigned i = 0; i < 18; i++)
		in[i] = 0x9e3779b97f4a7c15ull * (i + 1);
	in[0] = LUV_CALL(LUV_CALL_identify);
	in[4] = sizeof(info);
	in[5] = (uintptr_t)&info;
	in[15] = flags | 0x202; /* IF and the bit that is always 1 */
	luv_touch(&info, sizeof(info));
	memcpy(out, in, sizeof(out));
	call_with_registers(out, vmm.isa == LUV_ISA_SVM);
	expect_eq("identify among registers", (long)out[0],
		  (long)sizeof(info));
	for (unsigned i = 1; i < 18; i++)
		expect(in[i] == out[i],
		       "%s: expected 0x%" PRIx64 ", got 0x%" PRIx64, names[i],
		       in[i], out[i]);
}

static void test_registers(void)
{
	registers_with_flags(0);
	registers_with_flags(0x8d5); /* OF SF ZF AF PF CF */
	registers_with_flags(0x001);
	registers_with_flags(0x200000); /* ID */
}

/* Where single steps stopped. */
static volatile uintptr_t step_rip[64];
static volatile sig_atomic_t steps;

static void stepped(int signal_nr, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;

	(void)signal_nr;
	(void)info;
	if (steps < 64)
		step_rip[steps++] = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

static bool stepped_at(uintptr_t rip)
{
	for (int i = 0; i < steps; i++)
		if (step_rip[i] == rip)
			return true;
	return false;
}

/* An instruction that exits must trap behind itself like any other. */
#define STEP_OVER(insn, rax, rcx, before, after)                               \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"                          \
			 "lea 1f(%%rip), %0\n\tlea 2f(%%rip), %1\n\t"         \
			 "pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\t"          \
			 "nop\n1:\t" insn "\n2:\tnop\n\t"                      \
			 "pushfq\n\tandl $~0x100, (%%rsp)\n\tpopfq\n\t"        \
			 "lea 128(%%rsp), %%rsp"                               \
			 : "=&r"(before), "=&r"(after), "+a"(rax), "+c"(rcx)   \
			 : "D"(0), "S"(0)                                      \
			 : "rbx", "rdx", "r8", "r10", "memory", "cc")

static void test_single_step(void)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO };
	struct sigaction old;
	uint64_t rax = LUV_CALL(0xffff), rcx = 0;
	uintptr_t before, after;

	act.sa_sigaction = stepped;
	sigaction(SIGTRAP, &act, &old);
	steps = 0;
	if (vmm.isa == LUV_ISA_SVM)
		STEP_OVER("vmmcall", rax, rcx, before, after);
	else
		STEP_OVER("vmcall", rax, rcx, before, after);
	expect(stepped_at(before) && stepped_at(after),
	       "single-stepping a hypercall: no trap right behind it");
	expect_eq("single-stepped hypercall", (long)rax, -LUV_ENOSYS);
	steps = 0;
	rax = 0;
	STEP_OVER("cpuid", rax, rcx, before, after);
	expect(stepped_at(before) && stepped_at(after),
	       "single-stepping CPUID: no trap right behind it");
	sigaction(SIGTRAP, &old, NULL);
}

/* --- addresses that are nobody's ------------------------------------------ */

static void expect_fault(const char *what, uint64_t addr, size_t len)
{
	for (size_t i = 0; i < CALLS; i++) {
		size_t n = len ? len : calls[i].len;
		long got = call_at(&calls[i], addr, n);

		expect(got == -LUV_EFAULT,
		       "%s into %s (0x%" PRIx64 ", %zu bytes): expected %d, "
		       "got %ld", calls[i].name, what, addr, n, -LUV_EFAULT,
		       got);
	}
}

/* Addresses of the running kernel, if /proc/kallsyms shows them. */
static void kernel_symbols(void)
{
	static const char *const wanted[] = { "_stext", "_sdata", "init_task",
					      "linux_banner", "__bss_start" };
	char line[256], name[128];
	uint64_t addr;
	FILE *f = fopen("/proc/kallsyms", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 " %*c %127s", &addr, name) != 2)
			continue;
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (!strcmp(name, wanted[i]))
				expect_fault("the kernel", addr, 0);
	}
	if (f)
		fclose(f);
}

static void test_addresses(void)
{
	static const uint64_t bad[] = {
		0, 1, 8, 4095, 0x7ffffffff000, 0x7fffffffffff, 0x800000000000,
		0x0000800000001000, 0xdead000000000000, 1ull << 56, 1ull << 62,
		0x7fffffffffffffff, 1ull << 63, 0xffff7fffffffffff,
		0xffff800000000000, 0xffff888000000000, 0xffff888000100000,
		0xffffffff80000000, 0xffffffff81000000, 0xffffffff82000000,
		0xffffffffff600000, 0xfffffe0000000000, 0xfffffffffffff000,
		0xffffffffffffffc0, 0xffffffffffffffff,
	};
	void *want = (void *)0x10000000;
	unsigned char *low = mmap(want, PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS |
					  MAP_FIXED_NOREPLACE, -1, 0);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_fault("a bad address", bad[i], 0);
	kernel_symbols();
	if (low == MAP_FAILED)
		return;
	memset(low, FILL, PAGE);
	for (unsigned bit = 36; bit < 64; bit++)
		expect_fault("an address with one more bit",
			     (uintptr_t)low | 1ull << bit, 0);
	expect(all_bytes(low, PAGE, FILL), "address bits were ignored");
	munmap(low, PAGE);
}

static void test_lengths(void)
{
	static const uint64_t huge[] = { LUV_MAX_COPY + 1, 1ull << 20,
					 1ull << 32,	   (1ull << 32) + 16,
					 1ull << 63,	   UINT64_MAX - 15,
					 UINT64_MAX };
	unsigned char *buf = pages_new(LUV_MAX_COPY / PAGE + 1);

	for (size_t i = 0; i < CALLS; i++) {
		for (size_t n = 0; n < sizeof(huge) / sizeof(huge[0]); n++) {
			memset(buf, FILL, LUV_MAX_COPY + PAGE);
			expect(call_at(&calls[i], (uintptr_t)buf, huge[n]) ==
				       -LUV_E2BIG,
			       "%s of 0x%" PRIx64 " bytes: expected %d",
			       calls[i].name, huge[n], -LUV_E2BIG);
			expect(all_bytes(buf, LUV_MAX_COPY + PAGE, FILL),
			       "%s too long wrote something", calls[i].name);
		}
	}
	munmap(buf, LUV_MAX_COPY + PAGE);
}

/* --- pages in every state ------------------------------------------------- */

/* A page with this protection: refused, and its bytes stay. */
static void protected_page(const char *what, int prot)
{
	unsigned char *p = pages_new(1);

	memset(p, FILL, PAGE);
	mprotect(p, PAGE, prot);
	expect_fault(what, (uintptr_t)p + 64, 0);
	mprotect(p, PAGE, PROT_READ | PROT_WRITE);
	expect(all_bytes(p, PAGE, FILL), "%s was written", what);
	munmap(p, PAGE);
}

static void test_protection(void)
{
	const unsigned char *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
	const unsigned char *text = (void *)(uintptr_t)test_protection;
	unsigned char before[1024];

	protected_page("a read-only page", PROT_READ);
	protected_page("an executable page", PROT_READ | PROT_EXEC);
	protected_page("a page without access", PROT_NONE);
	memcpy(before, text, sizeof(before));
	expect_fault("program text", (uintptr_t)text, 0);
	expect(!memcmp(before, text, sizeof(before)), "text was written");
	if (!vdso)
		return;
	memcpy(before, vdso, sizeof(before));
	expect_fault("the vDSO", (uintptr_t)vdso, 0);
	expect(!memcmp(before, vdso, sizeof(before)), "the vDSO was written");
}

static bool resident(void *page)
{
	unsigned char in = 0;

	return mincore(page, PAGE, &in) == 0 && (in & 1);
}

static void test_untouched(void)
{
	unsigned char *p = pages_new(1);

	expect_fault("a page nobody touched", (uintptr_t)p, 0);
	expect(!resident(p), "the VMM paged something in");
	luv_touch(p, PAGE);
	for (size_t i = 0; i < CALLS; i++)
		expect(call_at(&calls[i], (uintptr_t)p, calls[i].len) > 0,
		       "%s after the touch", calls[i].name);
	munmap(p, PAGE);
	expect_fault("an unmapped page", (uintptr_t)p, 0);
}

/* The page of zeroes that all processes share until they write. */
static void test_zero_page(void)
{
	unsigned char *p = pages_new(2);
	volatile unsigned char *read_only = p;

	expect(read_only[0] == 0 && read_only[PAGE] == 0, "not zero at first");
	expect_fault("the zero page", (uintptr_t)p, 0);
	expect(all_bytes(p, 2 * PAGE, 0), "the zero page was written");
	munmap(p, 2 * PAGE);
}

/* After fork() parent and child share every page until one writes. */
static void test_fork(void)
{
	unsigned char *p = pages_new(1);
	int go[2], status = -1;
	char c = 0;
	pid_t child;

	require(pipe(go) == 0, "pipe");
	memset(p, FILL, PAGE);
	child = fork();
	require(child >= 0, "fork");
	if (child == 0) {
		close(go[1]);
		if (read(go[0], &c, 1) < 0)
			_exit(2);
		_exit(all_bytes(p, PAGE, FILL) ? 0 : 1);
	}
	expect_fault("a page shared after fork", (uintptr_t)p, 0);
	expect(all_bytes(p, PAGE, FILL), "a shared page was written");
	luv_touch(p, PAGE);
	expect_eq("identify after the copy",
		  call_at(&calls[0], (uintptr_t)p, calls[0].len),
		  (long)calls[0].len);
	close(go[1]);
	close(go[0]);
	waitpid(child, &status, 0);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	       "the child's copy of the page changed");
	munmap(p, PAGE);
}

/* The page cache: private and read-only mappings must not change the file. */
static void test_file(void)
{
	int fd = memfd_create("luv-test", 0);
	unsigned char file[PAGE], now[PAGE], *p;
	volatile unsigned char *shared;

	memset(file, FILL, PAGE);
	require(fd >= 0 && pwrite(fd, file, PAGE, 0) == (ssize_t)PAGE,
		"a file in memory");
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	require(p != MAP_FAILED, "private mapping");
	shared = p;
	expect(shared[0] == FILL, "the private mapping differs");
	expect_fault("a private file page", (uintptr_t)p, 0);
	munmap(p, PAGE);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	require(p != MAP_FAILED, "read-only mapping");
	shared = p;
	expect(shared[0] == FILL, "the read-only mapping differs");
	expect_fault("a read-only file page", (uintptr_t)p, 0);
	munmap(p, PAGE);
	expect(pread(fd, now, PAGE, 0) == (ssize_t)PAGE &&
		       !memcmp(now, file, PAGE),
	       "the file was written through a mapping that may not");
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	require(p != MAP_FAILED, "shared mapping");
	luv_touch(p, PAGE);
	expect_eq("identify into a file",
		  call_at(&calls[0], (uintptr_t)p + 8, calls[0].len),
		  (long)calls[0].len);
	munmap(p, PAGE);
	expect(pread(fd, now, PAGE, 0) == (ssize_t)PAGE &&
		       !memcmp(now + 8, LUV_SIGNATURE, 12),
	       "what the VMM wrote did not reach the file");
	close(fd);
}

/*
 * MADV_FREE leaves a page writable and clean; reclaim then drops it unless its
 * entry has become dirty. So a VMM that forgets the Dirty flag loses data.
 */
static void test_dirty(void)
{
	unsigned char *p = pages_new(2);
	long got;

	memset(p, FILL, 2 * PAGE);
	if (madvise(p, 2 * PAGE, MADV_FREE)) {
		note("note: no MADV_FREE, the Dirty flag is not tested");
		return;
	}
	got = call_at(&calls[0], (uintptr_t)p, calls[0].len);
	madvise(p, 2 * PAGE, MADV_PAGEOUT);
	if (!all_bytes(p + PAGE, PAGE, 0))
		note("note: Linux kept a free page, the Dirty flag is not "
		     "tested");
	else if (expect(got == (long)calls[0].len,
			"identify into a clean page: got %ld", got))
		expect(!memcmp(p, LUV_SIGNATURE, 12),
		       "the VMM wrote without setting Dirty: data lost");
	munmap(p, 2 * PAGE);
}

/* --- buffers across pages ------------------------------------------------- */

/* `before` bytes on a good page, the rest on one that is not. */
static void crossing(size_t before, bool good_first)
{
	unsigned char *p = pages_new(2);
	unsigned char *good = good_first ? p : p + PAGE;
	unsigned char *bad = good_first ? p + PAGE : p;

	memset(good, FILL, PAGE);
	expect_fault("a buffer half on an untouched page",
		     (uintptr_t)p + PAGE - before, 0);
	expect(!resident(bad), "the VMM paged something in");
	mprotect(bad, PAGE, PROT_NONE);
	expect_fault("a buffer half out of reach",
		     (uintptr_t)p + PAGE - before, 0);
	munmap(bad, PAGE);
	expect_fault("a buffer half unmapped", (uintptr_t)p + PAGE - before,
		     0);
	expect(all_bytes(good, PAGE, FILL),
	       "a call that failed wrote %zu bytes or fewer", before);
	munmap(good, PAGE);
}

/* A copy in several steps must not begin before all of it is sure to end. */
static void crossing_log(void)
{
	unsigned char *p = pages_new(2);
	uint64_t room = vmm.log_next - vmm.log_first;
	size_t len = room < 2000 ? room : 2000;
	size_t before = len - 1;

	memset(p, FILL, PAGE);
	expect_eq("a long log half on an untouched page",
		  luv_call(LUV_CALL_log, vmm.log_first,
			   (uintptr_t)p + PAGE - before, len, 0, 0),
		  -LUV_EFAULT);
	expect(all_bytes(p, PAGE, FILL),
	       "log failed after it had written something");
	munmap(p, 2 * PAGE);
}

static void test_crossing(void)
{
	static const size_t before[] = { 1, 2, 7, 8, 15, 16, 20, 23 };

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		crossing(before[i], true);
		crossing(before[i], false);
	}
	crossing_log();
}

/* Every alignment, over a page boundary and up to the last mapped byte. */
static void test_alignment(void)
{
	unsigned char *p = pages_new(4), *end = p + 3 * PAGE;
	struct luv_info want, got;

	luv_identify(&want);
	munmap(end, PAGE);
	for (size_t off = 0; off <= sizeof(want) + 8; off++) {
		unsigned char *at = p + PAGE - off;

		memset(p, FILL, 3 * PAGE);
		expect_eq("identify, unaligned",
			  call_at(&calls[0], (uintptr_t)at, sizeof(want)),
			  (long)sizeof(want));
		memcpy(&got, at, sizeof(got));
		want.log_next = got.log_next; /* these two may move */
		want.log_first = got.log_first;
		want.apic_trap = got.apic_trap;
		expect(!memcmp(&got, &want, sizeof(want)),
		       "identify at page offset -%zu differs", off);
		expect(all_bytes(p, (size_t)(at - p), FILL) &&
			       all_bytes(at + sizeof(got),
					 (size_t)(end - at) - sizeof(got),
					 FILL),
		       "identify at page offset -%zu wrote around", off);
	}
	for (size_t i = 0; i < CALLS; i++)
		expect(call_at(&calls[i], (uintptr_t)end - calls[i].len,
			       calls[i].len) > 0,
		       "%s up to the last byte", calls[i].name);
	munmap(p, 3 * PAGE);
}

/* A 2 MiB page if the kernel gives one: other levels of the walk. */
static void test_huge_page(void)
{
	const size_t len = 4u << 20;
	unsigned char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(p != MAP_FAILED, "mmap of 4 MiB");
	madvise(p, len, MADV_HUGEPAGE);
	memset(p, FILL, len);
	for (size_t at = 1000; at + sizeof(vmm) < len; at += 77777) {
		expect_eq("identify into a huge page",
			  call_at(&calls[0], (uintptr_t)p + at, sizeof(vmm)),
			  (long)sizeof(vmm));
		expect(!memcmp(p + at, LUV_SIGNATURE, 12),
		       "identify wrote elsewhere in a huge page");
		memset(p + at, FILL, sizeof(vmm));
	}
	expect(all_bytes(p, len, FILL), "identify wrote around in huge pages");
	munmap(p, len);
}

/* --- counters ------------------------------------------------------------- */

static void compare_counters(const struct luv_cpu_stat *a,
			     const struct luv_cpu_stat *b)
{
	expect(b->now >= a->now, "cpu_stat: now went back");
	for (unsigned k = 0; k < EXIT_KINDS; k++)
		expect(b->exits[k].count >= a->exits[k].count &&
			       b->exits[k].ticks >= a->exits[k].ticks,
		       "CPU %u: counter %s went back", a->cpu,
		       luv_exit_name(k));
}

static void count_on_cpu(uint64_t cpu)
{
	enum { N = 1000 };
	struct luv_cpu_stat a, b;
	uint32_t r[4];
	long cpuids, hypercalls;

	luv_cpu_stat(cpu, &a);
	expect_eq("state of this CPU", a.state, LUV_CPU_RUNNING);
	for (int i = 0; i < N; i++)
		cpuid(0, 0, r);
	for (int i = 0; i < N; i++)
		luv_call(0xffff, 0, 0, 0, 0, 0);
	luv_cpu_stat(cpu, &b);
	cpuids = (long)(b.exits[EXIT_CPUID].count - a.exits[EXIT_CPUID].count);
	hypercalls = (long)(b.exits[EXIT_HYPERCALL].count -
			    a.exits[EXIT_HYPERCALL].count);
	expect(cpuids >= N && cpuids < N + N / 2,
	       "%d CPUIDs on CPU %" PRIu64 " counted as %ld", N, cpu, cpuids);
	expect(hypercalls >= N && hypercalls < N + N / 2,
	       "%d hypercalls on CPU %" PRIu64 " counted as %ld", N, cpu,
	       hypercalls);
	expect(b.exits[EXIT_CPUID].ticks > a.exits[EXIT_CPUID].ticks,
	       "%d CPUIDs took no ticks", N);
	compare_counters(&a, &b);
}

static void test_counters(void)
{
	for (unsigned cpu = 0; cpu < cpus_online(); cpu++) {
		long own;

		if (!pin(cpu))
			continue;
		own = vmm_cpu_here();
		if (expect(own >= 0, "the VMM has no CPU with APIC ID %u",
			   apic_id_here()))
			count_on_cpu((uint64_t)own);
	}
}

/* The row of CPUID leaf 0 on this CPU; count 0: there is none. */
static struct luv_hist leaf_0(uint64_t cpu)
{
	struct luv_hist row[7], found = { 0 };
	uint64_t at = 0;
	long n;

	while ((n = luv_hist(cpu, 0, at, row, 7)) > 0 || n == -LUV_EAGAIN) {
		if (n == -LUV_EAGAIN) { /* a row has moved: from the start */
			at = 0;
			continue;
		}
		for (long i = 0; i < n; i++)
			if (row[i].kind == EXIT_CPUID && row[i].has_sub &&
			    !row[i].sub)
				found = row[i];
		expect(row[n - 1].next > at, "exit_hist does not go on");
		at = row[n - 1].next;
	}
	expect_eq("exit_hist's end", n, 0);
	return found;
}

static void hist_on_cpu(uint64_t cpu)
{
	enum { N = 1000 };
	struct luv_hist a = leaf_0(cpu), b;
	uint64_t sum = 0, ticks = 0;
	uint32_t r[4];
	long more;

	for (int i = 0; i < N; i++)
		cpuid(0, 0, r);
	b = leaf_0(cpu);
	more = (long)(b.count - a.count);
	expect(more >= N && more < N + N / 2,
	       "%d CPUIDs of leaf 0 on CPU %" PRIu64 " counted as %ld", N, cpu,
	       more);
	for (unsigned i = 0; i < LUV_HIST_BUCKETS; i++) {
		sum += b.bucket[i];
		ticks += b.bucket[i] * luv_hist_from(i);
	}
	expect_eq("exits in all buckets", (long)sum, (long)b.count);
	expect(ticks <= b.ticks && b.ticks < 2 * ticks + 32 * sum,
	       "buckets say %" PRIu64 " ticks, the row %" PRIu64, ticks,
	       b.ticks);
}

static void test_hist(void)
{
	struct luv_hist row;
	long own;

	for (unsigned cpu = 0; cpu < cpus_online(); cpu++) {
		own = pin(cpu) ? vmm_cpu_here() : -1;
		if (own >= 0)
			hist_on_cpu((uint64_t)own);
	}
	expect_eq("histograms of no CPU", luv_hist(vmm.cpus, 0, 0, &row, 1),
		  -LUV_ENOENT);
	expect_eq("histograms of no VM",
		  luv_hist(LUV_HIST_VM | LUV_VMS, 0, 0, &row, 1), -LUV_ENOENT);
	expect_eq("histograms behind the end",
		  luv_hist(0, 0, UINT64_MAX, &row, 1), 0);
	expect_eq("too many rows", luv_call(LUV_CALL_exit_hist, 0,
		  (uintptr_t)&row, 0, LUV_MAX_COPY, 0), -LUV_E2BIG);
	expect_eq("rows to nowhere", luv_call(LUV_CALL_exit_hist, 0, 8, 0, 1,
		  0), -LUV_EFAULT);
}

/* Counters of a CPU read from another one never go back either. */
static void test_monotonic(void)
{
	for (uint32_t cpu = 0; cpu < vmm.cpus; cpu++) {
		struct luv_cpu_stat a, b;

		luv_cpu_stat(cpu, &a);
		for (int i = 0; i < 200; i++) {
			luv_cpu_stat(cpu, &b);
			compare_counters(&a, &b);
			a = b;
		}
	}
}

int main(void)
{
	test_open(&vmm);
	calls[LUV_CALL_log].first = vmm.log_first;
	test_identify();
	test_cpu_stat();
	test_log();
	test_memmap();
	test_numbers();
	test_registers();
	test_single_step();
	test_addresses();
	test_lengths();
	test_protection();
	test_untouched();
	test_zero_page();
	test_fork();
	test_file();
	test_dirty();
	test_crossing();
	test_alignment();
	test_huge_page();
	test_counters();
	test_hist();
	test_monotonic();
	return test_end("hypercalls", NULL);
}
