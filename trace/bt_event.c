/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bt_event.c - each class of events gets a plan once: which member goes to
 * which bytes of our record. Events then cost a look at each field of it.
 */
#include "bt_event.h"
#include "events.h"
#include "memory.h"

struct step {
	uint64_t member; /* of the payload */
	bool is_signed;
	uint16_t at, bytes;
};

struct plan {
	const bt_event_class *class;
	bool known;
	enum bt_what what;
	uint64_t id;
	bool has_vcpu;
	struct step *step;
	unsigned steps;
};

struct bt_schema {
	struct capture *c;
	bool has_clock;
	struct plan *plan;
	unsigned plans, last; /* last: the one used last */
	uint64_t *pid;	      /* dom n + 1 is the process pid[n] */
	unsigned pids;
};

struct bt_schema *bt_schema_new(struct capture *c)
{
	struct bt_schema *s = memory_zeroed(1, sizeof(*s));

	s->c = c;
	return s;
}

void bt_schema_free(struct bt_schema *s)
{
	for (unsigned i = 0; i < s->plans; i++)
		free(s->plan[i].step);
	free(s->plan);
	free(s->pid);
	free(s);
}

/* --- fields --------------------------------------------------------------- */

static bool is_type(const bt_field_class *c, bt_field_class_type type)
{
	return bt_field_class_type_is(bt_field_class_get_type(c), type);
}

static uint64_t integer(const bt_field *f, bool is_signed)
{
	return is_signed ? (uint64_t)bt_field_integer_signed_get_value(f) :
		bt_field_integer_unsigned_get_value(f);
}

bool bt_event_member(const bt_field *structure, const char *name,
		     uint64_t *value)
{
	const bt_field *f =
		bt_field_structure_borrow_member_field_by_name_const(structure,
								     name);
	const bt_field_class *c = f ? bt_field_borrow_class_const(f) : NULL;

	if (!c || !is_type(c, BT_FIELD_CLASS_TYPE_INTEGER))
		return false;
	*value = integer(f, is_type(c, BT_FIELD_CLASS_TYPE_SIGNED_INTEGER));
	return true;
}

/* --- plans ---------------------------------------------------------------- */

static void add_step(struct plan *p, const bt_field_class *payload, uint64_t i,
		     const struct events_field *to)
{
	const bt_field_class *c =
		bt_field_class_structure_member_borrow_field_class_const(
		bt_field_class_structure_borrow_member_by_index_const(payload,
								      i));

	if (!is_type(c, BT_FIELD_CLASS_TYPE_INTEGER))
		return;
	p->step = memory_grown(p->step, p->steps + 1, sizeof(*p->step));
	p->step[p->steps++] = (struct step){
		i, is_type(c, BT_FIELD_CLASS_TYPE_SIGNED_INTEGER), to->at,
		to->bytes };
	if (strcmp(to->name, "vcpu_id") == 0)
		p->has_vcpu = true;
}

static void plan_fields(struct plan *p, const struct events_event *e)
{
	const bt_field_class *payload =
		bt_event_class_borrow_payload_field_class_const(p->class);
	const uint64_t n = payload ?
		bt_field_class_structure_get_member_count(payload) : 0;

	for (uint64_t i = 0; i < n; i++) {
		const char *name = bt_field_class_structure_member_get_name(
			bt_field_class_structure_borrow_member_by_index_const(
				payload, i));

		for (uint32_t j = 0; j < e->fields; j++)
			if (!events_zeros(&e->field[j]) &&
			    strcmp(e->field[j].name, name) == 0)
				add_step(p, payload, i, &e->field[j]);
	}
}

