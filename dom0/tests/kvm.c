/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvm.c - a small client of the KVM API, as any other. A real-mode guest of a
 * few instructions does what comes back to the client, and the client does to
 * it what QEMU does: registers, interrupts, signals, slots.
 */
#include "client.h"

#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#define VECTOR	  0x20u
#define MMIO_BASE 0xd0000000u

/* --- tests ------------------------------------------------------------------- */

static void capabilities(void)
{
	expect(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) == 1,
	       "KVM_CAP_USER_MEMORY");
	expect(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) == 1,
	       "KVM_CAP_IMMEDIATE_EXIT");
	expect(ioctl(kvm, KVM_CHECK_EXTENSION, 9999) == 0, "a capability");
}

static void ports(void)
{
	static const uint8_t code[] = {
		0xb8, 0x34, 0x12, /* mov $0x1234, %ax */
		0xe7, 0x80,	  /* out %ax, $0x80 */
		0xe4, 0x81,	  /* in $0x81, %al */
		0xa2, 0x00, 0x20, /* mov %al, 0x2000 */
		0x66, 0xe5, 0x82, /* in $0x82, %eax */
		0xe4, 0x83,	  /* in $0x83, %al */
		0xf4,		  /* hlt */
	};
	struct kvm_regs regs;

	start(code, sizeof(code));
	if (!runs(KVM_EXIT_IO, "out"))
		return;
	is_io(true, 0x80, 2);
	expect(io_data()[0] == 0x34 && io_data()[1] == 0x12, "data of OUT");
	runs(KVM_EXIT_IO, "in");
	is_io(false, 0x81, 1);
	*io_data() = 0x5a;
	runs(KVM_EXIT_IO, "second in");
	is_io(false, 0x82, 4);
	expect(ram[0x2000] == 0x5a, "the IN's data: %#x", ram[0x2000]);
	memcpy(io_data(), "\1\2\3\4", 4);
	/* immediate_exit: the IN is completed, nothing else happens. */
	run->immediate_exit = 1;
	expect(ioctl(cpu, KVM_RUN, 0) < 0 && errno == EINTR &&
	       run->exit_reason == KVM_EXIT_INTR, "immediate_exit");
	run->immediate_exit = 0;
	ioctl(cpu, KVM_GET_REGS, &regs);
	expect(regs.rax == 0x04030201 && regs.rip == LOAD + 13,
	       "after immediate_exit: rax %#llx rip %#llx", regs.rax, regs.rip);
	runs(KVM_EXIT_IO, "third in");
	/* Registers set while an IN waits: both happen. */
	ioctl(cpu, KVM_GET_REGS, &regs);
	expect(regs.rip == LOAD + 13, "rip at the IN: %#llx", regs.rip);
	regs.rbx = 0x77;
	ioctl(cpu, KVM_SET_REGS, &regs);
	*io_data() = 0x99;
	runs(KVM_EXIT_HLT, "hlt");
	ioctl(cpu, KVM_GET_REGS, &regs);
	expect(regs.rbx == 0x77 && (regs.rax & 0xff) == 0x99 &&
	       regs.rip == LOAD + 16, "rbx %#llx rax %#llx rip %#llx", regs.rbx,
	       regs.rax, regs.rip);
}

static void interrupts(void)
{
	static const uint8_t code[] = {
		0xf4,		  /* hlt */
		0xe6, 0x80,	  /* out %al, $0x80 */
		0xfb,		  /* sti */
		0x90,		  /* nop */
		0xf4,		  /* hlt */
		0xe6, 0x81,	  /* out %al, $0x81 */
		0xeb, 0xfe,	  /* jmp . */
	};
	static const uint8_t handler[] = { 0xe6, 0x90, 0xcf };
	struct kvm_interrupt irq = { VECTOR };

	handle(VECTOR, handler, sizeof(handler));
	start(code, sizeof(code));
	runs(KVM_EXIT_HLT, "hlt without IF");
	expect(!run->if_flag && !run->ready_for_interrupt_injection,
	       "IF %u, ready %u", run->if_flag,
	       run->ready_for_interrupt_injection);
	run->request_interrupt_window = 1;
	runs(KVM_EXIT_IO, "out without IF");
	runs(KVM_EXIT_IRQ_WINDOW_OPEN, "window");
	expect(run->if_flag && run->ready_for_interrupt_injection,
	       "IF %u, ready %u", run->if_flag,
	       run->ready_for_interrupt_injection);
	run->request_interrupt_window = 0;
	expect(ioctl(cpu, KVM_INTERRUPT, &irq) == 0, "KVM_INTERRUPT");
	runs(KVM_EXIT_IO, "handler");
	is_io(true, 0x90, 1);
	runs(KVM_EXIT_HLT, "hlt after the handler");
	expect(ioctl(cpu, KVM_INTERRUPT, &irq) == 0, "KVM_INTERRUPT");
	runs(KVM_EXIT_IO, "handler, from hlt");
	is_io(true, 0x90, 1);
	runs(KVM_EXIT_IO, "after hlt");
	is_io(true, 0x81, 1);
}

