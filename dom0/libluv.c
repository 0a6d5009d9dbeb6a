/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libluv.c - see libluv.h.
 * SDM "VMCALL - Call to VM Monitor"; APM "VMMCALL - Call VMM".
 */
#include "libluv.h"

#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EFAULT_TRIES 8
#define EAGAIN_TRIES 1000

enum opcode { OPCODE_UNKNOWN, OPCODE_VMCALL, OPCODE_VMMCALL };

/* --- the instruction ------------------------------------------------------ */

static enum opcode opcode_of_vendor(void)
{
	unsigned eax, ebx, ecx, edx;

	if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx))
		return OPCODE_VMCALL;
	if (ebx == signature_AMD_ebx && ecx == signature_AMD_ecx)
		return OPCODE_VMMCALL;
	if (!memcmp(&ebx, "Hygo", 4)) /* HygonGenuine */
		return OPCODE_VMMCALL;
	return OPCODE_VMCALL; /* Intel, Zhaoxin, Centaur */
}

/* CPUID exits under a VMM: ask once. Two threads find the same answer. */
static enum opcode opcode(void)
{
	static _Atomic int known;
	int op = atomic_load_explicit(&known, memory_order_relaxed);

	if (op == OPCODE_UNKNOWN) {
		op = opcode_of_vendor();
		atomic_store_explicit(&known, op, memory_order_relaxed);
	}
	return op;
}

long luv_raw(uint64_t rax, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
	     uint64_t a4)
{
	/* First: a call may destroy the registers that follow. */
	const enum opcode op = opcode();
	register uint64_t r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = a4;

	if (op == OPCODE_VMMCALL)
		__asm__ volatile("vmmcall"
				 : "+a"(rax), "+D"(a0), "+S"(a1), "+d"(a2),
				   "+r"(r10)
				 : "r"(r8)
				 : "memory");
	else
		__asm__ volatile("vmcall"
				 : "+a"(rax), "+D"(a0), "+S"(a1), "+d"(a2),
				   "+r"(r10)
				 : "r"(r8)
				 : "memory");
	return (long)rax;
}

long luv_call(unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
	      uint64_t a4)
{
	return luv_raw(LUV_CALL(nr), a0, a1, a2, a3, a4);
}

/* --- is there a VMM ------------------------------------------------------- */

static char open_reason[200] = "luv_open was not called";
static sigjmp_buf probe_env;

static const int probe_signals[] = { SIGILL, SIGSEGV, SIGBUS };
#define PROBE_SIGNALS (sizeof(probe_signals) / sizeof(probe_signals[0]))

static void probe_failed(int signal_nr)
{
	siglongjmp(probe_env, signal_nr);
}

/* Returns 0 and *result, or the signal that the instruction raised. */
static int probe_call(struct luv_info *info, long *result)
{
	struct sigaction old[PROBE_SIGNALS];
	struct sigaction act = { .sa_handler = probe_failed };
	int raised;

	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < PROBE_SIGNALS; i++)
		sigaction(probe_signals[i], &act, &old[i]);
	raised = sigsetjmp(probe_env, 1);
	if (raised == 0)
		*result = luv_identify(info);
	for (size_t i = 0; i < PROBE_SIGNALS; i++)
		sigaction(probe_signals[i], &old[i], NULL);
	return raised;
}

static int open_failed(int error, const char *reason)
{
	snprintf(open_reason, sizeof(open_reason), "%s", reason);
	return error;
}

int luv_check(const struct luv_info *info, long size)
{
	char reason[sizeof(open_reason)];

	/* Other hypervisors answer with numbers of their own: KVM with -1. */
	if (memcmp(info->signature, LUV_SIGNATURE, sizeof(info->signature))) {
		snprintf(reason, sizeof(reason),
			 "not running under Luvalley, another hypervisor "
			 "answered the hypercall with %ld: boot this machine "
			 "with Luvalley", size);
		return open_failed(LUV_ABSENT, reason);
	}
	if (info->abi_version != LUV_ABI_VERSION) {
		snprintf(reason, sizeof(reason),
			 "the VMM speaks ABI version %u, this program "
			 "version %u: use the one built together with that "
			 "VMM", info->abi_version, LUV_ABI_VERSION);
		return open_failed(LUV_OTHER_ABI, reason);
	}
	if (size < 16) {
		snprintf(reason, sizeof(reason),
			 "the VMM answers identify with %ld: use the program "
			 "built together with it", size);
		return open_failed(LUV_OTHER_ABI, reason);
	}
	return 0;
}

int luv_open(void)
{
	static struct luv_info info;
	long size = 0;

	if (probe_call(&info, &size) != 0)
		return open_failed(LUV_ABSENT,
				   "not running under Luvalley, this CPU "
				   "refuses the hypercall instruction: boot "
				   "this machine with Luvalley");
	return luv_check(&info, size);
}

/* --- the calls ------------------------------------------------------------ */

void luv_touch(void *buf, size_t len)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t at = (uintptr_t)buf;
	uintptr_t end = at + len;

	while (at < end) {
		/* Or with nothing: a write that loses nobody's byte. */
		__atomic_fetch_or((unsigned char *)at, 0, __ATOMIC_RELAXED);
		at = (at & ~(page - 1)) + page;
	}
}

