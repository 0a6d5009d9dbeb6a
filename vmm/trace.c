/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.c - see trace.h, and trace_exit.h for the usual exit. What is here
 * happens once for a packet, is asked for, or has a record of its own. A packet
 * that ends before the exit that is being handled has ended is finished, for
 * readers, together with that exit.
 */
#include "trace.h"
#include "trace_exit.h"
#include "console.h"
#include "dom0.h"
#include "domu.h"
#include "mem.h"
#include "string.h"

#define ALL_OTHERS    63
#define KIB_USUAL     512
#define PACKETS_MIN   2 /* one is written, one can be read */

_Atomic(bool) trace_on;
static struct luv_trace_control config;
static bool everything; /* config leaves nothing out, and adds nothing */
static _Atomic uint32_t generation; /* of config */
static uint8_t uuid[16];
static uint32_t packets; /* in each ring */

/* --- packets -------------------------------------------------------------- */

static char *free_place(const struct trace *t)
{
	return (char *)atomic_load_explicit(&t->ring.open_end,
					    memory_order_relaxed);
}

/* Records up to here are whole. */
static void publish(struct trace *t, void *end)
{
	atomic_store_explicit(&t->ring.open_end, (uint64_t)end,
			      memory_order_release);
}

static void end_packet(struct trace *t)
{
	struct ctf_packet *p = t->packet;
	bool open = t->exit != &t->scratch;

	if (!p)
		return;
	if (open && t->last < t->exit->header.timestamp)
		t->last = t->exit->header.timestamp;
	p->timestamp_end = t->last;
	p->content_size = (uint64_t)(free_place(t) - (char *)p) * 8;
	p->events_discarded = p->discarded_full = t->ring.lost;
	t->packet = NULL;
	t->end = NULL;
	publish(t, NULL);
	atomic_store(&t->limit, 0);
	if (open)
		t->due++;
	else
		atomic_fetch_add(&t->ring.finished, 1);
}

static bool begin_packet(struct trace *t, uint64_t tsc)
{
	uint64_t n = t->ring.finished + t->due;
	struct ctf_packet *p;

	if ((config.mode == LUV_TRACE_STOP &&
	     n - t->ring.consumed >= packets) || t->due >= packets)
		return false;
	p = (void *)(t->ring.base + n % packets * TRACE_PACKET_SIZE);
	*p = (struct ctf_packet){
		.magic = CTF_MAGIC,
		.timestamp_begin = tsc,
		.timestamp_end = tsc,
		.packet_size = TRACE_PACKET_SIZE * 8,
		.packet_seq_num = n,
		.events_discarded = t->ring.lost,
		.discarded_full = t->ring.lost,
		.cpu_id = t->ring.cpu,
	};
	memcpy(p->uuid, uuid, sizeof(uuid));
	t->packet = p;
	t->end = (char *)p + TRACE_PACKET_SIZE;
	publish(t, p + 1);
	return true;
}

/* Room for a record in a new packet. False: it is lost. */
static __attribute__((noinline)) bool more_room(struct trace *t, uint64_t tsc)
{
	uint64_t lost;
	struct trace_lost *r;

	end_packet(t);
	if (!begin_packet(t, tsc)) {
		t->ring.lost++;
		return false;
	}
	lost = t->ring.lost;
	if (lost != t->told) {
		r = (void *)free_place(t);
		*r = (struct trace_lost){
			.header = { TRACE_lost, tsc },
			.count = lost - t->told, .cause = TRACE_cause_FULL,
		};
		publish(t, r + 1);
		t->told = lost;
	}
	return true;
}

/* Where a record is to be written, and then published. NULL: it is lost. */
static void *room(struct trace *t, size_t size, uint64_t tsc)
{
	if ((size_t)(t->end - free_place(t)) < size && !more_room(t, tsc))
		return NULL;
	return free_place(t);
}

/* --- exits ---------------------------------------------------------------- */

static uint16_t dom_of(const struct vcpu *v)
{
	return (uint16_t)(v->trace_id >> 16);
}

static uint16_t id_of(const struct vcpu *v)
{
	return (uint16_t)v->trace_id;
}

