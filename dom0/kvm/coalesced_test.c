/* SPDX-License-Identifier: BSD-2-Clause */
/* coalesced_test.c - zones, the ring, and that both ends may run at once. */
#include "coalesced.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct coalesced c;
static _Alignas(4096) unsigned char page[4096];
static struct kvm_coalesced_mmio_ring *const ring = (void *)page;

static int setup(void **state)
{
	(void)state;
	coalesced_init(&c);
	memset(page, 0, sizeof(page));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	coalesced_destroy(&c);
	return 0;
}

static long add(bool pio, uint64_t addr, uint32_t size)
{
	return coalesced_add(&c, &(struct kvm_coalesced_mmio_zone){
					 .addr = addr, .size = size,
					 .pio = pio });
}

static long del(bool pio, uint64_t addr, uint32_t size)
{
	return coalesced_remove(&c, &(struct kvm_coalesced_mmio_zone){
					    .addr = addr, .size = size,
					    .pio = pio });
}

static bool wr(bool pio, uint64_t addr, unsigned len)
{
	return coalesced_write(&c, ring, pio, addr, len, "abcdefgh");
}

static void zones(void **state)
{
	(void)state;
	assert_false(wr(false, 0xa0000, 4));
	assert_int_equal(add(false, 0xa0000, 0x20000), 0);
	assert_int_equal(add(true, 0x70, 1), 0);
	assert_true(wr(false, 0xa0000, 4));
	assert_true(wr(false, 0xbfff8, 8));
	assert_false(wr(false, 0xbfff9, 8));
	assert_false(wr(false, 0x9ffff, 4));
	assert_false(wr(false, 0xc0000, 1));
	assert_false(wr(true, 0xa0000 & 0xffff, 4));
	assert_true(wr(true, 0x70, 1));
	assert_false(wr(true, 0x70, 2));
	assert_false(wr(false, 0x70, 1));
	assert_int_equal(ring->last, 3);
	assert_int_equal(ring->coalesced_mmio[1].phys_addr, 0xbfff8);
	assert_int_equal(ring->coalesced_mmio[1].len, 8);
	assert_int_equal(ring->coalesced_mmio[1].pio, 0);
	assert_memory_equal(ring->coalesced_mmio[1].data, "abcdefgh", 8);
	assert_int_equal(ring->coalesced_mmio[2].pio, 1);
}

static void removing(void **state)
{
	(void)state;
	add(false, 0x10000, 0x1000);
	add(false, 0x10000, 0x100);
	add(false, 0x20000, 0x1000);
	assert_int_equal(del(true, 0x10000, 0x100), 0);
	assert_int_equal(c.count, 3);
	assert_int_equal(del(false, 0x10800, 0x10), 0);
	assert_int_equal(c.count, 2);
	assert_true(wr(false, 0x10000, 4));
	assert_false(wr(false, 0x10100, 4));
	assert_int_equal(del(false, 0x10000, 0x100), 0);
	assert_false(wr(false, 0x10000, 4));
	assert_true(wr(false, 0x20000, 4));
	assert_int_equal(del(false, 0x20000, 0x1000), 0);
	for (unsigned i = 0; i < COALESCED_HINTS; i++)
		assert_int_equal(c.hint[0][i], 0);
}

static void refused(void **state)
{
	(void)state;
	assert_int_equal(coalesced_add(&c, &(struct kvm_coalesced_mmio_zone){
						   .size = 1, .pio = 2 }),
			 -EINVAL);
	assert_int_equal(coalesced_remove(&c,
					  &(struct kvm_coalesced_mmio_zone){
						  .size = 1, .pio = 2 }),
			 -EINVAL);
	assert_int_equal(add(false, UINT64_MAX - 1, 16), -EINVAL);
	assert_int_equal(add(false, 0, UINT32_MAX), 0); /* all hints */
	assert_true(wr(false, 0xfeb00000, 4));
	for (unsigned i = 1; i < COALESCED_ZONES; i++)
		assert_int_equal(add(true, i, 1), 0);
	assert_int_equal(add(true, 0, 1), -ENOSPC);
	assert_int_equal(del(false, 0, UINT32_MAX), 0);
	assert_false(wr(false, 0xfeb00000, 4));
	assert_int_equal(add(true, 0, 0), 0); /* holds nothing */
	assert_false(wr(true, 0, 1));
}

static void ring_full(void **state)
{
	unsigned n = 0;

	(void)state;
	add(true, 0xcf8, 4);
	while (wr(true, 0xcf8, 4))
		n++;
	assert_int_equal(n, COALESCED_RING - 1);
	assert_false(wr(true, 0xcf8, 4));
	ring->first = 1;
	assert_true(wr(true, 0xcf8, 4));
	assert_int_equal(ring->last, 0);
	assert_false(wr(true, 0xcf8, 4));
	ring->last = 0x80000000; /* the client's nonsense */
	assert_false(wr(true, 0xcf8, 4));
}

/* --- both ends at once -------------------------------------------------- */

#define WRITES 20000

static void *writer(void *arg)
{
	for (uint32_t i = 0; i < WRITES;)
		i += coalesced_write(&c, ring, true, *(uint16_t *)arg, 4, &i);
	return NULL;
}

static void *rezone(void *arg)
{
	atomic_bool *stop = arg;

	while (!atomic_load(stop)) {
		add(true, 0x500, 4);
		del(true, 0x500, 4);
	}
	return NULL;
}

/* Each of two writers finds its writes in their order. */
static void threads(void **state)
{
	uint16_t port[2] = { 0x100, 0x200 };
	uint32_t next[2] = { 0, 0 };
	pthread_t t[3];
	atomic_bool stop = false;

	(void)state;
	add(true, 0x100, 4);
	add(true, 0x200, 4);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, writer, &port[i]);
	pthread_create(&t[2], NULL, rezone, &stop);
	while (next[0] + next[1] < 2 * WRITES) {
		const uint32_t first = ring->first;
		const struct kvm_coalesced_mmio *e =
			&ring->coalesced_mmio[first];
		uint32_t value;

		if (first == __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE))
			continue;
		memcpy(&value, e->data, 4);
		assert_int_equal(value, next[e->phys_addr == 0x200]++);
		__atomic_store_n(&ring->first, (first + 1) % COALESCED_RING,
				 __ATOMIC_RELEASE);
	}
	stop = true;
	for (unsigned i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(zones), T(removing), T(refused), T(ring_full), T(threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
