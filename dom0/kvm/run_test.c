/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_test.c - KVM_RUN from the ioctl to the hypercall and back, with the whole
 * library but for what replaces libc's functions. The VMM is played here: the
 * next exit of the guest is what the test wants.
 */
#include "fds.h"
#include "hyper.h"
#include "ioctl.h"
#include "libluv.h"
#include "system.h"
#include "vcpu.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define RAM    0x100000u
#define CODE   0x5000u
#define DEVICE UINT64_C(0xd0000000)
#define PORT   0x600u

struct hyper_token hyper_token;
static struct hyper_regs next; /* an exit; then the guest leaves by HLT */
static unsigned runs;
static uint64_t in; /* what the guest was given for its IN */
static struct luv_shared *shared;
static struct luv_shared mmio_state;

int hyper_open(void)
{
	return 0;
}

long hyper_call(unsigned nr, struct hyper_regs *r, uint64_t flags)
{
	(void)nr;
	(void)flags;
	r->rax = 0;
	return 0;
}

long hyper_simple(unsigned nr, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t r10)
{
	(void)rdi;
	(void)rsi;
	(void)rdx;
	(void)r10;
	return nr == LUV_CALL_vm_create;
}

long hyper_buffer(unsigned nr, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t r10, void *buf, size_t len)
{
	(void)rdi;
	(void)rsi;
	(void)rdx;
	(void)r10;
	(void)len;
	if (nr == LUV_CALL_vcpu_share)
		shared = buf;
	return 0;
}

void hyper_watch(void)
{
}

bool hyper_undisturbed(void)
{
	return true;
}

enum hyper_end hyper_run(struct hyper_regs *r, uint64_t flags,
			 const volatile uint8_t *immediate_exit, bool watch)
{
	(void)flags;
	(void)immediate_exit;
	(void)watch;
	in = r->rdx;
	*r = runs++ ? (struct hyper_regs){ .rax = LUV_RUN_SHUTDOWN } : next;
	if (r->rax & LUV_RUN_SHARED)
		*shared = mmio_state;
	return HYPER_DONE;
}

/* --- a machine ------------------------------------------------------------------ */

static struct machine {
	int vm, vcpu;
	struct kvm_run *run;
	uint8_t *ram;
} m;

static long ask(int fd, uint32_t request, const void *arg)
{
	struct object *o = fds_get(fd);
	long r;

	assert_non_null(o);
	r = ioctl_call(o, request, (unsigned long)arg);
	fds_put(o);
	return r;
}

static int setup(void **state)
{
	struct kvm_userspace_memory_region ram = { .memory_size = RAM };

	(void)state;
	m.ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ram.userspace_addr = (uintptr_t)m.ram;
	m.vm = (int)ask(system_open(), KVM_CREATE_VM, NULL);
	assert_int_equal(ask(m.vm, KVM_CREATE_IRQCHIP, NULL), 0);
	assert_int_equal(ask(m.vm, KVM_SET_USER_MEMORY_REGION, &ram), 0);
	m.vcpu = (int)ask(m.vm, KVM_CREATE_VCPU, NULL);
	m.run = mmap(NULL, VCPU_MMAP, PROT_READ | PROT_WRITE, MAP_SHARED,
		     m.vcpu, 0);
	assert_ptr_not_equal(m.run, MAP_FAILED);
	return 0;
}

/* The guest's exit; returns what the client gets to see of it. */
static unsigned exit_of(uint64_t kind, uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
	next = (struct hyper_regs){ kind, rdi, rsi, rdx, 3 };
	runs = 0;
	assert_int_equal(ask(m.vcpu, KVM_RUN, NULL), 0);
	return m.run->exit_reason;
}

static unsigned out(uint16_t port, uint32_t value)
{
	return exit_of(LUV_RUN_IO, port, 1, value);
}

static uint8_t *data(void)
{
	return (uint8_t *)m.run + m.run->io.data_offset;
}

static void a_port_of_the_clients(void **state)
{
	(void)state;
	assert_int_equal(out(0x80, 0x5a), KVM_EXIT_IO);
	assert_int_equal(m.run->io.direction, KVM_EXIT_IO_OUT);
	assert_int_equal(m.run->io.port, 0x80);
	assert_int_equal(m.run->io.size, 1);
	assert_int_equal(*data(), 0x5a);
	assert_int_equal(exit_of(LUV_RUN_IO, 0x81, 2 | 1 << 8, 0), KVM_EXIT_IO);
	assert_int_equal(m.run->io.direction, KVM_EXIT_IO_IN);
	memcpy(data(), "\x34\x12", 2);
	assert_int_equal(out(0x80, 0), KVM_EXIT_IO);
	assert_int_equal(in, 0x1234);
}

