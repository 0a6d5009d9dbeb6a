/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leak.c - every register that a guest fills keeps its value while others
 * run, and nobody sees it:
 *   leak ROUNDS [breakpoints]
 * Two processes, each with two guests, by bare hypercalls, on CPUs that
 * change all the time. A guest fills its registers, exits, is resumed, spins
 * through some interrupts of dom0's, and stores what it finds. dom0 fills its
 * own before each call and compares behind it; the registers that its kernel
 * needs are only compared. Where SYSCALL is on the guest executes it, for what
 * the processor has in its MSRs. With "breakpoints" those in DR7 are on: not for
 * QEMU's TCG, which loses count of them at VMRUN.
 */
#include "test.h"

#include <asm/prctl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/io.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RAM	  (2ul << 20)
#define PML4	  0x2000u
#define PDPT	  0x3000u
#define PD	  0x4000u
#define CODE	  0x8000u
#define WANT	  0x10000u /* struct regs */
#define SEEN	  0x14000u
#define SPINS	  0x18000u /* how long to spin */
#define MASK	  0x18008u /* of XSAVE */
#define FPU_SIZE  2048u
#define GUESTS	  2u
#define WATCHED	  0x20000u /* addresses that dom0 has breakpoints at */
#define FILLED	  0x80	   /* ports */
#define STORED	  0x81
#define CR0_ON	  0x80000033u /* PG NE ET MP PE */
#define CR4_ON	  0x00040628u /* OSXSAVE OSXMMEXCPT OSFXSR PAE DE */
#define EFER_ON	  0x500u      /* LMA LME */
#define EFER_SCE  1u
#define EFER_NXE  0x800u
#define RFLAGS_ON 0x202u
#define TSC_AUX	  0xc0000103u
#define ENTRIES	  0x100000u /* where LSTAR leads, 16 bytes each */
#define SLOTS	  4096u
#define FLAGS_ON  0x3202u   /* at SYSCALL: without CF to OF, which TCG loses */

/* Loaded and stored by the guest, but tsc_aux, which it only reads. */
static const uint32_t msrs[] = {
	0xc0000080, 0x174,	0x175,	    0x176,	0x277,	    0xc0000081,
	0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102,
};
#define MSRS	(sizeof(msrs) / sizeof(msrs[0]))
#define MSR_EFER 0
#define MSR_SYSENTER_CS 1
#define MSR_PAT 4
#define MSR_STAR 5
#define MSR_LSTAR 6
#define MSR_SFM 8

struct regs {
	uint64_t gpr[16]; /* in the order of their numbers */
	uint64_t dr[4], dr6, dr7;
	uint64_t cr2, cr8, tsc_aux;
	uint64_t msr[MSRS];
	uint64_t entry, entry_cs, entry_flags; /* only seen: of SYSCALL */
	_Alignas(64) uint8_t fpu[FPU_SIZE];
};
_Static_assert(offsetof(struct regs, dr) == 0x80 &&
	       offsetof(struct regs, cr2) == 0xb0 &&
	       offsetof(struct regs, msr) == 0xc8 &&
	       offsetof(struct regs, entry) == 0x128 &&
	       offsetof(struct regs, fpu) == 0x140, "the guest knows them");

/*
 * The guest. Its MSRs' numbers are at 18100h. Absolute addresses: it runs at
 * CODE, not where it lies here.
 */
