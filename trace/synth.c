/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * synth.c - write a capture folder as a VMM would that runs dom0 and some
 * domUs, one vCPU of each on each CPU: for tests, and to try the tools. The
 * same arguments make the same bytes.
 */
#include "ctf.h"
#include "metadata.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define TSC_HZ	      2600000000u
#define TSC_START     1000000000u
#define MEMORY	      0x8000000000u /* where the domUs' pages are */

static struct options {
	uint64_t events, seed, lose, packet_size;
	unsigned cpus, domus;
	uint8_t isa;
	const char *slow_kind; /* takes slow_factor times as long */
	double slow_factor;
	const char *only_kind; /* is recorded */
	const char *symbols, *folder;
} opt = { .events = 1000000, .seed = 1, .packet_size = 1 << 18, .cpus = 4,
	  .domus = 2, .isa = LUV_ISA_VMX, .slow_factor = 1 };

/* What a guest exits for: how often, to whom, for how many ticks. */
struct habit {
	enum luv_exit_kind kind;
	unsigned weight;
	enum trace_outcome_value outcome;
	unsigned ticks;	   /* of the VMM */
	uint16_t vmx, svm; /* exit reason, EXITCODE */
	uint64_t sub[4];
};

static const struct habit domu_habits[] = {
	{ EXIT_WRMSR, 30, TRACE_outcome_VMM, 1400, 32, 0x7c,
	  { 0x80b, 0x6e0, 0x830, 0x838 } },
	{ EXIT_HLT, 12, TRACE_outcome_RING3, 1800, 12, 0x78, { 0 } },
	{ EXIT_IO, 14, TRACE_outcome_RING3, 2100, 30, 0x7b,
	  { 0x3f8, 0xc000, 0xcfc, 0x71 } },
	{ EXIT_STAGE2, 6, TRACE_outcome_RING3, 2600, 48, 0x400,
	  { 0xfed00000, 0xfee00000, 0xfebf1000, 0xfec00000 } },
	{ EXIT_STAGE2, 8, TRACE_outcome_VMM, 5200, 48, 0x400,
	  { 0x1000000, 0x2200000, 0x7e00000, 0x200000 } },
	{ EXIT_CPUID, 8, TRACE_outcome_VMM, 1100, 10, 0x72,
	  { 0x1, 0x7, 0xd, 0x40000000 } },
	{ EXIT_INTR, 10, TRACE_outcome_DOM0, 1500, 1, 0x60, { 0 } },
	{ EXIT_INTR_WINDOW, 5, TRACE_outcome_INJECTED, 1300, 7, 0x64, { 0 } },
	{ EXIT_RDMSR, 3, TRACE_outcome_VMM, 1250, 31, 0x7c,
	  { 0x1b, 0x828, 0x10, 0x174 } },
	{ EXIT_CR, 2, TRACE_outcome_VMM, 1600, 28, 0x10, { 0, 4, 0, 4 } },
	{ EXIT_EXCEPTION, 1, TRACE_outcome_INJECTED, 1700, 0, 0x4e,
	  { 14, 1, 3, 6 } },
	{ EXIT_HYPERCALL, 1, TRACE_outcome_VMM, 1200, 18, 0x81,
	  { 5, 10, 11, 9 } },
};
static const struct habit dom0_habits[] = {
	{ EXIT_HYPERCALL, 90, TRACE_outcome_DOMU, 1900, 18, 0x81,
	  { LUV_CALL_vcpu_run, LUV_CALL_vcpu_run, LUV_CALL_vcpu_run,
	    LUV_CALL_vcpu_run } },
	{ EXIT_CPUID, 5, TRACE_outcome_VMM, 900, 10, 0x72,
	  { 0xb, 0x1, 0x16, 0x6 } },
	{ EXIT_HYPERCALL, 5, TRACE_outcome_VMM, 1500, 18, 0x81,
	  { LUV_CALL_vm_msi, LUV_CALL_vcpu_get, LUV_CALL_vcpu_kick,
	    LUV_CALL_vm_grant } },
};

/* One CPU while it is played, and its file. */
struct cpu {
	unsigned index;
	FILE *file;
	char *packet; /* opt.packet_size bytes */
	size_t used;
	uint64_t left;	/* events still to be written */
	uint64_t now, seq, random;
	uint16_t dom;
};

