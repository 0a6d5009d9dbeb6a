/* SPDX-License-Identifier: BSD-2-Clause */
/* ioctl_test.c - the tables, with a function that does nothing in each row. */
#include "fpu.h"
#include "ioctl.h"
#include "say.h"
#include "vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

int say_level;
static const char *called;
static unsigned said;

void say(const char *format, ...)
{
	(void)format;
	said++;
}

bool fpu_has_xsave(void)
{
	return true;
}

#define FN(object, request, fn)                                                \
	long fn(void *self, unsigned long arg)                                 \
	{                                                                      \
		(void)self;                                                    \
		called = #fn;                                                  \
		return (long)arg;                                              \
	}
#define PART(object, request, fn, what) FN(object, request, fn)
#define NOT(object, request, error, why)
#include "ioctls.def"
#undef FN
#undef PART
#undef NOT

static void no_row_twice(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ioctl_row_count; i++) {
		const struct ioctl_row *r = &ioctl_rows[i];

		assert_ptr_equal(ioctl_find(r->on, r->request), r);
		assert_true(r->fn || r->error);
		assert_int_equal(!r->fn, !!r->why);
	}
}

static void dispatch_is_by_object(void **state)
{
	struct vcpu v = { 0 };
	struct object vm = { .kind = OBJ_VM };
	struct object cpu = { .kind = OBJ_VCPU, .self = &v };

	(void)state;
	assert_int_equal(ioctl_call(&cpu, (uint32_t)KVM_RUN, 0), 0);
	assert_string_equal(called, "vcpu_ioctl_run");
	assert_int_equal(ioctl_call(&vm, (uint32_t)KVM_RUN, 0), -ENOTTY);
	assert_int_equal(ioctl_call(&vm, 0x5401, 0), -ENOTTY);
	/* One number, two requests. */
	ioctl_call(&vm, (uint32_t)KVM_IRQ_LINE_STATUS, 1);
	assert_string_equal(called, "vm_ioctl_irq_line_status");
	ioctl_call(&vm, (uint32_t)KVM_REGISTER_COALESCED_MMIO, 1);
	assert_string_equal(called, "vm_ioctl_coalesce");
}

static void refusals_are_told_once_asked(void **state)
{
	struct object vm = { .kind = OBJ_VM };

	(void)state;
	said = 0;
	assert_int_equal(ioctl_call(&vm, (uint32_t)KVM_CREATE_DEVICE, 0),
			 -ENODEV);
	assert_int_equal(said, 0);
	say_level = 1;
	assert_int_equal(ioctl_call(&vm, (uint32_t)KVM_CREATE_DEVICE, 0),
			 -ENODEV);
	assert_int_equal(said, 1);
	say_level = 0;
}

/* What QEMU 7.2 does not start without; kvm-api, "Required vs optional". */
static void required_capabilities(void **state)
{
	static const unsigned required[] = {
		KVM_CAP_USER_MEMORY, KVM_CAP_SET_TSS_ADDR, KVM_CAP_EXT_CPUID,
		KVM_CAP_MP_STATE, KVM_CAP_DESTROY_MEMORY_REGION_WORKS,
		KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, KVM_CAP_IRQ_ROUTING,
		KVM_CAP_MCE, KVM_CAP_IRQCHIP, KVM_CAP_PIT2, KVM_CAP_IRQFD,
		KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_HLT, KVM_CAP_COALESCED_MMIO,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
		assert_true(cap_value(required[i]) > 0);
	assert_int_equal(cap_value(KVM_CAP_SYNC_MMU), 0);
	assert_int_equal(cap_value(KVM_CAP_X86_SMM), 0);
	assert_int_equal(cap_value(12345), 0);
}

/* A row whose ioctl is not there would be 0: then it has no business there. */
static void every_promise_is_kept(void **state)
{
	enum { OBJ_0 = 0 };

	(void)state;
#define CAP(name, value, object, request)                                      \
	if (OBJ_##object) {                                                    \
		const struct ioctl_row *r = ioctl_find(OBJ_##object,           \
						       (uint32_t)(request));   \
		assert_non_null(r);                                            \
		assert_true(r->fn != NULL);                                    \
	}
#include "caps.def"
#undef CAP
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_row_twice),
		cmocka_unit_test(dispatch_is_by_object),
		cmocka_unit_test(refusals_are_told_once_asked),
		cmocka_unit_test(required_capabilities),
		cmocka_unit_test(every_promise_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
