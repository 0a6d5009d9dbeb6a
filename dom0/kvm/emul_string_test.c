/* SPDX-License-Identifier: BSD-2-Clause */
/* emul_string_test.c - REP, port I/O, stacks, faults on the way, restarts. */
#include "emul_test.h"

static struct rig r;

static int start_32(void **state)
{
	(void)state;
	rig_start(&r, 32);
	return 0;
}

static int start_64(void **state)
{
	(void)state;
	rig_start(&r, 64);
	rig_paging(&r);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	rig_stop(&r);
	return 0;
}

static void registers(uint64_t rcx, uint64_t rsi, uint64_t rdi)
{
	r.c.gpr[1] = rcx;
	r.c.gpr[6] = rsi;
	r.c.gpr[7] = rdi;
}

static void test_ram_to_device(void **state)
{
	(void)state;
	memcpy(r.ram + 0x5ffe, "abcdefgh", 8);
	registers(2, 0x5ffe, DEVICE + 0xffe); /* both across pages */
	assert_int_equal(RUN(&r, "\xf3\xa5"), EMUL_DONE);
	assert_string_equal(r.log, "Wd0ffe:6162 Wd1000:6364 Wd1002:65666768 ");
	registers(8, DEVICE + 0xffe, 0x7000);
	assert_int_equal(RUN(&r, "\xf3\xa4"), EMUL_DONE);
	assert_int_equal(r.exits, 8);
	assert_memory_equal(r.ram + 0x7000, "abcdefgh", 8);
	assert_int_equal(r.c.gpr[6], DEVICE + 0x1006);
	assert_int_equal(r.c.gpr[7], 0x7008);
	/* A count of 0 is nothing at all. */
	registers(0, 1, 2);
	assert_int_equal(RUN(&r, "\xf3\xa4"), EMUL_DONE);
	assert_int_equal(r.exits, 0);
	assert_int_equal(r.c.rip, CODE + 2);
	assert_int_equal(RUN(&r, "\xf3\x6c"), EMUL_DONE);
	assert_int_equal(RUN(&r, "\xf3\x6e"), EMUL_DONE);
	assert_int_equal(r.exits, 0);
}

static void test_compare(void **state)
{
	(void)state;
	memcpy(r.ram + 0x5000, "aaab", 4);
	memcpy(r.dev, "aaac", 4);
	registers(10, 0x5000, DEVICE);
	assert_int_equal(RUN(&r, "\xf3\xa6"), EMUL_DONE);
	assert_int_equal(r.c.gpr[1], 6);
	assert_int_equal(r.c.gpr[7], DEVICE + 4);
	assert_int_equal(r.c.rflags & 0x41, 1); /* b < c */
	r.c.gpr[0] = 'c';
	registers(10, 0, DEVICE);
	assert_int_equal(RUN(&r, "\xf2\xae"), EMUL_DONE);
	assert_int_equal(r.c.gpr[1], 6);
	assert_int_equal(r.c.rflags & 0x41, 0x40);
}

/* A fault in the third iteration: two have happened. */
static void test_fault_in_rep(void **state)
{
	(void)state;
	rig_put(&r, PT + 6 * 8, 0, 8);
	registers(5, DEVICE, 0x5ffe);
	assert_int_equal(RUN(&r, "\xf3\xa4"), EMUL_EXCEPTION);
	assert_int_equal(r.exits, 2); /* the third is not read */
	assert_int_equal(r.c.exc.cr2, 0x6000);
	assert_int_equal(r.c.exc.error, 2);
	assert_int_equal(r.c.gpr[1], 3);
	assert_int_equal(r.c.gpr[7], 0x6000);
	assert_int_equal(r.c.rip, CODE);
	rig_put(&r, PT + 6 * 8, 0x6007, 8);
	assert_int_equal(rig_run(&r), EMUL_DONE);
	assert_int_equal(r.c.gpr[1], 0);
	assert_int_equal(r.c.rip, CODE + 2);
}