static bool in(uint64_t mask, unsigned n)
{
	return mask & BIT(n < ALL_OTHERS ? n : ALL_OTHERS);
}

static bool on(const struct cpu *cpu)
{
	return config.mode != LUV_TRACE_OFF && in(config.cpus, cpu->index);
}

/* The exit has ended: so have the packets that waited for it. */
static void close_exit(struct trace *t, const struct cpu *cpu)
{
	t->exit->entry_tsc = cpu->entered;
	atomic_fetch_add(&t->ring.finished, t->due);
	t->due = 0;
}

/* The next exits need not come here, unless the settings changed just now. */
static void hurry(struct trace *t, const struct cpu *cpu)
{
	atomic_store(&t->limit, on(cpu) && everything ? (uint64_t)t->end : 0);
	if (atomic_load(&generation) != t->generation)
		atomic_store(&t->limit, 0);
}

static void record(struct trace *t, struct vcpu *v)
{
	const struct vmexit *x = v->exit;
	struct trace_kvm_exit *r = room(t, sizeof(*r), x->tsc);

	if (r)
		trace_fill(t, r, v, x, x->kind, hv->isa, hv->trace_context);
	else
		t->seq++;
}

void trace_open(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	struct trace *t = cpu->trace;
	uint32_t now = atomic_load(&generation);

	if (t->generation != now) /* it may have been off: when did that end? */
		t->exit = &t->scratch;
	close_exit(t, cpu);
	t->generation = now;
	if (t->last < t->exit->header.timestamp)
		t->last = t->exit->header.timestamp;
	t->exit = &t->scratch;
	if (on(cpu) && in(config.doms, dom_of(v)) &&
	    in(config.kinds, v->exit->kind))
		record(t, v);
	else
		t->seq++;
	hurry(t, cpu);
}

/* This CPU's, if it has exited since the settings were made; else NULL. */
static struct trace *current(void)
{
	const struct cpu *cpu = this_cpu();
	struct trace *t = cpu->trace;

	return t && on(cpu) && t->generation == atomic_load(&generation) ?
		       t : NULL;
}

/* For what is recorded besides an exit that is. */
static struct trace *recording(void)
{
	struct trace *t = current();

	return t && t->exit != &t->scratch ? t : NULL;
}

/* --- other events --------------------------------------------------------- */

#define EVENT(name, whose)                                                     \
	const struct trace_header header = { TRACE_##name, rdtsc() };          \
	struct trace *t = whose;                                               \
	struct trace_##name *r = t ? room(t, sizeof(*r), header.timestamp) : NULL
#define PUT(...) do {                                                          \
	if (r) {                                                               \
		*r = (__typeof__(*r)){ .header = header, __VA_ARGS__ };        \
		t->last = header.timestamp;                                    \
		publish(t, r + 1);                                             \
	}                                                                      \
} while (0)

void trace_inject(const struct vcpu *v, unsigned vector)
{
	EVENT(kvm_inj_virq, recording());
	PUT(.irq = vector, .vcpu_id = id_of(v), .dom = dom_of(v));
}

void trace_injected_nmi(const struct vcpu *v)
{
	EVENT(inject_nmi, recording());
	PUT(.vcpu_id = id_of(v), .dom = dom_of(v));
}

void trace_message(const struct vm *vm, uint32_t from, uint64_t icr)
{
	EVENT(ipi, recording());
	PUT(.from = from,
	    .to = icr >> 18 & 3 ? ~0u : (uint32_t)(icr >> 32),
	    .dom = (uint16_t)((vm->handle & 0xff) + 1),
	    .vector = (uint8_t)icr, .mode = icr >> 8 & 7);
}

void trace_vm_created(const struct vm *vm)
{
	EVENT(vm_create, recording());
	PUT(.tag = vm->tag, .dom = (uint16_t)((vm->handle & 0xff) + 1));
}

void trace_vm_destroyed(const struct vm *vm)
{
	EVENT(vm_destroy, recording());
	PUT(.tag = vm->tag, .dom = (uint16_t)((vm->handle & 0xff) + 1));
}

