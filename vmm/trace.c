/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.c - see trace.h. Only its CPU writes a ring, while it handles an exit:
 * there is no lock. An exit's record is taken first and filled last, so that
 * records are in order of time; a packet that ends meanwhile is finished, for
 * readers, together with that record.
 */
#include "trace.h"
#include "console.h"
#include "dom0.h"
#include "domu.h"
#include "exit.h"
#include "hv.h"
#include "mem.h"
#include "string.h"
#include "../trace/ctf.h"
#include "../trace/ring.h"

#define ALL_OTHERS    63
#define KIB_USUAL     512
#define PACKETS_MIN   2 /* one is written, one can be read */
#define READ_TRIES    4 /* of a packet that is overwritten meanwhile */

struct trace {
	struct trace_ring *ring;     /* [I] */
	char *base;		     /* [I] packets */
	_Atomic bool on;	     /* [a] */
	struct ctf_packet *packet;   /* [p] the open one, or NULL */
	char *at, *end;		     /* [p] what is free of it */
	struct trace_header *last;   /* [p] */
	struct trace_kvm_exit *exit; /* [p] what is being filled, or NULL */
	uint32_t due;		     /* [p] packets finished since it was taken */
	uint64_t seq;		     /* [p] exits seen */
	uint64_t told;		     /* [p] losses that a record tells of */
	struct trace_kvm_exit scratch; /* [p] of exits that are not recorded */
};

static struct luv_trace_control config;
static bool everything; /* config leaves nothing out */
static uint8_t uuid[16];
static uint32_t packets; /* in each ring */

/* --- packets -------------------------------------------------------------- */

static void end_packet(struct trace *t)
{
	struct ctf_packet *p = t->packet;

	if (!p)
		return;
	p->timestamp_end = t->last->timestamp;
	p->content_size = (uint64_t)(t->at - (char *)p) * 8;
	p->events_discarded = p->discarded_full = t->ring->lost;
	t->packet = NULL;
	t->at = t->end = NULL;
	if (t->exit)
		t->due++;
	else
		atomic_fetch_add(&t->ring->finished, 1);
}

static bool begin_packet(struct trace *t, uint64_t tsc)
{
	uint64_t n = t->ring->finished + t->due;
	struct ctf_packet *p;

	if (config.mode == LUV_TRACE_STOP && n - t->ring->consumed >= packets)
		return false;
	p = (void *)(t->base + n % packets * TRACE_PACKET_SIZE);
	atomic_store(&t->ring->open_bytes, 0);
	*p = (struct ctf_packet){
		.magic = CTF_MAGIC,
		.timestamp_begin = tsc,
		.timestamp_end = tsc,
		.packet_size = TRACE_PACKET_SIZE * 8,
		.packet_seq_num = n,
		.events_discarded = t->ring->lost,
		.discarded_full = t->ring->lost,
		.cpu_id = t->ring->cpu,
	};
	memcpy(p->uuid, uuid, sizeof(uuid));
	t->packet = p;
	t->at = (char *)(p + 1);
	t->end = (char *)p + TRACE_PACKET_SIZE;
	return true;
}

static void *place(struct trace *t, unsigned id, size_t size, uint64_t tsc)
{
	struct trace_header *h = (void *)t->at;

	t->at += size;
	t->last = h;
	h->id = id;
	h->timestamp = tsc;
	return h;
}

/* Room for a record in a new packet. False: it is lost. */
static __attribute__((noinline)) bool more_room(struct trace *t, uint64_t tsc)
{
	uint64_t lost;
	struct trace_lost *r;

	end_packet(t);
	if (!begin_packet(t, tsc)) {
		t->ring->lost++;
		return false;
	}
	lost = t->ring->lost;
	if (lost != t->told) {
		r = place(t, TRACE_lost, sizeof(*r), tsc);
		r->count = lost - t->told;
		r->cause = TRACE_cause_FULL;
		t->told = lost;
	}
	return true;
}

