/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * protect.c - root in dom0 can neither read nor disturb the VMM: through
 * /dev/mem, through MSRs that take physical addresses, through memory types,
 * through the VMM's own hypercalls, or with virtualization instructions.
 * Not tested: DMA (an IOMMU's business) and code in dom0's ring 0.
 */
#include "test.h"

#define WINDOW	     (1ul << 20) /* mapped at a time */
#define SECRET_LEN   64
#define LOG_KEPT     512
#define ROWS_MAX     128
#define PHYS_LAPIC   0xfee00000ull
#define SCRIBBLE     0xcc

#define MSR_APIC_BASE	   0x1b
#define MSR_FEATURE_CONTROL 0x3a
#define MSR_BIOS_UPDT_TRIG 0x79
#define MSR_MTRRCAP	   0xfe
#define MSR_MTRR_PHYSBASE0 0x200
#define MSR_RTIT_OUTPUT_BASE 0x560
#define MSR_EFER	   0xc0000080
#define MSR_PATCH_LOADER   0xc0010020
#define MSR_VM_CR	   0xc0010114
#define MSR_VM_HSAVE_PA	   0xc0010117
#define EFER_SVME	   (1ull << 12)
#define MTRR_VALID	   (1ull << 11)

/* The VMM before anything was tried on it. */
static struct luv_info vmm;
static char log_start[LOG_KEPT];
static long log_len;
static struct luv_mem rows[ROWS_MAX];
static long row_count;

static void remember_vmm(void)
{
	log_len = luv_log(vmm.log_first, log_start, sizeof(log_start));
	row_count = luv_memmap(0, rows, ROWS_MAX);
	expect(log_len > 0 && row_count > 0, "the VMM has no log or no map");
}

static void check_vmm_here(const char *after, unsigned cpu)
{
	static struct luv_mem now_rows[ROWS_MAX];
	char now_log[LOG_KEPT];
	struct luv_cpu_stat stat;
	struct luv_info now;
	uint32_t r[4];

	cpuid(0, 0, r);
	expect(luv_identify(&now) == (long)sizeof(now) &&
		       !memcmp(now.signature, vmm.signature, 12) &&
		       !memcmp(now.build, vmm.build, sizeof(now.build)) &&
		       now.vmm_base == vmm.vmm_base && now.cpus == vmm.cpus &&
		       now.start_ticks == vmm.start_ticks,
	       "CPU %u after %s: identify differs", cpu, after);
	expect(luv_cpu_stat(0, &stat) == (long)sizeof(stat) && stat.cpu == 0 &&
		       stat.exits[EXIT_CPUID].count > 0,
	       "CPU %u after %s: cpu_stat is wrong", cpu, after);
	if (now.log_first == vmm.log_first)
		expect(luv_log(vmm.log_first, now_log, (size_t)log_len) ==
				       log_len &&
			       !memcmp(now_log, log_start, (size_t)log_len),
		       "CPU %u after %s: the log changed", cpu, after);
	expect(luv_memmap(0, now_rows, ROWS_MAX) == row_count &&
		       !memcmp(now_rows, rows,
			       (size_t)row_count * sizeof(rows[0])),
	       "CPU %u after %s: the memory map changed", cpu, after);
}

/* Is the VMM as it was, asked from every CPU? */
static void check_vmm(const char *after)
{
	for (unsigned cpu = 0; cpu < cpus_online(); cpu++)
		if (pin(cpu))
			check_vmm_here(after, cpu);
}

/* --- what dom0 is told ---------------------------------------------------- */

/* Adds [first, last] of an iomem line to what it covers of the VMM's memory. */
static void judge_iomem(uint64_t first, uint64_t last, const char *name,
			uint64_t *reserved)
{
	uint64_t base = vmm.vmm_base, end = base + vmm.vmm_len - 1;
	uint64_t from = first > base ? first : base;
	uint64_t to = last < end ? last : end;

	if (from > to)
		return;
	expect(!strstr(name, "System RAM"),
	       "/proc/iomem has RAM at 0x%" PRIx64 " in the VMM's memory",
	       from);
	if (!strcasecmp(name, "Reserved"))
		*reserved += to - from + 1;
}

static void test_iomem(void)
{
	char line[256], name[128];
	uint64_t first, last, end = 0, reserved = 0;
	FILE *f = fopen("/proc/iomem", "r");

	require(f != NULL, "/proc/iomem");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " : %127[^\n]", &first,
			   &last, name) == 3) {
			judge_iomem(first, last, name, &reserved);
			end = last > end ? last : end;
		}
	fclose(f);
	if (end == 0) {
		note("note: /proc/iomem hides addresses, not tested");
		return;
	}
	expect(reserved == vmm.vmm_len,
	       "/proc/iomem reserves 0x%" PRIx64 " of 0x%" PRIx64
	       " bytes of the VMM", reserved, vmm.vmm_len);
}

