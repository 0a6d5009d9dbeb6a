/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test.h - what the tests that run inside dom0 share: verdicts, catching
 * signals, pinning, MSRs and pages in a chosen state. Header only, because
 * each test is one program of one file and libluv.
 *
 * A test exits 0 (passed), 1 (failed, each failure a sentence on stdout) or
 * 77 (skipped, a sentence says why).
 */
#pragma once

#include "libluv.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul

enum verdict { TEST_PASS = 0, TEST_FAIL = 1, TEST_SKIP = 77 };

static unsigned test_checks;
static unsigned test_failures;

/* --- verdicts ------------------------------------------------------------- */

/* Check `ok`; if it is not so, say the sentence. Returns ok. */
__attribute__((format(printf, 2, 3))) static inline bool
expect(bool ok, const char *format, ...)
{
	va_list args;

	test_checks++;
	if (ok)
		return true;
	test_failures++;
	if (test_failures > 50)
		return false; /* one cause; do not flood a serial console */
	va_start(args, format);
	printf("FAIL: ");
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	return false;
}

static inline bool expect_eq(const char *what, long got, long expected)
{
	return expect(got == expected, "%s: expected %ld, got %ld", what,
		      expected, got);
}

__attribute__((format(printf, 1, 2))) static inline void
note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* The exit status, after a line that says it. `skipped`: NULL or why. */
static inline int test_end(const char *name, const char *skipped)
{
	if (test_failures > 0)
		printf("%s: %u of %u checks failed.\n", name, test_failures,
		       test_checks);
	else if (skipped)
		printf("%s: skipped after %u good checks: %s.\n", name,
		       test_checks, skipped);
	else
		printf("%s: %u checks passed.\n", name, test_checks);
	fflush(stdout);
	if (test_failures > 0)
		return TEST_FAIL;
	return skipped ? TEST_SKIP : TEST_PASS;
}

/* The machine cannot do what the test needs: end it. */
static inline void require(bool ok, const char *sentence)
{
	if (ok)
		return;
	printf("FAIL: %s (%s).\n", sentence, strerror(errno));
	exit(TEST_FAIL);
}

/*
 * These tests are for a dom0 of Luvalley: that there is none is a failure, or
 * a VMM that did not start would look like a suite that skips.
 */
static inline void test_open(struct luv_info *info)
{
	int err = luv_open();

	if (err < 0) {
		printf("FAIL: %s.\n", luv_strerror(err));
		exit(TEST_FAIL);
	}
	if (luv_identify(info) < 0) {
		printf("FAIL: identify does not answer.\n");
		exit(TEST_FAIL);
	}
}

/* --- faults --------------------------------------------------------------- */

static __thread sigjmp_buf catch_env;
static __thread volatile sig_atomic_t catch_armed;

static inline void catch_handler(int signal_nr)
{
	if (!catch_armed) {
		signal(signal_nr, SIG_DFL); /* a real crash: let it be one */
		return;
	}
	siglongjmp(catch_env, signal_nr);
}

/* Run fn(arg). Returns 0, or the signal (ILL, SEGV, BUS, TRAP) it raised. */
static inline int catch_signal(void (*fn)(void *), void *arg)
{
	static const int signals[] = { SIGILL, SIGSEGV, SIGBUS, SIGTRAP };
	struct sigaction act = { .sa_handler = catch_handler };
	struct sigaction old[4];
	int raised;

	for (int i = 0; i < 4; i++)
		sigaction(signals[i], &act, &old[i]);
	raised = sigsetjmp(catch_env, 1);
	if (raised == 0) {
		catch_armed = 1;
		fn(arg);
	}
	catch_armed = 0;
	for (int i = 0; i < 4; i++)
		sigaction(signals[i], &old[i], NULL);
	return raised;
}

/* --- CPUs ----------------------------------------------------------------- */

static inline unsigned cpus_online(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

/* Run on OS CPU `cpu` only, from now on. */
static inline bool pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	__cpuid_count(leaf, sub, out[0], out[1], out[2], out[3]);
}

static inline uint64_t ticks_now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

/* The physical APIC ID of the CPU that runs this; pin first. */
static inline uint32_t apic_id_here(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
	if (r[0] >= 0xb) {
		cpuid(0xb, 0, r);
		if (r[1] != 0) /* the leaf is implemented */
			return r[3];
	}
	cpuid(1, 0, r);
	return r[1] >> 24;
}

/* The VMM's number of the CPU that runs this, or -1; pin first. */
static inline long vmm_cpu_here(void)
{
	struct luv_cpu_stat stat;
	uint32_t apic_id = apic_id_here();

	for (long i = 0; luv_cpu_stat((uint64_t)i, &stat) > 0; i++)
		if (stat.apic_id == apic_id)
			return i;
	return -1;
}

/* --- MSRs ----------------------------------------------------------------- */

/*
 * A descriptor of the msr driver for an OS CPU, or -1. There may be no udev,
 * so the node is made here.
 */
static inline int msr_open(unsigned cpu)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/cpu/%u/msr", cpu);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/tmp/luv-msr-%d-%u", (int)getpid(), cpu);
	if (mknod(path, S_IFCHR | 0600, makedev(202, cpu)))
		return -1;
	fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	return fd;
}

/* RDMSR, WRMSR: 0, or the errno (EIO: the CPU raised #GP). */
static inline int msr_read(int fd, uint32_t msr, uint64_t *value)
{
	return pread(fd, value, 8, msr) == 8 ? 0 : errno;
}

static inline int msr_write(int fd, uint32_t msr, uint64_t value)
{
	return pwrite(fd, &value, 8, msr) == 8 ? 0 : errno;
}

/* A descriptor of /dev/mem, or -1 and errno. */
static inline int mem_open(void)
{
	char path[64];
	int fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	snprintf(path, sizeof(path), "/tmp/luv-mem-%d", (int)getpid());
	if (mknod(path, S_IFCHR | 0600, makedev(1, 1)))
		return -1;
	fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	unlink(path);
	return fd;
}

/* --- pages ---------------------------------------------------------------- */

/* `pages` private pages that nobody has touched. */
static inline unsigned char *pages_new(size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(p != MAP_FAILED, "mmap of test pages");
	/* One 2 MiB page would make neighbours present that must not be. */
	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	return p;
}

/* Is every byte of [p, p+len) `byte`? */
static inline bool all_bytes(const void *p, size_t len, unsigned char byte)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < len; i++)
		if (b[i] != byte)
			return false;
	return true;
}
