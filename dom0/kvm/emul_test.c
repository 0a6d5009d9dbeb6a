/* SPDX-License-Identifier: BSD-2-Clause */
/* emul_test.c - plain accesses of devices, in each mode; exceptions. */
#include "emul_test.h"

static void check_mmio(struct rig *r, const char *log)
{
	assert_string_equal(r->log, log);
}

static void test_mov_widths_64(void **state)
{
	static struct rig r;

	(void)state;
	rig_start(&r, 64);
	rig_paging(&r);
	r.c.gpr[0] = 0x1122334455667788;
	r.c.gpr[3] = DEVICE;
	assert_int_equal(RUN(&r, "\x88\x03"), EMUL_DONE);
	check_mmio(&r, "Wd0000:88 ");
	assert_int_equal(r.c.rip, CODE + 2);
	assert_int_equal(RUN(&r, "\x66\x89\x43\x10"), EMUL_DONE);
	check_mmio(&r, "Wd0010:8877 ");
	assert_int_equal(RUN(&r, "\x89\x43\x20"), EMUL_DONE);
	check_mmio(&r, "Wd0020:88776655 ");
	assert_int_equal(RUN(&r, "\x48\x89\x43\x30"), EMUL_DONE);
	check_mmio(&r, "Wd0030:8877665544332211 ");
	assert_int_equal(RUN(&r, "\x88\x63\x01"), EMUL_DONE); /* AH */
	check_mmio(&r, "Wd0001:77 ");
	assert_int_equal(RUN(&r, "\xc7\x43\x40\x01\x02\x03\x84"), EMUL_DONE);
	check_mmio(&r, "Wd0040:01020384 ");
	assert_int_equal(RUN(&r, "\x48\xc7\x43\x40\x01\x02\x03\x84"),
			 EMUL_DONE);
	check_mmio(&r, "Wd0040:01020384ffffffff ");
	/* The same back, into other registers. */
	r.c.gpr[1] = r.c.gpr[2] = UINT64_MAX;
	assert_int_equal(RUN(&r, "\x8b\x4b\x20"), EMUL_DONE);
	assert_int_equal(r.c.gpr[1], 0x55667788);
	assert_int_equal(RUN(&r, "\x66\x8b\x53\x10"), EMUL_DONE);
	assert_int_equal(r.c.gpr[2], 0xffffffffffff7788);
	assert_int_equal(RUN(&r, "\x4c\x8b\x7b\x30"), EMUL_DONE);
	assert_int_equal(r.c.gpr[15], 0x1122334455667788);
	assert_int_equal(RUN(&r, "\x8a\x73\x01"), EMUL_DONE); /* DH */
	assert_int_equal(r.c.gpr[2], 0xffffffffffff7788);
	assert_int_equal(RUN(&r, "\x40\x8a\x73\x30"), EMUL_DONE); /* SIL */
	assert_int_equal(r.c.gpr[6], 0x88);
	rig_stop(&r);
}

static void test_extend(void **state)
{
	static struct rig r;

	(void)state;
	rig_start(&r, 64);
	rig_paging(&r);
	r.c.gpr[3] = DEVICE;
	memcpy(r.dev, "\x81\x82\x83\x84\x85\x86\x87\x88", 8);
	r.c.gpr[0] = UINT64_MAX;
	assert_int_equal(RUN(&r, "\x0f\xb6\x03"), EMUL_DONE);
	assert_int_equal(r.c.gpr[0], 0x81);
	check_mmio(&r, "Rd0000:81 ");
	assert_int_equal(RUN(&r, "\x0f\xb7\x03"), EMUL_DONE);
	assert_int_equal(r.c.gpr[0], 0x8281);
	assert_int_equal(RUN(&r, "\x0f\xbe\x03"), EMUL_DONE);
	assert_int_equal(r.c.gpr[0], 0xffffff81);
	assert_int_equal(RUN(&r, "\x48\x0f\xbf\x03"), EMUL_DONE);
	assert_int_equal(r.c.gpr[0], 0xffffffffffff8281);
	assert_int_equal(RUN(&r, "\x48\x63\x03"), EMUL_DONE);
	assert_int_equal(r.c.gpr[0], 0xffffffff84838281);
	assert_int_equal(RUN(&r, "\x66\x0f\xb6\x03"), EMUL_DONE);
	assert_int_equal(r.c.gpr[0], 0xffffffff84830081);
	assert_int_equal(RUN(&r, "\x0f\x38\xf0\x03"), EMUL_DONE); /* MOVBE */
	assert_int_equal(r.c.gpr[0], 0x81828384);
	rig_stop(&r);
}