static void test_stop_and_trap(void **state)
{
	(void)state;
	registers(5, DEVICE, 0x5000);
	r.c.stop = true;
	assert_int_equal(RUN(&r, "\xf3\xa4"), EMUL_DONE);
	assert_int_equal(r.c.gpr[1], 4);
	assert_int_equal(r.c.rip, CODE);
	assert_false(r.c.single_step);
	r.c.stop = false;
	r.c.rflags |= RFLAGS_TF;
	assert_int_equal(rig_run(&r), EMUL_DONE);
	assert_int_equal(r.c.gpr[1], 3);
	assert_true(r.c.single_step);
	r.c.rflags &= ~RFLAGS_TF;
	assert_int_equal(rig_run(&r), EMUL_DONE);
	assert_int_equal(r.c.gpr[1], 0);
	/* Over RAM alone it is bounded. */
	registers(0x10000, 0x5000, 0x5000);
	assert_int_equal(RUN(&r, "\xf3\xa4"), EMUL_DONE);
	assert_int_equal(r.c.rip, CODE);
	assert_in_range(r.c.gpr[1], 1, 0xffff);
}

static void test_ins_pages(void **state)
{
	(void)state;
	r.c.gpr[2] = 0x1f0;
	registers(0x1001, 0, 0x5001); /* words: one is across the pages */
	assert_int_equal(RUN(&r, "\x66\xf3\x6d"), EMUL_DONE);
	assert_int_equal(r.c.gpr[1], 0);
	assert_int_equal(r.c.gpr[7], 0x7003);
	for (unsigned i = 0; i < 0x2002; i++)
		assert_int_equal(r.ram[0x5001 + i], (uint8_t)i);
	assert_int_equal(r.exits, 5);
	/* Downwards: one by one. */
	r.c.rflags |= RFLAGS_DF;
	registers(3, 0, 0x5004);
	r.port_next = 0x40;
	assert_int_equal(RUN(&r, "\xf3\x6d"), EMUL_DONE);
	assert_string_equal(r.log, "I1f0:40414243 I1f0:44454647 "
				   "I1f0:48494a4b ");
	assert_memory_equal(r.ram + 0x4ffc, "HIJKDEFG@ABC", 12);
}

static void test_ports_and_devices(void **state)
{
	(void)state;
	r.c.gpr[2] = 0x1f0;
	registers(3, 0, DEVICE);
	r.port_next = 0x40;
	assert_int_equal(RUN(&r, "\x66\xf3\x6d"), EMUL_DONE);
	assert_string_equal(r.log, "I1f0:404142434445 Wd0000:4041 "
				   "Wd0002:4243 Wd0004:4445 ");
	registers(2, DEVICE, 0);
	assert_int_equal(RUN(&r, "\x66\xf3\x6f"), EMUL_DONE);
	assert_string_equal(r.log, "Rd0000:4041 O1f0:4041 Rd0002:4243 "
				   "O1f0:4243 ");
	/* ROM is a device to what writes. */
	registers(2, 0, ROM);
	assert_int_equal(RUN(&r, "\xf3\x6c"), EMUL_DONE);
	assert_string_equal(r.log, "I1f0:4647 W30000:46 W30001:47 ");
	/* Nothing is taken from the port if memory has no place. */
	r.c.seg[EMUL_ES].limit = 0xfff;
	registers(2, 0, 0xffc);
	assert_int_equal(RUN(&r, "\xf3\x6d"), EMUL_EXCEPTION);
	assert_int_equal(r.c.gpr[1], 1);
	assert_int_equal(r.exits, 1);
}