static void a_port_of_the_pic(void **state)
{
	(void)state;
	assert_int_equal(out(0x21, 0xa5), KVM_EXIT_SHUTDOWN);
	exit_of(LUV_RUN_IO, 0x21, 1 | 1 << 8, 0);
	assert_int_equal(in, 0xa5);
}

/* From when it is made on, and not before. */
static void a_port_of_the_pit(void **state)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	(void)state;
	assert_int_equal(out(0x43, 0x30), KVM_EXIT_IO);
	assert_int_equal(out(0x61, 0), KVM_EXIT_IO);
	assert_int_equal(ask(m.vm, KVM_CREATE_PIT2, &pit), 0);
	assert_int_equal(out(0x43, 0x30), KVM_EXIT_SHUTDOWN);
	assert_int_equal(out(0x61, 0), KVM_EXIT_SHUTDOWN);
}

static void a_port_with_an_eventfd(void **state)
{
	struct kvm_ioeventfd io = { .addr = PORT, .len = 1, .datamatch = 7,
				    .flags = KVM_IOEVENTFD_FLAG_PIO |
					     KVM_IOEVENTFD_FLAG_DATAMATCH };
	uint64_t count;

	(void)state;
	io.fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(out(PORT, 7), KVM_EXIT_IO);
	assert_int_equal(ask(m.vm, KVM_IOEVENTFD, &io), 0);
	assert_int_equal(out(PORT, 6), KVM_EXIT_IO);
	assert_int_equal(out(PORT, 7), KVM_EXIT_SHUTDOWN);
	assert_int_equal(read(io.fd, &count, sizeof(count)), sizeof(count));
	io.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	assert_int_equal(ask(m.vm, KVM_IOEVENTFD, &io), 0);
	assert_int_equal(out(PORT, 7), KVM_EXIT_IO);
	close(io.fd);
}

static void a_port_whose_writes_wait(void **state)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = PORT + 8, .size = 8,
						.pio = 1 };

	(void)state;
	assert_int_equal(out(PORT + 15, 1), KVM_EXIT_IO);
	assert_int_equal(ask(m.vm, KVM_REGISTER_COALESCED_MMIO, &zone), 0);
	assert_int_equal(out(PORT + 15, 1), KVM_EXIT_SHUTDOWN);
	assert_int_equal(out(PORT + 16, 1), KVM_EXIT_IO);
	assert_int_equal(out(PORT + 7, 1), KVM_EXIT_IO);
}

/* MOV (%rdi), %eax, in 64-bit mode; its page tables are in the first pages. */
static void memory_of_the_clients(void **state)
{
	static const struct luv_segment flat = { .limit = UINT32_MAX,
						 .attrib = 0xc093 };
	uint64_t *table = (void *)m.ram;

	(void)state;
	if (!shared)
		skip(); /* nothing can be pinned here */
	table[0x1000 / 8] = 0x2003;
	table[0x2000 / 8] = 0x3003;
	table[0x3000 / 8] = 0x4003;
	table[0x4000 / 8 + CODE / 4096] = CODE | 3;
	memcpy(m.ram + CODE, "\x8b\x07", 2);
	mmio_state = (struct luv_shared){ .rip = CODE, .rflags = 2,
		.cr0 = 0x80000033, .cr3 = 0x1000, .cr4 = 0x20, .efer = 0x500,
		.ss = flat, .ds = flat, .es = flat, .fs = flat, .gs = flat,
		.cs = { .limit = UINT32_MAX, .attrib = 0xa09b } };
	mmio_state.gpr[7] = 0x8000;
	for (uint32_t i = 1; i < 4; i++) { /* decoded, then out of the cache */
		assert_int_equal(exit_of(LUV_RUN_MMIO | LUV_RUN_SHARED, DEVICE,
					 2, 0), KVM_EXIT_MMIO);
		assert_true(m.run->mmio.phys_addr == DEVICE);
		assert_int_equal(m.run->mmio.len, 4);
		memcpy(m.run->mmio.data, &i, sizeof(i));
		assert_int_equal(out(0x80, 0), KVM_EXIT_IO);
		assert_int_equal(shared->dirty, 1);
		assert_true(shared->rip == CODE + 2 && shared->gpr[0] == i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_of_the_clients),
		cmocka_unit_test(a_port_of_the_pic),
		cmocka_unit_test(a_port_of_the_pit),
		cmocka_unit_test(a_port_with_an_eventfd),
		cmocka_unit_test(a_port_whose_writes_wait),
		cmocka_unit_test(memory_of_the_clients),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
