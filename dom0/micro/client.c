/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.c - the client of the micro benchmarks: makes a virtual machine with
 * the KVM API and nothing else, has its guest (guest.S) take the samples of
 * each row, and prints one JSON line a row. The same program runs above stock
 * KVM and, by luvkvm, above Luvalley:
 *	micro                     all rows
 *	micro row NAME            one row for long: for scripts/path.sh
 *	micro memory NAME PAGE    1 GiB of guest memory, in pages of PAGE bytes:
 *				  what the VMM and dom0's kernel hold for it
 */
#include "guest.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SAMPLES	      1000u
#define SAMPLES_HUGE  32u /* of 2 MiB each */
#define PAGE_4K	      4096ul
#define PAGE_2M	      (2ul << 20)
#define RFLAGS	      0x202 /* IF */
#define CR0_LONG      0x80000031 /* PG, NE, ET, PE */
#define CR4_PAE	      0x20
#define EFER_LONG     0x500 /* LMA, LME */
#define PTE	      0x3   /* present, writable */
#define PTE_LARGE     0x83
#define ECX_DEADLINE  (1u << 24) /* CPUID 1 */
#define SLOT_RAM      0
#define SLOT_REGION   1
#define CPUID_ENTRIES 200

enum when {
	IRQCHIP = 1,	/* only with local APIC, PIC and PIT in the kernel */
	NO_IRQCHIP = 2, /* only without: HLT then comes to the client */
	INTEL = 4,
	AMD = 8,
	PRESENT = 16,	/* touches memory that the client has touched */
	ABSENT = 32,	/* touches memory that nobody has touched */
	HUGE = 64,	/* in 2 MiB pages */
};

struct row {
	const char *name;
	unsigned when, exits;
};

_Static_assert((GUEST_TOP - GUEST_REGION) / 4096 <= GUEST_SAMPLES_MAX,
	       "a sample for each page");

