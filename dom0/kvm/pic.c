/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pic.c - two 8259As. Each chip is its struct kvm_pic_state, so that saving
 * is copying; the names of the data sheet are irr, isr, imr there, too.
 * last_irr is the level of the inputs. priority_add is the line that has the
 * highest priority.
 */
#include "pic.h"
#include <assert.h>
#include <string.h>

#define MASTER	KVM_IRQCHIP_PIC_MASTER
#define SLAVE	KVM_IRQCHIP_PIC_SLAVE
#define CASCADE 2
#define NONE	8 /* of eight lines, or of eight priorities */

/* Which ICW the chip waits for. KVM has the first four. */
enum init_state {
	READY,
	WANT_ICW2,
	WANT_ICW3,
	WANT_ICW4,
	WANT_ICW2_SINGLE, /* no ICW3 after it */
};

#define ICW1	   0x10
#define ICW1_SNGL  0x02
#define ICW1_IC4   0x01
#define ICW4_SFNM  0x10
#define ICW4_AEOI  0x02
#define OCW3	   0x08
#define OCW3_ESMM  0x40
#define OCW3_SMM   0x20
#define OCW3_P	   0x04
#define OCW3_RR	   0x02
#define OCW3_RIS   0x01
#define OCW2_R	   0x80
#define OCW2_SL	   0x40
#define OCW2_EOI   0x20
#define POLL_I	   0x80

/* ELCR: the timer, the keyboard, the cascade, the RTC and the FPU are edge. */
static const uint8_t elcr_mask[2] = { [MASTER] = 0xf8, [SLAVE] = 0xde };

static uint8_t bit(unsigned line)
{
	return (uint8_t)(1u << line);
}

/* --- priorities --------------------------------------------------------- */

/* Priority of the first among `set`: 0 is the highest, NONE if it is empty. */
static unsigned priority(const struct kvm_pic_state *c, uint8_t set)
{
	unsigned prio = 0;

	while (prio < NONE && !(set & bit((c->priority_add + prio) & 7)))
		prio++;
	return prio;
}

static unsigned line_of(const struct kvm_pic_state *c, unsigned prio)
{
	return prio == NONE ? NONE : (c->priority_add + prio) & 7;
}

/* In-service lines that count: special mask mode hides the masked ones. */
static uint8_t in_service(const struct kvm_pic_state *c)
{
	return c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
}

/* The line this chip asks its INT for, or NONE. */
static unsigned request(const struct pic *p, unsigned chip)
{
	const struct kvm_pic_state *c = &p->chip[chip];
	const unsigned want = priority(c, c->irr & (uint8_t)~c->imr);
	const unsigned have = priority(c, in_service(c));
	const unsigned line = line_of(c, want);

	if (want < have)
		return line;
	/* The slave has something better than what it has in service. */
	if (want == have && chip == MASTER && line == CASCADE &&
	    c->special_fully_nested_mode)
		return line;
	return NONE;
}

/* --- wires -------------------------------------------------------------- */

/* The slave's INT is a wire to the master: its request is never latched. */
static void drive_cascade(struct pic *p)
{
	struct kvm_pic_state *m = &p->chip[MASTER];

	m->irr &= (uint8_t)~bit(CASCADE);
	m->last_irr &= (uint8_t)~bit(CASCADE);
	if (request(p, SLAVE) != NONE) {
		m->irr |= bit(CASCADE);
		m->last_irr |= bit(CASCADE);
	}
}

/* EOIs first: who hears of one may lower the line before INT rises again. */
static void settle(struct pic *p)
{
	while (p->ended) {
		const unsigned line = (unsigned)__builtin_ctz(p->ended);

		p->ended &= (uint16_t)(p->ended - 1);
		if (p->wires.eoi)
			p->wires.eoi(p->wires.ctx, line);
	}
	drive_cascade(p);
	const bool intr = request(p, MASTER) != NONE;
	if (intr != p->intr) {
		p->intr = intr;
		p->wires.intr(p->wires.ctx, intr);
	}
}

