/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvkvm.c - run a program with the KVM API of Luvalley, and free what it
 * leaves behind however it ends: the VMM hears of no process's death.
 *   luvkvm PROGRAM [ARGUMENT ...]
 *   luvkvm --reap     free the VMs of processes that are dead
 *   luvkvm --table    what every ioctl and capability does, as Markdown
 */
#include "libluv.h"
#include "msr.h"
#include "process.h"
#include "routing.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBRARY	     "libluvkvm.so"
#define REAP_TRIES   50
#define REAP_WAIT_US 20000

static uint64_t token[2];

/* --- reaping ------------------------------------------------------------------------- */

static bool read_token(void)
{
	uint32_t w[4];

	if (ioperm(LUV_TOKEN_PORT, 16, 1))
		return false;
	for (unsigned short i = 0; i < 4; i++)
		w[i] = inl((unsigned short)(LUV_TOKEN_PORT + 4 * i));
	ioperm(LUV_TOKEN_PORT, 16, 0);
	token[0] = w[0] | (uint64_t)w[1] << 32;
	token[1] = w[2] | (uint64_t)w[3] << 32;
	return true;
}

/* One VM: is it a dead process's? Busy is one whose last call is not over. */
static long reap_one(uint64_t index)
{
	struct luv_vm_stat stat;
	long e = luv_vm_stat(index, &stat);

	if (e < 0 || !process_died(stat.tag))
		return 0;
	for (int i = 0; i < REAP_TRIES; i++) {
		e = luv_call(LUV_CALL_vm_reap, token[0], token[1], index,
			     stat.tag, 0);
		if (e != -LUV_EBUSY)
			break;
		usleep(REAP_WAIT_US);
	}
	if (e)
		fprintf(stderr, "luvkvm: VM %llu of dead process %u stays: "
			"%s.\n", (unsigned long long)index,
			(uint32_t)stat.tag, luv_strerror(e));
	return e ? 0 : 1;
}

static unsigned reap(void)
{
	unsigned n = 0;

	for (uint64_t i = 0; i < LUV_VMS; i++)
		n += (unsigned)reap_one(i);
	return n;
}

/* --- running -------------------------------------------------------------------------- */

/* Beside this program, or where the loader finds it. */
static void set_preload(void)
{
	const char *old = getenv("LD_PRELOAD");
	char self[3072], value[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		strcpy(slash + 1, "");
	else
		self[0] = 0;
	snprintf(value, sizeof(value), "%s" LIBRARY, self);
	if (access(value, R_OK))
		snprintf(value, sizeof(value), "%s../lib/" LIBRARY, self);
	if (access(value, R_OK))
		snprintf(value, sizeof(value), LIBRARY);
	if (old && *old) {
		strncat(value, ":", sizeof(value) - strlen(value) - 1);
		strncat(value, old, sizeof(value) - strlen(value) - 1);
	}
	setenv("LD_PRELOAD", value, 1);
}

static pid_t child;

static void pass_on(int signal_nr)
{
	kill(child, signal_nr);
}

/* What is meant for the program gets there; its end ends us. */
static void pass_signals(void)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction pass = { .sa_handler = pass_on };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &pass, NULL);
	/* From the keyboard both get these. */
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGQUIT, &ignore, NULL);
}

static void run_child(char **argv)
{
	set_preload();
	execvp(argv[0], argv);
	fprintf(stderr, "luvkvm: cannot run %s: %s.\n", argv[0],
		strerror(errno));
	_exit(127);
}

static int run(char **argv)
{
	int status;
	pid_t pid;

	child = fork();
	if (child < 0) {
		fprintf(stderr, "luvkvm: cannot fork: %s.\n", strerror(errno));
		return 126;
	}
	if (child == 0)
		run_child(argv);
	pass_signals();
	do
		pid = waitpid(child, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

/* --- the table ------------------------------------------------------------------------- */

/* The rows of one capability, of which the first says its value. */
static void capability(const char *name, long value, const char *by)
{
	static const char *last = "";
	const bool first = strcmp(last, name);

	if (first)
		printf(value > UINT16_MAX ? "%s| %s | %#lx | " :
					    "%s| %s | %ld | ",
		       *last ? " |\n" : "", name, value);
	last = name;
	printf("%s%s", first ? "" : ", ", strcmp(by, "0 0") ? by : "README.md");
}

/* What depends on the machine is given for one that has it. */
#define fpu_has_xsave() 1

static void table(void)
{
	puts("# The KVM API here, call by call\n\n"
	     "Printed by `luvkvm --table` from `ioctls.def` and `caps.def`. A "
	     "call is done, done in part,\nor refused with the errno named; an "
	     "ioctl or capability that is not here gives ENOTTY or 0.\n");
	puts("| object | ioctl | here |\n|---|---|---|");
#define FN(object, request, fn) puts("| " #object " | " #request " | done |");
#define PART(object, request, fn, what)                                        \
	puts("| " #object " | " #request " | in part: " what " |");
#define NOT(object, request, error, why)                                       \
	puts("| " #object " | " #request " | " #error ": " why " |");
#include "ioctls.def"
#undef FN
#undef PART
#undef NOT
	puts("\nThe capabilities of XSAVE are 0 on a CPU without it.\n\n"
	     "| capability | value | by |\n|---|---|---|");
#define CAP(name, value, object, request)                                      \
	capability(#name, value, #object " " #request);
#include "caps.def"
#undef CAP
	puts(" |");
}

static int usage(void)
{
	fputs("usage: luvkvm PROGRAM [ARGUMENT ...]\n"
	      "       luvkvm --reap | --table\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	int e, status = 0;

	if (argc < 2)
		return usage();
	if (!strcmp(argv[1], "--table")) {
		table();
		return 0;
	}
	e = luv_open();
	if (e < 0) {
		fprintf(stderr, "luvkvm: %s.\n", luv_strerror(e));
		return 125;
	}
	if (!read_token()) {
		fputs("luvkvm: virtual machines need the VMM's token, which "
		      "only root can read: run this as root.\n", stderr);
		return 125;
	}
	reap();
	if (!strcmp(argv[1], "--reap"))
		return 0;
	if (argv[1][0] == '-')
		return usage();
	status = run(argv + 1);
	reap();
	return status;
}