extern const uint8_t guest[], guest_first[], guest_entry[], guest_end[];
__asm__(".pushsection .rodata\n"
	".set WANT, 0x10000; .set SEEN, 0x14000\n"
	"guest:\n"
	".irp n, 0, 1, 2, 3\n"
	"	mov WANT + 0x80 + 8 * \\n, %rax\n"
	"	mov %rax, %dr\\n\n"
	".endr\n"
	"	mov WANT + 0xa0, %rax\n"
	"	mov %rax, %dr6\n"
	"	mov WANT + 0xa8, %rax\n"
	"	mov %rax, %dr7\n"
	"	mov WANT + 0xb0, %rax\n"
	"	mov %rax, %cr2\n"
	"	mov WANT + 0xb8, %rax\n"
	"	mov %rax, %cr8\n"
	"	xor %ebx, %ebx\n"
	"1:	mov 0x18100(, %rbx, 4), %ecx\n"
	"	mov WANT + 0xc8(, %rbx, 8), %eax\n"
	"	mov WANT + 0xcc(, %rbx, 8), %edx\n"
	"	wrmsr\n"
	"	inc %ebx\n"
	"	cmp $12, %ebx\n"
	"	jne 1b\n"
	"	mov 0x18008, %eax\n"
	"	xor %edx, %edx\n"
	"	xrstor64 WANT + 0x140\n"
	"	mov WANT + 0x00, %rax\n"
	"	mov WANT + 0x08, %rcx\n"
	"	mov WANT + 0x10, %rdx\n"
	"	mov WANT + 0x18, %rbx\n"
	"	mov WANT + 0x20, %rsp\n"
	"	mov WANT + 0x28, %rbp\n"
	"	mov WANT + 0x30, %rsi\n"
	"	mov WANT + 0x38, %rdi\n"
	".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	mov WANT + 8 * \\n, %r\\n\n"
	".endr\n"
	"	out %al, $0x80\n"
	"2:	decl 0x18000\n"
	"	jns 2b\n"
	"	jmp 3f\n"
	"guest_first:\n"
	"	mov $0xc0000080, %ecx\n"
	"	mov WANT + 0xc8, %eax\n"
	"	wrmsr\n"
	"	xor %eax, %eax\n"
	"	xor %ecx, %ecx\n"
	"3:\n"
	"	mov %rax, SEEN + 0x00\n"
	"	mov %rcx, SEEN + 0x08\n"
	"	mov %rdx, SEEN + 0x10\n"
	"	mov %rbx, SEEN + 0x18\n"
	"	mov %rsp, SEEN + 0x20\n"
	"	mov %rbp, SEEN + 0x28\n"
	"	mov %rsi, SEEN + 0x30\n"
	"	mov %rdi, SEEN + 0x38\n"
	".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	mov %r\\n, SEEN + 8 * \\n\n"
	".endr\n"
	"	mov 0x18008, %eax\n"
	"	xor %edx, %edx\n"
	"	xsave64 SEEN + 0x140\n"
	".irp n, 0, 1, 2, 3\n"
	"	mov %dr\\n, %rax\n"
	"	mov %rax, SEEN + 0x80 + 8 * \\n\n"
	".endr\n"
	"	mov %dr6, %rax\n"
	"	mov %rax, SEEN + 0xa0\n"
	"	mov %dr7, %rax\n"
	"	mov %rax, SEEN + 0xa8\n"
	"	mov %cr2, %rax\n"
	"	mov %rax, SEEN + 0xb0\n"
	"	mov %cr8, %rax\n"
	"	mov %rax, SEEN + 0xb8\n"
	"	rdtscp\n"
	"	mov %rcx, SEEN + 0xc0\n"
	"	xor %ebx, %ebx\n"
	"4:	mov 0x18100(, %rbx, 4), %ecx\n"
	"	rdmsr\n"
	"	mov %eax, SEEN + 0xc8(, %rbx, 8)\n"
	"	mov %edx, SEEN + 0xcc(, %rbx, 8)\n"
	"	inc %ebx\n"
	"	cmp $12, %ebx\n"
	"	jne 4b\n"
	"	testb $1, WANT + 0xc8\n"
	"	jz 5f\n"
	"	mov $0x1c000, %esp\n"
	"	push $0x3202\n"
	"	popf\n"
	"	syscall\n"
	"5:	out %al, $0x81\n"
	"	jmp guest\n"
	"guest_entry:\n" /* called at LSTAR */
	"	pushf\n"
	"	popq SEEN + 0x138\n"
	"	mov %cs, %eax\n"
	"	mov %rax, SEEN + 0x130\n"
	"	pop %rax\n"
	"	sub $5, %rax\n"
	"	mov %rax, SEEN + 0x128\n"
	"	push %r11\n"
	"	popf\n"
	"	jmp *%rcx\n"
	"guest_end:\n"
	".popsection\n");

/* --- dom0's registers at the call ---------------------------------------------- */

