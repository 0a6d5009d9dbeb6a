/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worlds.c - see worlds.h. Every record of an exit says what came before it
 * (a guest, which one) and, by entry_tsc, when the next guest begins.
 */
#include "worlds.h"
#include "memory.h"

void worlds_init(struct worlds *w, const struct worlds_ops *ops, void *ctx)
{
	*w = (struct worlds){ .ops = ops, .ctx = ctx, .slots = 64 };
	w->vcpu = memory_zeroed(w->slots, sizeof(*w->vcpu));
}

void worlds_free(struct worlds *w)
{
	free(w->cpu);
	free(w->vcpu);
	*w = (struct worlds){ 0 };
}

static struct worlds_cpu *cpu_of(struct worlds *w, unsigned cpu)
{
	if (cpu >= w->cpus) {
		w->cpu = memory_grown(w->cpu, cpu + 1, sizeof(*w->cpu));
		memset(w->cpu + w->cpus, 0,
		       (cpu + 1 - w->cpus) * sizeof(*w->cpu));
		w->cpus = cpu + 1;
	}
	return &w->cpu[cpu];
}

static struct worlds_vcpu *slot_of(struct worlds_vcpu *v, size_t slots,
				   uint32_t key)
{
	size_t i = (key * 0x9e3779b1u) & (slots - 1);

	while (v[i].used && v[i].key != key)
		i = (i + 1) & (slots - 1);
	return &v[i];
}

static struct worlds_vcpu *vcpu_of(struct worlds *w, uint32_t key)
{
	struct worlds_vcpu *v = slot_of(w->vcpu, w->slots, key), *more;

	if (v->used)
		return v;
	if (w->vcpus * 2 >= w->slots) {
		more = memory_zeroed(w->slots * 2, sizeof(*more));
		for (size_t i = 0; i < w->slots; i++)
			if (w->vcpu[i].used)
				*slot_of(more, w->slots * 2, w->vcpu[i].key) =
					w->vcpu[i];
		free(w->vcpu);
		w->vcpu = more;
		w->slots *= 2;
		v = slot_of(w->vcpu, w->slots, key);
	}
	w->vcpus++;
	*v = (struct worlds_vcpu){ .used = true, .key = key };
	return v;
}

static void handled(struct worlds *w, const struct worlds_handled *h)
{
	if (w->ops->handled)
		w->ops->handled(w->ctx, h);
}

/* v is entered again: what it exited for is dealt with. */
static void goes_on(struct worlds *w, struct worlds_vcpu *v, uint64_t now,
		    unsigned cpu)
{
	const uint64_t vmm = v->exit.entry_tsc - v->exit.header.timestamp;
	const uint64_t ticks = now - v->exit.header.timestamp;

	v->waits = false;
	if (now < v->exit.entry_tsc) {
		w->unpaired++;
		return;
	}
	v->dom0 += ticks - vmm;
	handled(w, &(struct worlds_handled){
		.exit = &v->exit, .cpu = v->cpu, .ticks = ticks, .vmm = vmm,
		.left = true, .flow = v->flow, .again = now,
		.again_cpu = cpu });
}

/* What the CPU did since its last entry. */
static void guest_ran(struct worlds *w, unsigned cpu, struct worlds_vcpu *v,
		      const struct trace_kvm_exit *x)
{
	struct worlds_cpu *c = &w->cpu[cpu];
	const uint64_t now = x->header.timestamp;
	const bool known = c->seen && c->entry && x->seq == c->seq &&
		now >= c->entry;

	if (known) {
		c->guest[x->dom != 0] += now - c->entry;
		v->guest += now - c->entry;
		if (w->ops->guest)
			w->ops->guest(w->ctx, &(struct worlds_guest){
				.cpu = cpu, .begin = c->entry, .end = x,
				.serves = x->dom ? 0 : c->flow,
				.resumes = v->waits ? v->flow : 0 });
		if (v->waits)
			goes_on(w, v, c->entry, cpu);
		return;
	}
	if (c->seen && now > c->last)
		c->unknown += now - c->last;
	if (c->seen && x->seq > c->seq)
		c->gaps += x->seq - c->seq;
	w->unpaired += v->waits;
	v->waits = false;
}

/* Has dom0 a part in what is done about it? */
static bool leaves(const struct trace_kvm_exit *x)
{
	return x->dom && (x->outcome == TRACE_outcome_RING3 ||
			  x->outcome == TRACE_outcome_DOM0);
}

static void vmm_ran(struct worlds *w, unsigned cpu, struct worlds_vcpu *v,
		    const struct trace_kvm_exit *x)
{
	struct worlds_cpu *c = &w->cpu[cpu];
	const uint64_t now = x->header.timestamp;

	c->entry = x->entry_tsc >= now ? x->entry_tsc : 0;
	c->last = c->entry ? c->entry : now;
	if (!c->entry && !w->foreign) {
		w->unpaired++;
		return;
	}
	c->vmm += c->last - now;
	v->vmm += c->last - now;
	if (c->flow) {
		v->exit = *x;
		v->exit.entry_tsc = c->last; /* KVM's: it may go on elsewhere */
		v->cpu = cpu;
		v->flow = c->flow;
		v->waits = true;
		return;
	}
	handled(w, &(struct worlds_handled){
		.exit = x, .cpu = cpu, .ticks = c->entry - now,
		.vmm = c->entry - now });
}

/* KVM's first on this CPU: the exit that comes next has number 0. */
static void first_entry(struct worlds *w, unsigned cpu, uint64_t now)
{
	struct worlds_cpu *c = cpu_of(w, cpu);

	if (c->seen)
		return;
	c->seen = true;
	c->first = c->last = c->entry = now;
}

void worlds_record(struct worlds *w, unsigned cpu, const struct trace_header *h)
{
	const struct trace_kvm_exit *x = (const struct trace_kvm_exit *)h;
	struct worlds_cpu *c;
	struct worlds_vcpu *v;

	if (h->id == TRACE_kvm_entry && w->foreign)
		first_entry(w, cpu, h->timestamp);
	if (h->id != TRACE_kvm_exit)
		return;
	c = cpu_of(w, cpu);
	v = vcpu_of(w, (uint32_t)x->dom << 16 | x->vcpu_id);
	guest_ran(w, cpu, v, x);
	if (!c->seen)
		c->first = h->timestamp;
	if (!v->first)
		v->first = h->timestamp;
	v->last = h->timestamp;
	c->exits++;
	c->flow = leaves(x) ? ++w->flows : 0;
	if (w->ops->exit)
		w->ops->exit(w->ctx, cpu, x, c->flow);
	vmm_ran(w, cpu, v, x);
	c->seq = x->seq + 1;
	c->seen = true;
}

void worlds_end(struct worlds *w)
{
	for (size_t i = 0; i < w->slots; i++)
		w->unpaired += w->vcpu[i].used && w->vcpu[i].waits;
}

bool worlds_span(const struct worlds *w, uint64_t *first, uint64_t *last)
{
	bool any = false;

	*first = UINT64_MAX;
	*last = 0;
	for (unsigned i = 0; i < w->cpus; i++) {
		const struct worlds_cpu *c = &w->cpu[i];

		if (!c->seen)
			continue;
		any = true;
		if (c->first < *first)
			*first = c->first;
		if (c->last > *last)
			*last = c->last;
	}
	return any;
}