static void plan_name(struct plan *p, bool foreign)
{
	static const struct {
		const char *name;
		enum bt_what what;
		uint64_t id;
	} kvm[] = {
		{ "kvm_exit", BT_KVM_EXIT, TRACE_kvm_exit },
		{ "kvm_x86_exit", BT_KVM_EXIT, TRACE_kvm_exit },
		{ "kvm_entry", BT_KVM_ENTRY, TRACE_kvm_entry },
		{ "kvm_x86_entry", BT_KVM_ENTRY, TRACE_kvm_entry },
	};
	const char *name = bt_event_class_get_name(p->class);
	const char *colon = name ? strrchr(name, ':') : NULL;

	if (!name)
		return;
	for (uint64_t id = 0; !foreign && id < TRACE_EVENTS; id++)
		if (strcmp(events_get(id)->name, name) == 0) {
			*p = (struct plan){ .class = p->class, .known = true,
					    .what = BT_OURS, .id = id };
			return;
		}
	/* perf and LTTng-UST put the provider before the name. */
	for (size_t i = 0; foreign && i < sizeof(kvm) / sizeof(kvm[0]); i++)
		if (strcmp(kvm[i].name, colon ? colon + 1 : name) == 0) {
			p->known = true;
			p->what = kvm[i].what;
			p->id = kvm[i].id;
		}
}

static const struct plan *plan_of(struct bt_schema *s, const bt_event_class *c)
{
	struct plan *p;

	if (s->plans && s->plan[s->last].class == c)
		return &s->plan[s->last];
	for (s->last = 0; s->last < s->plans; s->last++)
		if (s->plan[s->last].class == c)
			return &s->plan[s->last];
	s->plan = memory_grown(s->plan, s->plans + 1, sizeof(*s->plan));
	p = &s->plan[s->plans++];
	*p = (struct plan){ .class = c };
	plan_name(p, s->c->foreign);
	if (p->known)
		plan_fields(p, events_get(p->id));
	return p;
}

/* --- events --------------------------------------------------------------- */

/* The VM is the process, where the tracer says which. */
static uint16_t dom_of(struct bt_schema *s, const bt_event *e)
{
	static const char *const names[] = { "perf_pid", "pid", "vpid" };
	const bt_field *in[] = {
		bt_event_borrow_payload_field_const(e),
		bt_event_borrow_common_context_field_const(e) };
	uint64_t pid = 0;
	unsigned i;

	for (i = 0; i < 6; i++)
		if (in[i / 3] && bt_event_member(in[i / 3], names[i % 3], &pid))
			break;
	for (i = 0; i < s->pids; i++)
		if (s->pid[i] == pid)
			return (uint16_t)(i + 1);
	s->pid = memory_grown(s->pid, s->pids + 1, sizeof(*s->pid));
	s->pid[s->pids++] = pid;
	return (uint16_t)s->pids;
}

static void take_clock(struct bt_schema *s, const bt_event_class *class)
{
	const bt_clock_class *clock =
		bt_stream_class_borrow_default_clock_class_const(
			bt_event_class_borrow_stream_class_const(class));
	struct metadata *m = &s->c->meta;

	s->has_clock = true;
	m->tsc_hz = 1000000000;
	if (!clock)
		return;
	m->absolute = bt_clock_class_origin_is_unix_epoch(clock);
	if (s->c->foreign)
		return;
	m->tsc_hz = bt_clock_class_get_frequency(clock);
	bt_clock_class_get_offset(clock, &m->offset_s, &m->offset);
}

/* In ticks of ours; or nanoseconds, which is what all clocks can be. */
static uint64_t time_of(const struct bt_schema *s, const bt_message *m)
{
	const bt_clock_snapshot *t;
	int64_t ns = 0;

	if (!bt_message_event_borrow_stream_class_default_clock_class_const(m))
		return 0;
	t = bt_message_event_borrow_default_clock_snapshot_const(m);
	if (!s->c->foreign)
		return bt_clock_snapshot_get_value(t);
	if (bt_clock_snapshot_get_ns_from_origin(t, &ns))
		bt_current_thread_clear_error();
	return (uint64_t)ns;
}