static void test_across_pages(void **state)
{
	static struct rig r;

	(void)state;
	rig_start(&r, 64);
	rig_paging(&r);
	r.c.gpr[3] = DEVICE + 0xffd;
	r.c.gpr[0] = 0x0807060504030201;
	assert_int_equal(RUN(&r, "\x48\x89\x03"), EMUL_DONE);
	check_mmio(&r, "Wd0ffd:010203 Wd1000:0405060708 ");
	r.c.gpr[0] = 0;
	assert_int_equal(RUN(&r, "\x48\x8b\x03"), EMUL_DONE);
	check_mmio(&r, "Rd0ffd:010203 Rd1000:0405060708 ");
	assert_int_equal(r.c.gpr[0], 0x0807060504030201);
	/* The second page is RAM. */
	rig_put(&r, PT + 0xd1 * 8, 0x5000 | 7, 8);
	assert_int_equal(RUN(&r, "\x48\x89\x03"), EMUL_DONE);
	check_mmio(&r, "Wd0ffd:010203 ");
	assert_int_equal(rig_get(&r, 0x5000, 8), 0x0807060504);
	/* MOVUPS: 16 bytes. */
	rig_put(&r, PT + 0xd1 * 8, 0xd1000 | 7, 8);
	memcpy(r.xmm[2], "0123456789abcdef", 16);
	assert_int_equal(RUN(&r, "\x0f\x11\x13"), EMUL_DONE);
	check_mmio(&r, "Wd0ffd:303132 Wd1000:3334353637383961 "
		       "Wd1008:6263646566 ");
	assert_int_equal(RUN(&r, "\x0f\x10\x1b"), EMUL_DONE);
	assert_memory_equal(r.xmm[3], "0123456789abcdef", 16);
	/* MOVAPS is not for such an address. */
	assert_int_equal(RUN(&r, "\x0f\x28\x1b"), EMUL_EXCEPTION);
	assert_int_equal(r.c.exc.vector, 13);
	rig_stop(&r);
}

static void test_real_and_protected(void **state)
{
	static struct rig r;

	(void)state;
	rig_start(&r, 16);
	r.c.seg[EMUL_ES].base = DEVICE;
	r.c.gpr[7] = 0xabcd0010;
	r.c.gpr[0] = 0x12345678;
	assert_int_equal(RUN(&r, "\x26\x89\x05"), EMUL_DONE);
	check_mmio(&r, "Wd0010:7856 ");
	assert_int_equal(RUN(&r, "\x26\x66\xa1\x10\x00"), EMUL_DONE);
	assert_int_equal(r.c.gpr[0], 0x5678);
	/* 32-bit offset beyond the limit: no error code in real mode. */
	r.c.gpr[3] = 0x10000;
	assert_int_equal(RUN(&r, "\x67\x89\x03"), EMUL_EXCEPTION);
	assert_int_equal(r.c.exc.vector, 13);
	assert_false(r.c.exc.has_error);
	assert_int_equal(r.c.rip, CODE);
	rig_stop(&r);

	rig_start(&r, 32);
	r.c.gpr[3] = 0xfee00000;
	r.c.gpr[0] = 0x12345678;
	assert_int_equal(RUN(&r, "\x89\x83\xf0\x00\x00\x00"), EMUL_DONE);
	check_mmio(&r, "Wfee000f0:78563412 ");
	assert_int_equal(RUN(&r, "\xa1\xf0\x00\xe0\xfe"), EMUL_DONE);
	check_mmio(&r, "Rfee000f0:78563412 ");
	r.c.seg[EMUL_DS].limit = 0xfffff;
	assert_int_equal(RUN(&r, "\xa1\xf0\x00\xe0\xfe"), EMUL_EXCEPTION);
	assert_int_equal(r.c.exc.vector, 13);
	assert_true(r.c.exc.has_error);
	rig_stop(&r);
}