/* --- /dev/mem ------------------------------------------------------------- */

#define HIGH_MMIO (64ul << 30) /* above any RAM of these tests */

/* A copy between process memory and a mapping that may fault. */
struct copy {
	volatile uint64_t *to;
	const volatile uint64_t *from; /* NULL: SCRIBBLE everywhere */
	size_t words;
};

static void do_copy(void *arg)
{
	struct copy *c = arg;
	uint64_t scribble;

	memset(&scribble, SCRIBBLE, sizeof(scribble));
	for (size_t i = 0; i < c->words; i++)
		c->to[i] = c->from ? c->from[i] : scribble;
}

static uint64_t *map_phys(int mem, uint64_t at, size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, mem,
		       (off_t)at);

	return p == MAP_FAILED ? NULL : p;
}

static size_t window_len(uint64_t off)
{
	return vmm.vmm_len - off < WINDOW ? vmm.vmm_len - off : WINDOW;
}

/* All of the range as a mapping shows it; false: it cannot be mapped. */
static bool read_mapped(int mem, unsigned char *out)
{
	for (uint64_t off = 0; off < vmm.vmm_len; off += WINDOW) {
		size_t len = window_len(off);
		uint64_t *p = map_phys(mem, vmm.vmm_base + off, len);
		struct copy c = { (uint64_t *)(out + off), p, len / 8 };

		if (!p)
			return false;
		if (catch_signal(do_copy, &c))
			note("note: reading 0x%" PRIx64 " faults",
			     vmm.vmm_base + off);
		munmap(p, len);
	}
	return true;
}

static bool scribble_mapped(int mem)
{
	for (uint64_t off = 0; off < vmm.vmm_len; off += WINDOW) {
		size_t len = window_len(off);
		uint64_t *p = map_phys(mem, vmm.vmm_base + off, len);
		struct copy c = { p, NULL, len / 8 };

		if (!p)
			return false;
		catch_signal(do_copy, &c);
		munmap(p, len);
	}
	return true;
}

static bool contains(const unsigned char *in, const void *secret, size_t len)
{
	return memmem(in, vmm.vmm_len, secret, len) != NULL;
}

/* Things that are certainly in the VMM's memory, and nowhere else there. */
static void expect_no_secret(const unsigned char *in, const char *how)
{
	size_t build_len = strnlen(vmm.build, sizeof(vmm.build));
	size_t len = log_len < SECRET_LEN ? (size_t)log_len : SECRET_LEN;

	expect(!contains(in, LUV_SIGNATURE, strlen(LUV_SIGNATURE)),
	       "%s shows the VMM's signature", how);
	if (build_len >= 6)
		expect(!contains(in, vmm.build, build_len),
		       "%s shows the VMM's version", how);
	expect(!contains(in, log_start, len), "%s shows the VMM's log", how);
}

