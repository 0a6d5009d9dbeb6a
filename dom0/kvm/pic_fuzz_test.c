/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pic_fuzz_test.c - random operations on the 8259As: against a second model
 * that keeps priorities as a list, across a save and a restore, and with
 * writes that make no sense.
 */
#include "pic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static unsigned rnd(unsigned n)
{
	return (unsigned)rand() % n;
}

static void on_intr(void *ctx, bool level)
{
	bool *intr = ctx;

	assert_int_not_equal(*intr, level);
	*intr = level;
}

/* --- a chip as the data sheet tells it: lines stand in a queue ----------- */

struct model {
	unsigned queue[8]; /* lines, the highest priority first */
	bool high[8], wants[8], served[8], hidden[8], level[8];
	bool smm, sfnm, aeoi, rotate;
};

static bool is_master(const struct model *m, const struct model *both)
{
	return m == both;
}

/* The line that INT stands for, or -1. */
static int model_request(const struct model *m, const struct model *both)
{
	const bool master = is_master(m, both);

	for (unsigned i = 0; i < 8; i++) {
		const unsigned n = m->queue[i];
		const bool wants = master && n == 2 ?
				   model_request(&both[1], both) >= 0 :
				   m->wants[n];
		const bool blocks = m->served[n] && !(m->smm && m->hidden[n]);

		if (wants && !m->hidden[n] &&
		    (!blocks || (m->sfnm && master && n == 2)))
			return (int)n;
		if (blocks)
			return -1;
	}
	return -1;
}

/* Rotate until `line` stands last. */
static void model_last(struct model *m, unsigned line)
{
	while (m->queue[7] != line) {
		const unsigned first = m->queue[0];

		memmove(m->queue, m->queue + 1, 7 * sizeof(m->queue[0]));
		m->queue[7] = first;
	}
}

static void model_take(struct model *m, unsigned line)
{
	m->wants[line] = m->level[line] && m->high[line];
	m->served[line] = !m->aeoi;
	if (m->aeoi && m->rotate)
		model_last(m, line);
}

static unsigned model_ack(struct model *both)
{
	int line = model_request(&both[0], both);

	if (line < 0)
		return 0x37;
	if (line != 2) {
		model_take(&both[0], (unsigned)line);
		return 0x30 + (unsigned)line;
	}
	model_take(&both[0], 2);
	line = model_request(&both[1], both);
	if (line < 0)
		return 0x3f;
	model_take(&both[1], (unsigned)line);
	return 0x38 + (unsigned)line;
}

static void model_line(struct model *m, unsigned line, bool high)
{
	if (m->level[line])
		m->wants[line] = high;
	else if (high && !m->high[line])
		m->wants[line] = true;
	m->high[line] = high;
}

static void model_eoi(struct model *m, bool rotate)
{
	for (unsigned i = 0; i < 8; i++) {
		const unsigned n = m->queue[i];

		if (!m->served[n] || (m->smm && m->hidden[n]))
			continue;
		m->served[n] = false;
		if (rotate)
			model_last(m, n);
		return;
	}
}

static void model_ocw2(struct model *m, uint8_t value)
{
	const unsigned line = value & 7;

	switch (value >> 5) {
	case 0:
	case 4:
		m->rotate = value & 0x80;
		break;
	case 1:
	case 5:
		model_eoi(m, value & 0x80);
		break;
	case 3:
	case 7:
		m->served[line] = false;
		if (value & 0x80)
			model_last(m, line);
		break;
	case 6:
		model_last(m, line);
		break;
	}
}

/* --- both get the same --------------------------------------------------- */

static void start(struct pic *p, struct model both[2], uint8_t icw4)
{
	static const uint16_t base[2] = { 0x20, 0xa0 };

	for (unsigned chip = 0; chip < 2; chip++) {
		const uint16_t port = base[chip];

		pic_write(p, port, 0x11);
		pic_write(p, port + 1, (uint8_t)(0x30 + 8 * chip));
		pic_write(p, port + 1, 0);
		pic_write(p, port + 1, icw4);
		memset(&both[chip], 0, sizeof(both[chip]));
		for (unsigned i = 0; i < 8; i++)
			both[chip].queue[i] = i;
		both[chip].aeoi = icw4 & 2;
		both[chip].sfnm = icw4 & 0x10;
	}
}

static void random_levels(struct pic *p, struct model both[2])
{
	const uint8_t mask[2] = { 0xf8, 0xde };

	for (unsigned chip = 0; chip < 2; chip++) {
		const uint8_t v = (uint8_t)rnd(256);

		pic_write(p, (uint16_t)(0x4d0 + chip), v);
		for (unsigned i = 0; i < 8; i++)
			both[chip].level[i] = v & mask[chip] & 1u << i;
	}
}

static void random_mask(struct pic *p, struct model *m, uint16_t port)
{
	const uint8_t mask = (uint8_t)(rnd(256) & rnd(256));

	pic_write(p, port + 1, mask);
	for (unsigned i = 0; i < 8; i++)
		m->hidden[i] = mask & 1u << i;
}

