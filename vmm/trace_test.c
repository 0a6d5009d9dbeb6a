/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace_test.c - what trace.c writes, as dom0 reads it: every exit is there
 * with its number, in order of time, and ended; losses are counted. The vendor
 * is SVM; each CPU's exits run on a stack above its struct, as in the VMM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <ucontext.h>
#include <cmocka.h>
#include "console.h"
#include "dom0.h"
#include "domu.h"
#include "mem.h"
#include "string.h"
#include "trace.h"
#include "trace_exit.h"
#include "svm/svm.h"
#include "svm/vmcb.h"

#define CPUS 2
#define DOMU 1 /* as a domain */

/* --- what trace.c needs ---------------------------------------------------- */

struct machine machine;
static struct hv_ops ops = { .isa = LUV_ISA_SVM };
const struct hv_ops *hv = &ops;
static struct vm vm = { .handle = 0x100 }; /* index 0: domain 1 */
static struct vcpu domu[CPUS];
static struct vmcb vmcb[2 * CPUS];
static void (*during)(struct vcpu *v); /* an exit, or NULL */

void *mem_alloc(uint64_t len, uint64_t align)
{
	void *p = aligned_alloc(align, ALIGN_UP(len, align));

	return p ? memset(p, 0, len) : NULL;
}

void *mem_page(void)
{
	return mem_alloc(PAGE_SIZE, PAGE_SIZE);
}

void mem_page_free(void *page)
{
	free(page);
}

enum err dom0_copy_in(const struct gpaging *g, void *dst, gva_t src, size_t len)
{
	(void)g;
	memcpy(dst, (void *)src.v, len);
	return OK;
}

enum err dom0_copy_out(const struct gpaging *g, gva_t dst, const void *src,
		       size_t len)
{
	(void)g;
	memcpy((void *)dst.v, src, len);
	return OK;
}

void domu_set_handlers(const exit_handler *handlers)
{
	for (unsigned i = 0; i < CPUS; i++)
		domu[i].handlers = handlers;
}

uint32_t domu_random(void)
{
	return 4; /* chosen by fair dice roll of nobody's */
}

bool domu_token_ok(uint64_t lo, uint64_t hi)
{
	return lo == 0x5ec && hi == 0x3e7;
}

void log_printf(const char *format, ...)
{
	(void)format;
}

static uint64_t rip_of(struct vcpu *v)
{
	(void)v;
	return 0x1234;
}

static enum exit_action handler(struct vcpu *v)
{
	if (during)
		during(v);
	return SKIP;
}

#define X(kind, name) [EXIT_##kind] = handler,
const exit_handler exit_handlers[EXIT_KINDS] = {
#include <luvalley/exits.def>
};
const exit_handler domu_handlers[EXIT_KINDS] = {
#include <luvalley/exits.def>
};
#undef X

/* --- exits ------------------------------------------------------------------ */

static ucontext_t back;
static struct { struct vcpu *v; unsigned kind; } todo;

/* What svm_exited() and exit_handle() do. */
static void one_exit(void)
{
	struct vcpu *v = todo.v;
	struct vmexit *x = exit_record(v);

	x->tsc = rdtsc();
	x->kind = todo.kind;
	x->rip = 0x1000;
	v->handlers[todo.kind](v);
	exit_account(v, x, rdtsc());
	if (v->cpu->current != v)
		trace_switched(v);
}

static void exits(struct vcpu *v, unsigned kind)
{
	char *stack = (char *)v->cpu + sizeof(struct cpu);
	ucontext_t there;

	todo.v = v;
	todo.kind = kind;
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = CPU_SIZE - sizeof(struct cpu);
	there.uc_link = &back;
	makecontext(&there, one_exit, 0);
	swapcontext(&back, &there);
}

static void make_vcpu(struct vcpu *v, struct cpu *cpu, struct vm *of)
{
	v->cpu = cpu;
	v->vm = of;
	v->hw = &vmcb[cpu->index + (of ? CPUS : 0)];
	v->trace_id = cpu->index | (of ? DOMU << 16 : 0);
	assert_true(hist_init(&v->hist));
}

static int make_machine(void **state)
{
	static struct cpu *cpus[CPUS];

	(void)state;
	ops.trace_dom0 = svm_trace_dom0;
	ops.trace_domu = svm_trace_domu;
	ops.trace_context = svm_trace_context;
	ops.rip = rip_of;
	machine.cpu = cpus;
	machine.cpus = CPUS;
	for (unsigned i = 0; i < CPUS; i++) {
		cpus[i] = mem_alloc(CPU_SIZE, CPU_SIZE);
		cpus[i]->index = i;
		cpus[i]->current = &cpus[i]->dom0;
		make_vcpu(&cpus[i]->dom0, cpus[i], NULL);
		memset(&domu[i], 0, sizeof(domu[i]));
		make_vcpu(&domu[i], cpus[i], &vm);
	}
	during = NULL;
	return 0;
}