static inline void *take(struct trace *t, unsigned id, size_t size,
			 uint64_t tsc)
{
	if (__builtin_expect((size_t)(t->end - t->at) < size, 0) &&
	    !more_room(t, tsc))
		return NULL;
	return place(t, id, size, tsc);
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

_Static_assert(offsetof(struct trace_kvm_exit, dom) ==
	       offsetof(struct trace_kvm_exit, vcpu_id) + 2, "as trace_id");
_Static_assert(offsetof(struct trace_kvm_exit, sub) ==
	       offsetof(struct trace_kvm_exit, isa) + 8, "one quadword");

static bool in(uint64_t mask, unsigned n)
{
	return mask & BIT(n < ALL_OTHERS ? n : ALL_OTHERS);
}

/* What the exit is about: the key below its kind. */
static uint64_t sub_key(const struct vcpu *v, const struct vmexit *x)
{
	switch (x->kind) {
	case EXIT_IO:
	case EXIT_APIC_WRITE:
		return x->port;
	case EXIT_RDMSR:
	case EXIT_WRMSR:
		return (uint32_t)v->gpr[RCX];
	case EXIT_CPUID:
		return (uint32_t)v->gpr[RAX];
	case EXIT_HYPERCALL:
		return (uint32_t)v->gpr[RAX] ^ (v->vm ? 0 : LUV_MAGIC);
	case EXIT_STAGE2:
		return ALIGN_DOWN(x->gpa.v, PAGE_SIZE);
	default:
		return 0;
	}
}

/* These exits leave info1 and info2 of struct vmexit as they were. */
static bool has_info(const struct vmexit *x)
{
	return !(BIT(x->kind) & (BIT(EXIT_CPUID) | BIT(EXIT_HYPERCALL) |
				 BIT(EXIT_RDMSR) | BIT(EXIT_WRMSR)));
}

static bool wanted(const struct vcpu *v, const struct vmexit *x)
{
	return everything ||
	       (in(config.doms, dom_of(v)) && in(config.kinds, x->kind));
}

static inline void open_exit(struct trace *t, struct vcpu *v,
			     const struct vmexit *x)
{
	const uint64_t tail = hv->isa; /* isa, and what close_exit() fills */
	struct trace_kvm_exit *r = NULL;
	uint64_t seq = t->seq++;

	t->exit = &t->scratch;
	if (wanted(v, x))
		r = take(t, TRACE_kvm_exit, sizeof(*r), x->tsc);
	if (!r)
		return;
	t->exit = r;
	r->seq = seq;
	r->guest_rip = x->rip;
	r->info1 = r->info2 = 0;
	if (has_info(x)) {
		r->info1 = x->info1;
		r->info2 = x->info2;
	}
	r->exit_reason = x->reason;
	__builtin_memcpy(&r->vcpu_id, &v->trace_id, sizeof(v->trace_id));
	__builtin_memcpy(&r->isa, &tail, sizeof(tail));
	r->sub = sub_key(v, x);
	r->cr3 = hv->trace_context(v, &r->intr_info, &r->error_code);
}

static uint8_t outcome(const struct vcpu *v, const struct cpu *cpu,
		       const struct vmexit *x, enum exit_action action)
{
	if (action == STOP)
		return TRACE_outcome_STOP;
	if (cpu->current == v)
		return TRACE_outcome_VMM;
	if (!v->vm)
		return TRACE_outcome_DOMU;
	return BIT(x->kind) & (BIT(EXIT_INTR) | BIT(EXIT_NMI) |
			       BIT(EXIT_INIT) | BIT(EXIT_TIMER)) ?
		       TRACE_outcome_DOM0 : TRACE_outcome_RING3;
}

/* The open record is whole: so is all that lies before `at`. */
static void close_exit(struct trace *t)
{
	t->exit = NULL;
	if (t->due) {
		atomic_fetch_add(&t->ring->finished, t->due);
		t->due = 0;
	}
	if (t->packet)
		atomic_store_explicit(&t->ring->open_bytes,
				      (uint64_t)(t->at - (char *)t->packet),
				      memory_order_release);
}

/* --- other events --------------------------------------------------------- */

/* Within an exit that is recorded; else NULL. */
static void *event(unsigned id, size_t size)
{
	struct trace *t = this_cpu()->trace;

	if (!t || !t->exit || t->exit == &t->scratch)
		return NULL;
	return take(t, id, size, rdtsc());
}

#define EVENT(name) struct trace_##name *r = event(TRACE_##name, sizeof(*r)); \
	if (!r) return
#define PUT(r, ...) do { const struct trace_header kept_ = (r)->header;        \
	*(r) = (__typeof__(*(r))){ .header = kept_, __VA_ARGS__ }; } while (0)

void trace_injected(const struct vcpu *v, unsigned vector)
{
	EVENT(kvm_inj_virq);
	PUT(r, .irq = vector, .vcpu_id = id_of(v), .dom = dom_of(v));
}