void trace_vcpu_created(const struct vcpu *v)
{
	EVENT(vcpu_create, recording());
	PUT(.tag = v->vm->tag, .dom = dom_of(v), .vcpu_id = id_of(v));
}

void trace_map(const struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size,
	       unsigned perm)
{
	EVENT(stage2_map, recording());
	PUT(.gpa = gpa, .hpa = hpa, .size = size,
	    .dom = (uint16_t)((vm->handle & 0xff) + 1), .perm = (uint8_t)perm);
}

void trace_unmapped(const struct vm *vm, uint64_t gpa, uint64_t size)
{
	EVENT(stage2_unmap, recording());
	PUT(.gpa = gpa, .size = size,
	    .dom = (uint16_t)((vm->handle & 0xff) + 1));
}

static void world_switch(const struct vcpu *from, const struct vcpu *to)
{
	EVENT(world_switch, recording());
	PUT(.from = dom_of(from), .from_vcpu = id_of(from),
	    .to = dom_of(to), .to_vcpu = id_of(to));
}

/* If such records are wanted. */
static void entered(struct vcpu *v)
{
	EVENT(kvm_entry, config.flags & LUV_TRACE_ENTRIES ? recording() : NULL);
	PUT(.rip = hv->rip(v), .vcpu_id = id_of(v), .dom = dom_of(v));
}

static void hypercall(const struct vcpu *v, const uint64_t args[5], uint64_t nr)
{
	/* Captures are shown around: the token is not for them. */
	const bool secret = domu_token_ok(args[0], args[1]);

	EVENT(hypercall, recording());
	PUT(.nr = (uint32_t)nr, .dom = dom_of(v), .vcpu_id = id_of(v),
	    .a0 = secret ? 0 : args[0], .a1 = secret ? 0 : args[1],
	    .a2 = args[2], .a3 = args[3], .a4 = args[4],
	    .result = (int64_t)v->gpr[RAX]);
}

void trace_hypercall(struct vcpu *v, const uint64_t args[5], uint64_t nr)
{
	hypercall(v, args, nr);
	entered(v);
}

int64_t trace_clock(uint64_t tsc, uint64_t mono_ns, uint64_t wall_ns)
{
	EVENT(clock, current());
	PUT(.tsc = tsc, .mono_ns = mono_ns, .wall_ns = wall_ns);
	return r ? 0 : -LUV_ENOENT;
}

/* --- how exits end ---------------------------------------------------------- */

static uint8_t outcome(const struct vcpu *v, unsigned kind)
{
	if (!v->vm)
		return TRACE_outcome_DOMU;
	return BIT(kind) & (BIT(EXIT_INTR) | BIT(EXIT_NMI) | BIT(EXIT_INIT) |
			    BIT(EXIT_TIMER)) ?
		       TRACE_outcome_DOM0 : TRACE_outcome_RING3;
}

void trace_switch(struct vcpu *from)
{
	struct cpu *cpu = from->cpu;
	struct trace *t = recording();

	if (!t || cpu->current == from)
		return;
	close_exit(t, cpu);
	if (t->exit->dom == dom_of(from))
		t->exit->outcome = outcome(from, t->exit->kind);
	world_switch(from, cpu->current);
	entered(cpu->current);
}

enum exit_action trace_slowly(struct vcpu *v)
{
	const struct vmexit *x = v->exit;
	struct cpu *cpu = v->cpu;
	struct trace *t = cpu->trace;
	enum exit_action action;

	trace_open(v);
	action = (v->vm ? hist_domu : hist_dom0)[x->kind](v);
	if (!v->vm && x->kind == EXIT_APIC_WRITE) { /* it came as STAGE2 */
		t->exit->kind = EXIT_APIC_WRITE;
		t->exit->sub = x->gpa.v % PAGE_SIZE;
	}
	if (action == STOP)
		t->exit->outcome = TRACE_outcome_STOP;
	else if (cpu->current == v)
		entered(v);
	return action;
}

const exit_handler *trace_handlers(bool domu)
{
	if (config.mode == LUV_TRACE_OFF)
		return domu ? hist_domu : hist_dom0;
	return domu ? hv->trace_domu : hv->trace_dom0;
}