static void use_cpu(int nr)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(nr, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Each interrupt is delivered once, also while another CPU wakes and sleeps:
 * QEMU's TCG is then asked often to stop and go on with the guest.
 */
static void once(void)
{
	static const uint8_t code[] = { 0xfb, 0xeb, 0xfe }; /* sti; jmp . */
	static const uint8_t handler[] = {
		0x66, 0xff, 0x06, 0x00, 0x20, /* incl 0x2000 */
		0xb9, 0x00, 0x40,	      /* mov $0x4000, %cx */
		0xe2, 0xfe,		      /* loop . */
		0xe6, 0x90,		      /* out %al, $0x90 */
		0xcf,			      /* iret */
	};
	const uint32_t *count = (const uint32_t *)(void *)(ram + 0x2000);
	struct kvm_interrupt irq = { VECTOR };
	enum { INTERRUPTS = 2000 };
	pid_t child = fork();
	unsigned i;

	use_cpu(child ? 0 : 1);
	while (!child)
		usleep(50);
	memset(ram + 0x2000, 0, 4);
	handle(VECTOR, handler, sizeof(handler));
	start(code, sizeof(code));
	for (i = 0; i < INTERRUPTS; i++) {
		run->request_interrupt_window = 1;
		if (!runs(KVM_EXIT_IRQ_WINDOW_OPEN, "window"))
			break;
		run->request_interrupt_window = 0;
		ioctl(cpu, KVM_INTERRUPT, &irq);
		if (!runs(KVM_EXIT_IO, "handler"))
			break;
	}
	expect(*count == i, "%u interrupts arrived %u times", i, *count);
	kill(child, SIGKILL);
	wait(NULL);
}

static void on_alarm(int nr)
{
	(void)nr;
	run->immediate_exit = 1;
}

/* The guest loops for ever; only a signal's handler ends KVM_RUN. */
static void signals_with(uint64_t rflags)
{
	static const uint8_t code[] = { 0xeb, 0xfe }; /* jmp . */
	struct itimerval t = { .it_value = { 0, 20000 } }, off = { 0 };
	struct sigaction act = { .sa_handler = on_alarm };
	double begin = seconds();
	unsigned eintr = 0;

	sigaction(SIGALRM, &act, NULL);
	start_with(code, sizeof(code), rflags);
	for (int i = 0; i < 50; i++) {
		setitimer(ITIMER_REAL, &t, NULL);
		if (ioctl(cpu, KVM_RUN, 0) < 0 && errno == EINTR &&
		    run->exit_reason == KVM_EXIT_INTR)
			eintr++;
		run->immediate_exit = 0;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	expect(eintr == 50, "%u of 50 signals ended KVM_RUN", eintr);
	printf("50 signals of 20 ms: %.2f s\n", seconds() - begin);
}

static void signals(void)
{
	signals_with(RFLAGS_1 | RFLAGS_IF);
}

/*
 * A guest that has interrupts off is interrupted all the same. Not on Bochs,
 * which holds external interrupts back then: only when asked for.
 */
static void signals_cli(void)
{
	signals_with(RFLAGS_1);
}

static void speed(void)
{
	static const uint8_t code[] = { 0xe6, 0x80, 0xeb, 0xfc };
	enum { ROUNDS = 20000 };
	double begin;

	start(code, sizeof(code));
	runs(KVM_EXIT_IO, "out");
	begin = seconds();
	for (int i = 0; i < ROUNDS; i++)
		ioctl(cpu, KVM_RUN, 0);
	printf("an OUT to the client and back: %.0f ns\n",
	       (seconds() - begin) / ROUNDS * 1e9);
	expect(run->exit_reason == KVM_EXIT_IO, "exit %u", run->exit_reason);
	run->immediate_exit = 1;
	begin = seconds();
	for (int i = 0; i < ROUNDS; i++)
		ioctl(cpu, KVM_RUN, 0);
	printf("of this in ring 3: %.0f ns\n",
	       (seconds() - begin) / ROUNDS * 1e9);
	run->immediate_exit = 0;
}

static void mmio(void)
{
	static const uint8_t code[] = {
		0x66, 0xb8, 0x44, 0x33, 0x22, 0x11, /* mov $0x11223344, %eax */
		0x67, 0x66, 0xa3, 0x10, 0x00, 0x00, 0xd0, /* mov %eax, MMIO+10 */
		0x67, 0x66, 0xa1, 0x20, 0x00, 0x00, 0xd0, /* mov MMIO+20, %eax */
		0xf4,
	};
	struct kvm_regs regs;
	struct kvm_sregs s;

	start(code, sizeof(code));
	ioctl(cpu, KVM_GET_SREGS, &s);
	s.ds.limit = 0xffffffff;
	s.ds.g = 1;
	ioctl(cpu, KVM_SET_SREGS, &s);
	if (!runs(KVM_EXIT_MMIO, "write"))
		return;
	expect(run->mmio.is_write && run->mmio.phys_addr == MMIO_BASE + 0x10 &&
	       run->mmio.len == 4 && !memcmp(run->mmio.data, "\x44\x33\x22\x11",
					     4), "MMIO write at %#llx, %u bytes",
	       run->mmio.phys_addr, run->mmio.len);
	runs(KVM_EXIT_MMIO, "read");
	expect(!run->mmio.is_write && run->mmio.phys_addr == MMIO_BASE + 0x20,
	       "MMIO read at %#llx", run->mmio.phys_addr);
	memcpy(run->mmio.data, "\xef\xbe\xad\xde", 4);
	runs(KVM_EXIT_HLT, "after MMIO");
	ioctl(cpu, KVM_GET_REGS, &regs);
	expect(regs.rax == 0xdeadbeef, "rax %#llx", regs.rax);
}

/*
 * EOI without an exit: by the bit below, or by a processor that virtualizes
 * the APIC, which has no use for it. A guest sends itself vector 40h ten times, then 40h and
 * 50h at once. The bit at 5000h must be set for all but 50h, behind which 40h
 * waits. At 5010h it counts interrupts, at 5011h EOIs to the x2APIC.
 */
extern const uint8_t eoi_guest[], eoi_handler[], eoi_end[];
__asm__(".pushsection .rodata\n"
	".code16\n"
	"eoi_guest:\n"
	"	movl $0, 0x5000\n"		/* pages that are there */
	"	mov 0, %eax\n"
	"	push %eax\n"
	"	xor %edx, %edx\n"
	"	mov $0x1b, %ecx\n"		/* APIC_BASE: x2APIC */
	"	mov $0xfee00d00, %eax\n"
	"	wrmsr\n"
	"	mov $0x80f, %ecx\n"		/* SVR: on */
	"	mov $0x1ff, %eax\n"
	"	wrmsr\n"
	"	mov $0x4b564d04, %ecx\n"	/* PV_EOI_EN */
	"	mov $0x5001, %eax\n"
	"	wrmsr\n"
	"	mov $0x83f, %ecx\n"		/* SELF IPI */
	"	mov $10, %bp\n"
	"	sti\n"
	"1:	mov $0x40, %eax\n"
	"	wrmsr\n"
	"	nop\n"
	"	dec %bp\n"
	"	jnz 1b\n"
	"	cli\n"
	"	wrmsr\n"
	"	mov $0x50, %eax\n"
	"	wrmsr\n"
	"	sti\n"
	"	nop\n"
	"	nop\n"
	"	mov $0x812, %ecx\n"		/* ISR, vectors 40h to 5fh */
	"	rdmsr\n"
	"	out %eax, $0x80\n"
	"eoi_handler:\n"
	"	incb 0x5010\n"
	"	btrl $0, 0x5000\n"
	"	jc 2f\n"
	"	incb 0x5011\n"
	"	push %eax\n"
	"	push %ecx\n"
	"	mov $0x80b, %ecx\n"
	"	xor %eax, %eax\n"
	"	wrmsr\n"
	"	pop %ecx\n"
	"	pop %eax\n"
	"2:	iret\n"
	"eoi_end:\n"
	".code64\n"
	".popsection\n");

/* An interrupt of the host's takes the bit back: then once more. */
static void pv_eoi(void)
{
	const uint16_t handler = (uint16_t)(LOAD + (eoi_handler - eoi_guest));
	unsigned tries = 10;
	unsigned long before;
	uint32_t isr;

	close(cpu);
	close(vm);
	close(kvm);
	machine_with(true);
	for (unsigned vector = 0x40; vector <= 0x50; vector += 0x10) {
		((uint16_t *)ram)[vector * 2] = handler;
		((uint16_t *)ram)[vector * 2 + 1] = 0;
	}
	do {
		memset(ram + 0x5000, 0, 0x20);
		before = exits("wrmsr");
		start(eoi_guest, (size_t)(eoi_end - eoi_guest));
		if (!runs(KVM_EXIT_IO, "pv_eoi"))
			return;
		memcpy(&isr, io_data(), 4);
		expect(ram[0x5010] == 12, "%u of 12 interrupts", ram[0x5010]);
		expect(isr == 0, "in service at the end: %#x", isr);
	} while (ram[0x5011] > 1 && exits("wrmsr") > before + 3 && --tries);
	/* Three MSRs are not the APIC's: they exit always. */
	expect(ram[0x5011] == 1 || exits("wrmsr") <= before + 3,
	       "%u EOIs by MSR, not 1", ram[0x5011]);
}

/* A slot that goes away, comes back elsewhere, and is read-only. */
static void slots(void)
{
	static const uint8_t code[] = {
		0xb8, 0x00, 0x80, 0x8e, 0xd8, /* mov $0x8000, %ax; mov %ax,%ds */
		0xa0, 0x00, 0x00,	      /* mov 0, %al: at 80000h */
		0xe6, 0x80,		      /* out %al, $0x80 */
		0xeb, 0xf9,		      /* jmp the load */
	};
	struct kvm_userspace_memory_region bad = { 1, 0, 0x1001, 0x1000,
						   (uintptr_t)ram };
	uint8_t *two = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	expect(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &bad) < 0 &&
	       errno == EINVAL, "unaligned slot");
	bad.guest_phys_addr = 0x1000;
	expect(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &bad) < 0 &&
	       errno == EEXIST, "overlapping slot");
	slot(0, 0, 0, 0, NULL);
	slot(0, 0, 0, 0x80000, ram);
	slot(1, 0, 0x80000, 0x1000, two);
	two[0] = 0x11;
	two[0x1000] = 0x22;
	start(code, sizeof(code));
	runs(KVM_EXIT_IO, "first page");
	expect(*io_data() == 0x11, "first page: %#x", *io_data());
	slot(1, 0, 0, 0, NULL);
	slot(1, KVM_MEM_READONLY, 0x80000, 0x1000, two + 0x1000);
	runs(KVM_EXIT_IO, "second page");
	expect(*io_data() == 0x22, "second page: %#x", *io_data());
	slot(1, 0, 0, 0, NULL);
	slot(0, 0, 0, 0, NULL);
	slot(0, 0, 0, RAM, ram);
	munmap(two, 0x2000);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
		bool if_asked;
	} tests[] = {
		{ "ports", ports, false },
		{ "interrupts", interrupts, false },
		{ "signals", signals, false },
		{ "signals-cli", signals_cli, true },
		{ "once", once, false },
		{ "speed", speed, false },
		{ "slots", slots, false },
		{ "mmio", mmio, false },
		{ "pv_eoi", pv_eoi, false },
	};

	machine();
	capabilities();
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (argc > 1 ? strcmp(argv[1], tests[i].name) :
			       tests[i].if_asked)
			continue;
		printf("kvm: %s\n", tests[i].name);
		fflush(stdout);
		tests[i].fn();
	}
	printf("kvm: %u checks, %u failed.\n", checks, failures);
	return failures ? 1 : 0;
}
