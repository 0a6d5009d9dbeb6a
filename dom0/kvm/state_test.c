/* SPDX-License-Identifier: BSD-2-Clause */
/* state_test.c - registers there and back. */
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void fill(void *p, size_t len)
{
	uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)rand();
}

static void regs_round_trip(void **state)
{
	struct kvm_regs r, back;
	struct luv_vcpu s = { 0 };

	(void)state;
	fill(&r, sizeof(r));
	r.rflags |= 2;
	state_from_regs(&s, &r);
	assert_true(s.gpr[0] == r.rax && s.gpr[1] == r.rcx &&
		    s.gpr[2] == r.rdx && s.gpr[3] == r.rbx);
	assert_true(s.gpr[4] == r.rsp && s.gpr[15] == r.r15);
	state_to_regs(&s, &back);
	assert_memory_equal(&r, &back, sizeof(r));
}

static void rflags_bit_1_is_set(void **state)
{
	struct kvm_regs r = { 0 };
	struct luv_vcpu s = { 0 };

	(void)state;
	state_from_regs(&s, &r);
	assert_int_equal(s.rflags, 2);
}

static struct kvm_segment segment(void)
{
	struct kvm_segment k = { .base = (uint64_t)rand() << 32 | 0x1000,
				 .limit = (uint32_t)rand(), .present = 1 };

	k.selector = (uint16_t)rand();
	k.type = rand() & 15;
	k.dpl = rand() & 3;
	k.s = rand() & 1;
	k.l = rand() & 1;
	k.db = rand() & 1;
	k.g = rand() & 1;
	k.avl = rand() & 1;
	return k;
}

static void sregs_round_trip(void **state)
{
	struct kvm_sregs r = { 0 }, back;
	struct luv_vcpu s;

	(void)state;
	memset(&s, 0xff, sizeof(s));
	r.cs = segment();
	r.ds = segment();
	r.es = segment();
	r.fs = segment();
	r.gs = segment();
	r.ss = segment();
	r.tr = segment();
	r.ldt = segment();
	r.gdt.base = 0x1234567890;
	r.gdt.limit = 0x4321;
	r.idt.base = 0x9876543210;
	r.idt.limit = 0xfff;
	r.cr0 = 0x80000011;
	r.cr2 = 2;
	r.cr3 = 3;
	r.cr4 = 0x20;
	r.cr8 = 8;
	r.efer = 0x500;
	r.apic_base = 0xfee00900;
	state_from_sregs(&s, &r);
	state_to_sregs(&s, &back);
	assert_memory_equal(&r, &back, sizeof(r));
}

static void sregs_that_cannot_be(void **state)
{
	struct luv_vcpu good = { .cr0 = 0x60000010 }, s;

	(void)state;
	assert_true(state_sregs_ok(&good));
#define BAD(change) s = good; change; assert_false(state_sregs_ok(&s))
	BAD(s.cr0 |= 1u << 31); /* PG without PE */
	BAD(s.cr0 = 0x20000010); /* NW without CD */
	BAD(s.cr0 |= 1u << 6);
	BAD(s.cr4 = 1u << 13);
	BAD(s.cr3 = UINT64_C(1) << 63);
	BAD(s.cr8 = 16);
	BAD(s.efer = 0x1000);
	BAD(s.efer = 0x500); /* LMA without PG */
	BAD(s.gs.base = UINT64_C(1) << 47);
	BAD(s.idt_base = UINT64_C(1) << 63);
	good.cr0 = 0x80000011;
	good.cr4 = 0x20;
	good.efer = 0xd01;
	good.cs.attrib = 0x209b;
	assert_true(state_sregs_ok(&good));
	BAD(s.efer = 0x901);
	BAD(s.cr4 = 0);
	BAD(s.cs.attrib |= 0x4000);
#undef BAD
}

