/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cost.c - a program of a Linux guest: what CPUID and port I/O cost it, in TSC
 * ticks, with QEMU as the client of the KVM API. The guest's kernel does the
 * port I/O, for under KVM on QEMU's emulated CPU it is a fault in ring 3: it
 * reads a register of a PCI device, which is an OUT and an IN. The same system
 * call without a byte is subtracted. Prints as dom0/micro/client.c does.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SAMPLES	1000u
#define DEVICE	"/sys/bus/pci/devices/0000:00:00.0/config"

static int config;
static uint32_t value;

static void tsc(void)
{
}

static void cpuid(void)
{
	__asm__ volatile("cpuid" ::"a"(0) : "ebx", "ecx", "edx");
}

static void pci_nothing(void)
{
	if (pread(config, &value, 0, 0))
		exit(1);
}

static void pci_config_read(void)
{
	if (pread(config, &value, 4, 0) != 4)
		exit(1);
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

/* The samples of one thing, sorted. */
static void sample(uint32_t t[SAMPLES], void (*what)(void))
{
	for (unsigned i = 0; i < SAMPLES; i++) {
		t[i] = now();
		what();
		t[i] = now() - t[i];
	}
	qsort(t, SAMPLES, sizeof(*t), by_size);
}

static void measure(const char *name, void (*what)(void), void (*empty)(void))
{
	static uint32_t t[SAMPLES], none[SAMPLES];
	uint64_t sum = 0;

	sample(none, empty);
	sample(t, what);
	for (unsigned i = 0; i < SAMPLES; i++)
		sum += t[i];
	printf("DOMU json {\"qemu_%s\":{\"n\":%u,\"min\":%u,\"median\":%u,"
	       "\"p90\":%u,\"max\":%u,\"mean\":%" PRIu64 ",\"net\":%d}}\n",
	       name, SAMPLES, t[0], t[SAMPLES / 2], t[SAMPLES * 9 / 10],
	       t[SAMPLES - 1], sum / SAMPLES,
	       (int)(t[SAMPLES / 2] - none[SAMPLES / 2]));
}

int main(void)
{
	config = open(DEVICE, O_RDONLY);
	if (config < 0) {
		perror(DEVICE);
		return 1;
	}
	measure("cpuid", cpuid, tsc);
	measure("pci_config_read", pci_config_read, pci_nothing);
	return 0;
}
