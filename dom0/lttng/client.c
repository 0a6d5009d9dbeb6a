/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.c - for scripts/lttng-test.sh: what libluvkvm.so and the VMM do, with
 * no VMM: ROUNDS times a vCPU is entered, the VMM exits, and it is back; each
 * time a trace point and a record of the VMM's, which goes to the folder in
 * argv[1] as luvtrace record would write it.
 */
#include "kvm/tp.h"
#include "../../trace/ctf.h"
#include "../../trace/metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS	 100
#define APART_US 200 /* between two of them */
#define NS_PER_S INT64_C(1000000000)

__attribute__((visibility("default"))) struct tp luvkvm_tp;

static struct {
	struct ctf_packet head;
	struct trace_kvm_exit exit[ROUNDS];
} packet;

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void vmm_exits(unsigned i)
{
	struct trace_kvm_exit *r = &packet.exit[i];

	*r = (struct trace_kvm_exit){
		.header = { TRACE_kvm_exit, __builtin_ia32_rdtsc() },
		.seq = i, .dom = 1, .isa = LUV_ISA_SVM, .kind = EXIT_IO,
		.outcome = TRACE_outcome_RING3, .sub = 0x3f8,
	};
	r->entry_tsc = __builtin_ia32_rdtsc();
}

static void save(const char *folder, const char *file, const struct metadata *m)
{
	char name[4096];
	FILE *f;

	snprintf(name, sizeof(name), "%s/%s", folder, file);
	f = fopen(name, "w");
	if (!f || (m ? metadata_write(f, m) :
		       fwrite(&packet, sizeof(packet), 1, f) != 1) || fclose(f))
		fail(name);
}

static void play(void)
{
	luvkvm_tp.ioctl_entry(3, 0xae80, 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		luvkvm_tp.run_entry(0x100, 0);
		usleep(APART_US);
		vmm_exits(i);
		usleep(APART_US);
		luvkvm_tp.run_exit(0x100, 0, 1, 0x3f8, 1, 'x');
		usleep(APART_US);
	}
	luvkvm_tp.block(0x100, 0, 1000);
	luvkvm_tp.unblock(0x100, 0);
	luvkvm_tp.wake(0x100, 2);
	luvkvm_tp.irqfd(24);
	luvkvm_tp.ioeventfd(0, 0xfebf3000, 2, 1);
	luvkvm_tp.ioctl_exit(3, 0xae80, 0);
}

int main(int argc, char **argv)
{
	struct metadata m = { .isa = LUV_ISA_SVM, .build = "client" };
	uint64_t tsc = __builtin_ia32_rdtsc(), end;
	int64_t ns = clock_ns(CLOCK_MONOTONIC);

	if (argc != 2 || !luvkvm_tp.run_exit) {
		fputs("client: libluvkvm-lttng.so is not there\n", stderr);
		return 1;
	}
	usleep(200000); /* what the TSC's rate is measured over, at least */
	play();
	end = __builtin_ia32_rdtsc();
	m.tsc_hz = (uint64_t)((long double)(end - tsc) * NS_PER_S /
			      (clock_ns(CLOCK_MONOTONIC) - ns));
	metadata_clock(&m, __builtin_ia32_rdtsc(), clock_ns(CLOCK_REALTIME));
	packet.head = (struct ctf_packet){
		.magic = CTF_MAGIC,
		.timestamp_begin = packet.exit[0].header.timestamp,
		.timestamp_end = packet.exit[ROUNDS - 1].header.timestamp,
		.content_size = sizeof(packet) * 8,
		.packet_size = sizeof(packet) * 8,
	};
	save(argv[1], "cpu0", NULL);
	save(argv[1], "metadata", &m);
	return 0;
}
