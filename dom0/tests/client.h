/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.h - what the clients of the KVM API share: verdicts, and a machine of
 * one vCPU whose guest is a few instructions of real mode. No header of ours,
 * as in any client; they are run by luvkvm. Header only: each test is one
 * program of one file.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RAM	  (4ul << 20)
#define LOAD	  0x1000u
#define HANDLER	  0x3000u
#define RFLAGS_1  0x2u
#define RFLAGS_IF 0x200u

static int kvm, vm, cpu;
static uint8_t *ram;
static struct kvm_run *run;
static unsigned checks, failures;

__attribute__((format(printf, 2, 3))) static inline bool
expect(bool ok, const char *format, ...)
{
	va_list args;

	checks++;
	if (ok)
		return true;
	failures++;
	printf("FAIL: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" (errno %d)\n", errno);
	fflush(stdout);
	return false;
}

static inline void require(bool ok, const char *what)
{
	if (expect(ok, "%s", what))
		return;
	exit(1);
}

static inline double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- the machine ------------------------------------------------------------ */

static inline void slot(uint32_t nr, uint32_t flags, uint64_t gpa,
			uint64_t len, void *at)
{
	struct kvm_userspace_memory_region r = { nr, flags, gpa, len,
						 (uintptr_t)at };

	expect(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r) == 0,
	       "slot %u, %#lx bytes", nr, (unsigned long)len);
}

static inline void machine_with(bool irqchip)
{
	int size;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	require(kvm >= 0, "open /dev/kvm");
	require(ioctl(kvm, KVM_GET_API_VERSION, 0) == 12, "API version 12");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	require(vm >= 0, "KVM_CREATE_VM");
	require(!irqchip || ioctl(vm, KVM_CREATE_IRQCHIP, 0) == 0,
		"KVM_CREATE_IRQCHIP");
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(ram != MAP_FAILED, "guest RAM");
	slot(0, 0, 0, RAM, ram);
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	require(cpu >= 0, "KVM_CREATE_VCPU");
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	require(size >= 0x3000, "KVM_GET_VCPU_MMAP_SIZE");
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu,
		   0);
	require(run != MAP_FAILED, "mmap of the vCPU");
}

static inline void machine(void)
{
	machine_with(false);
}

static inline void start_with(const uint8_t *code, size_t len, uint64_t rflags)
{
	struct kvm_regs regs = { .rip = LOAD, .rflags = rflags,
				 .rsp = 0x8000 };
	struct kvm_sregs s;

	expect(ioctl(cpu, KVM_GET_SREGS, &s) == 0, "KVM_GET_SREGS");
	s.cs.selector = 0;
	s.cs.base = 0;
	s.ds = s.es = s.ss = s.fs = s.gs = s.cs;
	s.ds.type = s.es.type = s.ss.type = s.fs.type = s.gs.type = 3;
	s.idt.base = 0;
	s.idt.limit = 0x3ff;
	expect(ioctl(cpu, KVM_SET_SREGS, &s) == 0, "KVM_SET_SREGS");
	expect(ioctl(cpu, KVM_SET_REGS, &regs) == 0, "KVM_SET_REGS");
	memcpy(ram + LOAD, code, len);
}

static inline void start(const uint8_t *code, size_t len)
{
	start_with(code, len, RFLAGS_1);
}

/* The code of a vector's handler. */
static inline void handle(unsigned vector, const uint8_t *code, size_t len)
{
	memcpy(ram + HANDLER, code, len);
	((uint16_t *)ram)[vector * 2] = HANDLER;
	((uint16_t *)ram)[vector * 2 + 1] = 0;
}

/* Until an exit; a client that did not ask for immediate_exit sees EINTR. */
static inline bool runs(uint32_t reason, const char *what)
{
	int e;

	do
		e = ioctl(cpu, KVM_RUN, 0);
	while (e < 0 && errno == EINTR && !run->immediate_exit);
	return expect(e == 0 && run->exit_reason == reason,
		      "%s: KVM_RUN returned %d, exit %u, not %u", what, e,
		      run->exit_reason, reason);
}

static inline char *luvctl_vms(void)
{
	static char text[65536];
	FILE *f = popen("luvctl vms --json", "r");

	require(f, "running luvctl");
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	expect(pclose(f) == 0, "luvctl vms");
	return text;
}

/* How many virtual machines there are, of anybody. */
static inline unsigned vms(void)
{
	unsigned n = 0;

	for (char *at = luvctl_vms(); (at = strstr(at, "\"tag\"")); at++)
		n++;
	return n;
}

/* Exits of one kind that VMs have made so far, as luvctl names it. */
static inline unsigned long exits(const char *kind)
{
	char *text = luvctl_vms();
	unsigned long sum = 0;
	char key[32];

	snprintf(key, sizeof(key), "\"%s\"", kind);
	for (char *at = strstr(text, key); at; at = strstr(at, key)) {
		at = strstr(at, "\"count\":");
		require(at, "a count");
		sum += strtoul(at + strlen("\"count\":"), NULL, 10);
	}
	return sum;
}

static inline uint8_t *io_data(void)
{
	return (uint8_t *)run + run->io.data_offset;
}

static inline bool is_io(bool out, unsigned port, unsigned size)
{
	return expect(run->io.direction == out && run->io.port == port &&
		      run->io.size == size && run->io.count == 1,
		      "port %#x, %u bytes, direction %u", run->io.port,
		      run->io.size, run->io.direction);
}
