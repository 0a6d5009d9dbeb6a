/* SPDX-License-Identifier: BSD-2-Clause */
/* memory_test.c - slots and pieces; the VMM and the pins are played here. */
#include "hyper.h"
#include "libluv.h"
#include "memory.h"
#include "pin.h"
#include "say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MIB UINT64_C(0x100000)
#define RAM ((uintptr_t)memory16 + 4 * MIB - (uintptr_t)memory16 % (4 * MIB))

static uint8_t memory16[24 << 20];

int say_level;
static struct luv_slot told;
static unsigned told_count, grants, pins, touched_unpinned;
static long answer;

void say(const char *format, ...)
{
	(void)format;
}

void luv_touch(void *buf, size_t len)
{
	(void)buf;
	(void)len;
	touched_unpinned += !pins;
}

long hyper_buffer(unsigned nr, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t r10, void *buf, size_t len)
{
	(void)rdi;
	(void)rsi;
	(void)rdx;
	(void)r10;
	assert_int_equal(nr, LUV_CALL_vm_slot);
	assert_int_equal(len, sizeof(told));
	memcpy(&told, buf, len);
	told_count++;
	return answer;
}

long hyper_simple(unsigned nr, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t r10)
{
	(void)rdi;
	(void)rsi;
	(void)rdx;
	assert_int_equal(nr, LUV_CALL_vm_grant);
	assert_int_equal(r10, 1);
	grants++;
	return 0;
}

int32_t pin_add(void *addr, size_t len)
{
	assert_non_null(addr);
	assert_true(len && len <= PIECE_SIZE);
	pins++;
	return 1;
}

void pin_remove(int32_t token)
{
	if (token)
		pins--;
}

static long set(struct memory *m, uint32_t slot, uint32_t flags, uint64_t gpa,
		uint64_t len, uint64_t hva)
{
	struct kvm_userspace_memory_region r = { slot, flags, gpa, len, hva };

	return memory_set(m, &r);
}

static int setup(void **state)
{
	static struct memory m;

	memory_init(&m, 7);
	*state = &m;
	told_count = grants = pins = touched_unpinned = 0;
	answer = 0;
	return 0;
}

static int teardown(void **state)
{
	memory_free(*state);
	assert_int_equal(pins, 0);
	return 0;
}

static void rules(void **state)
{
	struct memory *m = *state;

	assert_int_equal(set(m, 0, 0, 0, 4 * MIB, RAM), 0);
	assert_int_equal(set(m, 1, 0, 0x1001, MIB, 0x20000000), -EINVAL);
	assert_int_equal(set(m, 1, 0, 4 * MIB, MIB + 1, 0x20000000), -EINVAL);
	assert_int_equal(set(m, 1, 0, 4 * MIB, MIB, 0x20000001), -EINVAL);
	assert_int_equal(set(m, LUV_SLOTS, 0, 4 * MIB, MIB, 0x20000000),
			 -EINVAL);
	assert_int_equal(set(m, 1, 4, 4 * MIB, MIB, 0x20000000), -EINVAL);
	assert_int_equal(set(m, 1, 0, ~0xfffull, 0x2000, 0x20000000), -EINVAL);
	assert_int_equal(set(m, 1, 0, 3 * MIB, 2 * MIB, 0x20000000), -EEXIST);
	assert_int_equal(set(m, 1, 0, 0, 0, 0), -EINVAL); /* none to delete */
	assert_int_equal(set(m, 0, 0, 0, 2 * MIB, RAM), -EINVAL);
	assert_int_equal(set(m, 0, 0, 0, 4 * MIB, (RAM + 8 * MIB)), -EINVAL);
	assert_int_equal(set(m, 0, KVM_MEM_READONLY, 0, 4 * MIB, RAM),
			 -EINVAL);
	assert_int_equal(told_count, 1);
}

static void move_and_delete(void **state)
{
	struct memory *m = *state;
	uint64_t hva;

	assert_int_equal(set(m, 3, 0, 0, 4 * MIB, RAM), 0);
	assert_true(told.flags == LUV_SLOT_LAZY && told.slot == 3);
	/* Logging alone is not the VMM's business. */
	assert_int_equal(set(m, 3, KVM_MEM_LOG_DIRTY_PAGES, 0, 4 * MIB,
			     RAM), 0);
	assert_int_equal(told_count, 1);
	assert_int_equal(memory_fault(m, 3, RAM, false), 0);
	assert_int_equal(set(m, 3, 0, 8 * MIB, 4 * MIB, RAM), 0);
	assert_true(told.gpa == 8 * MIB && told_count == 2);
	assert_int_equal(grants, 2); /* the move forgot the first one */
	assert_null(memory_find(m, 0, &hva));
	assert_non_null(memory_find(m, 9 * MIB, &hva));
	assert_int_equal(hva, RAM + MIB);
	assert_int_equal(set(m, 3, 0, 0, 0, 0), 0);
	assert_int_equal(told.len, 0);
	assert_int_equal(pins, 0);
	assert_null(memory_find(m, 9 * MIB, &hva));
}

static void a_refusal_changes_nothing(void **state)
{
	struct memory *m = *state;
	uint64_t hva;

	answer = -ENOMEM;
	assert_int_equal(set(m, 0, 0, 0, MIB, RAM), -ENOMEM);
	assert_null(memory_find(m, 0, &hva));
	assert_int_equal(pins, 0);
}