void trace_injected_nmi(const struct vcpu *v)
{
	EVENT(inject_nmi);
	PUT(r, .vcpu_id = id_of(v), .dom = dom_of(v));
}

void trace_ipi(const struct vm *vm, uint32_t from, uint64_t icr)
{
	EVENT(ipi);
	PUT(r, .from = from,
	    .to = icr >> 18 & 3 ? ~0u : (uint32_t)(icr >> 32),
	    .dom = (uint16_t)((vm->handle & 0xff) + 1),
	    .vector = (uint8_t)icr, .mode = icr >> 8 & 7);
}

void trace_vm_created(const struct vm *vm)
{
	EVENT(vm_create);
	PUT(r, .tag = vm->tag, .dom = (uint16_t)((vm->handle & 0xff) + 1));
}

void trace_vm_destroyed(const struct vm *vm)
{
	EVENT(vm_destroy);
	PUT(r, .tag = vm->tag, .dom = (uint16_t)((vm->handle & 0xff) + 1));
}

void trace_vcpu_created(const struct vcpu *v)
{
	EVENT(vcpu_create);
	PUT(r, .tag = v->vm->tag, .dom = dom_of(v), .vcpu_id = id_of(v));
}

void trace_mapped(const struct vm *vm, uint64_t gpa, uint64_t hpa,
		  uint64_t size, unsigned perm)
{
	EVENT(stage2_map);
	PUT(r, .gpa = gpa, .hpa = hpa, .size = size,
	    .dom = (uint16_t)((vm->handle & 0xff) + 1), .perm = (uint8_t)perm);
}

void trace_unmapped(const struct vm *vm, uint64_t gpa, uint64_t size)
{
	EVENT(stage2_unmap);
	PUT(r, .gpa = gpa, .size = size,
	    .dom = (uint16_t)((vm->handle & 0xff) + 1));
}

static void hypercall(const struct vcpu *v, const uint64_t args[5],
		      uint64_t nr, int64_t result)
{
	EVENT(hypercall);
	PUT(r, .nr = (uint32_t)nr, .dom = dom_of(v), .vcpu_id = id_of(v),
	    .a0 = args[0], .a1 = args[1], .a2 = args[2], .a3 = args[3],
	    .a4 = args[4], .result = result);
}

static void switched(const struct vcpu *from, const struct vcpu *to)
{
	EVENT(world_switch);
	PUT(r, .from = dom_of(from), .from_vcpu = id_of(from),
	    .to = dom_of(to), .to_vcpu = id_of(to));
}

static void entered(const struct vcpu *v)
{
	EVENT(kvm_entry);
	PUT(r, .rip = hv->rip((struct vcpu *)v), .vcpu_id = id_of(v),
	    .dom = dom_of(v));
}

/* --- the handler of every exit while tracing is on -------------------------- */

static const exit_handler *plain_of(const struct vcpu *v)
{
	return v->vm ? domu_handlers : exit_handlers;
}

/* What a hypercall was given: dom0's alone are worth a record. */
static enum exit_action traced_call(struct vcpu *v, const struct vmexit *x)
{
	const uint64_t args[5] = { v->gpr[RDI], v->gpr[RSI], v->gpr[RDX],
				   v->gpr[R10], v->gpr[R8] };
	uint64_t nr = (uint32_t)v->gpr[RAX] ^ LUV_MAGIC;
	enum exit_action action = plain_of(v)[x->kind](v);

	if (!v->vm && v->cpu->current == v)
		hypercall(v, args, nr, (int64_t)v->gpr[RAX]);
	return action;
}

static enum exit_action traced_exit(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	struct trace *t = cpu->trace;
	const struct vmexit *x = v->exit;
	enum exit_action action;

	if (!atomic_load_explicit(&t->on, memory_order_relaxed))
		return plain_of(v)[x->kind](v);
	open_exit(t, v, x);
	action = x->kind == EXIT_HYPERCALL ? traced_call(v, x) :
					     plain_of(v)[x->kind](v);
	if (cpu->current != v)
		switched(v, cpu->current);
	if (config.flags & LUV_TRACE_ENTRIES)
		entered(cpu->current);
	t->exit->kind = (uint8_t)x->kind;
	t->exit->outcome = outcome(v, cpu, x, action);
	t->exit->entry_tsc = rdtsc();
	close_exit(t);
	return action;
}

static const exit_handler traced_handlers[EXIT_KINDS] = {
#define X(kind, name) [EXIT_##kind] = traced_exit,
#include <luvalley/exits.def>
#undef X
};