bool bt_event_read(struct bt_schema *s, const bt_message *m,
		   struct bt_event *to)
{
	const bt_event *e = bt_message_event_borrow_event_const(m);
	const bt_event_class *class = bt_event_borrow_class_const(e);
	const bt_field *payload = bt_event_borrow_payload_field_const(e);
	const struct plan *p = plan_of(s, class);

	if (!p->known || !payload)
		return false;
	if (!s->has_clock)
		take_clock(s, class);
	memset(&to->as, 0, events_get(p->id)->bytes);
	to->as.header.id = p->id;
	to->as.header.timestamp = time_of(s, m);
	to->what = p->what;
	to->has_vcpu = p->has_vcpu;
	for (unsigned i = 0; i < p->steps; i++) {
		const struct step *step = &p->step[i];
		const uint64_t v = integer(
			bt_field_structure_borrow_member_field_by_index_const(
				payload, step->member), step->is_signed);

		memcpy((char *)&to->as + step->at, &v, step->bytes);
	}
	if (p->what == BT_KVM_EXIT)
		to->as.exit.dom = dom_of(s, e);
	if (p->what == BT_KVM_ENTRY)
		to->as.entry.dom = dom_of(s, e);
	return true;
}

/* --- KVM ------------------------------------------------------------------ */

/* What our VMM would have written beside what KVM did. */
static void complete(struct bt_pairing *p, struct trace_kvm_exit *x,
		     bool has_vcpu)
{
	x->seq = p->seq++;
	if (!has_vcpu)
		x->vcpu_id = p->vcpu_id;
	if (!x->isa)
		x->isa = LUV_ISA_VMX;
	x->exit_reason &= 0xffff; /* VMX: the basic reason */
	x->kind = (uint8_t)events_kind_of(x->isa, x->exit_reason);
	if (x->kind == EXIT_RDMSR && x->isa == LUV_ISA_SVM && (x->info1 & 1))
		x->kind = EXIT_WRMSR;
	x->sub = EVENTS_NO_SUB;
	if (x->kind == EXIT_IO)
		x->sub = x->info1 >> 16 & 0xffff;
	else if (x->kind == EXIT_STAGE2 && x->isa == LUV_ISA_SVM)
		x->sub = x->info2 & ~(uint64_t)0xfff;
	else if (x->kind == EXIT_CR && x->isa == LUV_ISA_VMX)
		x->sub = x->info1 & 15;
	else if (x->kind == EXIT_CR)
		x->sub = x->exit_reason & 15;
	x->outcome = TRACE_outcome_RING3; /* until it is entered again */
}

static const struct trace_header *deliver(struct bt_pairing *p,
					  uint64_t entry)
{
	p->result = p->exit;
	p->result.entry_tsc = entry;
	p->waits = false;
	p->last = &p->result.header;
	return p->last;
}

const struct trace_header *bt_pairing_add(struct bt_pairing *p,
					  const struct bt_event *e)
{
	const struct trace_header *done = NULL;

	switch (e->what) {
	case BT_OURS:
		memcpy(&p->ours, &e->as, sizeof(p->ours));
		p->last = done = &p->ours.header;
		break;
	case BT_KVM_EXIT:
		if (p->waits)
			done = deliver(p, 0);
		p->exit = e->as.exit;
		complete(p, &p->exit, e->has_vcpu);
		p->waits = true;
		break;
	case BT_KVM_ENTRY:
		p->vcpu_id = e->as.entry.vcpu_id;
		if (p->waits) {
			done = deliver(p, e->as.header.timestamp);
		} else if (!p->seq) {
			memcpy(&p->ours, &e->as, sizeof(p->ours));
			p->last = done = &p->ours.header;
		}
		break;
	}
	return done;
}

const struct trace_header *bt_pairing_end(struct bt_pairing *p)
{
	return p->waits ? deliver(p, 0) : NULL;
}