static uint8_t uuid[16];

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "synth: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* splitmix64 */
static uint64_t random_u64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned below(struct cpu *cpu, unsigned n)
{
	return (unsigned)(random_u64(&cpu->random) % n);
}

/* 0 is the most frequent. */
static unsigned skewed(struct cpu *cpu, unsigned n)
{
	return below(cpu, below(cpu, n) + 1);
}

static uint64_t exponential(struct cpu *cpu, double mean)
{
	double u = (double)(random_u64(&cpu->random) >> 11) * 0x1p-53;

	return (uint64_t)(mean * -log(1 - u)) + 1;
}

/* --- packets -------------------------------------------------------------- */

static struct ctf_packet *head(struct cpu *cpu)
{
	return (struct ctf_packet *)cpu->packet;
}

static void packet_begin(struct cpu *cpu)
{
	struct ctf_packet *p = head(cpu);

	p->magic = CTF_MAGIC;
	memcpy(p->uuid, uuid, sizeof(uuid));
	p->packet_size = opt.packet_size * 8;
	p->cpu_id = cpu->index;
	cpu->used = sizeof(*p);
}

static void packet_end(struct cpu *cpu)
{
	struct ctf_packet *p = head(cpu);

	p->content_size = cpu->used * 8;
	memset(cpu->packet + cpu->used, 0, opt.packet_size - cpu->used);
	if (fwrite(p, opt.packet_size, 1, cpu->file) != 1)
		die("writing a packet");
	p->packet_seq_num++;
	p->events_discarded += opt.lose;
	p->discarded_full += opt.lose;
	cpu->seq += opt.lose;
	packet_begin(cpu);
}

static void *record(struct cpu *cpu, enum trace_event id, size_t size)
{
	struct trace_header *h;

	if (cpu->used + size > opt.packet_size)
		packet_end(cpu);
	h = (struct trace_header *)(cpu->packet + cpu->used);
	memset(h, 0, size);
	h->id = id;
	h->timestamp = cpu->now;
	if (cpu->used == sizeof(struct ctf_packet))
		head(cpu)->timestamp_begin = cpu->now;
	head(cpu)->timestamp_end = cpu->now;
	cpu->used += size;
	cpu->left--;
	return h;
}

