/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.c - a client of the KVM API that sets a vCPU's registers, rightly and
 * wrongly, whose guest does so itself, and that debugs it.
 */
#include "client.h"

#define VEC_GP 13

static void msrs(void)
{
	static const uint8_t code[] = {
		0x66, 0xb9, 0x00, 0x02, 0x00, 0x00, /* mov $0x200, %ecx */
		0x0f, 0x32,			    /* rdmsr */
		0x66, 0x05, 0x00, 0x10, 0x00, 0x00, /* add $0x1000, %eax */
		0x0f, 0x30,			    /* wrmsr */
		0x66, 0xb9, 0x99, 0x99, 0x00, 0x00, /* mov $0x9999, %ecx */
		0x0f, 0x32,			    /* rdmsr: #GP */
		0xf4,
	};
	static const uint8_t handler[] = { 0xb0, 0x6d, 0xe6, 0x91, 0xf4 };
	uint64_t room[8] = { 0 };
	struct kvm_msrs *m = (struct kvm_msrs *)(void *)room;

	m->nmsrs = 2;
	m->entries[0].index = 0x200;
	m->entries[0].data = 0x123000;
	m->entries[1].index = 0x277;
	expect(ioctl(cpu, KVM_SET_MSRS, m) == 2, "KVM_SET_MSRS");
	m->entries[0].data = 0;
	expect(ioctl(cpu, KVM_GET_MSRS, m) == 2 &&
	       m->entries[0].data == 0x123000, "KVM_GET_MSRS");
	handle(VEC_GP, handler, sizeof(handler));
	start(code, sizeof(code));
	if (!runs(KVM_EXIT_IO, "the #GP's handler"))
		return;
	is_io(true, 0x91, 1);
	ioctl(cpu, KVM_GET_MSRS, m);
	expect(m->entries[0].data == 0x124000, "MSR 200h: %#llx",
	       m->entries[0].data);
}

/* An invalid state is refused when it is given, and nothing is changed. */
static void invalid(void)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
	} bad[] = {
		{ 0x277, 0x0007040600070402 }, { 0xc0000080, 0x1000000 },
		{ 0xc0000103, 0x100000000 }, { 0xc0000082, 0x800000000000 },
	};
	static const uint8_t code[] = { 0xe6, 0x80 }; /* out %al, $0x80 */
	struct kvm_sregs s, after;
	uint64_t room[8] = { 0 };
	struct kvm_msrs *m = (struct kvm_msrs *)(void *)room;

	start(code, sizeof(code));
	ioctl(cpu, KVM_GET_SREGS, &s);
	s.cr0 |= 1u << 31; /* PG without PE */
	expect(ioctl(cpu, KVM_SET_SREGS, &s) < 0 && errno == EINVAL,
	       "CR0.PG without PE");
	s.cr0 &= 0x7fffffff;
	s.efer = 0x500; /* LMA without PG */
	expect(ioctl(cpu, KVM_SET_SREGS, &s) < 0 && errno == EINVAL,
	       "EFER.LMA without CR0.PG");
	s.efer = 0;
	ioctl(cpu, KVM_GET_SREGS, &after);
	expect(!memcmp(&s, &after, sizeof(s)), "SREGS after a refusal");
	m->nmsrs = 3;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m->entries[0].index = m->entries[2].index = 0x200;
		m->entries[0].data = i;
		m->entries[1].index = bad[i].msr;
		m->entries[1].data = bad[i].value;
		m->entries[2].data = 99;
		expect(ioctl(cpu, KVM_SET_MSRS, m) == 1, "MSR %#x: %#lx",
		       bad[i].msr, (unsigned long)bad[i].value);
		m->entries[0].data = 77;
		expect(ioctl(cpu, KVM_GET_MSRS, m) == 3 &&
		       m->entries[0].data == i, "the MSR before %#x",
		       bad[i].msr);
	}
	runs(KVM_EXIT_IO, "after refusals");
}