static void read_all(int mem, unsigned char *copy)
{
	ssize_t got = 0;

	memset(copy, 0, vmm.vmm_len);
	if (read_mapped(mem, copy))
		expect_no_secret(copy, "a mapping of /dev/mem");
	else
		note("note: Linux does not map the VMM's range of /dev/mem "
		     "(%s)", strerror(errno));
	memset(copy, 0, vmm.vmm_len);
	for (uint64_t off = 0; off < vmm.vmm_len && got >= 0; off += WINDOW)
		got = pread(mem, copy + off, window_len(off),
			    (off_t)(vmm.vmm_base + off));
	if (got < 0)
		note("note: Linux does not read the VMM's range of /dev/mem "
		     "(%s)", strerror(errno));
	expect_no_secret(copy, "reading /dev/mem");
}

static void write_all(int mem, unsigned char *copy)
{
	ssize_t put = 0;

	if (scribble_mapped(mem))
		check_vmm("writes through a mapping of /dev/mem");
	memset(copy, SCRIBBLE, vmm.vmm_len);
	for (uint64_t off = 0; off < vmm.vmm_len && put >= 0; off += WINDOW)
		put = pwrite(mem, copy + off, window_len(off),
			     (off_t)(vmm.vmm_base + off));
	check_vmm("writes to /dev/mem");
}

/* The VMM must not be talked into writing its own memory for us. */
static void hypercall_into_vmm(int mem)
{
	for (uint64_t off = 0; off < vmm.vmm_len; off += vmm.vmm_len / 16) {
		uint64_t at = (vmm.vmm_base + off) & ~(PAGE - 1);
		uint64_t *p = map_phys(mem, at, PAGE);
		uint64_t addr = (uintptr_t)p;
		struct copy touch = { p, NULL, 1 };

		if (!p)
			return;
		catch_signal(do_copy, &touch); /* as present as it gets */
		expect_eq("identify into the VMM's memory",
			  luv_call(LUV_CALL_identify, addr, PAGE, 0, 0, 0),
			  -LUV_EFAULT);
		expect_eq("cpu_stat into the VMM's memory",
			  luv_call(LUV_CALL_cpu_stat, 0, addr, PAGE, 0, 0),
			  -LUV_EFAULT);
		expect_eq("log into the VMM's memory",
			  luv_call(LUV_CALL_log, vmm.log_first, addr, 64, 0,
				   0),
			  -LUV_EFAULT);
		expect_eq("memmap into the VMM's memory",
			  luv_call(LUV_CALL_memmap, 0, addr, PAGE, 0, 0),
			  -LUV_EFAULT);
		munmap(p, PAGE);
	}
	check_vmm("hypercalls into the VMM's memory");
}

/* Stage-2 faults of all CPUs so far. */
static uint64_t stage2_faults(void)
{
	struct luv_cpu_stat stat;
	uint64_t sum = 0;

	for (unsigned i = 0; i < vmm.cpus; i++)
		if (luv_cpu_stat(i, &stat) > 0)
			sum += stat.exits[EXIT_STAGE2].count;
	return sum;
}

/*
 * Physical addresses above RAM are the machine's, not the VMM's: the first
 * access maps them, the second costs no exit.
 */
static void test_high_mmio(int mem)
{
	uint64_t before = stage2_faults(), first;
	volatile uint32_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, mem,
				    HIGH_MMIO);

	if (p == MAP_FAILED) {
		note("note: Linux does not map %#lx, not tested", HIGH_MMIO);
		return;
	}
	(void)p[0];
	first = stage2_faults();
	expect(first > before, "reading %#lx made no stage-2 fault",
	       HIGH_MMIO);
	(void)p[1];
	expect(stage2_faults() == first, "reading %#lx again faulted again",
	       HIGH_MMIO);
	munmap((void *)p, PAGE);
}

static void test_dev_mem(void)
{
	int mem = mem_open();
	unsigned char *copy = malloc(vmm.vmm_len);

	require(copy != NULL, "memory for a copy of the VMM's range");
	if (mem < 0) {
		note("note: no /dev/mem (%s), not tested", strerror(errno));
	} else {
		read_all(mem, copy);
		write_all(mem, copy);
		hypercall_into_vmm(mem);
		read_all(mem, copy);
		test_high_mmio(mem);
		close(mem);
	}
	free(copy);
}

/* --- CPUID ---------------------------------------------------------------- */