#define RECORD(cpu, event, ...)                                                \
	do {                                                                   \
		if ((cpu)->left) {                                             \
			struct trace_##event r_ = { __VA_ARGS__ };             \
			struct trace_##event *to_ =                            \
				record(cpu, TRACE_##event, sizeof(r_));        \
			r_.header = to_->header;                               \
			*to_ = r_;                                             \
		}                                                              \
	} while (0)

/* --- worlds --------------------------------------------------------------- */

#define FUNCTIONS 200u
#define FUNCTION_TEXT 0xffffffff81000000u

static uint64_t guest_rip(struct cpu *cpu, const struct habit *h)
{
	unsigned f = (skewed(cpu, 12) + (unsigned)h->kind * 7) % FUNCTIONS;

	return FUNCTION_TEXT + f * 0x400u + 16 * below(cpu, 8);
}

static const struct habit *pick(struct cpu *cpu, const struct habit *habits,
				size_t n)
{
	unsigned sum = 0, at;

	for (size_t i = 0; i < n; i++)
		sum += habits[i].weight;
	at = below(cpu, sum);
	while (at >= habits->weight)
		at -= habits++->weight;
	return habits;
}

static bool is_kind(const struct habit *h, const char *name)
{
	static const char *const names[] = {
#define X(kind, name) name,
#include <luvalley/exits.def>
#undef X
	};

	return name && strcmp(name, names[h->kind]) == 0;
}

/* Most near the row's, some much longer. */
static uint64_t handling(struct cpu *cpu, const struct habit *h)
{
	double t = h->ticks * (0.9 + below(cpu, 1000) * 0.0003);

	if (below(cpu, 50) == 0)
		t *= 2 + below(cpu, 4);
	if (below(cpu, 3000) == 0)
		t *= 40;
	if (is_kind(h, opt.slow_kind))
		t *= opt.slow_factor;
	return (uint64_t)t;
}

static void entry(struct cpu *cpu, uint16_t to)
{
	const uint16_t vcpu = (uint16_t)cpu->index;

	if (to != cpu->dom)
		RECORD(cpu, world_switch, .from = cpu->dom, .from_vcpu = vcpu,
		       .to = to, .to_vcpu = vcpu);
	cpu->dom = to;
	RECORD(cpu, kvm_entry, .rip = FUNCTION_TEXT, .vcpu_id = vcpu,
	       .dom = to);
}

/* Details of an exit that have events of their own. */
static void details(struct cpu *cpu, const struct habit *h, uint64_t sub)
{
	const uint16_t vcpu = (uint16_t)cpu->index;

	if (h->kind == EXIT_STAGE2 && h->outcome == TRACE_outcome_VMM)
		RECORD(cpu, stage2_map, .gpa = sub, .hpa = MEMORY + sub,
		       .size = 0x200000, .dom = cpu->dom,
		       .perm = TRACE_perm_RWX);
	if (h->kind == EXIT_INTR_WINDOW)
		RECORD(cpu, kvm_inj_virq, .irq = 0x20 + skewed(cpu, 200),
		       .vcpu_id = vcpu, .dom = cpu->dom);
	if (h->kind == EXIT_WRMSR && sub == 0x830)
		RECORD(cpu, ipi, .from = vcpu,
		       .to = (vcpu + 1u) % opt.cpus, .vector = 0xfd,
		       .dom = cpu->dom);
	if (h->kind == EXIT_HYPERCALL && cpu->dom == 0 &&
	    sub != LUV_CALL_vcpu_run)
		RECORD(cpu, hypercall, .nr = (uint32_t)sub, .vcpu_id = vcpu,
		       .a0 = 0x1001, .a1 = vcpu);
}

static void exits(struct cpu *cpu, const struct habit *h, uint64_t sub,
		  uint64_t entered)
{
	const uint64_t seq = cpu->seq++;
	const bool svm = opt.isa == LUV_ISA_SVM;

	if (opt.only_kind && !is_kind(h, opt.only_kind))
		return;
	RECORD(cpu, kvm_exit, .seq = seq, .entry_tsc = entered,
	       .guest_rip = guest_rip(cpu, h),
	       .cr3 = 0x100000u * (1 + cpu->dom * 8u + skewed(cpu, 6)),
	       .info1 = h->kind == EXIT_IO ? sub << 16 : sub,
	       .info2 = h->kind == EXIT_STAGE2 ? sub + 0x30 : 0,
	       .exit_reason = svm ? h->svm : h->vmx,
	       .vcpu_id = (uint16_t)cpu->index, .dom = cpu->dom,
	       .isa = opt.isa, .kind = (uint8_t)h->kind,
	       .outcome = (uint8_t)h->outcome, .sub = sub);
}

/* Guest time, exit, VMM time, entry. */
static void play(struct cpu *cpu)
{
	const struct habit *h = cpu->dom == 0 ?
		pick(cpu, dom0_habits, ARRAY_SIZE(dom0_habits)) :
		pick(cpu, domu_habits, ARRAY_SIZE(domu_habits));
	const uint64_t sub = h->sub[skewed(cpu, ARRAY_SIZE(h->sub))];
	uint16_t to = cpu->dom;
	uint64_t entered;

	cpu->now += exponential(cpu, cpu->dom ? 40000 * cpu->dom : 25000);
	entered = cpu->now + handling(cpu, h);
	exits(cpu, h, sub, entered);
	cpu->now += (entered - cpu->now) / 2;
	details(cpu, h, sub);
	cpu->now = entered;
	if (h->outcome == TRACE_outcome_RING3 ||
	    h->outcome == TRACE_outcome_DOM0)
		to = 0;
	if (h->outcome == TRACE_outcome_DOMU && opt.domus)
		to = (uint16_t)(1 + below(cpu, opt.domus));
	entry(cpu, to);
}

static void first_events(struct cpu *cpu)
{
	RECORD(cpu, clock, .tsc = cpu->now, .mono_ns = 1000000,
	       .wall_ns = 1700000000000000000u);
	for (uint16_t d = 1; cpu->index == 0 && d <= opt.domus; d++) {
		const uint64_t tag = 1000u + d;

		RECORD(cpu, vm_create, .tag = tag, .dom = d);
		for (uint16_t v = 0; v < opt.cpus; v++)
			RECORD(cpu, vcpu_create, .tag = tag, .dom = d,
			       .vcpu_id = v);
	}
}

static FILE *create(const char *folder, const char *name)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	if (!f)
		die(path);
	return f;
}

