/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipi_test.c - ICR decoding, addressing, and the start-up protocol: its table
 * row by row, then every sequence of events up to a length.
 */
#include "ipi.h"
#include "string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void decode_xapic(void **state)
{
	(void)state;
	/* Linux's INIT assert, INIT de-assert and SIPI to APIC ID 3. */
	struct icr icr = icr_from_xapic(0x03000000, 0x0000c500);
	assert_int_equal(icr.dest, 3);
	assert_int_equal(icr.mode, ICR_INIT);
	assert_true(icr.level && icr.assert_);
	assert_false(icr.logical || icr.x2apic);
	assert_int_equal(icr.shorthand, ICR_DEST);

	icr = icr_from_xapic(0x03000000, 0x00008500);
	assert_int_equal(icr.mode, ICR_INIT);
	assert_true(icr.level && !icr.assert_);

	icr = icr_from_xapic(0x03000000, 0x0000069a);
	assert_int_equal(icr.mode, ICR_SIPI);
	assert_int_equal(icr.vector, 0x9a);
	assert_false(icr.level || icr.assert_);

	icr = icr_from_xapic(0xff123456, 0x000c48fb);
	assert_int_equal(icr.dest, 0xff);
	assert_int_equal(icr.shorthand, ICR_OTHERS);
	assert_true(icr.logical && icr.assert_);
	assert_int_equal(icr.mode, ICR_FIXED);
}

static void decode_x2apic(void **state)
{
	const struct icr icr = icr_from_x2apic(0x00012345000444d1ull);

	(void)state;
	assert_int_equal(icr.dest, 0x12345);
	assert_int_equal(icr.vector, 0xd1);
	assert_int_equal(icr.mode, ICR_NMI);
	assert_int_equal(icr.shorthand, ICR_SELF);
	assert_true(icr.x2apic && icr.assert_ && !icr.level && !icr.logical);
}

/* Every field alone: no bit of another one leaks in. */
static void decode_each_bit(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		const uint64_t v = BIT(bit);
		const struct icr icr = icr_from_x2apic(v);

		assert_int_equal(icr.vector, bit < 8 ? v : 0);
		assert_int_equal(icr.mode,
				 bit >= 8 && bit < 11 ? v >> 8 : 0);
		assert_int_equal(icr.logical, bit == 11);
		assert_int_equal(icr.assert_, bit == 14);
		assert_int_equal(icr.level, bit == 15);
		assert_int_equal(icr.shorthand,
				 bit == 18 || bit == 19 ? v >> 18 : 0);
		assert_int_equal(icr.dest, bit >= 32 ? v >> 32 : 0);

		const struct icr x = icr_from_xapic((uint32_t)(v >> 32),
						    (uint32_t)v);
		assert_int_equal(x.dest, bit >= 56 ? v >> 56 : 0);
		assert_int_equal(x.vector, icr.vector);
		assert_int_equal(x.mode, icr.mode);
		assert_int_equal(x.logical, icr.logical);
		assert_int_equal(x.assert_, icr.assert_);
		assert_int_equal(x.level, icr.level);
		assert_int_equal(x.shorthand, icr.shorthand);
	}
}

static void startup_messages(void **state)
{
	(void)state;
	for (uint32_t mode = 0; mode < 8; mode++) {
		const struct icr icr = icr_from_xapic(0, mode << 8 | 0x4000);

		assert_int_equal(icr_is_startup(&icr), mode == 5 || mode == 6);
	}
	const struct icr deassert = icr_from_xapic(0, 0x8500);
	assert_true(icr_is_startup(&deassert));
}

/* --- addressing -------------------------------------------------------- */

#define FLAT	0xffffffff
#define CLUSTER 0x0fffffff

static struct apic_addr xapic(uint8_t id, uint8_t logical, uint32_t dfr)
{
	return (struct apic_addr){ id, (uint32_t)logical << 24, dfr, false };
}

/* x2APIC derives the logical ID from the physical one. */
static struct apic_addr x2apic(uint32_t id)
{
	return (struct apic_addr){ id, (id >> 4) << 16 | 1u << (id & 15), 0,
				   true };
}

static bool reaches_x(uint8_t dest, bool logical, struct apic_addr to)
{
	const struct apic_addr from = xapic(0x77, 0, FLAT);
	const struct icr icr = icr_from_xapic((uint32_t)dest << 24,
					      0x500 | (logical ? 0x800 : 0));
	return icr_reaches(&icr, &from, &to);
}

static bool reaches_x2(uint32_t dest, bool logical, struct apic_addr to)
{
	const struct apic_addr from = x2apic(0x77);
	const struct icr icr = icr_from_x2apic((uint64_t)dest << 32 | 0x500 |
					       (logical ? 0x800 : 0));
	return icr_reaches(&icr, &from, &to);
}

