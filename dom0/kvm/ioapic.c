/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioapic.c - the I/O APIC. A pin's state is its redirection entry, with
 * Remote IRR in it, and the level of its line.
 */
#include "ioapic.h"
#include <assert.h>
#include <string.h>

/* Offsets in the MMIO page. */
#define IOREGSEL 0x00
#define IOWIN	 0x10
#define EOIR	 0x40

/* Registers that IOREGSEL selects. */
#define IOAPICID  0x00
#define IOAPICVER 0x01
#define IOAPICARB 0x02
#define IOREDTBL  0x10

/* "I/O Redirection Table Registers" */
#define RTE_VECTOR	0xffull
#define RTE_DELMOD	8 /* shift */
#define RTE_DESTMOD	(1ull << 11)
#define RTE_REMOTE_IRR	(1ull << 14)
#define RTE_LEVEL	(1ull << 15)
#define RTE_MASKED	(1ull << 16)
#define RTE_DEST	56 /* shift */
#define RTE_WRITABLE	0xff0000000001afffull

_Static_assert(sizeof(((struct kvm_ioapic_state *)0)->redirtbl) ==
		       IOAPIC_PINS * sizeof(uint64_t), "one word an entry");

static unsigned delivery_mode(uint64_t rte)
{
	return rte >> RTE_DELMOD & 7;
}

/* SMI, NMI, INIT and ExtINT are edges, however they are programmed. */
static bool is_level(uint64_t rte)
{
	return rte & RTE_LEVEL && delivery_mode(rte) <= IRQ_LOWEST;
}

/* An EOI means something to it: also if masked since it was delivered. */
static bool is_live(uint64_t rte)
{
	return !(rte & RTE_MASKED) || rte & RTE_REMOTE_IRR;
}

static bool is_high(const struct ioapic *io, unsigned pin)
{
	return io->line >> pin & 1;
}

/* --- delivery ----------------------------------------------------------- */

static struct irq_msg message(uint64_t rte)
{
	return (struct irq_msg){
		.dest = (uint32_t)(rte >> RTE_DEST),
		.dest_mode = !!(rte & RTE_DESTMOD),
		.delivery_mode = (uint8_t)delivery_mode(rte),
		.vector = (uint8_t)(rte & RTE_VECTOR),
		.level = true,
		.trigger = is_level(rte),
	};
}

/* `pin` has something to say. A level goes out once until its EOI. */
static int service(struct ioapic *io, unsigned pin)
{
	const uint64_t rte = io->rte[pin];

	if (rte & RTE_MASKED)
		return -1;
	if (rte & RTE_REMOTE_IRR)
		return 0;
	const struct irq_msg msg = message(rte);
	const int taken = io->wires.deliver(io->wires.ctx, &msg);
	if (taken >= 0 && msg.trigger)
		io->rte[pin] |= RTE_REMOTE_IRR;
	return taken;
}

/* A level-triggered line is a state, not an event: look at it again. */
static void look_again(struct ioapic *io, unsigned pin)
{
	if (is_level(io->rte[pin]) && is_high(io, pin))
		service(io, pin);
}

int ioapic_set_irq(struct ioapic *io, unsigned pin, bool level)
{
	assert(pin < IOAPIC_PINS);
	const bool was = is_high(io, pin);

	if (!level) {
		io->line &= ~(1u << pin);
		return 1;
	}
	io->line |= 1u << pin;
	if (was && !is_level(io->rte[pin]))
		return 0;
	return service(io, pin);
}

static void eoi_pin(struct ioapic *io, unsigned pin)
{
	if (io->wires.eoi && is_live(io->rte[pin]))
		io->wires.eoi(io->wires.ctx, pin);
	if (is_level(io->rte[pin])) {
		io->rte[pin] &= ~RTE_REMOTE_IRR;
		look_again(io, pin);
	}
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		if ((io->rte[pin] & RTE_VECTOR) == vector)
			eoi_pin(io, pin);
}

void ioapic_eoi_vectors(const struct ioapic *io, uint32_t watched,
			uint64_t vectors[4])
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		const uint64_t rte = io->rte[pin];
		const unsigned vector = rte & RTE_VECTOR;

		if (is_live(rte) && (is_level(rte) || watched >> pin & 1))
			vectors[vector / 64] |= 1ull << vector % 64;
	}
}

