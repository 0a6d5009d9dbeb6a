/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.c - see stats.h. */
#include "stats.h"
#include "ioctl.h"
#include "libluv.h"
#include "vcpu.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS_AT_ONCE 8

struct stats {
	struct vm *vm;
	struct vcpu *vcpu;     /* or NULL: all */
	struct object *holds;  /* what these are of */
	unsigned first;	       /* row */
};

/* --- the file ------------------------------------------------------------------- */

static void row(struct stats_file *f, unsigned i, uint32_t flags,
		const char *name, const char *what)
{
	const struct kvm_stats_desc d = { .flags = flags, .size = 1,
					  .offset = i * 8 };
	char *to = f->desc[i];

	memcpy(to, &d, sizeof(d));
	snprintf(to + sizeof(d), STATS_NAME, "%s%s", name, what);
	for (to += sizeof(d); *to; to++)
		if (*to == '-')
			*to = '_';
}

void stats_describe(struct stats_file *f, const char *id)
{
	const uint32_t now = KVM_STATS_TYPE_INSTANT;
	const uint32_t sum = KVM_STATS_TYPE_CUMULATIVE;

	memset(f, 0, sizeof(*f));
	f->header = (struct kvm_stats_header){
		.name_size = STATS_NAME,
		.num_desc = STATS_ROWS,
		.id_offset = offsetof(struct stats_file, id),
		.desc_offset = offsetof(struct stats_file, desc),
		.data_offset = offsetof(struct stats_file, data),
	};
	snprintf(f->id, sizeof(f->id), "%s", id);
	row(f, STATS_VCPUS, now | KVM_STATS_UNIT_NONE, "vcpus", "");
	row(f, STATS_RAM, now | KVM_STATS_UNIT_BYTES, "ram", "");
	row(f, STATS_VMM, now | KVM_STATS_UNIT_BYTES, "vmm_memory", "");
	for (unsigned k = 0; k < EXIT_KINDS; k++) {
		/* There is no exit of no kind: all of them. */
		const char *name = k ? luv_exit_name(k) : "";

		row(f, STATS_EXITS + 2 * k, sum | KVM_STATS_UNIT_NONE, name,
		    k ? "_exits" : "exits");
		row(f, STATS_TICKS + 2 * k, sum | KVM_STATS_UNIT_CYCLES, name,
		    k ? "_ticks" : "exit_ticks");
	}
}

void stats_fill(uint64_t *data, const struct luv_vm_stat *s)
{
	data[STATS_VCPUS] = s->vcpus;
	data[STATS_RAM] = s->ram;
	data[STATS_VMM] = s->vmm_used;
	data[STATS_EXITS] = data[STATS_TICKS] = 0;
	for (unsigned k = 1; k < EXIT_KINDS; k++) {
		data[STATS_EXITS + 2 * k] = s->exits[k].count;
		data[STATS_TICKS + 2 * k] = s->exits[k].ticks;
		data[STATS_EXITS] += s->exits[k].count;
		data[STATS_TICKS] += s->exits[k].ticks;
	}
}

/* --- what the VMM counts ---------------------------------------------------------- */

static void of_vcpu(uint64_t vm, unsigned id, struct luv_vm_stat *s)
{
	struct luv_hist hist[ROWS_AT_ONCE];
	uint64_t at = 0;
	long n;

	do {
		n = luv_hist(LUV_HIST_VM | vm, id, at, hist, ROWS_AT_ONCE);
		for (long i = 0; i < n; i++) {
			s->exits[hist[i].kind % EXIT_KINDS].count +=
				hist[i].count;
			s->exits[hist[i].kind % EXIT_KINDS].ticks +=
				hist[i].ticks;
			at = hist[i].next;
		}
	} while (n > 0);
}

static void look(const struct stats *t, uint64_t *data)
{
	const uint64_t vm = LUV_VM_INDEX(t->vm->handle);
	struct luv_vm_stat s = { 0 };

	if (t->vcpu)
		of_vcpu(vm, t->vcpu->id, &s);
	else
		luv_vm_stat(vm, &s);
	stats_fill(data, &s);
}

void stats_refresh(void *self, int fd)
{
	const struct stats *t = self;
	uint64_t data[STATS_ROWS];

	look(t, data);
	if (pwrite(fd, data, sizeof(data),
		   offsetof(struct stats_file, data)) < 0)
		return; /* what was there stays */
}

/* --- the descriptor ---------------------------------------------------------------- */

static void stats_release(void *self)
{
	struct stats *t = self;

	fds_put(t->holds);
	free(t);
}

/* Of a vCPU the rows begin with its exits. */
static long write_file(const struct stats *t, int fd)
{
	struct stats_file f;
	char id[STATS_NAME];
	int n = snprintf(id, sizeof(id), "kvm-%d", (int)getpid());

	if (t->vcpu)
		snprintf(id + n, sizeof(id) - (size_t)n, "/vcpu-%u",
			 t->vcpu->id);
	stats_describe(&f, id);
	f.header.num_desc -= t->first;
	f.header.desc_offset += t->first * (uint32_t)sizeof(f.desc[0]);
	look(t, f.data);
	return pwrite(fd, &f, sizeof(f), 0) == sizeof(f) ? fd : -errno;
}

long stats_open(struct vm *vm, struct vcpu *v)
{
	struct stats *t = malloc(sizeof(*t));
	struct object *o;
	long fd, e;

	if (!t)
		return -ENOMEM;
	*t = (struct stats){ vm, v, v ? v->object : vm->object,
			     v ? STATS_EXITS : 0 };
	fd = fds_new(OBJ_STATS, "kvm-stats", 0, t, stats_release, &o);
	if (fd < 0) {
		free(t);
		return fd;
	}
	fds_hold(t->holds);
	e = write_file(t, (int)fd);
	if (e < 0)
		close((int)fd);
	return e;
}

long vm_ioctl_get_stats(void *self, unsigned long arg)
{
	(void)arg;
	return stats_open(self, NULL);
}

long vcpu_ioctl_get_stats(void *self, unsigned long arg)
{
	struct vcpu *v = self;

	(void)arg;
	return stats_open(v->vm, v);
}