/* Signatures of leaf 0x40000000, ours included: dom0 is shown a bare CPU. */
static const char *const hypervisors[] = {
	"Luvalley VMM", "KVMKVMKVM\0\0\0", "TCGTCGTCGTCG", "Microsoft Hv",
	"XenVMMXenVMM", "VMwareVMware",    "bhyve bhyve ", "ACRNACRNACRN",
	"VBoxVBoxVBox", "BOCHSBOCHS!!",
};

static bool can_xgetbv;

static void do_xgetbv(void *unused)
{
	uint32_t lo, hi;

	(void)unused;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
}

static void cpuid_on(unsigned cpu)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	expect(!(r[2] & 1u << 5), "CPU %u: CPUID shows VMX", cpu);
	expect(!(r[2] & 1u << 31), "CPU %u: CPUID shows a hypervisor", cpu);
	can_xgetbv = catch_signal(do_xgetbv, NULL) == 0;
	expect(((r[2] >> 27) & 1) == can_xgetbv,
	       "CPU %u: OSXSAVE is %u, but XGETBV %s", cpu, (r[2] >> 27) & 1,
	       can_xgetbv ? "works" : "does not");
	cpuid(0x80000001, 0, r);
	expect(!(r[2] & 1u << 2), "CPU %u: CPUID shows SVM", cpu);
	cpuid(0x40000000, 0, r);
	for (size_t i = 0; i < sizeof(hypervisors) / sizeof(*hypervisors); i++)
		expect(memcmp(&r[1], hypervisors[i], 12) != 0,
		       "CPU %u: leaf 0x40000000 shows \"%s\"", cpu,
		       hypervisors[i]);
	if (vmm.isa != LUV_ISA_SVM)
		return;
	cpuid(0x8000000a, 0, r);
	expect(!(r[0] | r[1] | r[2] | r[3]),
	       "CPU %u: CPUID shows SVM features", cpu);
}

/* What Linux made of it at its start. */
static void test_cpuinfo(void)
{
	static const char *const words[] = { "vmx", "svm", "hypervisor" };
	char line[8192];
	FILE *f = fopen("/proc/cpuinfo", "r");

	require(f != NULL, "/proc/cpuinfo");
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "flags", 5))
			continue;
		for (char *w = strtok(line, " \t\n"); w;
		     w = strtok(NULL, " \t\n"))
			for (int i = 0; i < 3; i++)
				expect(strcmp(w, words[i]) != 0,
				       "/proc/cpuinfo shows %s", w);
	}
	fclose(f);
}

static void test_cpuid(void)
{
	for (unsigned cpu = 0; cpu < cpus_online(); cpu++)
		if (pin(cpu))
			cpuid_on(cpu);
	test_cpuinfo();
}

/* --- instructions --------------------------------------------------------- */