static void shorthands(void **state)
{
	/* Two CPUs of one address: only identity can tell them apart. */
	const struct apic_addr a = xapic(1, 1, FLAT), b = xapic(1, 1, FLAT);
	static const bool want[4][2] = { /* to itself, to another */
		[ICR_DEST] = { true, true },
		[ICR_SELF] = { true, false },
		[ICR_ALL] = { true, true },
		[ICR_OTHERS] = { false, true },
	};

	(void)state;
	for (uint32_t sh = 0; sh < 4; sh++) {
		const struct icr icr = icr_from_xapic(1u << 24, sh << 18);

		assert_int_equal(icr_reaches(&icr, &a, &a), want[sh][0]);
		assert_int_equal(icr_reaches(&icr, &a, &b), want[sh][1]);
	}
	/* With a shorthand the destination does not count. */
	const struct icr others = icr_from_xapic(9u << 24, 3u << 18);
	assert_true(icr_reaches(&others, &a, &b));
	assert_false(icr_reaches(&others, &a, &a));
}

static void physical_destinations(void **state)
{
	(void)state;
	for (unsigned dest = 0; dest < 256; dest++)
		for (unsigned id = 0; id < 256; id++) {
			const bool want = dest == id || dest == 0xff;

			assert_int_equal(
				reaches_x((uint8_t)dest, false,
					  xapic((uint8_t)id, 0, FLAT)), want);
			/* In x2APIC mode FFh is a CPU like any other. */
			assert_int_equal(reaches_x2(dest, false, x2apic(id)),
					 dest == id);
		}
	assert_true(reaches_x2(0x12345, false, x2apic(0x12345)));
	assert_false(reaches_x2(0x12345, false, x2apic(0x45)));
	assert_true(reaches_x2(0xffffffff, false, x2apic(0x45)));
	assert_true(reaches_x2(0xffffffff, false, x2apic(0)));
}

static void logical_flat(void **state)
{
	(void)state;
	for (unsigned dest = 0; dest < 256; dest++)
		for (unsigned id = 0; id < 256; id++)
			assert_int_equal(
				reaches_x((uint8_t)dest, true,
					  xapic(3, (uint8_t)id, FLAT)),
				(dest & id) != 0 || dest == 0xff);
}

static void logical_cluster(void **state)
{
	(void)state;
	for (unsigned dest = 0; dest < 256; dest++)
		for (unsigned id = 0; id < 256; id++) {
			const bool same = dest / 16 == id / 16;
			const bool member = (dest % 16 & id % 16) != 0;

			assert_int_equal(
				reaches_x((uint8_t)dest, true,
					  xapic(3, (uint8_t)id, CLUSTER)),
				(same && member) || dest == 0xff);
		}
}

static void unknown_model_reaches_none(void **state)
{
	(void)state;
	assert_false(reaches_x(0x01, true, xapic(1, 0x01, 0x7fffffff)));
	assert_true(reaches_x(0xff, true, xapic(1, 0x01, 0x7fffffff)));
}

static void logical_x2apic(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 0x40; id++)
		for (uint32_t cluster = 0; cluster < 5; cluster++)
			for (uint32_t bit = 0; bit < 16; bit++) {
				const uint32_t dest = cluster << 16 | 1u << bit;

				assert_int_equal(
					reaches_x2(dest, true, x2apic(id)),
					id == cluster * 16 + bit);
			}
	assert_true(reaches_x2(0x0002ffff, true, x2apic(0x2a)));
	assert_false(reaches_x2(0x0002ffff, true, x2apic(0x3a)));
	assert_false(reaches_x2(0x00020000, true, x2apic(0x20)));
	assert_true(reaches_x2(0xffffffff, true, x2apic(0x2a)));
	assert_true(reaches_x2(0x1234ffff, true, x2apic(0x12345)));
}

/* --- the start-up protocol --------------------------------------------- */

static const struct icr init = { .mode = ICR_INIT, .assert_ = true,
				 .level = true };
static const struct icr init_edge = { .mode = ICR_INIT };
static const struct icr deassert = { .mode = ICR_INIT, .level = true };

static struct icr sipi(uint8_t vector)
{
	return (struct icr){ .mode = ICR_SIPI, .vector = vector };
}

static uint32_t word(enum ipi_state state, uint8_t vector)
{
	return (uint32_t)state | (uint32_t)vector << 8;
}

static void assert_step(uint32_t before, struct icr icr, uint32_t after,
			enum ipi_action action)
{
	enum ipi_action todo = (enum ipi_action)99;