static void test_address_size(void **state)
{
	(void)state;
	/* 16-bit in a 32-bit segment: DI wraps, the rest stays. */
	r.c.gpr[0] = 'x';
	registers(0xaaaa0002, 0, 0xbbbbffff);
	assert_int_equal(RUN(&r, "\x67\xf3\xaa"), EMUL_DONE);
	assert_int_equal(r.c.gpr[1], 0xaaaa0000);
	assert_int_equal(r.c.gpr[7], 0xbbbb0001);
	assert_int_equal(r.ram[0xffff], 'x');
	assert_int_equal(r.ram[0], 'x');
	/* A segment for the source, never for the destination. */
	r.c.seg[EMUL_FS].base = 0x5000;
	r.ram[0x5010] = 'y';
	registers(1, 0x10, 0x20);
	assert_int_equal(RUN(&r, "\x64\xf3\xa4"), EMUL_DONE);
	assert_int_equal(r.ram[0x20], 'y');
}

static void test_stack_64(void **state)
{
	(void)state;
	r.c.gpr[4] = 0x6000;
	r.c.gpr[3] = DEVICE;
	memcpy(r.dev, "\1\2\3\4\5\6\7\x08", 8);
	assert_int_equal(RUN(&r, "\xff\x33"), EMUL_DONE); /* PUSH [RBX] */
	assert_int_equal(r.c.gpr[4], 0x5ff8);
	assert_int_equal(rig_get(&r, 0x5ff8, 8), 0x0807060504030201);
	assert_int_equal(RUN(&r, "\x8f\x43\x10"), EMUL_DONE); /* POP */
	assert_string_equal(r.log, "Wd0010:0102030405060708 ");
	assert_int_equal(r.c.gpr[4], 0x6000);
	assert_int_equal(RUN(&r, "\x6a\xff"), EMUL_DONE);
	assert_int_equal(rig_get(&r, 0x5ff8, 8), UINT64_MAX);
	assert_int_equal(RUN(&r, "\x66\x54"), EMUL_DONE); /* PUSH SP */
	assert_int_equal(rig_get(&r, 0x5ff6, 2), 0x5ff8);
	assert_int_equal(RUN(&r, "\x5c"), EMUL_DONE); /* POP RSP */
	assert_int_equal(r.c.gpr[4], 0xffffffffffff5ff8);
	r.c.gpr[4] = 0x6000;
	rig_put(&r, 0x6008, 0, 8);
	assert_int_equal(RUN(&r, "\x8f\x04\x24"), EMUL_DONE); /* POP [RSP] */
	assert_int_equal(r.c.gpr[4], 0x6008);
	/* CALL and JMP through memory; nowhere to go. */
	memcpy(r.dev, "\0\x50\0\0\0\0\0\0", 8);
	assert_int_equal(RUN(&r, "\xff\x13"), EMUL_DONE);
	assert_int_equal(r.c.rip, 0x5000);
	assert_int_equal(rig_get(&r, 0x6000, 8), CODE + 2);
	r.dev[7] = 1;
	assert_int_equal(RUN(&r, "\xff\x23"), EMUL_EXCEPTION);
	assert_int_equal(r.c.exc.vector, 13);
	/* What the stack does not have is #SS. */
	r.c.gpr[4] = 0x8000000000000000;
	assert_int_equal(RUN(&r, "\xff\x33"), EMUL_EXCEPTION);
	assert_int_equal(r.c.exc.vector, 12);
	assert_int_equal(r.c.gpr[4], 0x8000000000000000);
	r.c.gpr[3] = r.c.gpr[4];
	assert_int_equal(RUN(&r, "\x89\x03"), EMUL_EXCEPTION);
	assert_int_equal(r.c.exc.vector, 13);
}