/* All that a call leaves alone, the call's own registers, extended state. */
#define KEPT 9
struct call {
	uint64_t rax, rdi, rsi, rdx, r10, r8, vmx, mask;
	uint64_t kept[KEPT]; /* RBX RCX RBP R9 R11 to R15 */
	_Alignas(64) uint8_t fpu[FPU_SIZE];
};
_Static_assert(offsetof(struct call, kept) == 0x40 &&
	       offsetof(struct call, fpu) == 0xc0, "leak_call knows them");

/* *c is loaded, the hypercall made, *c stored again. */
void leak_call(struct call *c);
__asm__(".pushsection .text\n"
	"leak_call:\n"
	".irp r, rbx, rbp, r12, r13, r14, r15\n"
	"	push %\\r\n"
	".endr\n"
	"	push %rdi\n"
	"	push 0x30(%rdi)\n"	/* vmx */
	"	mov 0x38(%rdi), %eax\n"
	"	xor %edx, %edx\n"
	"	xrstor64 0xc0(%rdi)\n"
	"	mov 0x40(%rdi), %rbx\n"
	"	mov 0x48(%rdi), %rcx\n"
	"	mov 0x50(%rdi), %rbp\n"
	"	mov 0x58(%rdi), %r9\n"
	"	mov 0x60(%rdi), %r11\n"
	"	mov 0x68(%rdi), %r12\n"
	"	mov 0x70(%rdi), %r13\n"
	"	mov 0x78(%rdi), %r14\n"
	"	mov 0x80(%rdi), %r15\n"
	"	mov 0x00(%rdi), %rax\n"
	"	mov 0x10(%rdi), %rsi\n"
	"	mov 0x18(%rdi), %rdx\n"
	"	mov 0x20(%rdi), %r10\n"
	"	mov 0x28(%rdi), %r8\n"
	"	mov 0x08(%rdi), %rdi\n"
	"	cmpq $0, (%rsp)\n"
	"	jne 1f\n"
	"	vmmcall\n"
	"	jmp 2f\n"
	"1:	vmcall\n"
	"2:	mov %rax, (%rsp)\n"
	"	mov 8(%rsp), %rax\n"
	"	mov %rdi, 0x08(%rax)\n"
	"	mov %rsi, 0x10(%rax)\n"
	"	mov %rdx, 0x18(%rax)\n"
	"	mov %r10, 0x20(%rax)\n"
	"	mov %r8, 0x28(%rax)\n"
	"	mov %rbx, 0x40(%rax)\n"
	"	mov %rcx, 0x48(%rax)\n"
	"	mov %rbp, 0x50(%rax)\n"
	"	mov %r9, 0x58(%rax)\n"
	"	mov %r11, 0x60(%rax)\n"
	"	mov %r12, 0x68(%rax)\n"
	"	mov %r13, 0x70(%rax)\n"
	"	mov %r14, 0x78(%rax)\n"
	"	mov %r15, 0x80(%rax)\n"
	"	mov %rax, %rdi\n"
	"	pop %rcx\n"
	"	mov %rcx, (%rdi)\n"
	"	mov 0x38(%rdi), %eax\n"
	"	xor %edx, %edx\n"
	"	xsave64 0xc0(%rdi)\n"
	"	pop %rdi\n"
	".irp r, r15, r14, r13, r12, rbp, rbx\n"
	"	pop %\\r\n"
	".endr\n"
	"	cld\n"
	"	ret\n"
	".popsection\n");

/* --- patterns -------------------------------------------------------------------- */

static uint64_t seed, xcr0;
static bool breakpoints;
static struct luv_info info;

