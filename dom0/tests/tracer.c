/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tracer.c - what a debugger does to a process, to each of its threads:
 *   tracer PID ROUNDS
 * A round stops all threads wherever they are, writes back the registers it
 * reads, has each make a few single steps, and detaches. A thread that waits
 * in the run hypercall is stopped at that instruction; over all rounds there
 * must have been one. ptrace(2).
 */
#include "test.h"

#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#define THREADS 64u
#define STEPS	5
#define STEP_MS 20
#define GAP_US	100000

struct thread {
	pid_t tid;
	int signal; /* that a stop was for, to be given back */
};

static struct thread thread[THREADS];
static unsigned threads;
static unsigned stops, in_call, steps;

/* --- one thread ------------------------------------------------------------- */

static void stopped(struct thread *t, int status)
{
	int signal = WSTOPSIG(status);

	t->signal = status >> 16 || signal == SIGTRAP ? 0 : signal;
}

/* Has the step ended all the same? Its SIGTRAP must not be left behind. */
static void take_trap(struct thread *t)
{
	struct __ptrace_peeksiginfo_args args = { .nr = 8 };
	siginfo_t info[8];
	long n = ptrace(PTRACE_PEEKSIGINFO, t->tid, &args, info);
	int status;

	for (long i = 0; i < n; i++)
		if (info[i].si_signo == SIGTRAP) {
			ptrace(PTRACE_CONT, t->tid, 0, 0);
			waitpid(t->tid, &status, __WALL);
			stopped(t, status);
			return;
		}
}

/* Wait until it stops; a step that takes long is a system call. */
static bool wait_stop(struct thread *t)
{
	const struct timespec ms = { 0, 1000000 };
	int status;

	for (int i = 0; i < STEP_MS; i++) {
		if (waitpid(t->tid, &status, __WALL | WNOHANG) == t->tid) {
			stopped(t, status);
			return WIFSTOPPED(status);
		}
		nanosleep(&ms, NULL);
	}
	ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
	if (waitpid(t->tid, &status, __WALL) != t->tid || !WIFSTOPPED(status))
		return false;
	stopped(t, status);
	if (status >> 16)
		take_trap(t);
	return true;
}

static bool is_call(pid_t tid, unsigned long rip)
{
	unsigned long code;

	errno = 0;
	code = (unsigned long)ptrace(PTRACE_PEEKTEXT, tid, rip, 0) & 0xffffff;
	return !errno && (code == 0xc1010f || code == 0xd9010f);
}

/* Registers read and written back, as they are. */
static bool look(struct thread *t)
{
	struct user_fpregs_struct fp;
	struct user_regs_struct r;

	if (!expect(!ptrace(PTRACE_GETREGS, t->tid, 0, &r) &&
		    !ptrace(PTRACE_SETREGS, t->tid, 0, &r),
		    "thread %d: registers: %s", t->tid, strerror(errno)) ||
	    !expect(!ptrace(PTRACE_GETFPREGS, t->tid, 0, &fp) &&
		    !ptrace(PTRACE_SETFPREGS, t->tid, 0, &fp),
		    "thread %d: FPU: %s", t->tid, strerror(errno)))
		return false;
	in_call += is_call(t->tid, r.rip);
	return true;
}

static void step(struct thread *t)
{
	for (int i = 0; i < STEPS && look(t); i++) {
		if (!expect(!ptrace(PTRACE_SINGLESTEP, t->tid, 0, t->signal),
			    "thread %d: step: %s", t->tid, strerror(errno)))
			return;
		steps++;
		if (!expect(wait_stop(t), "thread %d ended", t->tid))
			return;
	}
}

/* --- all of them ------------------------------------------------------------- */

static void attach_all(pid_t pid)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	require(d, "there is no such process");
	threads = 0;
	while ((e = readdir(d)) && threads < THREADS) {
		struct thread *t = &thread[threads];

		t->tid = atoi(e->d_name);
		t->signal = 0;
		if (!t->tid || ptrace(PTRACE_SEIZE, t->tid, 0, 0))
			continue; /* it has ended meanwhile */
		ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
		threads += wait_stop(t);
	}
	closedir(d);
	stops += threads;
}

int main(int argc, char **argv)
{
	int rounds = argc == 3 ? atoi(argv[2]) : 0;
	pid_t pid = rounds > 0 ? atoi(argv[1]) : 0;

	require(pid > 0, "usage: tracer PID ROUNDS");
	for (int i = 0; i < rounds; i++) {
		attach_all(pid);
		for (unsigned n = 0; n < threads; n++)
			step(&thread[n]);
		for (unsigned n = 0; n < threads; n++)
			ptrace(PTRACE_DETACH, thread[n].tid, 0,
			       thread[n].signal);
		usleep(GAP_US);
	}
	note("%d rounds, %u threads stopped, %u steps, %u times at the hypercall",
	     rounds, stops, steps, in_call);
	expect(in_call > 0, "no thread was in the run hypercall");
	return test_end("tracer", NULL);
}