static void test_segments(void **state)
{
	(void)state;
	r.c.gpr[3] = 0x5000;
	r.c.seg[EMUL_DS].attrib = 0xc091; /* read-only */
	assert_int_equal(RUN(&r, "\x8b\x03"), EMUL_DONE);
	assert_int_equal(RUN(&r, "\x89\x03"), EMUL_EXCEPTION);
	assert_int_equal(r.c.exc.vector, 13);
	assert_int_equal(RUN(&r, "\x2e\x8b\x03"), EMUL_DONE);
	assert_int_equal(RUN(&r, "\x2e\x89\x03"), EMUL_EXCEPTION);
	r.c.seg[EMUL_DS].attrib = 0x100; /* null */
	assert_int_equal(RUN(&r, "\x8b\x03"), EMUL_EXCEPTION);
	r.c.seg[EMUL_DS].attrib = 0xc097; /* expands down */
	r.c.seg[EMUL_DS].limit = 0x5000;
	assert_int_equal(RUN(&r, "\x8b\x03"), EMUL_EXCEPTION);
	r.c.gpr[3] = 0x5001;
	assert_int_equal(RUN(&r, "\x8b\x03"), EMUL_DONE);
	r.c.gpr[5] = 0x5000;
	r.c.seg[EMUL_SS].limit = 0x5002;
	assert_int_equal(RUN(&r, "\x8b\x45\x00"), EMUL_EXCEPTION);
	assert_int_equal(r.c.exc.vector, 12);
	assert_int_equal(r.c.exc.error, 0);
}

static void test_locked(void **state)
{
	(void)state;
	r.c.gpr[3] = 0x5000;
	r.c.gpr[0] = 5;
	r.races = 3;
	assert_int_equal(RUN(&r, "\xf0\x01\x03"), EMUL_DONE);
	assert_int_equal(rig_get(&r, 0x5000, 8), 5);
	assert_int_equal(r.c.rip, CODE + 3);
	/* Raced for ever: the CPU may try. */
	r.races = 1000;
	assert_int_equal(RUN(&r, "\x87\x03"), EMUL_DONE);
	assert_int_equal(r.c.rip, CODE);
	assert_int_equal(r.c.gpr[0], 5);
	r.races = 0;
	r.c.gpr[3] = DEVICE;
	assert_int_equal(RUN(&r, "\x87\x03"), EMUL_DONE);
	assert_string_equal(r.log, "Rd0000:00000000 Wd0000:05000000 ");
	assert_int_equal(r.c.gpr[0], 0);
}

static void test_pending(void **state)
{
	struct emul_ctx before;

	(void)state;
	r.c.gpr[3] = DEVICE;
	r.c.rflags |= 1u << 16;
	rig_code(&r, "\x83\x03\x01", 3); /* ADD [EBX], 1 */
	before = r.c;
	assert_int_equal(emul_step(&r.c), EMUL_MMIO_READ);
	assert_true(emul_pending(&r.c));
	memset(r.c.io.data, 0xff, 8);
	assert_int_equal(emul_step(&r.c), EMUL_MMIO_WRITE);
	assert_memory_equal(r.c.gpr, before.gpr, sizeof(before.gpr));
	assert_int_equal(r.c.rflags, before.rflags);
	emul_abandon(&r.c);
	assert_false(emul_pending(&r.c));
	assert_int_equal(emul_step(&r.c), EMUL_MMIO_READ);
	memset(r.c.io.data, 0xff, 8);
	assert_int_equal(emul_step(&r.c), EMUL_MMIO_WRITE);
	assert_int_equal(emul_step(&r.c), EMUL_DONE);
	assert_int_equal(r.c.rflags, 2 | 0x55); /* RF is clear */
	/* Not known: nothing happens. */
	assert_int_equal(RUN(&r, "\xd1\x23"), EMUL_UNHANDLED);
	assert_int_equal(RUN(&r, "\x8e\x1b"), EMUL_UNHANDLED);
	assert_int_equal(RUN(&r, "\x0f\x0b"), EMUL_UNHANDLED);
	assert_int_equal(r.c.rip, CODE);
}

#define IN(bits, test) cmocka_unit_test_setup_teardown(test, start_##bits, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN(64, test_ram_to_device), IN(64, test_compare),
		IN(64, test_fault_in_rep), IN(64, test_stop_and_trap),
		IN(64, test_ins_pages), IN(32, test_ports_and_devices),
		IN(32, test_address_size), IN(64, test_stack_64),
		IN(32, test_segments), IN(64, test_locked),
		IN(32, test_pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