	assert_int_equal(ipi_step(before, &icr, &todo), after);
	assert_int_equal(todo, action);
}

static void init_in_each_state(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const struct icr m = i ? init_edge : init;

		assert_step(word(IPI_RUN, 0), m, word(IPI_RESET, 0), IPI_KICK);
		assert_step(word(IPI_RESET, 0), m, word(IPI_RESET, 0),
			    IPI_NONE);
		assert_step(word(IPI_RESET_SIPI, 7), m, word(IPI_RESET, 0),
			    IPI_NONE);
		assert_step(word(IPI_WAIT, 0), m, word(IPI_WAIT, 0), IPI_NONE);
		assert_step(word(IPI_START, 7), m, word(IPI_WAIT, 0), IPI_NONE);
	}
}

static void sipi_in_each_state(void **state)
{
	(void)state;
	assert_step(word(IPI_RUN, 0), sipi(9), word(IPI_RUN, 0), IPI_NONE);
	assert_step(word(IPI_RESET, 0), sipi(9), word(IPI_RESET_SIPI, 9),
		    IPI_NONE);
	assert_step(word(IPI_RESET_SIPI, 7), sipi(9), word(IPI_RESET_SIPI, 7),
		    IPI_NONE);
	assert_step(word(IPI_WAIT, 0), sipi(9), word(IPI_START, 9), IPI_WAKE);
	assert_step(word(IPI_START, 7), sipi(9), word(IPI_START, 7), IPI_NONE);
	/* Vectors 0 and FFh are vectors. */
	assert_step(word(IPI_WAIT, 0), sipi(0), word(IPI_START, 0), IPI_WAKE);
	assert_step(word(IPI_WAIT, 0), sipi(255), word(IPI_START, 255),
		    IPI_WAKE);
}

static void others_in_each_state(void **state)
{
	(void)state;
	for (unsigned s = IPI_RUN; s <= IPI_START; s++) {
		const uint32_t w = word((enum ipi_state)s, 7);

		assert_step(w, deassert, w, IPI_NONE);
		for (uint8_t mode = 0; mode < 8; mode++)
			if (mode != ICR_INIT && mode != ICR_SIPI)
				assert_step(w, (struct icr){ .mode = mode }, w,
					    IPI_NONE);
	}
}

static void own_steps_in_each_state(void **state)
{
	(void)state;
	assert_int_equal(ipi_arrive(word(IPI_RUN, 0)), word(IPI_RUN, 0));
	assert_int_equal(ipi_arrive(word(IPI_RESET, 0)), word(IPI_WAIT, 0));
	assert_int_equal(ipi_arrive(word(IPI_RESET_SIPI, 7)),
			 word(IPI_START, 7));
	assert_int_equal(ipi_arrive(word(IPI_WAIT, 0)), word(IPI_WAIT, 0));
	assert_int_equal(ipi_arrive(word(IPI_START, 7)), word(IPI_START, 7));

	assert_int_equal(ipi_start(word(IPI_RUN, 0)), word(IPI_RUN, 0));
	assert_int_equal(ipi_start(word(IPI_RESET, 0)), word(IPI_RESET, 0));
	assert_int_equal(ipi_start(word(IPI_RESET_SIPI, 7)),
			 word(IPI_RESET_SIPI, 7));
	assert_int_equal(ipi_start(word(IPI_WAIT, 0)), word(IPI_WAIT, 0));
	assert_int_equal(ipi_start(word(IPI_START, 7)), word(IPI_RUN, 0));
}

static void macros_take_a_word_apart(void **state)
{
	(void)state;
	assert_int_equal(IPI_STATE(word(IPI_START, 0xab)), IPI_START);
	assert_int_equal(IPI_VECTOR(word(IPI_START, 0xab)), 0xab);
}

/*
 * The protocol as a processor has it, in terms the state word does not know:
 * `reset` from an INIT until the CPU runs again, `vector` the first SIPI
 * since that INIT, `parked` once the CPU itself has noticed.
 */
struct model {
	bool reset, parked, has_vector;
	uint8_t vector;
};

enum event { EV_INIT, EV_SIPI_A, EV_SIPI_B, EV_DEASSERT, EV_ARRIVE, EV_START,
	     EVENTS };
#define VECTOR_A 0x10
#define VECTOR_B 0x20

static void model_event(struct model *m, enum event e)
{
	switch (e) {
	case EV_INIT:
		m->reset = true;
		m->has_vector = false;
		break;
	case EV_SIPI_A:
	case EV_SIPI_B:
		if (m->reset && !m->has_vector) {
			m->has_vector = true;
			m->vector = e == EV_SIPI_A ? VECTOR_A : VECTOR_B;
		}
		break;
	case EV_ARRIVE:
		m->parked = m->parked || m->reset;
		break;
	case EV_START:
		if (m->parked && m->has_vector)
			*m = (struct model){ 0 };
		break;
	default:
		break;
	}
}

