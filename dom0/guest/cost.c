/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cost.c - a program of a Linux guest: what CPUID and port I/O cost it, in TSC
 * ticks, with QEMU as the client of the KVM API. Prints as dom0/micro/client.c.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

#define SAMPLES	1000u
#define PORT	0x80

static void tsc(void)
{
}

static void cpuid(void)
{
	__asm__ volatile("cpuid" ::"a"(0) : "ebx", "ecx", "edx");
}

static void out_user(void)
{
	outb(0, PORT);
}

static void in_user(void)
{
	inb(PORT);
}

static uint32_t now(void)
{
	uint32_t lo;

	__asm__ volatile("rdtsc" : "=a"(lo)::"edx", "memory");
	return lo;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(const char *name, void (*what)(void))
{
	static uint32_t t[SAMPLES];
	uint64_t sum = 0;

	for (unsigned i = 0; i < SAMPLES; i++) {
		t[i] = now();
		what();
		t[i] = now() - t[i];
		sum += t[i];
	}
	qsort(t, SAMPLES, sizeof(*t), by_size);
	printf("DOMU json {\"qemu_%s\":{\"n\":%u,\"min\":%u,\"median\":%u,"
	       "\"p90\":%u,\"max\":%u,\"mean\":%" PRIu64 "}}\n", name, SAMPLES,
	       t[0], t[SAMPLES / 2], t[SAMPLES * 9 / 10], t[SAMPLES - 1],
	       sum / SAMPLES);
}

int main(void)
{
	if (iopl(3)) {
		perror("iopl");
		return 1;
	}
	measure("tsc", tsc);
	measure("cpuid", cpuid);
	measure("out_user", out_user);
	measure("in_user", in_user);
	return 0;
}