/* Executed in ring 3 with RAX = RCX = RDI = a page of our own. */
static const struct insn {
	const char *name;
	unsigned char len, code[5];
} insns[] = {
	{ "VMXON", 4, { 0xf3, 0x0f, 0xc7, 0x30 } },
	{ "VMCLEAR", 4, { 0x66, 0x0f, 0xc7, 0x30 } },
	{ "VMPTRLD", 3, { 0x0f, 0xc7, 0x30 } },
	{ "VMPTRST", 3, { 0x0f, 0xc7, 0x38 } },
	{ "VMREAD", 3, { 0x0f, 0x78, 0xc1 } },
	{ "VMREAD to memory", 3, { 0x0f, 0x78, 0x08 } },
	{ "VMWRITE", 3, { 0x0f, 0x79, 0xc8 } },
	{ "VMLAUNCH", 3, { 0x0f, 0x01, 0xc2 } },
	{ "VMRESUME", 3, { 0x0f, 0x01, 0xc3 } },
	{ "VMXOFF", 3, { 0x0f, 0x01, 0xc4 } },
	{ "VMFUNC", 3, { 0x0f, 0x01, 0xd4 } },
	{ "INVEPT", 5, { 0x66, 0x0f, 0x38, 0x80, 0x08 } },
	{ "INVVPID", 5, { 0x66, 0x0f, 0x38, 0x81, 0x08 } },
	{ "GETSEC", 2, { 0x0f, 0x37 } },
	{ "VMRUN", 3, { 0x0f, 0x01, 0xd8 } },
	{ "VMLOAD", 3, { 0x0f, 0x01, 0xda } },
	{ "VMSAVE", 3, { 0x0f, 0x01, 0xdb } },
	{ "STGI", 3, { 0x0f, 0x01, 0xdc } },
	{ "CLGI", 3, { 0x0f, 0x01, 0xdd } },
	{ "SKINIT", 3, { 0x0f, 0x01, 0xde } },
	{ "INVLPGA", 3, { 0x0f, 0x01, 0xdf } },
	{ "RSM", 2, { 0x0f, 0xaa } },
	{ "ENCLS", 3, { 0x0f, 0x01, 0xcf } },
	{ "XSETBV", 3, { 0x0f, 0x01, 0xd1 } },
	{ "RDMSR", 2, { 0x0f, 0x32 } },
	{ "WRMSR", 2, { 0x0f, 0x30 } },
	{ "INVD", 2, { 0x0f, 0x08 } },
	{ "WBINVD", 2, { 0x0f, 0x09 } },
	{ "HLT", 1, { 0xf4 } },
	{ "MOV from CR3", 3, { 0x0f, 0x20, 0xd8 } },
	{ "MOV from DR7", 3, { 0x0f, 0x21, 0xf8 } },
};

static unsigned char *code_page;
static unsigned char *data_page;

static void run_code(void *unused)
{
	void (*code)(void *) = (void (*)(void *))(uintptr_t)code_page;

	(void)unused;
	code(data_page);
}

static void load_code(const struct insn *insn)
{
	static const unsigned char setup[] = {
		0x48, 0x89, 0xf8, /* mov %rdi, %rax */
		0x48, 0x89, 0xf9, /* mov %rdi, %rcx */
	};

	memcpy(code_page, setup, sizeof(setup));
	memcpy(code_page + sizeof(setup), insn->code, insn->len);
	code_page[sizeof(setup) + insn->len] = 0xc3; /* ret */
}

static void test_insns(void)
{
	code_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	data_page = pages_new(1);
	require(code_page != MAP_FAILED, "an executable page");
	memset(data_page, 0, PAGE);
	for (unsigned cpu = 0; cpu < cpus_online(); cpu++) {
		if (!pin(cpu))
			continue;
		for (size_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
			int raised;

			load_code(&insns[i]);
			raised = catch_signal(run_code, NULL);
			expect(raised == SIGILL || raised == SIGSEGV ||
				       raised == SIGBUS,
			       "CPU %u: %s in ring 3: expected SIGILL or "
			       "SIGSEGV, got signal %d", cpu, insns[i].name,
			       raised);
		}
	}
	expect(all_bytes(data_page, PAGE, 0),
	       "an instruction that was refused wrote memory");
	check_vmm("virtualization instructions");
}

/* --- MSRs ----------------------------------------------------------------- */

/* Writing `value` is refused, or leaves what was there. */
static void expect_no_effect(int fd, uint32_t msr, uint64_t value)
{
	uint64_t before = 0, after = 0;
	int had = msr_read(fd, msr, &before);
	int put = msr_write(fd, msr, value);
	int has = msr_read(fd, msr, &after);

	expect(had == has && before == after,
	       "writing 0x%" PRIx64 " to MSR 0x%x changed 0x%" PRIx64
	       " to 0x%" PRIx64, value, msr, before, after);
	if (put == 0 && had == 0 && before != after)
		msr_write(fd, msr, before);
}

/* Writing raises #GP and changes nothing. */
static void expect_refused(int fd, uint32_t msr, uint64_t value)
{
	uint64_t before = 0, after = 0;
	int had = msr_read(fd, msr, &before);
	int put = msr_write(fd, msr, value);

	expect(put == EIO, "writing 0x%" PRIx64 " to MSR 0x%x: expected %s, "
	       "got %s", value, msr, strerror(EIO),
	       put ? strerror(put) : "success");
	expect(msr_read(fd, msr, &after) == had && before == after,
	       "a refused write to MSR 0x%x changed it", msr);
}