static int drop_machine(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CPUS; i++) {
		hist_free(&machine.cpu[i]->dom0.hist);
		hist_free(&domu[i].hist);
		free(machine.cpu[i]->trace);
		free(machine.cpu[i]);
	}
	return 0;
}

static void control(uint32_t mode, uint32_t flags, uint64_t doms,
		    uint64_t kinds, uint64_t cpus)
{
	struct luv_trace_control c = { mode, flags, doms, kinds, cpus };

	assert_int_equal(trace_control(NULL, (uint64_t)&c), 0);
}

/* --- reading ------------------------------------------------------------------ */

struct reader {
	uint64_t next;	    /* packet */
	uint64_t gone, lost; /* packets, events */
	uint64_t count[16]; /* of each event */
	uint64_t last_tsc, next_seq, gaps, unended;
	uint64_t told;	    /* by `lost` records */
	struct trace_kvm_exit exit; /* the newest */
};

static size_t bytes_of(uint64_t id)
{
	switch (id) {
#define EVENT(number, name)
#define FIELD(type, name, unit)
#define EVENT_END(name, bytes) case TRACE_##name: return bytes;
#include "../trace/events.def"
	default:
		fail_msg("event %lu", id);
		return 0;
	}
}

static void read_exit(struct reader *r, const struct trace_kvm_exit *x)
{
	assert_true(x->seq >= r->next_seq);
	r->gaps += x->seq - r->next_seq;
	r->next_seq = x->seq + 1;
	if (!x->entry_tsc)
		r->unended++;
	else
		assert_true(x->entry_tsc >= x->header.timestamp);
	r->exit = *x;
}

static void read_records(struct reader *r, const char *packet, size_t bytes)
{
	const struct ctf_packet *p = (const void *)packet;
	size_t at = sizeof(*p);

	assert_int_equal(p->magic, CTF_MAGIC);
	assert_int_equal(p->content_size, bytes * 8);
	assert_true(p->timestamp_begin >= r->last_tsc);
	while (at < bytes) {
		const struct trace_header *h = (const void *)(packet + at);

		assert_true(h->timestamp >= r->last_tsc);
		r->last_tsc = h->timestamp;
		r->count[h->id]++;
		if (h->id == TRACE_kvm_exit)
			read_exit(r, (const void *)h);
		if (h->id == TRACE_lost)
			r->told += ((const struct trace_lost *)h)->count;
		at += bytes_of(h->id);
	}
	assert_int_equal(at, bytes);
	assert_true(p->timestamp_end >= r->last_tsc);
}

/* All there is; `open`: of the packet that is written, too, and no more then. */
static void read_cpu(struct reader *r, unsigned cpu, bool open)
{
	static char packet[TRACE_PACKET_SIZE];

	for (;;) {
		struct luv_trace_read q = { .cpu = cpu, .packet = r->next,
					    .buf = (uint64_t)packet,
					    .len = sizeof(packet) };
		int64_t n = trace_read(NULL, (uint64_t)&q);
		const struct ctf_packet *p = (const void *)packet;

		assert_true(n >= 0);
		r->lost = q.lost;
		if (!n || (q.open && !open))
			return;
		if (r->next)
			r->gone += q.packet - r->next;
		r->next = q.packet + 1;
		read_records(r, packet, p->content_size / 8);
		if (q.open)
			return;
	}
}

/* --- tests ------------------------------------------------------------------- */

static void every_exit_is_there(void **state)
{
	static const unsigned kinds[] = { EXIT_CPUID, EXIT_IO, EXIT_RDMSR,
					  EXIT_HYPERCALL, EXIT_XSETBV,
					  EXIT_STAGE2 };
	struct reader r[CPUS] = { 0 };
	const unsigned n = 60000;

	(void)state;
	trace_init(128, LUV_TRACE_STOP);
	for (unsigned i = 0; i < n; i++) {
		exits(&machine.cpu[i % CPUS]->dom0, kinds[i / CPUS % 6]);
		if (i % 64 == 0)
			read_cpu(&r[i / 64 % CPUS], i / 64 % CPUS, false);
	}
	for (unsigned i = 0; i < CPUS; i++) {
		read_cpu(&r[i], i, true);
		assert_int_equal(r[i].count[TRACE_kvm_exit], n / CPUS);
		assert_int_equal(r[i].count[TRACE_hypercall], n / CPUS / 6);
		assert_int_equal(r[i].gaps + r[i].gone + r[i].lost, 0);
		assert_int_equal(r[i].unended, 1); /* the last one */
		assert_int_equal(r[i].exit.kind, kinds[5]);
		assert_int_equal(r[i].exit.vcpu_id, i);
	}
}