static const struct row rows[] = {
#define X(code, name, when, exits) { name, when, exits },
#include "rows.def"
#undef X
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* What guest.S begins with: guest-physical addresses. */
struct image {
	uint64_t apic_on, irq, ipi, interrupts, fault;
	uint64_t row[ROWS];
};

extern const uint8_t _binary_guest_bin_start[], _binary_guest_bin_end[];

/* One machine: VM, vCPU, RAM. */
static int kvm, vm, vcpu;
static struct kvm_run *run;
static uint8_t *ram;

/* --- failing ----------------------------------------------------------------- */

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	printf("micro: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int ask(int fd, unsigned long request, void *arg, const char *what)
{
	int r = ioctl(fd, request, arg);

	require(r >= 0, what);
	return r;
}

/* --- the machine ------------------------------------------------------------- */

static const struct image *image(void)
{
	return (const void *)_binary_guest_bin_start;
}

static uint32_t *interrupts(void)
{
	return (void *)(ram + image()->interrupts);
}

static void *memory(size_t len, int advice)
{
	uint8_t *p = mmap(NULL, len + PAGE_2M, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(p != MAP_FAILED, "memory for the guest");
	p += -(uintptr_t)p & (PAGE_2M - 1);
	madvise(p, len, advice);
	return p;
}

static void slot(unsigned nr, uint64_t gpa, size_t len, void *at)
{
	struct kvm_userspace_memory_region r = { nr, 0, gpa, len,
						 (uintptr_t)at };

	ask(vm, KVM_SET_USER_MEMORY_REGION, &r, "a memory slot");
}

static void gate(unsigned vector, uint64_t handler)
{
	uint64_t *idt = (void *)(ram + GUEST_IDT);

	idt[vector * 2] = (handler & 0xffff) | GUEST_CS << 16 |
			  0x8eull << 40 | (handler & 0xffff0000) << 32;
}

static void guest_load(void)
{
	uint64_t *pml4 = (void *)(ram + GUEST_PML4);
	uint64_t *pdpt = (void *)(ram + GUEST_PDPT);
	uint64_t *pd = (void *)(ram + GUEST_PD);
	uint64_t *gdt = (void *)(ram + GUEST_GDT);

	memset(ram, 0, GUEST_RAM);
	pml4[0] = GUEST_PDPT | PTE;
	pdpt[0] = GUEST_PD | PTE;
	pdpt[1] = (GUEST_PD + PAGE_4K) | PTE;
	for (uint64_t i = 0; i < GUEST_TOP / PAGE_2M; i++)
		pd[i] = i * PAGE_2M | PTE_LARGE;
	gdt[GUEST_CS / 8] = 0x00af9b000000ffff;
	gdt[GUEST_DS / 8] = 0x00cf93000000ffff;
	memcpy(ram + GUEST_LOAD, _binary_guest_bin_start,
	       (size_t)(_binary_guest_bin_end - _binary_guest_bin_start));
	gate(VECTOR_IRQ, image()->irq);
	gate(VECTOR_IPI, image()->ipi);
}

static void long_mode(void)
{
	struct kvm_segment code = { .limit = 0xffffffff, .selector = GUEST_CS,
				    .type = 0xb, .present = 1, .s = 1, .l = 1,
				    .g = 1 };
	struct kvm_segment data = { .limit = 0xffffffff, .selector = GUEST_DS,
				    .type = 3, .present = 1, .s = 1, .db = 1,
				    .g = 1 };
	struct kvm_sregs s;

	ask(vcpu, KVM_GET_SREGS, &s, "KVM_GET_SREGS");
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt.base = GUEST_GDT;
	s.gdt.limit = GUEST_DS + 7;
	s.idt.base = GUEST_IDT;
	s.idt.limit = 0xfff;
	s.cr0 = CR0_LONG;
	s.cr3 = GUEST_PML4;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LONG;
	ask(vcpu, KVM_SET_SREGS, &s, "KVM_SET_SREGS");
}

/* All that the host has; KVM leaves the TSC-deadline timer to the client. */
static void set_cpuid(void)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + CPUID_ENTRIES *
						  sizeof(c->entries[0]));

	require(c, "memory");
	c->nent = CPUID_ENTRIES;
	ask(kvm, KVM_GET_SUPPORTED_CPUID, c, "KVM_GET_SUPPORTED_CPUID");
	for (unsigned i = 0; i < c->nent; i++)
		if (c->entries[i].function == 1)
			c->entries[i].ecx |= ECX_DEADLINE;
	ask(vcpu, KVM_SET_CPUID2, c, "KVM_SET_CPUID2");
	free(c);
}

static void machine(bool irqchip)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int size;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	require(kvm >= 0, "open /dev/kvm");
	vm = ask(kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	ask(vm, KVM_SET_TSS_ADDR, (void *)0xfffbd000, "KVM_SET_TSS_ADDR");
	if (irqchip) {
		ask(vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
		ask(vm, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2");
	}
	if (!ram)
		ram = memory(GUEST_RAM, MADV_NOHUGEPAGE);
	guest_load();
	slot(SLOT_RAM, 0, GUEST_RAM, ram);
	vcpu = ask(vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
	size = ask(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu,
		   0);
	require(run != MAP_FAILED, "mmap of the vCPU");
	set_cpuid();
	long_mode();
}

static void machine_end(void)
{
	munmap(run, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(vcpu);
	close(vm);
	close(kvm);
}

/* --- running ----------------------------------------------------------------- */

/* What the client does at an exit. Returns false at PORT_DONE. */
static bool answer(void)
{
	static struct kvm_interrupt irq = { VECTOR_IRQ };

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (run->io.direction == KVM_EXIT_IO_IN)
			((uint8_t *)run)[run->io.data_offset] = 0x5a;
		return run->io.port != PORT_DONE;
	case KVM_EXIT_MMIO:
		if (!run->mmio.is_write)
			memset(run->mmio.data, 0x5a, run->mmio.len);
		return true;
	case KVM_EXIT_HLT:
		ask(vcpu, KVM_INTERRUPT, &irq, "KVM_INTERRUPT");
		return true;
	default:
		printf("micro: exit %u, reason %#llx\n", run->exit_reason,
		       run->hw.hardware_exit_reason);
		exit(1);
	}
}

/* Returns how often the guest came to the client before PORT_DONE. */
static unsigned guest(uint64_t rip, unsigned samples, uint64_t step)
{
	struct kvm_regs regs = { .rip = rip, .rflags = RFLAGS,
				 .rsp = GUEST_STACK, .r13 = GUEST_SAMPLES,
				 .r14 = samples, .r15 = GUEST_REGION,
				 .r8 = step };
	unsigned exits = 0;

	ask(vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
	for (;;) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			require(errno == EINTR, "KVM_RUN");
			continue;
		}
		if (!answer())
			return exits;
		exits++;
	}
}

/* --- rows -------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* A row that both machines have is named after the one without, there. */
static void report(const struct row *r, bool irqchip, unsigned n)
{
	static uint32_t empty; /* the median of the first row, "tsc" */
	const char *prefix = irqchip || (r->when & NO_IRQCHIP) ? "micro" :
								 "no_irqchip";
	uint32_t *t = (void *)(ram + GUEST_SAMPLES);
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += t[i];
	qsort(t, n, sizeof(*t), by_size);
	if (!empty)
		empty = t[n / 2];
	printf("LUV json {\"%s_%s\":{\"n\":%u,\"min\":%u,\"median\":%u,"
	       "\"p90\":%u,\"max\":%u,\"mean\":%" PRIu64 ",\"net\":%d}}\n",
	       prefix, r->name, n, t[0], t[n / 2], t[n * 9 / 10], t[n - 1],
	       sum / n, (int)(t[n / 2] - empty));
	fflush(stdout);
}

static void check(const char *name, const char *what, unsigned is,
		  unsigned should)
{
	if (is == should)
		return;
	printf("micro: %s: %u %s, not %u\n", name, is, what, should);
	exit(1);
}

/* Memory in the state that the row wants; touched once, it is used up. */
static void run_fault(bool irqchip, unsigned i)
{
	const struct row *r = &rows[i];
	bool huge = r->when & HUGE;
	unsigned n = huge ? SAMPLES_HUGE : SAMPLES;
	size_t step = huge ? PAGE_2M : PAGE_4K, len = n * step;
	uint8_t *p = memory(len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);

	if (r->when & PRESENT)
		memset(p, 1, len);
	slot(SLOT_REGION, GUEST_REGION, len, p);
	check(r->name, "exits to the client", guest(image()->row[i], n, step),
	      0);
	slot(SLOT_REGION, 0, 0, NULL);
	munmap(p, len);
	report(r, irqchip, n);
}

static void run_row(bool irqchip, unsigned i)
{
	const struct row *r = &rows[i];
	bool interrupt = !strcmp(r->name, "hlt_inject") ||
			 !strcmp(r->name, "self_ipi_x2apic");
	uint64_t rip = image()->row[i];
	unsigned exits;

	guest(rip, SAMPLES, 0); /* caches of KVM's and ours, host pages */
	*interrupts() = 0;
	exits = guest(rip, SAMPLES, 0);
	check(r->name, "exits to the client", exits, r->exits * SAMPLES);
	check(r->name, "interrupts", *interrupts(), interrupt ? SAMPLES : 0);
	report(r, irqchip, SAMPLES);
}

static unsigned vendor(void)
{
	unsigned a, b, c, d;

	__cpuid(0, a, b, c, d);
	return b == signature_INTEL_ebx ? INTEL : AMD;
}

static void run_rows(bool irqchip)
{
	const unsigned not = (irqchip ? NO_IRQCHIP : IRQCHIP) |
			     (vendor() == INTEL ? AMD : INTEL);

	machine(irqchip);
	if (irqchip)
		guest(image()->apic_on, 0, 0);
	for (unsigned i = 0; i < ROWS; i++) {
		if (rows[i].when & not)
			continue;
		if (rows[i].when & (PRESENT | ABSENT))
			run_fault(irqchip, i);
		else
			run_row(irqchip, i);
	}
	machine_end();
}

/* One row of the machine with irqchip, if that has it, ROUNDS times. */
static void run_long(const char *name)
{
	enum { ROUNDS = 10 };

	for (unsigned i = 0; i < ROWS; i++) {
		if (strcmp(rows[i].name, name) ||
		    (rows[i].when & (vendor() == INTEL ? AMD : INTEL)))
			continue;
		machine(!(rows[i].when & NO_IRQCHIP));
		if (!(rows[i].when & NO_IRQCHIP))
			guest(image()->apic_on, 0, 0);
		for (unsigned n = 0; n < ROUNDS; n++)
			if (rows[i].when & (PRESENT | ABSENT))
				run_fault(true, i);
			else
				run_row(true, i);
		machine_end();
		return;
	}
	errno = EINVAL;
	require(false, name);
}

/* --- memory ------------------------------------------------------------------ */

/* Bytes that the kernel holds for itself, but for page tables of processes. */
static uint64_t kernel_bytes(void)
{
	static const char *const fields[] = { "Slab", "SecPageTables",
					      "VmallocUsed", "Percpu" };
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128], name[64];
	uint64_t sum = 0, kib;

	require(f, "opening /proc/meminfo");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^:]: %" SCNu64, name, &kib) != 2)
			continue;
		for (unsigned i = 0; i < sizeof(fields) / sizeof(*fields); i++)
			if (!strcmp(name, fields[i]))
				sum += kib * 1024;
	}
	fclose(f);
	return sum;
}