/* Reading fails, or gives 0 where the CPU knows no such register. */
static void expect_absent(int fd, uint32_t msr)
{
	uint64_t value = 0;
	int got = msr_read(fd, msr, &value);

	expect(got == EIO || (got == 0 && value == 0),
	       "MSR 0x%x reads 0x%" PRIx64 ": expected none", msr, value);
}

static void msrs_of_vmx(int fd)
{
	uint64_t value = 0;

	for (uint32_t msr = 0x480; msr <= 0x491; msr++)
		expect(msr_read(fd, msr, &value) == EIO,
		       "VMX MSR 0x%x reads 0x%" PRIx64, msr, value);
	if (msr_read(fd, MSR_FEATURE_CONTROL, &value) == 0)
		expect((value & 7) == 1,
		       "FEATURE_CONTROL is 0x%" PRIx64
		       ": expected locked, without VMX", value);
	expect_no_effect(fd, MSR_FEATURE_CONTROL, 5);
	expect_refused(fd, MSR_RTIT_OUTPUT_BASE, vmm.vmm_base);
}

static void msrs_of_svm(int fd)
{
	/* SYSCFG apart: a wrong guess there would hang a real machine. */
	static const uint32_t fixed[] = {
		0xc0010016, 0xc0010017, 0xc0010018, 0xc0010019, /* IORR */
		0xc001001a, 0xc001001d, /* TOP_MEM, TOP_MEM2 */
		0xc0010111, 0xc0010112, 0xc0010113, /* SMM */
	};
	uint64_t value = 0;

	for (uint32_t msr = 0x480; msr <= 0x491; msr++)
		expect_absent(fd, msr);
	expect_absent(fd, MSR_VM_HSAVE_PA);
	expect_no_effect(fd, MSR_VM_HSAVE_PA, vmm.vmm_base);
	expect_no_effect(fd, MSR_VM_HSAVE_PA, 0);
	expect_no_effect(fd, MSR_VM_CR, 0);
	expect_no_effect(fd, MSR_VM_CR, 2); /* R_INIT */
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		uint32_t msr = fixed[i];

		msr_read(fd, msr, &value);
		expect_no_effect(fd, msr, value ^ 0x800000);
		expect_no_effect(fd, msr, vmm.vmm_base | 0x18);
	}
}

static void msrs_of_all(int fd)
{
	uint64_t value = 0;

	if (msr_read(fd, MSR_APIC_BASE, &value) == 0) {
		expect((value & 0xffffff000) == PHYS_LAPIC,
		       "IA32_APIC_BASE is 0x%" PRIx64, value);
		expect_refused(fd, MSR_APIC_BASE,
			       vmm.vmm_base | (value & 0xfff));
		expect_refused(fd, MSR_APIC_BASE,
			       (vmm.vmm_base + vmm.vmm_len - PAGE) |
				       (value & 0xfff));
	}
	if (msr_read(fd, MSR_EFER, &value) == 0) {
		expect(!(value & EFER_SVME), "EFER shows SVME");
		expect_refused(fd, MSR_EFER, value | EFER_SVME);
	}
}

/* The trigger takes a pointer. None of these may be followed into a crash. */
static void microcode(int fd)
{
	const uint64_t pointers[] = {
		0, 1, 48, PAGE, 0xdeadbeef000, 0x800000000000, 1ull << 63,
		0xffff800000000000 + vmm.vmm_base,
		0xffff888000000000 + vmm.vmm_base, vmm.vmm_base,
		0xffffffff81000000, 0xffffffff80000000, (uintptr_t)data_page,
		0xfffffffffffff000, UINT64_MAX - 15, UINT64_MAX,
	};
	uint32_t msr = vmm.isa == LUV_ISA_VMX ? MSR_BIOS_UPDT_TRIG
					      : MSR_PATCH_LOADER;

	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++)
		msr_write(fd, msr, pointers[i]);
	check_vmm("microcode updates from garbage");
}