static void losses_are_counted(void **state)
{
	struct reader r = { 0 };
	const unsigned n = 3000;
	uint64_t lost;

	(void)state;
	trace_init(128, LUV_TRACE_STOP); /* four packets of a CPU */
	for (unsigned i = 0; i < n; i++)
		exits(&machine.cpu[0]->dom0, EXIT_CPUID);
	read_cpu(&r, 0, false);
	assert_int_equal(r.next, 4); /* all of them */
	lost = r.lost;
	assert_true(lost > n / 2);
	assert_int_equal(r.count[TRACE_kvm_exit] + lost, n);
	assert_int_equal(r.gaps, 0);
	read_cpu(&r, 0, false); /* which frees the last of them */
	exits(&machine.cpu[0]->dom0, EXIT_CPUID);
	read_cpu(&r, 0, true);
	assert_int_equal(r.gaps, lost);
	assert_int_equal(r.told, lost);
	assert_int_equal(r.exit.seq, n);
}

static void flight_keeps_the_newest(void **state)
{
	struct reader r = { 0 };
	const unsigned n = 3000;

	(void)state;
	trace_init(128, LUV_TRACE_FLIGHT);
	for (unsigned i = 0; i < n; i++)
		exits(&machine.cpu[1]->dom0, EXIT_CPUID);
	r.next_seq = 0;
	read_cpu(&r, 1, true);
	assert_int_equal(r.lost, 0);
	assert_int_equal(r.exit.seq, n - 1);
	assert_int_equal(r.gaps + r.count[TRACE_kvm_exit], n);
	assert_true(r.count[TRACE_kvm_exit] > 400);
}

static void many_events(struct vcpu *v)
{
	(void)v;
	for (unsigned i = 0; i < 500; i++) /* more than a packet */
		trace_mapped(&vm, i, i, PAGE_SIZE, 7);
}

/* Packets wait for the exit that is not over. */
static void an_exit_may_fill_packets(void **state)
{
	struct reader r = { 0 };

	(void)state;
	trace_init(256, LUV_TRACE_STOP);
	machine.cpu[0]->current = &domu[0];
	exits(&domu[0], EXIT_STAGE2);
	during = many_events;
	exits(&domu[0], EXIT_STAGE2);
	during = NULL;
	read_cpu(&r, 0, true);
	assert_int_equal(r.count[TRACE_stage2_map], 0); /* it is not over */
	exits(&domu[0], EXIT_STAGE2);
	read_cpu(&r, 0, true);
	assert_int_equal(r.count[TRACE_kvm_exit], 3);
	assert_int_equal(r.count[TRACE_stage2_map], 500);
	assert_int_equal(r.unended, 1);
	assert_int_equal(r.gaps + r.lost, 0);
}

static void to_domu(struct vcpu *v)
{
	v->cpu->current = &domu[v->cpu->index];
}

static void to_dom0(struct vcpu *v)
{
	v->cpu->current = &v->cpu->dom0;
}

static void switches_end_exits(void **state)
{
	struct reader r = { 0 };

	(void)state;
	trace_init(128, LUV_TRACE_STOP);
	during = to_domu;
	exits(&machine.cpu[0]->dom0, EXIT_HYPERCALL);
	read_cpu(&r, 0, true);
	assert_int_equal(r.exit.outcome, TRACE_outcome_DOMU);
	assert_true(r.exit.entry_tsc);
	assert_int_equal(r.count[TRACE_world_switch], 1);
	assert_int_equal(r.count[TRACE_hypercall], 0);
	r = (struct reader){ 0 };
	during = to_dom0;
	exits(&domu[0], EXIT_INTR);
	read_cpu(&r, 0, true);
	assert_int_equal(r.exit.dom, DOMU);
	assert_int_equal(r.exit.outcome, TRACE_outcome_DOM0);
	r = (struct reader){ 0 };
	machine.cpu[0]->current = &domu[0];
	exits(&domu[0], EXIT_IO);
	read_cpu(&r, 0, true);
	assert_int_equal(r.exit.outcome, TRACE_outcome_RING3);
	assert_int_equal(r.count[TRACE_world_switch], 3);
	assert_int_equal(r.unended + r.gaps, 0);
}