/* Bytes of Luvalley's memory that the first VM holds; 0: no Luvalley. */
static uint64_t vmm_bytes(void)
{
	FILE *f = popen("luvctl vms --json 2>/dev/null", "r");
	uint64_t bytes = 0;
	char line[256];

	require(f, "running luvctl");
	while (fgets(line, sizeof(line), f) &&
	       sscanf(line, " \"vmm_bytes\": %" SCNu64, &bytes) != 1)
		;
	pclose(f);
	return bytes;
}

static void run_memory(const char *name, size_t step)
{
	const size_t len = GUEST_TOP - GUEST_REGION;
	uint8_t *p = memory(len, step == PAGE_2M ? MADV_HUGEPAGE :
						   MADV_NOHUGEPAGE);
	uint64_t before;

	memset(p, 1, len);
	before = kernel_bytes();
	machine(true);
	slot(SLOT_REGION, GUEST_REGION, len, p);
	guest(image()->fault, (unsigned)(len / step), step);
	printf("LUV json {\"memory_%s\":{\"kernel\":%" PRId64 ",\"vmm\":%"
	       PRIu64 "}}\n", name, (int64_t)(kernel_bytes() - before),
	       vmm_bytes());
	machine_end();
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "memory")) {
		run_memory(argv[2], strtoul(argv[3], NULL, 0));
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "row")) {
		run_long(argv[2]);
		return 0;
	}
	run_rows(true);
	run_rows(false);
	return 0;
}