static void sregs2_has_no_pdptes(void **state)
{
	struct kvm_sregs2 r = { .cr3 = 0x5000, .flags = 1 }, back;
	struct luv_vcpu s = { 0 };

	(void)state;
	state_from_sregs2(&s, &r);
	state_to_sregs2(&s, &back);
	assert_int_equal(back.cr3, 0x5000);
	assert_int_equal(back.flags, 0);
}

static void attributes_are_the_descriptors(void **state)
{
	struct kvm_sregs r = { 0 };
	struct luv_vcpu s = { 0 };

	(void)state;
	/* 64-bit code: type b, S, DPL 0, P, L, G */
	r.cs = (struct kvm_segment){ .type = 0xb, .s = 1, .present = 1, .l = 1,
				     .g = 1 };
	r.ldt.unusable = 1;
	state_from_sregs(&s, &r);
	assert_int_equal(s.cs.attrib, 0xa09b);
	assert_true(s.ldtr.attrib & 0x100);
	assert_true(s.fs.attrib & 0x100); /* not present */
}

static void events_round_trip(void **state)
{
	struct kvm_vcpu_events e = { 0 }, back;
	struct luv_vcpu s = { 0 };

	(void)state;
	e.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	e.exception.injected = 1;
	e.exception.nr = 13;
	e.exception.has_error_code = 1;
	e.exception.error_code = 0x18;
	e.nmi.masked = 1;
	e.nmi.pending = 1;
	e.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	state_from_events(&s, &e);
	assert_int_equal(s.event, 0x80000b0d);
	assert_int_equal(s.event_error, 0x18);
	assert_int_equal(s.nmi, LUV_NMI_PENDING | LUV_NMI_BLOCKED);
	assert_int_equal(s.shadow, 1);
	state_to_events(&s, &back);
	assert_memory_equal(&e, &back, sizeof(e));
}

static void an_injected_interrupt(void **state)
{
	struct kvm_vcpu_events e = { .interrupt = { .injected = 1,
						    .nr = 0x31 } }, back;
	struct luv_vcpu s = { .shadow = 2, .nmi = LUV_NMI_PENDING };

	(void)state;
	state_from_events(&s, &e);
	assert_int_equal(s.event, 0x80000031);
	assert_int_equal(s.shadow, 2); /* not said to be valid */
	assert_int_equal(s.nmi, LUV_NMI_PENDING);
	state_to_events(&s, &back);
	assert_true(back.interrupt.injected && back.interrupt.nr == 0x31);
	memset(&e, 0, sizeof(e));
	state_from_events(&s, &e);
	assert_int_equal(s.event, 0);
}

static void guest_debug(void **state)
{
	struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE |
						KVM_GUESTDBG_SINGLESTEP |
						KVM_GUESTDBG_USE_HW_BP };
	struct luv_vcpu s = { 0 };

	(void)state;
	d.arch.debugreg[1] = 0x1000;
	d.arch.debugreg[7] = 4;
	assert_int_equal(state_from_guest_debug(&s, &d), 0);
	assert_int_equal(s.debug, LUV_DEBUG_ON | LUV_DEBUG_STEP | LUV_DEBUG_HW);
	assert_int_equal(s.debug_dr[1], 0x1000);
	assert_int_equal(s.debug_dr7, 0x404);
	d.control = 1u << 31;
	assert_int_equal(state_from_guest_debug(&s, &d), -EINVAL);
	d.control = 0;
	assert_int_equal(state_from_guest_debug(&s, &d), 0);
	assert_int_equal(s.debug, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regs_round_trip),
		cmocka_unit_test(rflags_bit_1_is_set),
		cmocka_unit_test(sregs_round_trip),
		cmocka_unit_test(sregs_that_cannot_be),
		cmocka_unit_test(sregs2_has_no_pdptes),
		cmocka_unit_test(attributes_are_the_descriptors),
		cmocka_unit_test(events_round_trip),
		cmocka_unit_test(an_injected_interrupt),
		cmocka_unit_test(guest_debug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