static void test_strings(void **state)
{
	static struct rig r;

	(void)state;
	rig_start(&r, 16);
	r.c.seg[EMUL_ES].base = DEVICE;
	r.c.gpr[0] = 0x0720;
	r.c.gpr[1] = 3;
	assert_int_equal(RUN(&r, "\xf3\xab"), EMUL_DONE);
	check_mmio(&r, "Wd0000:2007 Wd0002:2007 Wd0004:2007 ");
	assert_int_equal(r.c.gpr[1], 0);
	assert_int_equal(r.c.gpr[7], 6);
	assert_int_equal(r.c.rip, CODE + 2);
	/* Device to device, downwards. */
	r.c.seg[EMUL_DS].base = DEVICE;
	r.c.gpr[1] = 2;
	r.c.gpr[6] = 4;
	r.c.gpr[7] = 6;
	r.c.rflags |= 1 << 10;
	assert_int_equal(RUN(&r, "\xf3\xa5"), EMUL_DONE);
	check_mmio(&r, "Rd0004:2007 Wd0006:2007 Rd0002:2007 Wd0004:2007 ");
	assert_int_equal(r.c.gpr[6], 0);
	assert_int_equal(r.c.gpr[7], 2);
	rig_stop(&r);
}

static void test_ports(void **state)
{
	static struct rig r;

	(void)state;
	rig_start(&r, 32);
	r.c.gpr[1] = 256;
	r.c.gpr[2] = 0x1f0;
	r.c.gpr[7] = 0x8000;
	assert_int_equal(RUN(&r, "\x66\xf3\x6d"), EMUL_DONE);
	assert_int_equal(r.exits, 1);
	assert_int_equal(r.c.gpr[7], 0x8200);
	assert_int_equal(r.c.gpr[1], 0);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(r.ram[0x8000 + i], (uint8_t)i);
	r.c.gpr[1] = 4;
	r.c.gpr[6] = 0x8010;
	assert_int_equal(RUN(&r, "\xf3\x6e"), EMUL_DONE);
	check_mmio(&r, "O1f0:10111213 ");
	assert_int_equal(r.c.gpr[6], 0x8014);
	rig_stop(&r);
}

/* 16-bit addresses; a selector; a disk's sector; unreal mode. */
static void test_real_mode_forms(void **state)
{
	static struct rig r;

	(void)state;
	rig_start(&r, 16);
	r.c.seg[EMUL_DS].base = DEVICE;
	r.c.seg[EMUL_DS].selector = 0xd000;
	r.c.gpr[0] = 0x1234;
	r.c.gpr[3] = 0xffffff00; /* BX + SI wraps at 64 KiB */
	r.c.gpr[6] = 0x0110;
	assert_int_equal(RUN(&r, "\x89\x40\x05"), EMUL_DONE);
	check_mmio(&r, "Wd0015:3412 ");
	assert_int_equal(RUN(&r, "\x8c\x1c"), EMUL_DONE);
	check_mmio(&r, "Wd0110:00d0 ");
	assert_int_equal(RUN(&r, "\x66\x67\x8b\x04\x25\x15\0\0\0"),
			 EMUL_DONE);
	assert_int_equal(r.c.gpr[0], 0x1234);
	r.c.seg[EMUL_ES].base = 0x8000;
	r.c.gpr[1] = 256;
	r.c.gpr[2] = 0x1f0;
	r.c.gpr[7] = 0;
	assert_int_equal(RUN(&r, "\xf3\x6d"), EMUL_DONE);
	assert_int_equal(r.exits, 1);
	assert_int_equal(r.c.gpr[7], 512);
	assert_int_equal(r.ram[0x8000 + 511], 0xff);
	r.c.gpr[1] = 256;
	r.c.gpr[6] = 0;
	assert_int_equal(RUN(&r, "\x26\xf3\x6f"), EMUL_DONE);
	assert_int_equal(r.exits, 1);
	assert_int_equal(r.c.gpr[6], 512);
	r.c.seg[EMUL_DS] = (struct luv_segment){ .limit = 0xffffffff,
						 .attrib = 0x93 };
	r.c.gpr[3] = 0xfec00000;
	assert_int_equal(RUN(&r, "\x67\x66\x8b\x43\x10"), EMUL_DONE);
	check_mmio(&r, "Rfec00010:00000000 ");
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mov_widths_64),
		cmocka_unit_test(test_extend),
		cmocka_unit_test(test_across_pages),
		cmocka_unit_test(test_real_and_protected),
		cmocka_unit_test(test_real_mode_forms),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
