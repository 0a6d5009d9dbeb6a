/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trap.c - the VMM's IDT. An exception at an instruction listed in .extable
 * goes on at its fix-up; any other is a bug of ours and panics. NMIs are
 * sorted by smp.c. SDM "Interrupt and Exception Handling".
 */
#include "trap.h"
#include "console.h"
#include "cpu.h"
#include "dump.h"
#include "smp.h"

#define VECTORS	  32
#define GATE_INT  0x8e
#define ENTRY_SIZE 16 /* .balign in idt.S */

struct gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset16;
	uint32_t offset32, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "SDM 64-bit IDT gate descriptors");

extern const char trap_entries[];
extern const uint64_t extable_start[], extable_end[];
extern const struct table_reg gdt_reg;

static struct gate idt[VECTORS];

static void gate_set(struct gate *g, uint64_t entry)
{
	*g = (struct gate){
		.offset0 = (uint16_t)entry,
		.selector = SEL_CODE64,
		.type = GATE_INT,
		.offset16 = (uint16_t)(entry >> 16),
		.offset32 = (uint32_t)(entry >> 32),
	};
}

static void selectors_load(void)
{
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss;"
			 "push %1; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
			 ::"r"(SEL_DATA), "i"(SEL_CODE64) : "rax", "memory");
}

void trap_init(void)
{
	struct table_reg r = { sizeof(idt) - 1, (uint64_t)idt };

	for (unsigned v = 0; v < VECTORS; v++)
		gate_set(&idt[v], (uint64_t)trap_entries + v * ENTRY_SIZE);
	lgdt(&gdt_reg);
	selectors_load();
	lidt(&r);
}

static bool fixup(struct trap_frame *f)
{
	for (const uint64_t *e = extable_start; e < extable_end; e += 2)
		if (e[0] == f->rip) {
			f->rip = e[1];
			return true;
		}
	return false;
}

void trap_handle(struct trap_frame *f)
{
	/*
	 * #SX: a redirected INIT, see svm.c. #DB: the VMM sets no breakpoints
	 * and no TF; Bochs's SVM brings a single-stepped guest's trap along.
	 */
	if (f->vector == VEC_SX || f->vector == VEC_DB)
		return;
	if (f->vector == VEC_NMI)
		smp_nmi(f);
	else if (!fixup(f))
		panic_trap(f);
}

_Noreturn void trap_reset_machine(void)
{
	struct table_reg none = { 0, 0 };

	lidt(&none);
	for (;;)
		__asm__ volatile("ud2");
}