int pic_set_irq(struct pic *p, unsigned line, bool level)
{
	assert(line < PIC_LINES);
	struct kvm_pic_state *c = &p->chip[line / 8];
	const uint8_t b = bit(line % 8);
	int ret = 1;

	if (line == CASCADE)
		return -1;
	if (!level) {
		c->irr &= (uint8_t)~(c->elcr & b);
		c->last_irr &= (uint8_t)~b;
	} else {
		if ((c->elcr & b) || !(c->last_irr & b)) {
			ret = !(c->irr & b);
			c->irr |= b;
		} else {
			ret = 0;
		}
		c->last_irr |= b;
	}
	settle(p);
	return c->imr & b ? -1 : ret;
}

bool pic_intr(const struct pic *p)
{
	return p->intr;
}

/* --- service ------------------------------------------------------------ */

static void end(struct pic *p, unsigned chip, unsigned line)
{
	struct kvm_pic_state *c = &p->chip[chip];

	c->isr &= (uint8_t)~bit(line);
	p->ended |= (uint16_t)(1u << (chip * 8 + line));
}

static void lowest_priority(struct kvm_pic_state *c, unsigned line)
{
	c->priority_add = (line + 1) & 7;
}

/* The request for `line` goes into service. */
static void take(struct pic *p, unsigned chip, unsigned line)
{
	struct kvm_pic_state *c = &p->chip[chip];

	if (!(c->elcr & bit(line)))
		c->irr &= (uint8_t)~bit(line);
	c->isr |= bit(line);
	if (!c->auto_eoi)
		return;
	end(p, chip, line);
	if (c->rotate_on_auto_eoi)
		lowest_priority(c, line);
}

/* One chip's part in an INTA: its vector. Spurious is 7, not in service. */
static uint8_t acknowledge(struct pic *p, unsigned chip)
{
	const struct kvm_pic_state *c = &p->chip[chip];
	const unsigned line = request(p, chip);

	if (line == NONE)
		return c->irq_base + 7;
	take(p, chip, line);
	if (chip == MASTER && line == CASCADE)
		return acknowledge(p, SLAVE);
	return (uint8_t)(c->irq_base + line);
}

uint8_t pic_acknowledge(struct pic *p)
{
	const uint8_t vector = acknowledge(p, MASTER);

	settle(p);
	return vector;
}

/* --- ports -------------------------------------------------------------- */

/* Inputs that are level-triggered are what they are, edges start anew. */
static void icw1(struct pic *p, unsigned chip, uint8_t value)
{
	struct kvm_pic_state *c = &p->chip[chip];

	p->ended |= (uint16_t)(c->isr << chip * 8);
	c->irr &= c->elcr;
	c->isr = 0;
	c->imr = 0;
	c->priority_add = 0;
	c->special_mask = 0;
	c->read_reg_select = 0;
	c->poll = 0;
	c->rotate_on_auto_eoi = 0;
	c->init4 = value & ICW1_IC4;
	if (!c->init4) {
		c->auto_eoi = 0;
		c->special_fully_nested_mode = 0;
	}
	c->init_state = value & ICW1_SNGL ? WANT_ICW2_SINGLE : WANT_ICW2;
}

static void ocw2(struct pic *p, unsigned chip, uint8_t value)
{
	struct kvm_pic_state *c = &p->chip[chip];
	unsigned line = value & 7;

	if (!(value & (OCW2_SL | OCW2_EOI))) {
		c->rotate_on_auto_eoi = !!(value & OCW2_R);
		return;
	}
	if (!(value & OCW2_SL))
		line = line_of(c, priority(c, in_service(c)));
	if (line == NONE)
		return;
	if (value & OCW2_EOI && c->isr & bit(line))
		end(p, chip, line);
	if (value & OCW2_R)
		lowest_priority(c, line);
}

static void ocw3(struct kvm_pic_state *c, uint8_t value)
{
	if (value & OCW3_ESMM)
		c->special_mask = !!(value & OCW3_SMM);
	if (value & OCW3_P)
		c->poll = 1;
	else if (value & OCW3_RR)
		c->read_reg_select = value & OCW3_RIS;
}