static uint32_t word_event(uint32_t w, enum event e, enum ipi_action *todo)
{
	const struct icr a = sipi(VECTOR_A), b = sipi(VECTOR_B);

	*todo = IPI_NONE;
	switch (e) {
	case EV_INIT:
		return ipi_step(w, &init, todo);
	case EV_SIPI_A:
		return ipi_step(w, &a, todo);
	case EV_SIPI_B:
		return ipi_step(w, &b, todo);
	case EV_DEASSERT:
		return ipi_step(w, &deassert, todo);
	case EV_ARRIVE:
		return ipi_arrive(w);
	default:
		return ipi_start(w);
	}
}

static uint32_t model_word(const struct model *m)
{
	if (!m->reset)
		return word(IPI_RUN, 0);
	if (!m->parked)
		return m->has_vector ? word(IPI_RESET_SIPI, m->vector) :
				       word(IPI_RESET, 0);
	return m->has_vector ? word(IPI_START, m->vector) : word(IPI_WAIT, 0);
}

/*
 * The sender's duties: kick a CPU exactly when it stops running, wake it
 * exactly when a parked one gets its vector from a message.
 */
static enum ipi_action model_action(const struct model *before,
				    const struct model *after, enum event e)
{
	if (e == EV_INIT && !before->reset)
		return IPI_KICK;
	if (e != EV_ARRIVE && before->parked && !before->has_vector &&
	    after->has_vector)
		return IPI_WAKE;
	return IPI_NONE;
}

static void explore(uint32_t w, struct model m, unsigned depth)
{
	if (depth == 0)
		return;
	for (unsigned e = 0; e < EVENTS; e++) {
		struct model next = m;
		enum ipi_action todo;
		const uint32_t v = word_event(w, (enum event)e, &todo);

		model_event(&next, (enum event)e);
		if (v != model_word(&next) ||
		    todo != model_action(&m, &next, (enum event)e))
			fail_msg("word %#x event %u: %#x todo %d", w, e, v,
				 todo);
		explore(v, next, depth - 1);
	}
}

static void every_sequence_matches_the_model(void **state)
{
	(void)state;
	explore(word(IPI_RUN, 0), (struct model){ 0 }, 8);
}

/*
 * A CPU that is told INIT, SIPI, SIPI starts once, with the first vector,
 * wherever among them it arrives, and whenever it looks whether it may start.
 */
static void init_sipi_sipi_at_any_interleaving(void **state)
{
	static const enum event messages[] = { EV_INIT, EV_DEASSERT, EV_INIT,
					       EV_SIPI_B, EV_SIPI_A };
	const unsigned n = ARRAY_SIZE(messages);

	(void)state;
	for (unsigned arrive = 0; arrive <= n; arrive++) {
		uint32_t w = word(IPI_RUN, 0);
		enum ipi_action todo;
		unsigned wakes = 0, kicks = 0;

		for (unsigned i = 0; i < n; i++) {
			if (i == arrive)
				w = ipi_arrive(w);
			w = word_event(w, messages[i], &todo);
			wakes += todo == IPI_WAKE;
			kicks += todo == IPI_KICK;
		}
		/* Arriving before there was an INIT is arriving never. */
		if (arrive == n || arrive == 0)
			w = ipi_arrive(w);
		assert_int_equal(w, word(IPI_START, VECTOR_B));
		assert_int_equal(ipi_start(w), word(IPI_RUN, 0));
		assert_int_equal(kicks, 1);
		/* Parked before the SIPI: woken. After: it sees the state. */
		assert_int_equal(wakes, arrive > 0 && arrive <= 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decode_xapic),
		cmocka_unit_test(decode_x2apic),
		cmocka_unit_test(decode_each_bit),
		cmocka_unit_test(startup_messages),
		cmocka_unit_test(shorthands),
		cmocka_unit_test(physical_destinations),
		cmocka_unit_test(logical_flat),
		cmocka_unit_test(logical_cluster),
		cmocka_unit_test(unknown_model_reaches_none),
		cmocka_unit_test(logical_x2apic),
		cmocka_unit_test(init_in_each_state),
		cmocka_unit_test(sipi_in_each_state),
		cmocka_unit_test(others_in_each_state),
		cmocka_unit_test(own_steps_in_each_state),
		cmocka_unit_test(macros_take_a_word_apart),
		cmocka_unit_test(every_sequence_matches_the_model),
		cmocka_unit_test(init_sipi_sipi_at_any_interleaving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
