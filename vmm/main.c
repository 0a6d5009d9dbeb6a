/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - from the boot loader to dom0, top to bottom.
 */
#include "acpi.h"
#include "bios.h"
#include "cmdline.h"
#include "console.h"
#include "dom0.h"
#include "domu.h"
#include "dump.h"
#include "exit.h"
#include "hv.h"
#include "linux.h"
#include "mem.h"
#include "multiboot.h"
#include "smp.h"
#include "trace.h"
#include "trap.h"

#define MAP_ROWS 256

const struct hv_ops *hv;

static struct luv_mem map_rows[MAP_ROWS];
static struct boot_info boot = { .map = { map_rows, 0, MAP_ROWS } };

void boot_main(uint32_t magic, uint32_t info_pa);
void stack_switch(void *top, void (*f)(void));

static const void *acpi_ptr(uint64_t pa, size_t len)
{
	if (pa + len < pa || pa + len > mem.top)
		return NULL;
	return hpa_ptr(HPA(pa));
}

/* What boot.S has mapped. */
static const void *low_ptr(uint64_t pa, size_t len)
{
	return pa + len <= 4 * GIB ? hpa_ptr(HPA(pa)) : NULL;
}

/* What one CPU must be able to do; the sentence says which CPU cannot. */
static void hv_check(void)
{
	const char *why_vmx = vmx_ops.probe(), *why_svm;

	hv = &vmx_ops;
	if (!why_vmx)
		return;
	why_svm = svm_ops.probe();
	hv = &svm_ops;
	if (!why_svm)
		return;
	hv = NULL;
	die("CPU %u %s", this_cpu()->index,
	    cpuid(0, 0).c == 0x444d4163 /* "cAMD" of AuthenticAMD */ ?
	    why_svm : why_vmx);
}

static void cpu_ready(struct cpu *cpu)
{
	const char *why = hv->probe();

	if (why)
		die("CPU %u %s", cpu->index, why);
	write_cr4(read_cr4() | CR4_OSFXSR |
		  (cpuid(1, 0).c & BIT(26) ? CR4_OSXSAVE : 0));
	cpu->fpu = mem_need(FPU_AREA, PAGE_SIZE, "extended state");
	hv->enable(cpu);
	cpu->apic_base = rdmsr(MSR_IA32_APIC_BASE);
	cpu->apic.x2apic = cpu->apic_base & APIC_BASE_EXTD;
	cpu->startup = cpu->index ? IPI_WAIT : IPI_RUN;
	cpu->state = cpu->index ? LUV_CPU_WAIT_SIPI : LUV_CPU_RUNNING;
}

static void cpu_main(void)
{
	exit_loop(this_cpu());
}

static void crash_if_asked(void)
{
	if (dom0.opt.crash == CRASH_UD)
		__asm__ volatile("ud2");
	if (dom0.opt.crash == CRASH_PF)
		*(volatile char *)(DIRECT_BASE + mem.top + GIB) = 1;
}

static void dom0_start(void)
{
	struct cpu *cpu = this_cpu();
	uint16_t cs, ip;

	bios_prepare(dom0.opt.boot_drive);
	if (boot.modules) {
		linux_load(&boot);
		log_printf("luvalley: starting dom0 from Multiboot modules\n");
		console_yield();
	}
	bios_entry(boot.modules, &cs, &ip);
	dom0_apic_settled();
	hv->reset(&cpu->dom0, cs, ip);
	cpu->dom0.gpr[RDX] = dom0.opt.boot_drive;
	machine.ready_tsc = rdtsc();
	exit_loop(cpu);
}

/* On the boot CPU's own stack, in the moved image. */
static void start(void)
{
	struct cpu *cpu = this_cpu();
	uint64_t rsdp;

	trap_init();
	hv_check();
	rsdp = boot.rsdp ? boot.rsdp : acpi_find_rsdp(acpi_ptr);
	dom0.map = boot.map;
	dom0.has_sleep = rsdp &&
		acpi_sleep(acpi_ptr, rsdp, &dom0.sleep) == OK;
	hv->init();
	cpu_ready(cpu);
	domu_init();
	smp_start(rsdp, dom0.opt.cpus, cpu_ready, cpu_main);
	trace_init(dom0.opt.trace_kib, dom0.opt.trace);
	hist_allow(HIST_PAGES + machine.cpus * HIST_SUBS);
	mem_seal();
	log_printf("luvalley: %u CPU(s), %s%s; %lu of %lu KiB at %lx used; RAM "
		   "%lu MiB\n", machine.cpus, hv->name,
		   machine.hw_apic ? ", APIC virtualization" : "", mem.used / KIB,
		   mem.len / KIB, mem.base,
		   e820_ram_bytes(&dom0.map) / MIB);
	crash_if_asked();
	dom0_start();
}

static void banner(void)
{
	char version[] = LUV_BUILD;

	log_printf("luvalley: version %s, ABI %u\n", version, LUV_ABI_VERSION);
}

void boot_main(uint32_t magic, uint32_t info_pa)
{
	const char *why;
	char text[160];

	machine.start_tsc = rdtsc();
	dom0.opt.serial = 0x3f8;
	console_init(dom0.opt.serial);
	why = multiboot_parse(magic, info_pa, low_ptr, &boot);
	if (why)
		die("%s", why);
	if (cmdline_parse(boot.cmdline, &dom0.opt, text, sizeof(text)) != OK)
		die("%s", text);
	if (dom0.opt.serial != 0x3f8)
		console_init(dom0.opt.serial);
	banner();
	if (e820_normalize(&boot.map) != OK)
		die("the memory map has more than %u rows", MAP_ROWS);
	mem_init(&boot.map, trace_memory(dom0.opt.trace_kib));
	stack_switch((char *)smp_boot_cpu() + CPU_SIZE, start);
}