static void write_cpu(unsigned index)
{
	char name[32];
	struct cpu cpu = {
		.index = index, .now = TSC_START + index * 1000u,
		.left = opt.events / opt.cpus + (index < opt.events % opt.cpus),
		.random = opt.seed + index * 0x10001u,
	};

	snprintf(name, sizeof(name), "cpu%u", index);
	cpu.file = create(opt.folder, name);
	cpu.packet = calloc(1, opt.packet_size);
	if (!cpu.packet)
		die("memory");
	packet_begin(&cpu);
	first_events(&cpu);
	while (cpu.left)
		play(&cpu);
	packet_end(&cpu);
	free(cpu.packet);
	if (fclose(cpu.file))
		die(name);
}

static void write_metadata(void)
{
	struct metadata m = {
		.tsc_hz = TSC_HZ, .absolute = true, .offset_s = 1700000000,
		.precision = 100, .isa = opt.isa, .build = "synth",
	};
	FILE *f = create(opt.folder, "metadata");

	memcpy(m.uuid, uuid, sizeof(uuid));
	if (metadata_write(f, &m) || fclose(f))
		die("metadata");
}

static void write_symbols(void)
{
	FILE *f = fopen(opt.symbols, "w");

	if (!f)
		die(opt.symbols);
	for (unsigned i = 0; i < FUNCTIONS; i++)
		fprintf(f, "%016" PRIx64 " T guest_function_%u\n",
			(uint64_t)FUNCTION_TEXT + i * 0x400u, i);
	if (fclose(f))
		die(opt.symbols);
}

static _Noreturn void usage(void)
{
	fputs("usage: synth [-n EVENTS] [-c CPUS] [-d DOMUS] [-s SEED] "
	      "[-i vmx|svm] [-b PACKET-KIB]\n"
	      "             [-l LOST-PER-PACKET] [-k EXIT-KIND] "
	      "[-x EXIT-KIND:FACTOR]\n"
	      "             [-m SYMBOL-FILE] FOLDER\n"
	      "FOLDER is made; -k: of the exits only these; -x: handling of "
	      "these takes FACTOR times as long.\n", stderr);
	exit(2);
}

static void options(int argc, char **argv)
{
	int c;
	char *colon;

	while ((c = getopt(argc, argv, "n:c:d:s:i:b:l:k:x:m:")) != -1)
		switch (c) {
		case 'n': opt.events = strtoull(optarg, NULL, 0); break;
		case 'c': opt.cpus = (unsigned)atoi(optarg); break;
		case 'd': opt.domus = (unsigned)atoi(optarg); break;
		case 's': opt.seed = strtoull(optarg, NULL, 0); break;
		case 'i': opt.isa = strcmp(optarg, "svm") ? LUV_ISA_VMX :
				LUV_ISA_SVM; break;
		case 'b': opt.packet_size = strtoull(optarg, NULL, 0) << 10;
			break;
		case 'l': opt.lose = strtoull(optarg, NULL, 0); break;
		case 'k': opt.only_kind = optarg; break;
		case 'm': opt.symbols = optarg; break;
		case 'x':
			colon = strchr(optarg, ':');
			if (!colon)
				usage();
			*colon = '\0';
			opt.slow_kind = optarg;
			opt.slow_factor = atof(colon + 1);
			break;
		default: usage();
		}
	if (optind != argc - 1 || !opt.cpus || opt.cpus > 1024 ||
	    opt.domus > 64 || opt.packet_size < 4096)
		usage();
	opt.folder = argv[optind];
}

int main(int argc, char **argv)
{
	uint64_t state;

	options(argc, argv);
	state = opt.seed;
	for (unsigned i = 0; i < sizeof(uuid); i++)
		uuid[i] = (uint8_t)random_u64(&state);
	if (mkdir(opt.folder, 0777) && errno != EEXIST)
		die(opt.folder);
	write_metadata();
	for (unsigned i = 0; i < opt.cpus; i++)
		write_cpu(i);
	if (opt.symbols)
		write_symbols();
	return 0;
}