/* xorshift64: whose a value is can be told by nothing else. */
static uint64_t pattern(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t canonical(void)
{
	return (uint64_t)((int64_t)(pattern() << 16) >> 16);
}

/* SDM "XSAVE Area", AVX at 576: every exception masked, all registers used. */
static void fill_fpu(uint8_t *fpu)
{
	uint64_t *q = (uint64_t *)(void *)fpu;
	uint32_t mxcsr = 0x1f80 | (pattern() & 0xe000);

	memset(fpu, 0, FPU_SIZE);
	((uint16_t *)(void *)fpu)[0] = 0x37f & ~(uint16_t)(pattern() & 0x300);
	((uint16_t *)(void *)fpu)[1] = (uint16_t)(pattern() & 0x3800);
	fpu[4] = 0xff;
	memcpy(fpu + 24, &mxcsr, 4);
	for (unsigned i = 0; i < 8; i++) {
		q[4 + 2 * i] = pattern();
		q[5 + 2 * i] = pattern() & 0xffff;
	}
	for (unsigned i = 20; i < 52; i++) /* XMM */
		q[i] = pattern();
	q[64] = xcr0;
	for (unsigned i = 72; (xcr0 & 4) && i < 104; i++) /* YMM, upper half */
		q[i] = pattern();
}

static void fill(struct regs *r, unsigned who)
{
	for (unsigned i = 0; i < 16; i++)
		r->gpr[i] = pattern();
	for (unsigned i = 0; i < 4; i++)
		r->dr[i] = canonical() | 1ul << 40; /* not the guest's own */
	r->dr6 = 0xffff0ff0 | (pattern() & 0xf) | (who & 1) << 14;
	/* Of various kinds, but for instructions. */
	r->dr7 = 0x400 | (who & 1 ? 0x11110000 : 0xdd330000) |
		 (pattern() & (breakpoints ? 0x55 : 0));
	r->cr2 = pattern();
	r->cr8 = pattern() & 0xf;
	for (unsigned i = 0; i < MSRS; i++)
		r->msr[i] = canonical();
	r->msr[MSR_EFER] = EFER_ON | (pattern() & (EFER_SCE | EFER_NXE));
	r->msr[MSR_SYSENTER_CS] &= 0xffff;
	r->msr[MSR_STAR] &= ~(3ul << 32); /* RPL */
	r->msr[MSR_LSTAR] = ENTRIES + pattern() % SLOTS * 16;
	r->msr[MSR_SFM] &= 0xffffffff;
	r->msr[MSR_PAT] = pattern() & 1 ? 0x0001040506070600 :
					  0x0407000106050706;
	fill_fpu(r->fpu);
}

static void same(const char *who, const char *what, unsigned nr, uint64_t seen,
		 uint64_t want)
{
	expect(seen == want, "%s: %s %u is %#lx, not %#lx", who, what, nr, seen,
	       want);
}

/* But for what XSAVE leaves alone, and AMD's FIP, FDP and FOP. */
static void same_fpu(const char *who, const uint8_t *seen, const uint8_t *want)
{
	const uint64_t *s = (const uint64_t *)(const void *)seen;
	const uint64_t *w = (const uint64_t *)(const void *)want;

	same(who, "FCW and FSW", 0, s[0] & 0xffffffff, w[0] & 0xffffffff);
	same(who, "FTW", 0, seen[4], want[4]);
	same(who, "MXCSR", 0, (uint32_t)s[3], (uint32_t)w[3]);
	for (unsigned i = 0; i < 8; i++) {
		same(who, "ST", i, s[4 + 2 * i], w[4 + 2 * i]);
		same(who, "ST", i, s[5 + 2 * i] & 0xffff, w[5 + 2 * i]);
	}
	for (unsigned i = 20; i < 52; i++)
		same(who, "XMM", (i - 20) / 2, s[i], w[i]);
	for (unsigned i = 72; (xcr0 & 4) && i < 104; i++)
		same(who, "YMM", (i - 72) / 2, s[i], w[i]);
}

static void same_regs(const char *who, const struct regs *s,
		      const struct regs *w)
{
	for (unsigned i = 0; i < 16; i++)
		same(who, "GPR", i, s->gpr[i], w->gpr[i]);
	for (unsigned i = 0; i < 4; i++)
		same(who, "DR", i, s->dr[i], w->dr[i]);
	same(who, "DR", 6, s->dr6, w->dr6);
	same(who, "DR", 7, s->dr7, w->dr7);
	same(who, "CR", 2, s->cr2, w->cr2);
	same(who, "CR", 8, s->cr8, w->cr8);
	same(who, "TSC_AUX", 0, s->tsc_aux, w->tsc_aux);
	for (unsigned i = 0; i < MSRS; i++)
		same(who, "MSR", msrs[i], s->msr[i], w->msr[i]);
	same_fpu(who, s->fpu, w->fpu);
	if (!(w->msr[MSR_EFER] & EFER_SCE))
		return;
	same(who, "SYSCALL's RIP", 0, s->entry, w->msr[MSR_LSTAR]);
	same(who, "SYSCALL's CS", 0, s->entry_cs,
	     w->msr[MSR_STAR] >> 32 & 0xfffc);
	same(who, "SYSCALL's RFLAGS", 0, s->entry_flags | 2,
	     (FLAGS_ON & ~w->msr[MSR_SFM]) | 2);
}

/* --- guests ------------------------------------------------------------------------ */

struct guest {
	char name[16];
	long vm;
	uint8_t *ram;
	struct regs want;
	bool filled;
};

static struct guest guests[GUESTS];

static struct regs *regs_at(const struct guest *g, unsigned gpa)
{
	return (struct regs *)(void *)(g->ram + gpa);
}

static struct call call;

/* vcpu_run, with all of dom0's registers filled. */
static void call_run(const struct guest *g, uint64_t in, uint64_t flags)
{
	static struct call before;

	for (unsigned i = 0; i < KEPT; i++)
		call.kept[i] = pattern();
	fill_fpu(call.fpu);
	call.rax = LUV_CALL(LUV_CALL_vcpu_run);
	call.rdi = (uint64_t)g->vm;
	call.rdx = in;
	call.r8 = flags;
	call.rsi = call.r10 = 0;
	call.vmx = info.isa == LUV_ISA_VMX;
	call.mask = xcr0;
	before = call;
	leak_call(&call);
	for (unsigned i = 0; i < KEPT; i++)
		same("dom0", "register", i, call.kept[i], before.kept[i]);
	same_fpu("dom0", call.fpu, before.fpu);
}

static void get(const struct guest *g, struct luv_vcpu *s)
{
	luv_touch(s, sizeof(*s));
	require(luv_call(LUV_CALL_vcpu_get, (uint64_t)g->vm, 0, (uintptr_t)s, 0,
			 0) == 0, "vcpu_get");
}

static void set(const struct guest *g, const struct luv_vcpu *s)
{
	require(luv_call(LUV_CALL_vcpu_set, (uint64_t)g->vm, 0, (uintptr_t)s, 0,
			 0) == 0, "vcpu_set");
}

/* An MSR that comes to ring 3: IA32_PAT, where VMRUN does not switch it. */
static uint64_t msr(const struct guest *g, uint64_t nr, bool write,
		    uint64_t value)
{
	struct luv_vcpu s;

	expect(nr == msrs[MSR_PAT], "%s: MSR %#lx exits", g->name, nr);
	if (write)
		call_run(g, 0, LUV_RUN_NO_ENTRY);
	get(g, &s);
	if (write) {
		s.pat = value;
		set(g, &s);
	}
	return s.pat;
}

/* Until an OUT: its port. */
static uint64_t run(const struct guest *g)
{
	uint64_t in = 0;

	for (;;) {
		call_run(g, in, 0);
		if (call.rax == LUV_RUN_FAULT)
			luv_touch((void *)call.rdi, 1);
		else if (call.rax == LUV_RUN_RDMSR)
			in = msr(g, call.rdi, false, 0);
		else if (call.rax == LUV_RUN_WRMSR)
			msr(g, call.rdi, true, call.rsi);
		else
			break;
	}
	if (!expect(call.rax == LUV_RUN_IO, "%s: exit %#lx (%#lx %#lx)",
		    g->name, call.rax, call.rdi, call.rsi))
		exit(TEST_FAIL);
	return call.rdi;
}

static void state(struct guest *g, bool first)
{
	const struct luv_segment data = { 0, 0xffffffff, 0x10, 0xc093 };
	struct luv_vcpu s;

	get(g, &s);
	if (first) {
		memset(s.gpr, 0, sizeof(s.gpr));
		s.ds = s.es = s.ss = s.fs = s.gs = data;
		s.cs = (struct luv_segment){ 0, 0xffffffff, 8, 0xa09b };
		s.tr = (struct luv_segment){ 0, 0xffff, 0x18, 0x8b };
		s.cr0 = CR0_ON;
		s.cr3 = PML4;
		s.cr4 = CR4_ON;
		s.efer = EFER_ON;
		s.rflags = RFLAGS_ON;
		s.rip = CODE + (uint64_t)(guest_first - guest);
		s.xcr0 = xcr0;
	}
	s.tsc_aux = g->want.tsc_aux;
	set(g, &s);
}

/* What the processor's manual says it begins with is what it must find. */
static void first_look(struct guest *g)
{
	struct regs *w = &g->want;

	memset(w, 0, sizeof(*w));
	w->tsc_aux = (uint32_t)pattern();
	w->dr6 = 0xffff0ff0;
	w->dr7 = 0x400;
	w->msr[MSR_EFER] = EFER_ON | EFER_SCE;
	w->msr[MSR_PAT] = 0x0007040600070406;
	w->fpu[0] = 0x7f; /* XRSTOR's, of what is not in use */
	w->fpu[1] = 0x03;
	w->fpu[25] = 0x1f;
	w->fpu[24] = 0x80;
	state(g, true);
	memcpy(regs_at(g, WANT), w, sizeof(*w));
	expect(run(g) == STORED, "%s does not begin", g->name);
	same_regs(g->name, regs_at(g, SEEN), w);
}

/* A CALL of the guest's guest_entry. */
static void entry_at(const struct guest *g, uint32_t gpa)
{
	uint32_t offset = CODE + (uint32_t)(guest_entry - guest) - (gpa + 5);

	g->ram[gpa] = 0xe8;
	memcpy(g->ram + gpa + 1, &offset, 4);
}

static void guest_new(struct guest *g, const uint64_t token[2])
{
	struct luv_slot slot = { .len = RAM };
	uint32_t *numbers;

	g->vm = luv_call(LUV_CALL_vm_create, token[0], token[1], 0, 0, 0);
	require(g->vm > 0, "vm_create");
	g->ram = pages_new(RAM / PAGE);
	require(mlock(g->ram, RAM) == 0, "mlock");
	slot.hva = (uintptr_t)g->ram;
	require(luv_call(LUV_CALL_vm_slot, (uint64_t)g->vm, (uintptr_t)&slot, 0,
			 0, 0) == 0, "vm_slot");
	require(luv_call(LUV_CALL_vcpu_create, (uint64_t)g->vm, 0, 0, 0, 0) ==
		0, "vcpu_create");
	*(uint64_t *)(void *)(g->ram + PML4) = PDPT | 3;
	*(uint64_t *)(void *)(g->ram + PDPT) = PD | 3;
	*(uint64_t *)(void *)(g->ram + PD) = 0x83;
	memcpy(g->ram + CODE, guest, (size_t)(guest_end - guest));
	numbers = (uint32_t *)(void *)(g->ram + 0x18100);
	memcpy(numbers, msrs, sizeof(msrs));
	entry_at(g, 0); /* SYSCALL before LSTAR is written */
	for (unsigned i = 0; i < SLOTS; i++)
		entry_at(g, ENTRIES + 16 * i);
	*(uint32_t *)(void *)(g->ram + MASK) = (uint32_t)xcr0;
	first_look(g);
}

/* One of its two halves: fill, or store and be compared. */
static void guest_step(struct guest *g, unsigned who)
{
	if (g->filled) {
		expect(run(g) == STORED, "%s does not store", g->name);
		same_regs(g->name, regs_at(g, SEEN), &g->want);
	} else {
		fill(&g->want, who);
		g->want.tsc_aux = (uint32_t)pattern();
		state(g, false);
		memcpy(regs_at(g, WANT), &g->want, sizeof(g->want));
		*(uint32_t *)(void *)(g->ram + SPINS) =
			(uint32_t)(pattern() & 0xfffff);
		expect(run(g) == FILLED, "%s does not fill", g->name);
	}
	g->filled = !g->filled;
}

/* --- what is the kernel's ------------------------------------------------------------ */

/* Its MSRs on both CPUs, where the msr driver is. */
static void kernel_msrs(uint64_t *value)
{
	for (unsigned cpu = 0; cpu < cpus_online(); cpu++) {
		int fd = msr_open(cpu);

		for (unsigned i = 0; i < MSRS - 3 && fd >= 0; i++)
			msr_read(fd, msrs[i], value++);
		if (fd >= 0)
			msr_read(fd, TSC_AUX, value++);
		close(fd);
	}
}

/* Breakpoints of this thread's, in all of DR0 to DR3. */
static int watch[4];

static void watches_new(void)
{
	struct perf_event_attr a = { .type = PERF_TYPE_BREAKPOINT,
				     .size = sizeof(a),
				     .bp_type = HW_BREAKPOINT_W,
				     .bp_len = HW_BREAKPOINT_LEN_4,
				     .exclude_kernel = 1 };

	require(mmap((void *)(uintptr_t)WATCHED, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		MAP_FAILED, "mmap");
	for (unsigned i = 0; breakpoints && i < 4; i++) {
		a.bp_addr = WATCHED + 64 * i;
		watch[i] = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
		require(watch[i] >= 0, "perf_event_open of a breakpoint");
	}
}

/* Each has seen the writes here, and none of a guest's. */
static void watches_check(uint64_t writes)
{
	for (unsigned i = 0; breakpoints && i < 4; i++) {
		uint64_t n = 0;

		*(volatile uint32_t *)(uintptr_t)(WATCHED + 64 * i) = 1;
		require(read(watch[i], &n, 8) == 8, "count of a breakpoint");
		same("dom0", "breakpoint", i, n, writes);
	}
}

static uint64_t xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

/* --- the test ------------------------------------------------------------------------- */

static void read_token(uint64_t token[2])
{
	uint32_t w[4];

	require(ioperm(LUV_TOKEN_PORT, 16, 1) == 0,
		"ioperm on the token's port");
	for (unsigned short i = 0; i < 4; i++)
		w[i] = inl((unsigned short)(LUV_TOKEN_PORT + 4 * i));
	token[0] = w[0] | (uint64_t)w[1] << 32;
	token[1] = w[2] | (uint64_t)w[3] << 32;
}

static void test(unsigned who, unsigned rounds)
{
	const uint64_t xcr0_was = xgetbv();
	uint64_t token[2], gs, own;

	seed = 0x9e3779b97f4a7c15 * (who + 1);
	read_token(token);
	watches_new();
	for (unsigned i = 0; i < GUESTS; i++) {
		snprintf(guests[i].name, 16, "guest %u", who * GUESTS + i);
		guest_new(&guests[i], token);
	}
	own = canonical() & 0x7fffffffffff;
	syscall(SYS_arch_prctl, ARCH_SET_GS, own);
	for (unsigned i = 0; i < rounds; i++) {
		pin((unsigned)pattern() % cpus_online());
		guest_step(&guests[pattern() % GUESTS], who + i);
		watches_check(i + 1);
		same("dom0", "XCR0", 0, xgetbv(), xcr0_was);
		syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
		same("dom0", "GS base", 0, gs, own);
	}
	for (unsigned i = 0; i < GUESTS; i++)
		luv_call(LUV_CALL_vm_destroy, (uint64_t)guests[i].vm, 0, 0, 0,
			 0);
	note("process %u: %u rounds, %u checks, %u failed", who, rounds,
	     test_checks, test_failures);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 500;
	uint64_t before[64 * MSRS] = { 0 }, after[64 * MSRS] = { 0 };
	pid_t other;
	int status = 0;

	breakpoints = argc > 2 && !strcmp(argv[2], "breakpoints");
	test_open(&info);
	xcr0 = xgetbv() & 7;
	kernel_msrs(before);
	fflush(stdout);
	other = fork();
	require(other >= 0, "fork");
	test(other ? 0 : 1, rounds);
	if (!other)
		_exit(test_failures ? TEST_FAIL : TEST_PASS);
	waitpid(other, &status, 0);
	expect(status == 0, "the other process: %#x", status);
	kernel_msrs(after);
	for (unsigned i = 0; i < sizeof(before) / 8; i++)
		same("dom0", "kernel MSR", i, after[i], before[i]);
	return test_end("leak", NULL);
}