static void step(struct pic *p, struct model both[2])
{
	const unsigned chip = rnd(2), line = rnd(16);
	const uint16_t port = chip ? 0xa0 : 0x20;
	const bool high = rnd(2);
	uint8_t value = (uint8_t)(rnd(8) << 5 | rnd(8));

	switch (rnd(8)) {
	case 0:
	case 1:
	case 2:
		if (line != 2)
			model_line(&both[line / 8], line % 8, high);
		pic_set_irq(p, line, high);
		break;
	case 3:
	case 4:
		assert_int_equal(pic_acknowledge(p), model_ack(both));
		break;
	case 5:
		model_ocw2(&both[chip], value);
		pic_write(p, port, value);
		break;
	case 6:
		random_mask(p, &both[chip], port);
		break;
	default:
		both[chip].smm = high;
		pic_write(p, port, high ? 0x68 : 0x48);
		break;
	}
}

static void compare(struct pic *p, const struct model both[2])
{
	assert_int_equal(pic_intr(p), model_request(&both[0], both) >= 0);
	for (unsigned chip = 0; chip < 2; chip++) {
		const uint16_t port = chip ? 0xa0 : 0x20;
		uint8_t isr, want = 0;

		pic_write(p, port, 0x0b);
		pic_read(p, port, &isr);
		for (unsigned i = 0; i < 8; i++)
			want |= (uint8_t)(both[chip].served[i] << i);
		assert_int_equal(isr, want);
	}
}

static void random_operations_match_the_model(void **state)
{
	static const uint8_t icw4[] = { 0x01, 0x01, 0x11, 0x03, 0x13 };
	unsigned interrupts = 0;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct model both[2];
		bool intr = false;
		struct pic p;

		pic_init(&p, &(struct pic_wires){ on_intr, NULL, &intr });
		start(&p, both, icw4[round % 5]);
		random_levels(&p, both);
		for (unsigned i = 0; i < 200; i++) {
			step(&p, both);
			compare(&p, both);
			interrupts += intr;
		}
	}
	/* Both answers are tested. */
	assert_in_range(interrupts, 3000 * 40, 3000 * 160);
}

/* --- anything at all ------------------------------------------------------ */

struct op {
	unsigned kind, arg;
	uint8_t value;
};

static struct op random_op(void)
{
	static const uint16_t ports[] = { 0x20, 0x21, 0xa0,  0xa1,
					  0x20, 0xa0, 0x4d0, 0x4d1 };
	struct op op = { rnd(5), ports[rnd(8)], (uint8_t)rnd(256) };

	if (op.kind >= 3)
		op.arg = rnd(16);
	if (op.kind == 0 && rnd(4) && !(op.arg & 1))
		op.value &= 0xef; /* not for ever in initialisation */
	return op;
}

/* What a guest or a client can see of it. */
static unsigned apply(struct pic *p, struct op op)
{
	uint8_t value = 0;

	switch (op.kind) {
	case 0:
		pic_write(p, (uint16_t)op.arg, op.value);
		return 0;
	case 1:
		pic_read(p, (uint16_t)op.arg, &value);
		return value;
	case 2:
		return pic_acknowledge(p);
	default:
		return (unsigned)pic_set_irq(p, op.arg, op.value & 1);
	}
}

static void restored_is_the_same(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		bool intr_a = false, intr_b = false;
		struct kvm_pic_state s[2];
		struct pic a, b;

		pic_init(&a, &(struct pic_wires){ on_intr, NULL, &intr_a });
		pic_init(&b, &(struct pic_wires){ on_intr, NULL, &intr_b });
		for (unsigned i = rnd(200); i > 0; i--) {
			apply(&a, random_op());
			apply(&b, random_op());
		}
		const unsigned first = rnd(2);
		for (unsigned i = 0; i < 2; i++) {
			const unsigned chip = first ^ i;

			pic_get(&a, chip, &s[chip]);
			pic_set(&b, chip, &s[chip]);
		}
		assert_memory_equal(a.chip, b.chip, sizeof(a.chip));
		for (unsigned i = 0; i < 200; i++) {
			const struct op op = random_op();

			assert_int_equal(intr_a, intr_b);
			assert_int_equal(apply(&a, op), apply(&b, op));
		}
	}
}

/* Any bytes become a state that saves and restores as itself. */
static void nonsense_is_made_sense_of(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		struct kvm_pic_state s, again;
		bool intr = false;
		struct pic p;

		pic_init(&p, &(struct pic_wires){ on_intr, NULL, &intr });
		for (unsigned i = 0; i < sizeof(s); i++)
			((uint8_t *)&s)[i] = (uint8_t)rnd(256);
		const unsigned chip = rnd(2);
		pic_set(&p, chip, &s);
		pic_get(&p, chip, &s);
		pic_set(&p, chip, &s);
		pic_get(&p, chip, &again);
		assert_memory_equal(&s, &again, sizeof(s));
		for (unsigned i = 0; i < 20; i++)
			apply(&p, random_op());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_match_the_model),
		cmocka_unit_test(restored_is_the_same),
		cmocka_unit_test(nonsense_is_made_sense_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