/* The odd port: the rest of the initialisation, then the mask. */
static void write_odd(struct kvm_pic_state *c, uint8_t value)
{
	const enum init_state last = c->init4 ? WANT_ICW4 : READY;

	switch (c->init_state) {
	case READY:
		c->imr = value;
		break;
	case WANT_ICW2:
	case WANT_ICW2_SINGLE:
		c->irq_base = value & 0xf8;
		c->init_state = c->init_state == WANT_ICW2 ? WANT_ICW3 : last;
		break;
	case WANT_ICW3: /* the cascade is soldered */
		c->init_state = last;
		break;
	case WANT_ICW4:
		c->special_fully_nested_mode = !!(value & ICW4_SFNM);
		c->auto_eoi = !!(value & ICW4_AEOI);
		c->init_state = READY;
		break;
	}
}

static void write_elcr(struct kvm_pic_state *c, uint8_t value)
{
	const uint8_t now_level = value & c->elcr_mask & (uint8_t)~c->elcr;

	c->elcr = value & c->elcr_mask;
	c->irr = (c->irr & (uint8_t)~now_level) | (c->last_irr & now_level);
}

static uint8_t poll(struct pic *p, unsigned chip)
{
	const unsigned line = request(p, chip);

	p->chip[chip].poll = 0;
	if (line == NONE)
		return 0;
	take(p, chip, line);
	settle(p);
	return (uint8_t)(POLL_I | line);
}

/* Ports come in pairs: bit 0 is A0, or of an ELCR the chip. */
bool pic_read(struct pic *p, uint16_t port, uint8_t *value)
{
	unsigned chip = port & 1;

	if ((port & ~1) == 0x4d0) {
		*value = p->chip[chip].elcr;
		return true;
	}
	if ((port & ~0x81) != 0x20)
		return false;
	chip = port & 0x80 ? SLAVE : MASTER;
	const struct kvm_pic_state *c = &p->chip[chip];
	if (c->poll)
		*value = poll(p, chip);
	else if (port & 1)
		*value = c->imr;
	else
		*value = c->read_reg_select ? c->isr : c->irr;
	return true;
}

bool pic_write(struct pic *p, uint16_t port, uint8_t value)
{
	const unsigned chip = port & 0x80 ? SLAVE : MASTER;
	struct kvm_pic_state *c = &p->chip[chip];

	if ((port & ~1) == 0x4d0)
		write_elcr(&p->chip[port & 1], value);
	else if ((port & ~0x81) != 0x20)
		return false;
	else if (port & 1)
		write_odd(c, value);
	else if (value & ICW1)
		icw1(p, chip, value);
	else if (value & OCW3)
		ocw3(c, value);
	else
		ocw2(p, chip, value);
	settle(p);
	return true;
}

/* --- state -------------------------------------------------------------- */

void pic_init(struct pic *p, const struct pic_wires *wires)
{
	memset(p, 0, sizeof(*p));
	p->wires = *wires;
	for (unsigned chip = 0; chip < 2; chip++)
		p->chip[chip].elcr_mask = elcr_mask[chip];
}

void pic_get(const struct pic *p, unsigned chip, struct kvm_pic_state *state)
{
	assert(chip <= SLAVE);
	*state = p->chip[chip];
}

void pic_set(struct pic *p, unsigned chip, const struct kvm_pic_state *state)
{
	assert(chip <= SLAVE);
	struct kvm_pic_state *c = &p->chip[chip];

	*c = *state;
	c->priority_add &= 7;
	c->irq_base &= 0xf8;
	c->read_reg_select = !!c->read_reg_select;
	c->poll = !!c->poll;
	c->special_mask = !!c->special_mask;
	if (c->init_state > WANT_ICW2_SINGLE)
		c->init_state = READY;
	c->auto_eoi = !!c->auto_eoi;
	c->rotate_on_auto_eoi = !!c->rotate_on_auto_eoi;
	c->special_fully_nested_mode = !!c->special_fully_nested_mode;
	c->init4 = !!c->init4;
	c->elcr_mask = elcr_mask[chip];
	c->elcr &= c->elcr_mask;
	settle(p);
}
