/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.c - a client that never asks for immediate_exit, as kvmtool: each
 * signal that arrives in KVM_RUN must end it, with a handler that does nothing.
 * Another process sends them at random moments, one after the other was seen.
 * One is lost if the guest goes on after the handler has run.
 */
#include "client.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define COUNTER	 0x2000u /* where the guest counts */
#define MSR_MTRR 0x200u	 /* answered by ring 3 */
#define PAUSE_NS 300000u
#define LATE_S	 2.0
#define SIGNALS	 1000u
#define TOO_LATE 5u /* no more then: each takes LATE_S */
#define KERNEL_SIGSET 8u

static struct tally {
	_Atomic unsigned sent, seen;
	_Atomic unsigned ended; /* seen, when KVM_RUN last returned EINTR */
	_Atomic unsigned late;	/* seen, and KVM_RUN went on */
	_Atomic bool enough, over;
} *tally;

static volatile bool handled; /* in this KVM_RUN, by a handler */
static volatile uint32_t at;  /* the guest's count then */

static volatile uint32_t *counter(void)
{
	return (volatile uint32_t *)(void *)(ram + COUNTER);
}

static void on_signal(int nr)
{
	(void)nr;
	tally->seen++;
	if (handled)
		return;
	at = *counter();
	handled = true;
}

/* --- who sends ---------------------------------------------------------------- */

static void pause_ns(unsigned ns)
{
	double end = seconds() + ns / 1e9;

	while (seconds() < end)
		;
}

/* Until *what is n; false: it takes too long. */
static bool reaches(const _Atomic unsigned *what, unsigned n)
{
	double end = seconds() + LATE_S;

	while (*what < n)
		if (seconds() > end)
			return false;
	return true;
}

static void send_all(pid_t to, bool each_ends)
{
	unsigned seed = 1;

	for (unsigned i = 1; i <= SIGNALS && tally->late < TOO_LATE; i++) {
		pause_ns((unsigned)rand_r(&seed) % PAUSE_NS);
		tally->sent++;
		kill(to, SIGALRM);
		if (!reaches(&tally->seen, i) ||
		    (each_ends && !reaches(&tally->ended, i)))
			tally->late++;
	}
	tally->enough = true;
	while (!tally->over) {
		kill(to, SIGALRM);
		usleep(1000);
	}
	_exit(0);
}

/* --- who is sent to ------------------------------------------------------------ */

/* One KVM_RUN. Returns true if a signal was lost in it. */
static bool run_once(bool masked)
{
	const uint32_t began = *counter();
	const struct timespec now = { 0 };
	sigset_t alarm;
	int e;

	handled = false;
	e = ioctl(cpu, KVM_RUN, 0);
	if (!expect(e < 0 && errno == EINTR &&
		    run->exit_reason == KVM_EXIT_INTR,
		    "KVM_RUN returned %d, exit %u", e, run->exit_reason))
		exit(1);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	if (masked && sigtimedwait(&alarm, NULL, &now) == SIGALRM)
		tally->seen++; /* pending still, as Linux has it */
	tally->ended = tally->seen;
	/* Where the guest had not run yet it may have been before KVM_RUN. */
	return handled && *counter() != at && (masked || at != began);
}

static void storm(const char *name, bool masked)
{
	unsigned lost = 0, runs_made = 0, seen;
	pid_t parent = getpid(), child;
	int status;

	memset(tally, 0, sizeof(*tally));
	child = fork();
	require(child >= 0, "fork");
	if (child == 0)
		send_all(parent, masked);
	for (; !tally->enough; runs_made++)
		lost += run_once(masked);
	seen = tally->seen;
	tally->over = true;
	waitpid(child, &status, 0);
	printf("%s: %u sent, %u seen, KVM_RUN ended %u times, guest at %u\n",
	       name, tally->sent, seen, runs_made, *counter());
	expect(seen >= tally->sent, "%s: %u of %u seen", name, seen,
	       tally->sent);
	expect(lost == 0, "%s: the guest ran on after %u signals", name, lost);
	expect(tally->late == 0, "%s: KVM_RUN went on after %u signals", name,
	       tally->late);
}

/* SIGALRM blocked but in KVM_RUN. */
static void mask(bool on)
{
	uint64_t room[2] = { 0 };
	struct kvm_signal_mask *none = (struct kvm_signal_mask *)(void *)room;
	sigset_t alarm;

	none->len = KERNEL_SIGSET;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(on ? SIG_BLOCK : SIG_UNBLOCK, &alarm, NULL);
	expect(ioctl(cpu, KVM_SET_SIGNAL_MASK, on ? none : NULL) == 0,
	       "KVM_SET_SIGNAL_MASK");
}

static void storms(const char *name, const uint8_t *code, size_t len)
{
	char with[64];

	start_with(code, len, RFLAGS_1 | RFLAGS_IF);
	storm(name, false);
	mask(true);
	snprintf(with, sizeof(with), "%s, with a mask", name);
	storm(with, true);
	mask(false);
}

/* --- guests --------------------------------------------------------------------- */

static const uint8_t spins[] = {
	0x66, 0xff, 0x06, COUNTER & 0xff, COUNTER >> 8, /* incl COUNTER */
	0xeb, 0xf9,					/* jmp */
};

/* Most of the time is ring 3's, between two runs of the guest. */
static const uint8_t asks[] = {
	0x66, 0xb9, MSR_MTRR & 0xff, MSR_MTRR >> 8, 0, 0, /* mov MSR, %ecx */
	0x0f, 0x32,					  /* rdmsr */
	0x66, 0xff, 0x06, COUNTER & 0xff, COUNTER >> 8,	  /* incl COUNTER */
	0xeb, 0xf7,					  /* jmp rdmsr */
};

static const uint8_t halts[] = { 0xf4, 0xeb, 0xfd };

/* Another machine, where HLT is not the client's. */
static void with_irqchip(void)
{
	close(cpu);
	close(vm);
	close(kvm);
	machine_with(true);
}

int main(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	require(tally != MAP_FAILED, "shared memory");
	sigaction(SIGALRM, &act, NULL);
	machine();
	storms("a guest that counts", spins, sizeof(spins));
	storms("a guest that reads MSRs", asks, sizeof(asks));
	with_irqchip();
	start_with(halts, sizeof(halts), RFLAGS_1 | RFLAGS_IF);
	mask(true);
	storm("a halted guest, with a mask", true);
	printf("signals: %u checks, %u failed.\n", checks, failures);
	return failures ? 1 : 0;
}
