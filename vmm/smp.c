/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smp.c - bring-up of the application processors, parking, kicks. A real
 * INIT or SIPI is sent here and only here, before dom0 runs.
 * SDM "MP Initialization Protocol Algorithm for MP Systems".
 */
#include "smp.h"
#include "acpi.h"
#include "console.h"
#include "dump.h"
#include "exit.h"
#include "hist_exit.h"
#include "hv.h"
#include "lapic.h"
#include "mem.h"
#include "string.h"

#define PIT_CH2	     0x42
#define PIT_CMD	     0x43
#define PIT_CH2_MODE0 0xb0
#define PORT_B	     0x61
#define PORT_B_GATE2 0x01
#define PORT_B_SPKR  0x02
#define PORT_B_OUT2  0x20
#define PIT_HZ	     1193182
#define INIT_US	     10000
#define SIPI_US	     200
#define ANSWER_US    100000
#define PIT_MAX_US   50000

extern char ap_page[], ap_page_end[];
extern char ap_cr3[], ap_efer[], ap_stack[], ap_main[];
extern const char park_hlt_start[] __asm__("park_hlt");
extern const char park_hlt_end[];
extern const char vmx_enter_check[], vmx_enter_end[], vmx_enter_abort[];
void park_hlt(_Atomic uint32_t *word);

struct machine machine;

static struct {
	void (*ready)(struct cpu *cpu);
	void (*main)(void);
	_Atomic(struct cpu *) online; /* the last one that answered */
} start;

/* PIT channel 2, gated by port 61h, which dom0 does not use yet. */
static void delay_us(unsigned us)
{
	uint8_t saved = inb(PORT_B);
	unsigned n;

	for (; us > PIT_MAX_US; us -= PIT_MAX_US)
		delay_us(PIT_MAX_US);
	n = (unsigned)((uint64_t)us * PIT_HZ / 1000000) + 1;
	outb(PORT_B, (uint8_t)((saved & ~(PORT_B_SPKR | PORT_B_GATE2))));
	outb(PIT_CMD, PIT_CH2_MODE0);
	outb(PIT_CH2, (uint8_t)n);
	outb(PIT_CH2, (uint8_t)(n >> 8));
	outb(PORT_B, (uint8_t)((saved & ~PORT_B_SPKR) | PORT_B_GATE2));
	while (!(inb(PORT_B) & PORT_B_OUT2))
		pause();
	outb(PORT_B, saved);
}

static struct cpu *cpu_new(uint32_t apic_id)
{
	struct cpu *cpu = mem_need(CPU_SIZE, CPU_SIZE, "a CPU");

	cpu->apic_id = apic_id;
	cpu->apic = (struct apic_addr){ .id = apic_id, .dfr = ~0u };
	cpu->dom0.cpu = cpu;
	cpu->dom0.handlers = hist_dom0;
	if (!hist_init(&cpu->dom0.hist))
		panic("no memory for a CPU's histograms");
	cpu->current = &cpu->dom0;
	return cpu;
}

struct cpu *smp_boot_cpu(void)
{
	struct cpu *cpu = cpu_new(lapic_id());

	machine.cpu = mem_need(PAGE_SIZE, PAGE_SIZE, "the CPU table");
	machine.cpu[0] = cpu;
	machine.cpus = 1;
	return cpu;
}

/* First C code of an application processor, on its own stack. */
static void ap_entry(void)
{
	struct cpu *cpu = this_cpu();

	trap_init();
	write_cr0(read_cr0() | CR0_WP | CR0_NE);
	start.ready(cpu);
	atomic_store(&start.online, cpu);
	start.main();
}

/* A word of ap.S in the copy that the CPUs run. */
static uint64_t *ap_word(const char *word)
{
	return hpa_ptr(HPA(AP_PAGE + (uint64_t)(word - ap_page)));
}

static bool start_one(struct cpu *cpu)
{
	uint64_t t0 = rdtsc();

	*ap_word(ap_stack) = (uint64_t)cpu + CPU_SIZE;
	lapic_send(cpu->apic_id, ICR_INIT, 0);
	delay_us(INIT_US);
	for (unsigned tries = 0; tries < 2; tries++) {
		lapic_send(cpu->apic_id, ICR_SIPI, AP_PAGE >> 12);
		delay_us(SIPI_US);
		if (atomic_load(&start.online) == cpu)
			break;
	}
	for (unsigned us = 0; us < ANSWER_US; us += SIPI_US) {
		if (atomic_load(&start.online) == cpu) {
			cpu->start_ticks = rdtsc() - t0;
			return true;
		}
		delay_us(SIPI_US);
	}
	return false;
}

static enum err each_cpu(void *ctx, uint32_t apic_id)
{
	unsigned *limit = ctx;
	struct cpu *cpu;

	if (apic_id == machine.cpu[0]->apic_id || machine.cpus >= *limit)
		return OK;
	if (machine.cpus == PAGE_SIZE / sizeof(struct cpu *)) {
		log_printf("luvalley: more than %u CPUs: the rest stays "
			   "stopped\n", machine.cpus);
		return ERR_NOMEM;
	}
	cpu = cpu_new(apic_id);
	cpu->index = machine.cpus;
	if (!start_one(cpu)) {
		log_printf("luvalley: the CPU with APIC ID %u does not answer: "
			   "going on without it\n", apic_id);
		return OK;
	}
	machine.cpu[machine.cpus++] = cpu;
	return OK;
}

static const void *acpi_ptr(uint64_t pa, size_t len)
{
	if (pa + len < pa || pa + len > mem.top)
		return NULL;
	return hpa_ptr(HPA(pa));
}

