/* SPDX-License-Identifier: BSD-2-Clause */
/* msr.c - see msr.h and msr.def. */
#include "msr.h"
#include "ioctl.h"
#include "say.h"
#include "state.h"
#include "vcpu.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define MCG_CTL_P    (UINT64_C(1) << 8)
#define MCG_SER_P    (UINT64_C(1) << 24)
#define CLOCK_ON     UINT64_C(1)
#define MSRS_MAX     4096 /* entries of one KVM_GET_MSRS: more than KVM's 256 */
#define HYPERV_FIRST 0x40000000u
#define HYPERV_LAST  0x400001ffu

typedef bool (*msr_fn)(struct vcpu *v, uint64_t *kept, uint64_t *value,
		       bool write, bool host);

enum row_kind { ROW_REG, ROW_KEEP, ROW_QUIET, ROW_FIXED,
		 ROW_CALL };

struct row {
	uint32_t first, count;
	uint8_t kind; /* enum row_kind */
	bool listed;
	uint16_t member;    /* REG: offset in struct luv_vcpu */
	uint64_t reset;	    /* or FIXED's value */
	uint64_t guest_bits;
	msr_fn fn;
	bool (*takes)(uint64_t value); /* REG */
};

static bool tsc(struct vcpu *, uint64_t *, uint64_t *, bool, bool);
static bool efer(struct vcpu *, uint64_t *, uint64_t *, bool, bool);
static bool wall_clock(struct vcpu *, uint64_t *, uint64_t *, bool, bool);
static bool system_time(struct vcpu *, uint64_t *, uint64_t *, bool, bool);
static bool mcg_cap(struct vcpu *, uint64_t *, uint64_t *, bool, bool);

/* --- what registers take ----------------------------------------------------- */

static bool any(uint64_t value)
{
	(void)value;
	return true;
}

static bool canonical(uint64_t value)
{
	return (uint64_t)((int64_t)(value << 16) >> 16) == value;
}

static bool low_half(uint64_t value)
{
	return !(value >> 32);
}

/* SDM "IA32_PAT MSR": 0, 1, 4, 5, 6, 7. */
static bool pat(uint64_t value)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t bit1 = value & 2 * ones, bit2 = value & 4 * ones;

	return !(value & ~(7 * ones)) && !(bit1 & ~(bit2 >> 1));
}

static bool pv_eoi(uint64_t value)
{
	return !(value & 2);
}

/* --- the table --------------------------------------------------------------- */

static const struct row rows[] = {
#define REG(first, name, member, takes)                                        \
	{ first, 1, ROW_REG, true, offsetof(struct luv_vcpu, member), 0, ~0ull, \
	  NULL, takes },
#define KEEP(first, count, name, listed, reset, bits)                          \
	{ first, count, ROW_KEEP, listed, 0, reset, bits, NULL, NULL },
#define QUIET(first, name, reset)                                              \
	{ first, 1, ROW_QUIET, true, 0, reset, 0, NULL, NULL },
#define FIXED(first, count, name, value)                                       \
	{ first, count, ROW_FIXED, false, 0, value, 0, NULL, NULL },
#define CALL(first, name, listed, fn)                                          \
	{ first, 1, ROW_CALL, listed, 0, 0, 0, fn, NULL },
#include "msr.def"
#undef REG
#undef KEEP
#undef QUIET
#undef FIXED
#undef CALL
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* The row of an MSR, and where it remembers; NULL: none. */
static const struct row *find(uint32_t msr, unsigned *place)
{
	*place = 0;
	for (unsigned i = 0; i < ROWS; i++) {
		if (msr - rows[i].first < rows[i].count) {
			*place += msr - rows[i].first;
			return &rows[i];
		}
		*place += rows[i].count;
	}
	return NULL;
}

void msr_init(struct msr_file *f)
{
	unsigned place = 0;

	memset(f, 0, sizeof(*f));
	for (unsigned i = 0; i < ROWS; i++)
		for (unsigned j = 0; j < rows[i].count; j++)
			f->kept[place++] = rows[i].reset;
	f->mcg_cap = MSR_MCE_BANKS;
}

static uint64_t *member(struct luv_vcpu *s, const struct row *r)
{
	return (uint64_t *)(void *)((char *)s + r->member);
}

bool msr_sets_register(uint32_t msr, uint64_t value)
{
	unsigned place;
	const struct row *r = find(msr, &place);

	return r && (r->kind == ROW_REG ? r->takes(value) : r->fn == tsc);
}

static bool in_banks(const struct vcpu *v, uint32_t msr)
{
	return msr < 0x400 || msr >= 0x400 + 4 * MSR_MCE_BANKS ||
	       msr < 0x400 + 4 * (v->msr.mcg_cap & 0xff);
}

bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value, bool host)
{
	unsigned place;
	const struct row *r = find(msr, &place);

	if (!r || !in_banks(v, msr))
		return false;
	*value = v->msr.kept[place];
	if (r->kind == ROW_REG)
		*value = *member(vcpu_state(v), r);
	if (r->kind == ROW_CALL)
		return r->fn(v, &v->msr.kept[place], value, false, host);
	return true;
}

bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value, bool host)
{
	unsigned place;
	const struct row *r = find(msr, &place);
	uint64_t *kept = &v->msr.kept[place];

	if (!r || !in_banks(v, msr))
		return false;
	switch ((enum row_kind)r->kind) {
	case ROW_REG:
		if (!r->takes(value))
			return false;
		*member(vcpu_change(v), r) = value;
		return true;
	case ROW_KEEP:
		if (!host && ((*kept ^ value) & ~r->guest_bits))
			return false;
		*kept = value;
		return true;
	case ROW_QUIET:
		if (host)
			*kept = value;
		return true;
	case ROW_CALL:
		return r->fn(v, kept, &value, true, host);
	case ROW_FIXED:
		break;
	}
	return true;
}

/* --- the MSRs that do something ------------------------------------------------- */

/*
 * A client that restores a VM writes the TSC of one vCPU after the other. Two
 * writes that would be within a second of each other are meant to be one:
 * both vCPUs get the same offset. KVM does so, and Linux in the guest would
 * call its TSC unstable.
 */
static uint64_t together(struct vm *vm, uint64_t value, uint64_t at)
{
	const uint64_t second = clock_tsc_khz() * UINT64_C(1000);
	uint64_t expected, offset;

	pthread_mutex_lock(&vm->lock);
	expected = vm->tsc.value + (at - vm->tsc.at);
	offset = value - at;
	if (vm->tsc.at && (value - expected + second < 2 * second ||
			   (value == vm->tsc.value && at - vm->tsc.at < second)))
		offset = vm->tsc.offset;
	vm->tsc.value = value;
	vm->tsc.at = at;
	vm->tsc.offset = offset;
	pthread_mutex_unlock(&vm->lock);
	return offset;
}

static bool tsc(struct vcpu *v, uint64_t *kept, uint64_t *value, bool write,
		bool host)
{
	uint64_t now = clock_tsc();

	(void)kept;
	if (!write)
		*value = now + vcpu_state(v)->tsc_offset;
	else if (host)
		vcpu_change(v)->tsc_offset = together(v->vm, *value, now);
	else
		vcpu_change(v)->tsc_offset = *value - now;
	return true;
}

/* A client's: LMA is what CR0.PG and LME make it. A guest's is the VMM's. */
static bool efer(struct vcpu *v, uint64_t *kept, uint64_t *value, bool write,
		 bool host)
{
	struct luv_vcpu *s;

	(void)kept;
	(void)host;
	if (!write) {
		*value = vcpu_state(v)->efer;
		return true;
	}
	if (*value & ~STATE_EFER)
		return false;
	s = vcpu_change(v);
	s->efer = (*value & ~STATE_EFER_LMA) | (s->efer & STATE_EFER_LMA);
	return true;
}