/* WRMSR of PAT with a type that is not there, then of TSC_AUX: two #GPs. */
static void guest_msrs(void)
{
	static const uint8_t code[] = {
		0x66, 0xb9, 0x77, 0x02, 0x00, 0x00, /* mov $0x277, %ecx */
		0x66, 0xb8, 0x02, 0x00, 0x00, 0x00, /* mov $2, %eax */
		0x66, 0x31, 0xd2,		    /* xor %edx, %edx */
		0x0f, 0x30,			    /* wrmsr */
		0x66, 0xb9, 0x03, 0x01, 0x00, 0xc0, /* mov $TSC_AUX, %ecx */
		0x66, 0xba, 0x01, 0x00, 0x00, 0x00, /* mov $1, %edx */
		0x0f, 0x30,			    /* wrmsr */
		0xf4,
	};
	static const uint8_t handler[] = {
		0xe6, 0x93,		/* out %al, $0x93 */
		0x5b,			/* pop %bx */
		0x83, 0xc3, 0x02,	/* add $2, %bx: behind the WRMSR */
		0x53,			/* push %bx */
		0xcf,			/* iret */
	};

	handle(VEC_GP, handler, sizeof(handler));
	start(code, sizeof(code));
	for (int i = 0; i < 2; i++) {
		if (!runs(KVM_EXIT_IO, "the handler of a WRMSR's #GP"))
			return;
		is_io(true, 0x93, 1);
	}
	runs(KVM_EXIT_HLT, "after two #GPs");
}

/* What no guest may set is #GP, and it goes on. */
static void cr4(void)
{
	static const uint8_t code[] = {
		0x0f, 0x20, 0xe0,		    /* mov %cr4, %eax */
		0x66, 0x0d, 0x00, 0x20, 0x00, 0x00, /* or $0x2000, %eax: VMXE */
		0x0f, 0x22, 0xe0,		    /* mov %eax, %cr4 */
		0xf4,
	};
	static const uint8_t handler[] = { 0xb0, 0x6d, 0xe6, 0x92, 0xf4 };
	struct kvm_sregs s;

	handle(VEC_GP, handler, sizeof(handler));
	start(code, sizeof(code));
	if (!runs(KVM_EXIT_IO, "the #GP of CR4.VMXE"))
		return;
	is_io(true, 0x92, 1);
	expect(ioctl(cpu, KVM_GET_SREGS, &s) == 0 && !(s.cr4 & 0x2000),
	       "CR4 is %#llx", s.cr4);
}

static void debug_with(uint32_t control, uint64_t dr0, uint64_t dr7)
{
	struct kvm_guest_debug d = { .control = control };

	d.arch.debugreg[0] = dr0;
	d.arch.debugreg[7] = dr7;
	expect(ioctl(cpu, KVM_SET_GUEST_DEBUG, &d) == 0,
	       "KVM_SET_GUEST_DEBUG %#x", control);
}

static void stops(unsigned exception, uint64_t pc, uint64_t dr6)
{
	const struct kvm_debug_exit_arch *d = &run->debug.arch;

	if (!runs(KVM_EXIT_DEBUG, "debug"))
		return;
	expect(d->exception == exception && d->pc == pc &&
	       (d->dr6 & 0x400f) == dr6, "exception %u at %#llx, DR6 %#llx, "
	       "not %u at %#lx, %#lx", d->exception, d->pc, d->dr6, exception,
	       (unsigned long)pc, (unsigned long)dr6);
}

static void same_debugregs(const struct kvm_debugregs *before, const char *when)
{
	struct kvm_debugregs now;
	struct kvm_regs regs;

	ioctl(cpu, KVM_GET_DEBUGREGS, &now);
	ioctl(cpu, KVM_GET_REGS, &regs);
	expect(!memcmp(before, &now, sizeof(now)),
	       "the guest's DR6 %#llx and DR7 %#llx %s", now.dr6, now.dr7, when);
	expect(!(regs.rflags & 0x100), "TF is not the guest's, %s", when);
}