static void filters_filter(void **state)
{
	struct reader r = { 0 };

	(void)state;
	trace_init(128, LUV_TRACE_OFF);
	control(LUV_TRACE_STOP, 0, BIT(DOMU), BIT(EXIT_IO), BIT(0));
	for (unsigned i = 0; i < CPUS; i++)
		for (unsigned k = 0; k < 30; k++) {
			exits(&machine.cpu[i]->dom0, EXIT_IO);
			machine.cpu[i]->current = &domu[i];
			exits(&domu[i], k % 3 ? EXIT_CPUID : EXIT_IO);
			machine.cpu[i]->current = &machine.cpu[i]->dom0;
		}
	read_cpu(&r, 0, true);
	assert_int_equal(r.count[TRACE_kvm_exit], 10);
	assert_int_equal(r.gaps, 56 - 10); /* four are behind the last */
	assert_int_equal(r.lost, 0);
	r = (struct reader){ 0 };
	read_cpu(&r, 1, true);
	assert_int_equal(r.count[TRACE_kvm_exit], 0);
}

static void off_is_off(void **state)
{
	struct reader r = { 0 };

	(void)state;
	trace_init(128, LUV_TRACE_OFF);
	machine.cpu[0]->current = &domu[0];
	during = many_events;
	exits(&domu[0], EXIT_STAGE2);
	read_cpu(&r, 0, true);
	assert_int_equal(r.next, 0);
	during = NULL;
	control(LUV_TRACE_STOP, 0, ~0ull, ~0ull, ~0ull);
	exits(&domu[0], EXIT_CPUID);
	exits(&domu[0], EXIT_CPUID);
	control(LUV_TRACE_OFF, 0, ~0ull, ~0ull, ~0ull);
	during = many_events;
	exits(&domu[0], EXIT_CPUID);
	control(LUV_TRACE_STOP, 0, ~0ull, ~0ull, ~0ull);
	during = NULL;
	exits(&domu[0], EXIT_CPUID);
	read_cpu(&r, 0, true);
	assert_int_equal(r.count[TRACE_kvm_exit], 3);
	assert_int_equal(r.count[TRACE_stage2_map], 0);
	assert_int_equal(r.unended, 2); /* one's end nobody saw */
}

static void tell_time(struct vcpu *v)
{
	v->gpr[RAX] = (uint64_t)trace_clock(1, 2, 3);
}

static void entries_clocks_and_secrets(void **state)
{
	struct vcpu *d = &machine.cpu[0]->dom0;
	struct reader r = { 0 };

	(void)state;
	trace_init(128, LUV_TRACE_OFF);
	d->gpr[RDI] = 0x5ec;
	d->gpr[RSI] = 0x3e7;
	control(LUV_TRACE_STOP, LUV_TRACE_ENTRIES, ~0ull, ~0ull, ~0ull);
	exits(d, EXIT_CPUID);
	exits(d, EXIT_HYPERCALL);
	during = to_domu;
	exits(d, EXIT_HYPERCALL);
	during = NULL;
	exits(&domu[0], EXIT_CPUID);
	read_cpu(&r, 0, true);
	assert_int_equal(r.count[TRACE_kvm_entry], 4);
	assert_int_equal(r.count[TRACE_hypercall], 1);
	/* Filters do not leave out clocks. */
	control(LUV_TRACE_STOP, 0, BIT(DOMU), ~0ull, ~0ull);
	during = tell_time;
	exits(d, EXIT_HYPERCALL);
	assert_int_equal(d->gpr[RAX], 0);
	control(LUV_TRACE_OFF, 0, ~0ull, ~0ull, ~0ull);
	exits(d, EXIT_HYPERCALL);
	assert_int_equal(d->gpr[RAX], -LUV_ENOENT);
	r = (struct reader){ 0 };
	read_cpu(&r, 0, true);
	assert_int_equal(r.count[TRACE_clock], 1);
	for (const char *p = (char *)machine.cpu[0]->trace + PAGE_SIZE, *end =
		     (char *)machine.cpu[0]->trace->ring.open_end; p < end; p++)
		assert_false(p[0] == (char)0xec && p[1] == 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_machine, \
						   drop_machine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_exit_is_there),
		TEST(losses_are_counted),
		TEST(flight_keeps_the_newest),
		TEST(an_exit_may_fill_packets),
		TEST(switches_end_exits),
		TEST(filters_filter),
		TEST(off_is_off),
		TEST(entries_clocks_and_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