/* --- control -------------------------------------------------------------- */

static void set_config(const struct luv_trace_control *c)
{
	config = *c;
	everything = !~c->doms && !~c->kinds && !c->flags;
	atomic_fetch_add(&generation, 1);
	atomic_store(&trace_on, c->mode != LUV_TRACE_OFF);
	for (unsigned i = 0; i < machine.cpus; i++) {
		struct cpu *cpu = machine.cpu[i];

		atomic_store(&cpu->trace->limit, 0);
		cpu->dom0.handlers = trace_handlers(false);
	}
	domu_set_handlers(trace_handlers(true));
}

uint64_t trace_memory(uint64_t kib)
{
	return kib > KIB_USUAL ? kib * KIB : 0;
}

/* The ring of a CPU; false: no memory for it. */
static bool make_ring(struct cpu *cpu)
{
	static const char build[] = LUV_BUILD;
	struct trace *t =
		mem_alloc(PAGE_SIZE + (uint64_t)packets * TRACE_PACKET_SIZE,
			  PAGE_SIZE);
	struct trace_ring *r = &t->ring;

	if (!t)
		return false;
	t->exit = &t->scratch;
	*r = (struct trace_ring){
		.magic = TRACE_RING_MAGIC,
		.version = TRACE_RING_VERSION,
		.cpu = cpu->index, .cpus = machine.cpus,
		.packets = packets, .packet_size = TRACE_PACKET_SIZE,
		.isa = (uint32_t)hv->isa,
		.base = (uint64_t)t + PAGE_SIZE,
	};
	memcpy(r->uuid, uuid, sizeof(uuid));
	memcpy(r->build, build, sizeof(build) < sizeof(r->build) ?
					sizeof(build) : sizeof(r->build) - 1);
	cpu->trace = t;
	cpu->dom0.trace_id = cpu->index;
	return true;
}

void trace_init(uint64_t kib, unsigned mode)
{
	const struct luv_trace_control all = { mode, 0, ~0ull, ~0ull, ~0ull };

	packets = (uint32_t)(kib * KIB / machine.cpus / TRACE_PACKET_SIZE);
	for (unsigned i = 0; i < sizeof(uuid); i += 4) {
		uint32_t word = domu_random();

		memcpy(uuid + i, &word, 4);
	}
	for (unsigned i = 0; packets >= PACKETS_MIN && i < machine.cpus; i++)
		if (!make_ring(machine.cpu[i]))
			packets = 0;
	if (packets >= PACKETS_MIN) {
		set_config(&all);
		return;
	}
	packets = 0;
	if (mode != LUV_TRACE_OFF)
		log_printf("luvalley: no trace: trace_kib=%lu is too little for "
			   "%u CPUs; give trace_kib=%lu or more\n", kib,
			   machine.cpus, machine.cpus * PACKETS_MIN *
						 TRACE_PACKET_SIZE / KIB);
}

int64_t trace_control(const struct gpaging *g, uint64_t buf)
{
	struct luv_trace_control c;

	if (dom0_copy_in(g, &c, GVA(buf), sizeof(c)) != OK)
		return -LUV_EFAULT;
	if (c.mode > LUV_TRACE_FLIGHT || (c.flags & ~LUV_TRACE_ENTRIES))
		return -LUV_EINVAL;
	if (!packets)
		return -LUV_ENOMEM;
	set_config(&c);
	return 0;
}

int64_t trace_info(const struct gpaging *g, uint64_t buf, uint64_t len)
{
	struct luv_trace_info i = { .now = config, .cpus = machine.cpus,
				    .packets = packets,
				    .packet_size = TRACE_PACKET_SIZE,
				    .isa = (uint32_t)hv->isa };

	if (len < 16)
		return -LUV_EINVAL;
	memcpy(i.uuid, uuid, sizeof(uuid));
	if (len > sizeof(i))
		len = sizeof(i);
	return dom0_copy_out(g, GVA(buf), &i, len) == OK ?
		       (int64_t)sizeof(i) : -LUV_EFAULT;
}