static void pieces(void **state)
{
	struct slot s = { .len = 4 * MIB, .hva = (RAM + MIB) };
	uint64_t hva, len, sum = 0;

	(void)state;
	assert_int_equal(memory_pieces(&s), 3);
	memory_piece(&s, 0, &hva, &len);
	assert_true(hva == (RAM + MIB) && len == MIB);
	memory_piece(&s, 1, &hva, &len);
	assert_true(hva == (RAM + 2 * MIB) && len == 2 * MIB);
	for (uint64_t i = 0; i < 3; i++) {
		memory_piece(&s, i, &hva, &len);
		sum += len;
	}
	assert_int_equal(sum, s.len);
	s.len = 0;
	assert_int_equal(memory_pieces(&s), 0);
}

static void each_piece_is_pinned_once(void **state)
{
	struct memory *m = *state;

	assert_int_equal(set(m, 0, 0, 0, 8 * MIB, (RAM + MIB)), 0);
	assert_int_equal(pins, 0);
	assert_int_equal(memory_fault(m, 0, (RAM + MIB), true), 0);
	assert_int_equal(touched_unpinned, 0);
	assert_int_equal(memory_fault(m, 0, (RAM + MIB + 4096), false), 0);
	assert_int_equal(pins, 1);
	assert_int_equal(memory_fault(m, 0, (RAM + 2 * MIB), false), 0);
	assert_int_equal(pins, 2);
	/* A slot that went away meanwhile. */
	assert_int_equal(memory_fault(m, 5, (RAM + 2 * MIB), false), 0);
	assert_int_equal(grants, 3);
}

static void all_at_once(void **state)
{
	struct memory *m = *state;

	setenv("LUVKVM_PIN", "all", 1);
	assert_int_equal(set(m, 0, 0, 0, 8 * MIB, (RAM + MIB)), 0);
	unsetenv("LUVKVM_PIN");
	assert_int_equal(pins, 5);
	assert_int_equal(told.flags, 0);
}

static void copies(void **state)
{
	static uint8_t page[8192] __attribute__((aligned(4096)));
	struct memory *m = *state;
	uint64_t v = 0;

	assert_int_equal(set(m, 0, 0, 0x1000, 4096, (uintptr_t)page), 0);
	assert_int_equal(set(m, 1, KVM_MEM_READONLY, 0x2000, 4096,
			     (uintptr_t)page + 4096), 0);
	assert_true(told.flags & LUV_SLOT_READONLY);
	v = 0x1122334455667788;
	assert_true(memory_write(m, 0x1010, &v, 8));
	assert_int_equal(page[0x10], 0x88);
	assert_false(memory_write(m, 0x2010, &v, 8));
	assert_true(memory_read(m, 0x2010, &v, 8));
	assert_int_equal(v, 0);
	assert_false(memory_read(m, 0x3000, &v, 8));
	assert_int_equal(memory_exchange(m, 0x1010, 0x88, 0x99, 1), 0);
	assert_int_equal(memory_exchange(m, 0x1010, 0x88, 0x99, 1), -EAGAIN);
	assert_int_equal(memory_exchange(m, 0x1011, 0x6677, 0xabcd, 2), 0);
	assert_int_equal(page[0x11], 0xcd);
	assert_int_equal(memory_exchange(m, 0x2010, 0, 1, 8), -EFAULT);
	assert_ptr_equal(memory_ram(m, 0x2010, false), page + 4096 + 0x10);
	assert_null(memory_ram(m, 0x2010, true));
	/* Who keeps such a pointer is told when it is no longer true. */
	v = m->changes;
	assert_int_equal(set(m, 1, 0, 0, 0, 0), 0);
	assert_int_not_equal(m->changes, v);
	assert_null(memory_ram(m, 0x2010, false));
}

/* A guest says where its clock is: behind the end there is nothing of its own. */
static void copies_end_with_the_slot(void **state)
{
	uint8_t *page = aligned_alloc(4096, 4096);
	uint8_t bytes[28] = { 1 };
	struct memory *m = *state;

	assert_int_equal(set(m, 0, 0, 0, 4096, (uintptr_t)page), 0);
	page[4092] = 0;
	assert_false(memory_write(m, 4092, bytes, sizeof(bytes)));
	assert_int_equal(page[4092], 0);
	assert_false(memory_read(m, 4092, bytes, sizeof(bytes)));
	assert_int_equal(memory_exchange(m, 4092, 0, 1, 8), -EFAULT);
	assert_true(memory_write(m, 4068, bytes, sizeof(bytes)));
	assert_true(memory_read(m, 4068, bytes, sizeof(bytes)));
	assert_int_equal(set(m, 0, 0, 0, 0, 0), 0);
	free(page);
}

static void everything_is_dirty(void **state)
{
	uint8_t bits[16];
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bits };
	struct memory *m = *state;

	memset(bits, 0xaa, sizeof(bits));
	assert_int_equal(memory_dirty_log(m, &log), -ENOENT);
	assert_int_equal(set(m, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, 11 * 4096,
			     RAM), 0);
	assert_int_equal(memory_dirty_log(m, &log), 0);
	assert_true(bits[0] == 0xff && bits[1] == 7 && !bits[2] && !bits[7]);
	assert_int_equal(bits[8], 0xaa);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(rules), T(move_and_delete), T(a_refusal_changes_nothing),
		T(pieces),
		T(each_piece_is_pinned_once), T(all_at_once), T(copies),
		T(copies_end_with_the_slot), T(everything_is_dirty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