/* A call whose buffer is argument 0 (buf_first) or argument 1. */
static long call_touched(unsigned nr, bool buf_first, uint64_t first, void *buf,
			 size_t len)
{
	long result = -LUV_EFAULT;

	for (int i = 0; i < EFAULT_TRIES && result == -LUV_EFAULT; i++) {
		luv_touch(buf, len);
		if (buf_first)
			result = luv_call(nr, (uintptr_t)buf, len, 0, 0, 0);
		else
			result = luv_call(nr, first, (uintptr_t)buf, len, 0, 0);
	}
	return result;
}

long luv_identify(struct luv_info *info)
{
	memset(info, 0, sizeof(*info));
	return call_touched(LUV_CALL_identify, true, 0, info, sizeof(*info));
}

long luv_cpu_stat(uint64_t cpu, struct luv_cpu_stat *stat)
{
	memset(stat, 0, sizeof(*stat));
	return call_touched(LUV_CALL_cpu_stat, false, cpu, stat, sizeof(*stat));
}

long luv_vm_stat(uint64_t index, struct luv_vm_stat *stat)
{
	memset(stat, 0, sizeof(*stat));
	return call_touched(LUV_CALL_vm_stat, false, index, stat,
			    sizeof(*stat));
}

long luv_hist(uint64_t who, uint64_t vcpu, uint64_t position,
	      struct luv_hist *row, size_t rows)
{
	long result = -LUV_EFAULT;

	for (int i = 0; i < EFAULT_TRIES && result == -LUV_EFAULT; i++) {
		luv_touch(row, rows * sizeof(*row));
		result = luv_call(LUV_CALL_exit_hist, who, (uintptr_t)row,
				  position, rows, vcpu);
	}
	return result;
}

long luv_hist_all(uint64_t who, uint64_t vcpu, struct luv_hist *row,
		  size_t rows)
{
	long result = -LUV_EAGAIN;

	for (int i = 0; i < EAGAIN_TRIES && result == -LUV_EAGAIN; i++) {
		uint64_t at = 0;
		size_t n = 0;

		while ((result = luv_hist(who, vcpu, at, row + n,
					  rows - n)) > 0) {
			n += (size_t)result;
			at = row[n - 1].next;
			if (n == rows)
				return -LUV_E2BIG;
		}
		if (!result)
			result = (long)n;
	}
	return result;
}

long luv_log(uint64_t position, void *buf, size_t len)
{
	if (len > LUV_MAX_COPY)
		len = LUV_MAX_COPY;
	return call_touched(LUV_CALL_log, false, position, buf, len);
}

long luv_memmap(uint64_t first, struct luv_mem *row, size_t rows)
{
	if (rows > LUV_MAX_COPY / sizeof(*row))
		rows = LUV_MAX_COPY / sizeof(*row);
	return call_touched(LUV_CALL_memmap, false, first, row,
			    rows * sizeof(*row));
}

/* --- words ---------------------------------------------------------------- */

const char *luv_strerror(long error)
{
	switch (error) {
	case LUV_ABSENT:
	case LUV_OTHER_ABI:
		return open_reason;
	case -LUV_EPERM:
		return "the VMM does not let this process do that";
	case -LUV_ENOENT:
		return "the VMM has no such object";
	case -LUV_E2BIG:
		return "the length is more than one hypercall copies";
	case -LUV_EAGAIN:
		return "it changed each time while it was read: try again";
	case -LUV_EFAULT:
		return "the VMM could not reach the buffer";
	case -LUV_EINVAL:
		return "the VMM found an argument out of range";
	case -LUV_ENOSYS:
		return "the VMM does not know this hypercall";
	default:
		return error < 0 ? "the VMM returned an unknown error"
				 : "no error";
	}
}

static const char *name_of(const char *const *names, size_t count, size_t i)
{
	return i < count && names[i] ? names[i] : "unknown";
}
#define NAME_OF(names, i) name_of(names, sizeof(names) / sizeof((names)[0]), i)

const char *luv_exit_name(unsigned kind)
{
	static const char *const names[] = {
#define X(kind, name) name,
#include <luvalley/exits.def>
#undef X
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == EXIT_KINDS,
		       "one name for each exit kind");

	return NAME_OF(names, kind);
}

const char *luv_cpu_state_name(unsigned state)
{
	static const char *const names[] = {
		[LUV_CPU_ABSENT] = "absent",
		[LUV_CPU_WAIT_SIPI] = "wait-for-sipi",
		[LUV_CPU_RUNNING] = "running",
	};

	return NAME_OF(names, state);
}

const char *luv_isa_name(unsigned isa)
{
	static const char *const names[] = {
		[LUV_ISA_VMX] = "VMX",
		[LUV_ISA_SVM] = "SVM",
	};

	return NAME_OF(names, isa);
}

const char *luv_mem_type_name(unsigned type)
{
	static const char *const names[] = {
		[LUV_MEM_RAM] = "ram",
		[LUV_MEM_RESERVED] = "reserved",
		[LUV_MEM_ACPI] = "acpi",
		[LUV_MEM_NVS] = "acpi-nvs",
		[LUV_MEM_BAD] = "bad",
	};

	return NAME_OF(names, type);
}
