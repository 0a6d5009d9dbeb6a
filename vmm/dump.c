/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump.c - panics: the sentence, the VMM's registers and call trace with
 * symbols, the guest's registers, the VMCS or VMCB, and this CPU's last
 * exits. The symbol table is made by scripts/mksyms.sh.
 */
#include "dump.h"
#include "console.h"
#include "fmt.h"
#include "hv.h"

#define TRACE_DEPTH 24

/* The low half of an address, and where its name is. */
struct symbol { uint32_t low, name; };
extern const char symtab_start[], symtab_end[], vmm_image[], vmm_text_end[];

static const char *const exit_names[] = {
#define X(kind, name) [EXIT_##kind] = name,
#include <luvalley/exits.def>
#undef X
};
static const char *const gpr_names[GPRS] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};
/* SDM "Exception and Interrupt Reference": mnemonics by vector. */
static const char *const exception_names[32] = {
	"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "", "#TS",
	"#NP", "#SS", "#GP", "#PF", "", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
	[30] = "#SX",
};
static atomic_flag dumping = ATOMIC_FLAG_INIT;

const char *dump_exit_name(enum luv_exit_kind kind)
{
	return kind < EXIT_KINDS ? exit_names[kind] : "?";
}

void dump_symbol(uint64_t rip, char *buf, size_t len)
{
	uint64_t base = (uint64_t)vmm_image;
	const struct symbol *s = (const struct symbol *)symtab_start;
	const struct symbol *best = NULL;

	if (rip >= base && rip < (uint64_t)vmm_text_end)
		for (; (const char *)s < symtab_end; s++)
			if (s->low <= (uint32_t)rip)
				best = s;
	if (best)
		fmt_snprintf(buf, len, "%s+0x%lx", symtab_start + best->name,
			     (uint64_t)((uint32_t)rip - best->low));
	else
		fmt_snprintf(buf, len, "?");
}

static void line_address(const char *what, uint64_t rip)
{
	char name[64];

	dump_symbol(rip, name, sizeof(name));
	log_printf("  %s %016lx %s\n", what, rip, name);
}

static void call_trace(uint64_t rbp)
{
	uint64_t stack = (uint64_t)this_cpu();

	log_printf("VMM call trace:\n");
	for (unsigned i = 0; i < TRACE_DEPTH; i++) {
		const uint64_t *frame = (const uint64_t *)rbp;

		if (rbp < stack || rbp + 16 > stack + CPU_SIZE || (rbp & 7))
			break;
		line_address("by", frame[1]);
		rbp = frame[0];
	}
}

static void records(const struct cpu *cpu)
{
	unsigned first = cpu->record_at / sizeof(struct vmexit);

	log_printf("Last exits of CPU %u, oldest first:\n", cpu->index);
	for (unsigned i = 0; i < EXIT_RECORDS; i++) {
		const struct vmexit *x =
			&cpu->records[(first + i) & (EXIT_RECORDS - 1)];

		if (!x->tsc)
			continue;
		log_printf("  tsc %016lx %-18s reason %03x info %016lx rip %lx\n",
			   x->tsc, dump_exit_name(x->kind), x->reason,
			   x->info1, x->rip);
	}
}

static void guest(struct vcpu *v)
{
	struct guest_state g;
	const struct vmexit *x = v->exit;

	hv->snapshot(v, &g);
	log_printf("Exit: %s, reason %03x, info1 %016lx, info2 %016lx, "
		   "length %u\n", dump_exit_name(x->kind), x->reason, x->info1,
		   x->info2, x->insn_len);
	log_printf("dom0: cs:rip %04x:%016lx (base %lx, %u-bit, CPL %u) "
		   "rflags %08lx\n", g.cs, g.rip, g.cs_base, g.bits, g.cpl,
		   g.rflags);
	for (unsigned i = 0; i < GPRS; i++)
		log_printf("  %-3s %016lx%s", gpr_names[i], v->gpr[i],
			   i % 4 == 3 ? "\n" : "");
	log_printf("  cr0 %08lx cr2 %lx cr3 %lx cr4 %lx efer %lx\n",
		   g.paging.cr0, g.cr2, g.paging.cr3, g.paging.cr4,
		   g.paging.efer);
	log_printf("  ss %04x ds %04x es %04x fs %04x gs %04x tr %04x\n", g.ss,
		   g.ds, g.es, g.fs, g.gs, g.tr);
	hv->dump(v);
}

/* Only one CPU dumps; another that panics meanwhile stops silently. */
static void begin(void)
{
	if (atomic_flag_test_and_set(&dumping))
		for (;;)
			__asm__ volatile("cli; hlt");
	console_seize();
}

static _Noreturn void finish(uint64_t rbp)
{
	call_trace(rbp);
	if (hv && this_cpu()->dom0.hw && this_cpu()->dom0.exit) {
		guest(&this_cpu()->dom0);
		records(this_cpu());
	}
	log_printf("luvalley: halted\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}

_Noreturn void panic(const char *format, ...)
{
	va_list ap;

	begin();
	log_printf("\nVMM PANIC on CPU %u: ", this_cpu()->index);
	va_start(ap, format);
	log_vprintf(format, ap);
	va_end(ap);
	log_printf("\n");
	finish((uint64_t)__builtin_frame_address(0));
}

_Noreturn void panic_trap(const struct trap_frame *f)
{
	const uint64_t *gpr = &f->r15;

	begin();
	log_printf("\nVMM PANIC on CPU %u: exception %lu (%s) in the VMM, "
		   "error code %lx, cr2 %lx\n", this_cpu()->index, f->vector,
		   exception_names[f->vector & 31] ? exception_names[f->vector & 31] : "?",
		   f->error, read_cr2());
	line_address("at", f->rip);
	for (unsigned i = 0; i < 15; i++) {
		static const char *const names[15] = {
			"r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8",
			"rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax",
		};
		log_printf("  %-3s %016lx%s", names[i], gpr[i],
			   i % 4 == 3 || i == 14 ? "\n" : "");
	}
	log_printf("  rsp %016lx rflags %08lx cr0 %lx cr3 %lx cr4 %lx\n",
		   f->rsp, f->rflags, read_cr0(), read_cr3(), read_cr4());
	finish(f->rbp);
}

_Noreturn void panic_exit(struct vcpu *v)
{
	begin();
	log_printf("\nVMM PANIC on CPU %u: unexpected exit %s (reason %03x)\n",
		   this_cpu()->index, dump_exit_name(v->exit->kind),
		   v->exit->reason);
	finish((uint64_t)__builtin_frame_address(0));
}
