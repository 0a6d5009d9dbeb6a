/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats_test.c - the file of statistics, read as a client does that knows
 * nothing but its header; the VMM is played here.
 */
#include "libluv.h"
#include "stats.h"
#include "vcpu.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HANDLE 0x123405ull
#define DESC   sizeof(struct kvm_stats_desc)

static uint64_t io_exits;

const char *luv_exit_name(unsigned kind)
{
	return kind == EXIT_IO ? "io" : kind == EXIT_HLT ? "a-b" : "else";
}

long luv_vm_stat(uint64_t index, struct luv_vm_stat *s)
{
	assert_int_equal(index, 5);
	memset(s, 0, sizeof(*s));
	s->vcpus = 2;
	s->ram = 4096;
	s->exits[EXIT_IO] = (struct luv_exit_stat){ io_exits, 70 };
	s->exits[EXIT_HLT] = (struct luv_exit_stat){ 4, 30 };
	return sizeof(*s);
}

/* Three rows of one kind: two subjects and the others; two at a time. */
long luv_hist(uint64_t who, uint64_t vcpu, uint64_t position,
	      struct luv_hist *row, size_t rows)
{
	assert_true(who == (LUV_HIST_VM | 5) && vcpu == 1 && rows >= 2);
	for (size_t i = 0; i < 2; i++, position++) {
		if (position == 3)
			return (long)i;
		row[i] = (struct luv_hist){ .kind = EXIT_IO, .count = io_exits,
					    .ticks = 10,
					    .next = position + 1 };
	}
	return 2;
}

static struct vm vm = { .handle = HANDLE };
static struct vcpu cpu = { .vm = &vm, .id = 1 };

/* The value of a name; all rows are sound, and no name is there twice. */
static uint64_t value(int fd, const char *name, uint32_t *flags)
{
	struct kvm_stats_header h;
	struct kvm_stats_desc d;
	uint64_t v = 0, found = 0;
	char text[256];

	assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(h.flags, 0);
	assert_true(h.name_size <= sizeof(text));
	for (unsigned i = 0; i < h.num_desc; i++) {
		off_t at = h.desc_offset + (off_t)(i * (DESC + h.name_size));

		assert_int_equal(pread(fd, &d, DESC, at), DESC);
		assert_int_equal(pread(fd, text, h.name_size,
				       at + (off_t)DESC), h.name_size);
		assert_non_null(memchr(text, 0, h.name_size));
		assert_true(text[0] && !strchr(text, '-') && d.size == 1);
		if (strcmp(text, name))
			continue;
		found++;
		*flags = d.flags;
		assert_int_equal(pread(fd, &v, 8, h.data_offset + d.offset), 8);
	}
	assert_int_equal(found, 1);
	return v;
}

static int open_of(struct vcpu *v, struct object **o)
{
	int owner = fds_new(v ? OBJ_VCPU : OBJ_VM, "owner", 0, NULL, NULL, o);
	long fd;

	vm.object = cpu.object = *o;
	fd = stats_open(&vm, v);
	assert_true(fd >= 0);
	assert_int_equal((*o)->refs, 2);
	fds_closing(owner);
	close(owner);
	return (int)fd;
}

static void close_of(int fd, struct object *o)
{
	assert_int_equal(o->refs, 1);
	fds_closing(fd);
	close(fd);
	assert_int_equal(o->refs, 0);
}

static void of_a_vm(void **state)
{
	struct object *o, *stats;
	char id[STATS_NAME];
	struct kvm_stats_header h;
	uint32_t flags;
	int fd;

	(void)state;
	io_exits = 7;
	fd = open_of(NULL, &o);
	assert_int_equal(value(fd, "vcpus", &flags), 2);
	assert_int_equal(flags, KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_NONE);
	assert_int_equal(value(fd, "ram", &flags), 4096);
	assert_int_equal(flags, KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BYTES);
	assert_int_equal(value(fd, "exits", &flags), 11);
	assert_int_equal(value(fd, "exit_ticks", &flags), 100);
	assert_int_equal(flags,
			 KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_CYCLES);
	assert_int_equal(value(fd, "a_b_exits", &flags), 4);
	io_exits = 8;
	assert_int_equal(value(fd, "io_exits", &flags), 7);
	stats = fds_get(fd);
	stats_refresh(stats->self, fd);
	fds_put(stats);
	assert_int_equal(value(fd, "io_exits", &flags), 8);
	pread(fd, &h, sizeof(h), 0);
	pread(fd, id, sizeof(id), h.id_offset);
	assert_memory_equal(id, "kvm-", 4);
	close_of(fd, o);
}

static void of_a_vcpu(void **state)
{
	struct object *o;
	struct kvm_stats_header h;
	uint32_t flags;
	int fd;

	(void)state;
	io_exits = 100;
	fd = open_of(&cpu, &o);
	assert_int_equal(value(fd, "io_exits", &flags), 300);
	assert_int_equal(value(fd, "io_ticks", &flags), 30);
	assert_int_equal(value(fd, "exits", &flags), 300);
	pread(fd, &h, sizeof(h), 0);
	assert_int_equal(h.num_desc, STATS_ROWS - STATS_EXITS);
	close_of(fd, o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_vm),
		cmocka_unit_test(of_a_vcpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