const exit_handler *trace_handlers(const exit_handler *plain)
{
	return config.mode == LUV_TRACE_OFF ? plain : traced_handlers;
}

/* --- control -------------------------------------------------------------- */

static void set_config(const struct luv_trace_control *c)
{
	config = *c;
	everything = !~c->doms && !~c->kinds;
	for (unsigned i = 0; i < machine.cpus; i++) {
		struct cpu *cpu = machine.cpu[i];

		atomic_store(&cpu->trace->on, c->mode != LUV_TRACE_OFF &&
						      in(c->cpus, i));
		cpu->dom0.handlers = trace_handlers(exit_handlers);
	}
	domu_set_handlers(trace_handlers(domu_handlers));
}

uint64_t trace_memory(uint64_t kib)
{
	return kib > KIB_USUAL ? kib * KIB : 0;
}

/* The ring of a CPU; false: no memory for it. */
static bool make_ring(struct cpu *cpu)
{
	static const char build[] = LUV_BUILD;
	struct trace *t = mem_alloc(PAGE_SIZE, PAGE_SIZE);
	struct trace_ring *r =
		mem_alloc(PAGE_SIZE + (uint64_t)packets * TRACE_PACKET_SIZE,
			  PAGE_SIZE);

	if (!t || !r)
		return false;
	*r = (struct trace_ring){
		.magic = TRACE_RING_MAGIC,
		.version = TRACE_RING_VERSION,
		.cpu = cpu->index, .cpus = machine.cpus,
		.packets = packets, .packet_size = TRACE_PACKET_SIZE,
		.isa = (uint32_t)hv->isa,
	};
	memcpy(r->uuid, uuid, sizeof(uuid));
	memcpy(r->build, build, sizeof(build) < sizeof(r->build) ?
					sizeof(build) : sizeof(r->build) - 1);
	t->ring = r;
	t->base = (char *)r + PAGE_SIZE;
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

/*
 * Packet *n, or the oldest after it that is there, to the caller. Returns its
 * bytes, 0 for none, or a negated error.
 */
static int64_t copy_packet(const struct gpaging *g, struct trace_ring *r,
			   struct luv_trace_read *q)
{
	uint64_t finished = atomic_load(&r->finished);
	uint64_t bytes = TRACE_PACKET_SIZE;
	struct ctf_packet head;
	const char *at;

	/* One place is being written, or will be next. */
	if (finished >= packets && q->packet <= finished - packets)
		q->packet = finished - packets + 1;
	if (q->packet > finished)
		return 0;
	q->open = q->packet == finished;
	if (q->open)
		bytes = atomic_load(&r->open_bytes);
	if (!bytes)
		return 0;
	at = (char *)r + PAGE_SIZE + q->packet % packets * TRACE_PACKET_SIZE;
	memcpy(&head, at, sizeof(head));
	if (q->open) {
		head.content_size = bytes * 8;
		head.timestamp_end = rdtsc();
	}
	if (dom0_copy_out(g, GVA(q->buf), &head, sizeof(head)) != OK ||
	    dom0_copy_out(g, GVA(q->buf + sizeof(head)), at + sizeof(head),
			  bytes - sizeof(head)) != OK)
		return -LUV_EFAULT;
	finished = atomic_load(&r->finished);
	if (q->packet + packets <= finished ||
	    (q->open && q->packet != finished))
		return -LUV_EBUSY; /* it changed under the copy */
	return (int64_t)bytes;
}

int64_t trace_read(const struct gpaging *g, uint64_t buf)
{
	struct luv_trace_read q;
	struct trace_ring *r;
	int64_t n = -LUV_EBUSY;

	if (dom0_copy_in(g, &q, GVA(buf), sizeof(q)) != OK)
		return -LUV_EFAULT;
	if (q.cpu >= machine.cpus || !packets)
		return -LUV_ENOENT;
	if (q.len < TRACE_PACKET_SIZE)
		return -LUV_E2BIG;
	r = machine.cpu[q.cpu]->trace->ring;
	if (q.packet > r->consumed && q.packet <= r->finished)
		atomic_store(&r->consumed, q.packet);
	for (unsigned i = 0; i < READ_TRIES && n == -LUV_EBUSY; i++)
		n = copy_packet(g, r, &q);
	q.lost = r->lost;
	if (n >= 0 && dom0_copy_out(g, GVA(buf), &q, sizeof(q)) != OK)
		return -LUV_EFAULT;
	return n;
}