/* --- registers ---------------------------------------------------------- */

static uint32_t read_window(const struct ioapic *io)
{
	const unsigned pin = (io->regsel - IOREDTBL) / 2u;

	switch (io->regsel) {
	case IOAPICID:
	case IOAPICARB:
		return (uint32_t)io->id << 24;
	case IOAPICVER:
		return (IOAPIC_PINS - 1) << 16 | io->version;
	}
	if (io->regsel < IOREDTBL || pin >= IOAPIC_PINS)
		return ~0u;
	return (uint32_t)(io->rte[pin] >> (io->regsel & 1 ? 32 : 0));
}

/*
 * Only the half that is addressed changes, and of it what is writable. An
 * edge has no Remote IRR: how software gets rid of one without an EOI.
 */
static void write_rte(struct ioapic *io, unsigned pin, bool high,
		      uint32_t value)
{
	const unsigned shift = high ? 32 : 0;
	const uint64_t mask = RTE_WRITABLE & 0xffffffffull << shift;
	uint64_t rte = io->rte[pin];

	rte = (rte & ~mask) | ((uint64_t)value << shift & mask);
	if (!is_level(rte))
		rte &= ~RTE_REMOTE_IRR;
	io->rte[pin] = rte;
	look_again(io, pin);
}

static void write_window(struct ioapic *io, uint32_t value)
{
	const unsigned pin = (io->regsel - IOREDTBL) / 2u;

	if (io->regsel == IOAPICID)
		io->id = value >> 24 & 0xf;
	else if (io->regsel >= IOREDTBL && pin < IOAPIC_PINS)
		write_rte(io, pin, io->regsel & 1, value);
}

bool ioapic_masked(const struct ioapic *io, unsigned pin)
{
	return io->rte[pin] & RTE_MASKED;
}

bool ioapic_owns(const struct ioapic *io, uint64_t gpa)
{
	return gpa - io->base < IOAPIC_LEN;
}

uint64_t ioapic_read(const struct ioapic *io, uint64_t gpa, unsigned len)
{
	const unsigned offset = (unsigned)(gpa - io->base);
	uint32_t value = 0;

	switch (offset & ~3u) {
	case IOREGSEL:
		value = io->regsel;
		break;
	case IOWIN:
		value = read_window(io);
		break;
	}
	value >>= offset % 4 * 8;
	return len < 4 ? value & ((1u << len * 8) - 1) : value;
}

void ioapic_write(struct ioapic *io, uint64_t gpa, unsigned len,
		  uint64_t value)
{
	if (len < 4)
		value &= (1u << len * 8) - 1;
	switch (gpa - io->base) {
	case IOREGSEL:
		io->regsel = (uint8_t)value;
		break;
	case IOWIN:
		write_window(io, (uint32_t)value);
		break;
	case EOIR:
		if (io->version >= IOAPIC_WITH_EOI)
			ioapic_eoi(io, (uint8_t)value);
		break;
	}
}

/* --- state -------------------------------------------------------------- */

void ioapic_init(struct ioapic *io, uint8_t version,
		 const struct ioapic_wires *wires)
{
	memset(io, 0, sizeof(*io));
	io->wires = *wires;
	io->version = version;
	io->base = IOAPIC_BASE;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		io->rte[pin] = RTE_MASKED;
}

void ioapic_get(const struct ioapic *io, struct kvm_ioapic_state *state)
{
	memset(state, 0, sizeof(*state));
	state->base_address = io->base;
	state->ioregsel = io->regsel;
	state->id = io->id;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		const uint64_t rte = io->rte[pin];

		state->redirtbl[pin].bits = rte;
		if (is_level(rte) || rte & RTE_MASKED)
			state->irr |= io->line & 1u << pin;
	}
}

void ioapic_set(struct ioapic *io, const struct kvm_ioapic_state *state)
{
	io->base = state->base_address;
	io->regsel = (uint8_t)state->ioregsel;
	io->id = state->id & 0xf;
	io->line = 0;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t rte = state->redirtbl[pin].bits;

		rte &= RTE_WRITABLE | RTE_REMOTE_IRR;
		if (!is_level(rte))
			rte &= ~RTE_REMOTE_IRR;
		io->rte[pin] = rte;
	}
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		if (state->irr >> pin & 1)
			ioapic_set_irq(io, pin, true);
}