/* The largest power of two that is a legal MTRR at the VMM's base. */
static uint64_t mtrr_len(void)
{
	uint64_t len = PAGE;

	while (vmm.vmm_base % (2 * len) == 0 && 2 * len <= vmm.vmm_len)
		len *= 2;
	return len;
}

static uint64_t phys_mask(void)
{
	uint32_t r[4];

	cpuid(0x80000008, 0, r);
	return (1ull << (r[0] & 0xff)) - 1;
}

/* A variable MTRR nobody uses makes the VMM's memory uncacheable for a while */
static void mtrr(int fd)
{
	uint64_t cap, base, mask, now;
	uint32_t msr = MSR_MTRR_PHYSBASE0;

	if (msr_read(fd, MSR_MTRRCAP, &cap) || !(cap & 0xff)) {
		note("note: no variable MTRRs, not tested");
		return;
	}
	for (; cap & 0xff; cap--, msr += 2)
		if (msr_read(fd, msr, &base) == 0 &&
		    msr_read(fd, msr + 1, &mask) == 0 && !(mask & MTRR_VALID))
			break;
	if (!(cap & 0xff)) {
		note("note: every MTRR is in use, not tested");
		return;
	}
	expect(msr_write(fd, msr, vmm.vmm_base) == 0 &&
		       msr_write(fd, msr + 1,
				 (phys_mask() & ~(mtrr_len() - 1)) |
					 MTRR_VALID) == 0,
	       "an MTRR cannot be written");
	check_vmm("an MTRR that makes it uncacheable");
	expect(msr_write(fd, msr + 1, mask) == 0 &&
		       msr_write(fd, msr, base) == 0,
	       "an MTRR cannot be restored");
	expect(msr_read(fd, msr, &now) == 0 && now == base,
	       "an MTRR's base is not what was restored");
	expect(msr_read(fd, msr + 1, &now) == 0 && now == mask,
	       "an MTRR's mask is not what was restored");
	check_vmm("an MTRR that is as it was");
}

/* Whatever is there or not: an answer or #GP, never a crash. */
static void read_many(int fd)
{
	static const uint32_t range[][2] = {
		{ 0, 0x2000 },
		{ 0x40000000, 0x40000100 }, /* hypervisors' */
		{ 0xc0000000, 0xc0000200 },
		{ 0xc0010000, 0xc0010200 },
		{ 0xc0011000, 0xc0011100 },
		{ 0xffffff00, 0xffffffff },
	};
	unsigned readable = 0, all = 0;

	for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++)
		for (uint32_t m = range[i][0]; m < range[i][1]; m++, all++) {
			uint64_t value;

			readable += msr_read(fd, m, &value) == 0;
		}
	note("note: %u of %u MSR numbers can be read", readable, all);
	check_vmm("reading many MSRs");
}

/* Returns NULL, or why MSRs cannot be tested. */
static const char *test_msrs(void)
{
	for (unsigned cpu = 0; cpu < cpus_online(); cpu++) {
		int fd = msr_open(cpu);

		if (fd < 0)
			return "the msr driver is not there, MSRs are not "
			       "tested";
		msrs_of_all(fd);
		if (vmm.isa == LUV_ISA_VMX)
			msrs_of_vmx(fd);
		else
			msrs_of_svm(fd);
		check_vmm("writes to MSRs");
		microcode(fd);
		mtrr(fd);
		if (cpu == 0)
			read_many(fd);
		close(fd);
	}
	return NULL;
}

int main(void)
{
	const char *skipped;

	test_open(&vmm);
	if (geteuid() != 0) {
		puts("protect: skipped: it must run as root.");
		return TEST_SKIP;
	}
	remember_vmm();
	check_vmm("nothing");
	test_iomem();
	test_cpuid();
	test_insns();
	test_dev_mem();
	skipped = test_msrs();
	check_vmm("everything");
	return test_end("protect", skipped);
}
