/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luvtop_vmm.c - in place of libluv in luvtop_test's luvtop: a VMM with two
 * CPUs and a VM, whose exits are more with each look.
 */
#include "libluv.h"

#include <string.h>
#include <time.h>

#define TSC_HZ 1000000000u

static unsigned looks; /* at CPU 0's rows */

int luv_open(void)
{
	return 0;
}

const char *luv_strerror(long error)
{
	(void)error;
	return "no";
}

long luv_identify(struct luv_info *info)
{
	*info = (struct luv_info){ .cpus = 2 };
	return sizeof(*info);
}

long luv_cpu_stat(uint64_t cpu, struct luv_cpu_stat *stat)
{
	struct timespec t;

	(void)cpu;
	clock_gettime(CLOCK_MONOTONIC, &t);
	memset(stat, 0, sizeof(*stat));
	stat->now = (uint64_t)t.tv_sec * TSC_HZ + (uint64_t)t.tv_nsec;
	return sizeof(*stat);
}

long luv_vm_stat(uint64_t index, struct luv_vm_stat *stat)
{
	*stat = (struct luv_vm_stat){ .tag = 77, .index = (uint32_t)index };
	return index == 0 ? (long)sizeof(*stat) : -LUV_ENOENT;
}

/* `count` exits of about 2, and one of about 100 us. */
static struct luv_hist hist(uint32_t kind, uint32_t has_sub, uint64_t sub,
			    unsigned count)
{
	struct luv_hist h = { .kind = kind, .has_sub = has_sub, .sub = sub,
			      .count = count + 1,
			      .ticks = count * 2000u + 100000 };
	unsigned b = 0;

	while (luv_hist_from(b + 1) <= 2000)
		b++;
	h.bucket[b] = count;
	while (luv_hist_from(b + 1) <= 100000)
		b++;
	h.bucket[b]++;
	return h;
}

/* From the third look on MSR 0x10 has no row: it is one of the others. */
long luv_hist_all(uint64_t who, uint64_t vcpu, struct luv_hist *row,
		  size_t rows)
{
	long n = 0;

	(void)rows;
	if (who == 0)
		looks++;
	if (vcpu)
		return -LUV_ENOENT;
	row[n++] = hist(EXIT_HLT, 0, 0, looks);
	row[n++] = hist(EXIT_CPUID, 1, 0xb, 1000 * looks);
	if (who == 0)
		row[n++] = hist(EXIT_HYPERCALL, 1, LUV_CALL(LUV_CALL_vcpu_run),
				50 * looks);
	if (who == LUV_HIST_VM) {
		row[n++] = hist(EXIT_IO, 1, 0x3f8, 300 * looks);
		row[n++] = hist(EXIT_STAGE2, 1, 0xfed00, 40 * looks);
		row[n++] = hist(EXIT_RDMSR, looks < 3, looks < 3 ? 0x10 : 0,
				20);
		row[n++] = hist(EXIT_RDMSR, 1, 0x1b, 10 * looks);
	}
	return n;
}
