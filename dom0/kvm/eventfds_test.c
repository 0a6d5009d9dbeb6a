/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eventfds_test.c - irqfds and ioeventfds with real eventfds, a real poller
 * and a real irqchip; the local APIC is a counter for each vector.
 */
#include "eventfds_inside.h"
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static struct irqchip *chip;
static struct eventfds *fds;
static atomic_uint delivered[256];

static int on_deliver(void *ctx, const struct irq_msg *msg)
{
	(void)ctx;
	delivered[msg->vector]++;
	return 1;
}

static void on_intr(void *ctx, bool level)
{
	(void)ctx;
	(void)level;
}

static void on_vectors(void *ctx, const uint64_t set[4])
{
	(void)ctx;
	(void)set;
}

static const struct irqchip_wires wires = { on_deliver, on_intr, on_vectors,
					    NULL, NULL };

static int setup(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v++)
		delivered[v] = 0;
	chip = irqchip_create(&wires);
	fds = eventfds_create();
	return chip && fds ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	eventfds_destroy(fds);
	irqchip_destroy(chip);
	return 0;
}

static void entry(unsigned pin, uint32_t rte)
{
	irqchip_mmio_write(chip, IOAPIC_BASE, 4, 0x10 + 2 * pin);
	irqchip_mmio_write(chip, IOAPIC_BASE + 0x10, 4, rte);
}