static bool wall_clock(struct vcpu *v, uint64_t *kept, uint64_t *value,
		       bool write, bool host)
{
	if (!write) {
		*value = *kept;
		return true;
	}
	*kept = *value;
	if (!host)
		clock_tell_wall(&v->vm->clock, &v->vm->memory, *value);
	return true;
}

static bool system_time(struct vcpu *v, uint64_t *kept, uint64_t *value,
			bool write, bool host)
{
	(void)host; /* a restored guest needs the new host's scale, too */
	if (!write) {
		*value = *kept;
		return true;
	}
	*kept = *value;
	v->kvmclock = *value;
	v->kvmclock_stale = *value & CLOCK_ON;
	return true;
}

static bool mcg_cap(struct vcpu *v, uint64_t *kept, uint64_t *value,
		    bool write, bool host)
{
	(void)kept;
	(void)host;
	if (write)
		return false;
	*value = v->msr.mcg_cap;
	return true;
}

/* --- ioctls ------------------------------------------------------------------------ */

unsigned msr_list_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].listed)
			n += rows[i].count;
	return n;
}

uint32_t msr_list_index(unsigned n)
{
	for (unsigned i = 0; i < ROWS; i++) {
		if (!rows[i].listed)
			continue;
		if (n < rows[i].count)
			return rows[i].first + n;
		n -= rows[i].count;
	}
	return 0;
}

long system_get_msr_index_list(void *self, unsigned long arg)
{
	struct kvm_msr_list *list = (struct kvm_msr_list *)arg;
	unsigned room = list->nmsrs;

	(void)self;
	list->nmsrs = msr_list_count();
	if (room < list->nmsrs)
		return -E2BIG;
	for (unsigned i = 0; i < list->nmsrs; i++)
		list->indices[i] = msr_list_index(i);
	return 0;
}

long system_get_mce_cap(void *self, unsigned long arg)
{
	(void)self;
	*(uint64_t *)arg = MCG_CTL_P | MCG_SER_P | MSR_MCE_BANKS;
	return 0;
}

long vcpu_ioctl_setup_mce(void *self, unsigned long arg)
{
	struct vcpu *v = self;
	const uint64_t cap = *(const uint64_t *)arg;

	if (!(cap & 0xff) || (cap & 0xff) > MSR_MCE_BANKS ||
	    (cap & ~(MCG_CTL_P | MCG_SER_P | 0xff)))
		return -EINVAL;
	v->msr.mcg_cap = cap;
	return 0;
}

/* Both: how many were done before one that is not there. */
long vcpu_ioctl_get_msrs(void *self, unsigned long arg)
{
	struct kvm_msrs *msrs = (struct kvm_msrs *)arg;
	struct kvm_msr_entry *e = msrs->entries;
	unsigned i;

	if (msrs->nmsrs > MSRS_MAX)
		return -E2BIG;
	for (i = 0; i < msrs->nmsrs; i++) {
		uint64_t value;

		if (!msr_read(self, e[i].index, &value, true))
			break;
		e[i].data = value;
	}
	if (i < msrs->nmsrs)
		debug(1, "the client reads MSR %#x: there is none", e[i].index);
	return (long)i;
}

static void say_refused(const struct kvm_msr_entry *e)
{
	if (e->index >= HYPERV_FIRST && e->index <= HYPERV_LAST)
		say("there are no Hyper-V enlightenments (MSR %#x): leave out "
		    "the hv-... of QEMU's -cpu", e->index);
	else
		debug(1, "the client writes MSR %#x: there is none, or not "
			 "%#llx", e->index, e->data);
}

long vcpu_ioctl_set_msrs(void *self, unsigned long arg)
{
	const struct kvm_msrs *msrs = (const struct kvm_msrs *)arg;
	const struct kvm_msr_entry *e = msrs->entries;
	unsigned i;

	if (msrs->nmsrs > MSRS_MAX)
		return -E2BIG;
	for (i = 0; i < msrs->nmsrs; i++)
		if (!msr_write(self, e[i].index, e[i].data, true))
			break;
	if (i < msrs->nmsrs)
		say_refused(&e[i]);
	return (long)i;
}