void smp_start(uint64_t rsdp, unsigned limit, void (*ready)(struct cpu *cpu),
	       void (*main)(void))
{
	size_t len = (size_t)(ap_page_end - ap_page);
	char *page = hpa_ptr(HPA(AP_PAGE));
	char *saved = mem_need(PAGE_SIZE, PAGE_SIZE, "the start-up page");

	start.ready = ready;
	start.main = main;
	memcpy(saved, page, len);
	memcpy(page, ap_page, len);
	*ap_word(ap_cr3) = read_cr3();
	*ap_word(ap_efer) = rdmsr(MSR_IA32_EFER) & ~(EFER_LMA | EFER_SVME);
	*ap_word(ap_main) = (uint64_t)ap_entry;
	if (!rsdp || acpi_cpus(acpi_ptr, rsdp, each_cpu, &limit) != OK)
		log_printf("luvalley: no usable ACPI MADT: using %u CPU(s)\n",
			   machine.cpus);
	memcpy(page, saved, len);
}

/* --- kicks ---------------------------------------------------------------- */

void smp_request(struct cpu *cpu, enum request req)
{
	atomic_fetch_or(&cpu->requests, req);
	atomic_store(&cpu->poll, 1);
	/* One kick at a time: the second would melt into the first's NMI. */
	if (!atomic_exchange(&cpu->kick, 1))
		lapic_send(cpu->apic_id, ICR_NMI, 0);
}

bool smp_nmi_was_kick(struct cpu *cpu)
{
	return atomic_exchange(&cpu->kick, 0);
}

void smp_nmi(struct trap_frame *f)
{
	struct cpu *cpu = this_cpu();

	if (!smp_nmi_was_kick(cpu)) {
		cpu->dom0.nmi_pending = true;
		atomic_store(&cpu->poll, 1);
	}
	if (f->rip >= (uint64_t)park_hlt_start &&
	    f->rip < (uint64_t)park_hlt_end)
		f->rip = (uint64_t)park_hlt_end;
	if (f->rip >= (uint64_t)vmx_enter_check &&
	    f->rip < (uint64_t)vmx_enter_end)
		f->rip = (uint64_t)vmx_enter_abort;
}

static bool runs_dom0(const struct cpu *cpu)
{
	return atomic_load(&cpu->state) == LUV_CPU_RUNNING;
}

void smp_mark_others(enum request req)
{
	for (unsigned i = 0; i < machine.cpus; i++)
		if (machine.cpu[i] != this_cpu()) {
			atomic_fetch_or(&machine.cpu[i]->requests, req);
			atomic_store(&machine.cpu[i]->poll, 1);
		}
}

void smp_request_others(enum request req)
{
	struct cpu *self = this_cpu();

	for (unsigned i = 0; i < machine.cpus; i++)
		if (machine.cpu[i] != self && runs_dom0(machine.cpu[i]))
			smp_request(machine.cpu[i], req);
	for (unsigned i = 0; i < machine.cpus; i++) {
		struct cpu *cpu = machine.cpu[i];

		/* Two CPUs may ask each other: serve while waiting. */
		while (cpu != self && runs_dom0(cpu) &&
		       (atomic_load(&cpu->requests) & req)) {
			if (atomic_fetch_and(&self->requests,
					     ~(uint32_t)REQ_FLUSH) & REQ_FLUSH)
				hv->flush(&self->dom0);
			pause();
		}
	}
}

/* --- INIT and SIPI of dom0's ---------------------------------------------- */

static void step(struct cpu *cpu, const struct icr *icr)
{
	uint32_t old = atomic_load(&cpu->startup), next;
	enum ipi_action todo;

	do {
		next = ipi_step(old, icr, &todo);
	} while (!atomic_compare_exchange_weak(&cpu->startup, &old, next));
	if (todo == IPI_KICK || todo == IPI_WAKE)
		smp_request(cpu, REQ_RESET);
}

void smp_startup_ipi(const struct icr *icr)
{
	struct apic_addr from = lapic_addr();

	for (unsigned i = 0; i < machine.cpus; i++) {
		struct apic_addr to = machine.cpu[i]->apic;

		if (icr_reaches(icr, &from, &to))
			step(machine.cpu[i], icr);
	}
}

static uint32_t advance_word(struct cpu *cpu, uint32_t (*f)(uint32_t))
{
	uint32_t old = atomic_load(&cpu->startup), next;

	do {
		next = f(old);
	} while (!atomic_compare_exchange_weak(&cpu->startup, &old, next));
	return next;
}

uint8_t smp_park(struct cpu *cpu)
{
	uint32_t word;

	hv->listen();
	atomic_store(&cpu->state, LUV_CPU_WAIT_SIPI);
	word = advance_word(cpu, ipi_arrive);
	for (;;) {
		atomic_store(&cpu->poll, 0);
		atomic_store(&cpu->requests, 0);
		word = atomic_load(&cpu->startup);
		if (IPI_STATE(word) == IPI_START &&
		    atomic_compare_exchange_strong(&cpu->startup, &word,
						   ipi_start(word)))
			break;
		if (cpu->poll)
			continue;
		park_hlt(&cpu->poll);
	}
	cpu->dom0.nmi_pending = false; /* blocked in wait-for-SIPI */
	atomic_store(&cpu->state, LUV_CPU_RUNNING);
	return IPI_VECTOR(word);
}

void smp_init_received(void)
{
	struct icr icr = { .mode = ICR_INIT, .assert_ = true, .level = true };

	step(this_cpu(), &icr);
}