static int irqfd(int fd, uint32_t gsi, uint32_t flags, int resamplefd)
{
	const struct kvm_irqfd args = { .fd = (uint32_t)fd, .gsi = gsi,
					.flags = flags,
					.resamplefd = (uint32_t)resamplefd };

	return eventfds_irqfd(fds, chip, &args);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Up to ten seconds, then a little to see that it does not go on. */
static void expect(uint8_t vector, unsigned count)
{
	for (unsigned ms = 0; delivered[vector] < count && ms < 10000; ms++)
		nap();
	nap();
	assert_int_equal(delivered[vector], count);
}

static bool is_signalled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static uint64_t count_of(int fd)
{
	eventfd_t count = 0;

	return is_signalled(fd) && eventfd_read(fd, &count) == 0 ? count : 0;
}

/* --- irqfds ------------------------------------------------------------- */

static void edges(void **state)
{
	const int fd = eventfd(0, 0); /* blocking, as QEMU's may be */

	(void)state;
	entry(4, 0x44);
	assert_false(fds->polling);
	assert_int_equal(irqfd(fd, 4, 0, 0), 0);
	for (unsigned i = 1; i < 100; i++) {
		eventfd_write(fd, 1);
		expect(0x44, i);
		assert_false(is_signalled(fd));
		if (i == 5)
			break;
	}
	assert_int_equal(irqfd(fd, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	assert_int_equal(irqfd(fd, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	eventfd_write(fd, 1);
	nap();
	expect(0x44, 5);
	assert_true(is_signalled(fd)); /* it is the client's again */
	close(fd);
}

/* Signalled before it is assigned; and before it is deassigned. */
static void pending(void **state)
{
	const int fd = eventfd(1, 0);

	(void)state;
	entry(4, 0x44);
	assert_int_equal(irqfd(fd, 4, 0, 0), 0);
	expect(0x44, 1);
	for (unsigned i = 2; i < 200; i++) {
		eventfd_write(fd, 1);
		irqfd(fd, 4, KVM_IRQFD_FLAG_DEASSIGN, 0);
		assert_int_equal(delivered[0x44], i); /* at once */
		irqfd(fd, 4, 0, 0);
	}
	close(fd);
}

static void closed_by_the_client(void **state)
{
	const int fd = eventfd(0, 0), other = dup(fd);

	(void)state;
	entry(4, 0x44);
	assert_int_equal(irqfd(fd, 4, 0, 0), 0);
	close(fd);
	eventfd_write(other, 1);
	expect(0x44, 1);
	assert_int_equal(irqfd(other, 5, 0, 0), -EBUSY);
	assert_int_equal(irqfd(other, 5, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	assert_int_equal(irqfd(other, 5, 0, 0), -EBUSY);
	assert_int_equal(irqfd(other, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	assert_int_equal(irqfd(other, 5, 0, 0), 0);
	close(other);
}

static void refused(void **state)
{
	const int fd = eventfd(0, 0);
	const struct kvm_irqfd args = { .fd = (uint32_t)fd };
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(irqfd(fd, 4, 4, 0), -EINVAL);
	assert_int_equal(irqfd(-1, 4, 0, 0), -EBADF);
	assert_int_equal(irqfd(-1, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), -EBADF);
	assert_int_equal(irqfd(pipes[0], 4, 0, 0), -EINVAL);
	assert_int_equal(irqfd(fd, 4, KVM_IRQFD_FLAG_RESAMPLE, -1), -EBADF);
	assert_int_equal(irqfd(fd, 5000, KVM_IRQFD_FLAG_RESAMPLE, fd), -EINVAL);
	assert_int_equal(eventfds_irqfd(fds, NULL, &args), -EINVAL);
	irqchip_destroy(chip);
	chip = irqchip_create_split(&wires, 24);
	assert_int_equal(irqfd(fd, 4, KVM_IRQFD_FLAG_RESAMPLE, fd), -EINVAL);
	assert_int_equal(irqfd(fd, 4, 0, 0), 0);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

static bool is_high(unsigned pin)
{
	struct kvm_irqchip s = { .chip_id = KVM_IRQCHIP_IOAPIC };

	assert_int_equal(irqchip_get(chip, &s), 0);
	return s.chip.ioapic.irr >> pin & 1;
}

/* Two devices share a line; each hears of the EOI, and lowers at it. */
static void resample(void **state)
{
	const uint32_t on = KVM_IRQFD_FLAG_RESAMPLE;
	const uint32_t off = KVM_IRQFD_FLAG_DEASSIGN;
	int fd[2], re[2];

	(void)state;
	entry(10, 0x8066);
	for (unsigned i = 0; i < 2; i++) {
		fd[i] = eventfd(0, 0);
		re[i] = eventfd(0, 0);
		assert_int_equal(irqfd(fd[i], 10, on, re[i]), 0);
	}
	eventfd_write(fd[0], 1);
	expect(0x66, 1);
	eventfd_write(fd[1], 1);
	while (is_signalled(fd[1]))
		nap();
	expect(0x66, 1); /* it is high already */
	irqchip_eoi(chip, 0x66);
	assert_int_equal(count_of(re[0]), 1);
	assert_int_equal(count_of(re[1]), 1);
	eventfd_write(fd[1], 1); /* still has something */
	expect(0x66, 2);
	assert_int_equal(irqfd(fd[0], 10, off, 0), 0);
	irqchip_eoi(chip, 0x66);
	assert_int_equal(count_of(re[0]), 0);
	assert_int_equal(count_of(re[1]), 1);
	eventfd_write(fd[1], 1);
	expect(0x66, 3);
	assert_true(is_high(10));
	assert_int_equal(irqfd(fd[1], 10, off, 0), 0);
	assert_false(is_high(10));
	irqchip_eoi(chip, 0x66);
	assert_int_equal(count_of(re[1]), 0);
	expect(0x66, 3);
	for (unsigned i = 0; i < 2; i++) {
		close(fd[i]);
		close(re[i]);
	}
}

/* --- ioeventfds --------------------------------------------------------- */

enum { MATCH = KVM_IOEVENTFD_FLAG_DATAMATCH, PIO = KVM_IOEVENTFD_FLAG_PIO,
       DEASSIGN = KVM_IOEVENTFD_FLAG_DEASSIGN };

static int io(int fd, unsigned flags, uint64_t addr, uint32_t len,
	      uint64_t data)
{
	const struct kvm_ioeventfd args = { .fd = fd, .flags = flags,
					    .addr = addr, .len = len,
					    .datamatch = data };

	return eventfds_ioeventfd(fds, &args);
}

static void matches(void **state)
{
	const int a = eventfd(0, 0), b = eventfd(0, 0), any = eventfd(0, 0);

	(void)state;
	assert_false(eventfds_write(fds, true, 0xc050, 2, 1));
	assert_int_equal(io(a, PIO | MATCH, 0xc050, 2, 1), 0);
	assert_int_equal(io(b, PIO | MATCH, 0xc050, 2, 2), 0);
	assert_int_equal(io(any, 0, 0xfe003000, 0, 0), 0);
	assert_true(eventfds_write(fds, true, 0xc050, 2, 0xabcd0001));
	assert_true(eventfds_write(fds, true, 0xc050, 2, 2));
	assert_false(eventfds_write(fds, true, 0xc050, 2, 3));
	assert_false(eventfds_write(fds, true, 0xc050, 4, 1));
	assert_false(eventfds_write(fds, true, 0xc051, 2, 1));
	assert_false(eventfds_write(fds, false, 0xc050, 2, 1));
	for (unsigned len = 1; len <= 8; len *= 2)
		assert_true(eventfds_write(fds, false, 0xfe003000, len, ~0ull));
	assert_false(eventfds_write(fds, false, 0xfe003001, 1, 0));
	assert_int_equal(count_of(a), 1);
	assert_int_equal(count_of(b), 1);
	assert_int_equal(count_of(any), 4);
	assert_int_equal(io(b, PIO | MATCH | DEASSIGN, 0xc050, 2, 1), -ENOENT);
	assert_int_equal(io(a, PIO | MATCH | DEASSIGN, 0xc050, 2, 1), 0);
	assert_int_equal(io(a, PIO | MATCH | DEASSIGN, 0xc050, 2, 1), -ENOENT);
	assert_false(eventfds_write(fds, true, 0xc050, 2, 1));
	assert_true(eventfds_write(fds, true, 0xc050, 2, 2));
	assert_int_equal(io(any, DEASSIGN, 0xfe003000, 0, 0), 0);
	assert_false(eventfds_write(fds, false, 0xfe003000, 4, 0));
	close(a);
	close(b);
	close(any);
}

static void collisions(void **state)
{
	const int a = eventfd(0, 0), b = eventfd(0, 0);

	(void)state;
	assert_int_equal(io(a, MATCH, 0x1000, 4, 7), 0);
	assert_int_equal(io(b, MATCH, 0x1000, 4, 7), -EEXIST);
	assert_int_equal(io(b, 0, 0x1000, 4, 0), -EEXIST);
	assert_int_equal(io(b, 0, 0x1000, 0, 0), -EEXIST);
	assert_int_equal(io(b, 0, 0x1000, 2, 0), 0);
	assert_int_equal(io(b, PIO, 0x1000, 4, 0), 0);
	assert_int_equal(io(b, 0, 0x1004, 3, 0), -EINVAL);
	assert_int_equal(io(b, 0, 0x1004, 16, 0), -EINVAL);
	assert_int_equal(io(b, MATCH, 0x1004, 0, 0), -EINVAL);
	assert_int_equal(io(b, 0, UINT64_MAX, 4, 0), -EINVAL);
	assert_int_equal(io(b, 1u << 5, 0x1004, 4, 0), -EINVAL);
	assert_int_equal(io(-1, 0, 0x1004, 4, 0), -EBADF);
	assert_int_equal(io(-1, DEASSIGN, 0x1000, 4, 0), -EBADF);
	close(a);
	close(b);
}

/* Many, in no order: each is found, and none after it has gone. */
static void many(void **state)
{
	const int fd = eventfd(0, 0);

	(void)state;
	for (unsigned i = 0; i < 400; i++)
		assert_int_equal(io(fd, 0, 0x1000 + i * 7919 % 401 * 4, 4, 0),
				 0);
	for (unsigned i = 0; i < 400; i++)
		assert_true(eventfds_write(fds, false,
					   0x1000 + i * 7919 % 401 * 4, 4, 0));
	assert_int_equal(count_of(fd), 400);
	for (unsigned i = 0; i < 400; i++)
		assert_int_equal(io(fd, DEASSIGN,
				    0x1000 + i * 7919 % 401 * 4, 4, 0), 0);
	for (unsigned i = 0; i < sizeof(fds->hint) / sizeof(fds->hint[0]); i++)
		assert_int_equal(fds->hint[i], 0);
	close(fd);
}

/* --- all at once -------------------------------------------------------- */

static atomic_bool stop;
static int doorbell, line;
static atomic_uint rung;

static void *a_vcpu(void *arg)
{
	(void)arg;
	while (!stop) {
		rung += eventfds_write(fds, true, 0xc000, 2, 0);
		irqchip_eoi(chip, 0x66);
	}
	return NULL;
}

static void *a_device(void *arg)
{
	(void)arg;
	while (!stop)
		eventfd_write(line, 1);
	return NULL;
}

/* Every write that was taken is in the eventfd, whoever assigns meanwhile. */
static void threads(void **state)
{
	const int re = eventfd(0, 0);
	pthread_t t[4];

	(void)state;
	stop = false;
	rung = 0;
	doorbell = eventfd(0, 0);
	line = eventfd(0, 0);
	entry(10, 0x8066);
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, i < 2 ? a_vcpu : a_device, NULL);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(io(doorbell, PIO, 0xc000, 2, 0), 0);
		assert_int_equal(irqfd(line, 10, i % 2 * KVM_IRQFD_FLAG_RESAMPLE,
				       re), 0);
		if (i % 16 == 0)
			nap();
		assert_int_equal(irqfd(line, 10, KVM_IRQFD_FLAG_DEASSIGN, 0),
				 0);
		assert_int_equal(io(doorbell, PIO | DEASSIGN, 0xc000, 2, 0), 0);
	}
	stop = true;
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(count_of(doorbell), rung);
	assert_true(delivered[0x66] > 0);
	close(doorbell);
	close(line);
	close(re);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(edges),    T(pending), T(closed_by_the_client),
		T(refused),  T(resample), T(matches), T(collisions),
		T(many),     T(threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