/* As gdb does it; of which nothing is to be seen in the guest's registers. */
static void steps(void)
{
	static const uint8_t code[] = {
		0xb0, 0x11, /* 0: mov $0x11, %al */
		0x90,	    /* 2: nop */
		0xe6, 0x80, /* 3: out %al, $0x80 */
		0xf4,	    /* 5: hlt */
	};
	const uint32_t on = KVM_GUESTDBG_ENABLE;
	struct kvm_debugregs before;

	start(code, sizeof(code));
	ioctl(cpu, KVM_GET_DEBUGREGS, &before);
	debug_with(on | KVM_GUESTDBG_SINGLESTEP, 0, 0);
	stops(1, LOAD + 2, 0x4000);
	stops(1, LOAD + 3, 0x4000);
	same_debugregs(&before, "after steps");
	debug_with(on | KVM_GUESTDBG_USE_HW_BP, 0x6000, 0x402);
	runs(KVM_EXIT_IO, "past a breakpoint elsewhere");
	same_debugregs(&before, "with a breakpoint");
	debug_with(0, 0, 0);
	runs(KVM_EXIT_HLT, "without the debugger");
	same_debugregs(&before, "at the end");
	expect(ioctl(cpu, KVM_SET_GUEST_DEBUG, &(struct kvm_guest_debug){
		       .control = on | 0x80000000u }) < 0 && errno == EINVAL,
	       "an unknown way to debug");
}

/*
 * Not on QEMU's TCG, only when asked for: there VMRUN does not arm the
 * breakpoints in the guest's DR7, and INT3 does not exit as a #BP.
 */
static void breakpoints(void)
{
	static const uint8_t code[] = {
		0xb0, 0x11,	  /* 0: mov $0x11, %al */
		0xa2, 0x00, 0x20, /* 2: mov %al, 0x2000 */
		0x90,		  /* 5: nop */
		0xcc,		  /* 6: int3 */
		0xf4,		  /* 7: hlt */
	};
	const uint32_t on = KVM_GUESTDBG_ENABLE;
	struct kvm_debugregs before;
	struct kvm_regs regs;

	start(code, sizeof(code));
	ioctl(cpu, KVM_GET_DEBUGREGS, &before);
	ram[0x2000] = 0;
	debug_with(on | KVM_GUESTDBG_USE_HW_BP, LOAD + 5, 0x402);
	stops(1, LOAD + 5, 1);
	expect(ram[0x2000] == 0x11, "the store before the breakpoint");
	debug_with(on | KVM_GUESTDBG_USE_SW_BP, 0, 0);
	stops(3, LOAD + 6, 0);
	ioctl(cpu, KVM_GET_REGS, &regs);
	expect(regs.rip == LOAD + 6, "rip at INT3: %#llx", regs.rip);
	/* Written to: the instruction is over. */
	regs.rip = LOAD;
	ioctl(cpu, KVM_SET_REGS, &regs);
	debug_with(on | KVM_GUESTDBG_USE_HW_BP, 0x2000, 0x10402);
	stops(1, LOAD + 5, 1);
	ioctl(cpu, KVM_GET_REGS, &regs);
	regs.rip = LOAD + 7;
	ioctl(cpu, KVM_SET_REGS, &regs);
	debug_with(0, 0, 0);
	runs(KVM_EXIT_HLT, "without the debugger");
	same_debugregs(&before, "at the end");
}

int main(int argc, char **argv)
{
	machine();
	msrs();
	invalid();
	guest_msrs();
	cr4();
	steps();
	if (argc == 2 && !strcmp(argv[1], "breakpoints"))
		breakpoints();
	printf("state: %u checks, %u failed.\n", checks, failures);
	return failures ? 1 : 0;
}
