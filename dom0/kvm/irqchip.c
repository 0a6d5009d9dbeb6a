/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * irqchip.c - PIC, I/O APIC and PIT, wired up. What the chips do is in their
 * own files; here is who may do it when, and what the VMM is told.
 *
 * A level-triggered message must not reach a local APIC before the VMM knows
 * that its EOI is wanted: another CPU may be done with it at once, and the
 * I/O APIC would wait for that EOI forever. So what is about to change the
 * redirection table is tried on a copy, whose vectors are published first.
 */
#include "irqchip_inside.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Static_assert(PIT_NEVER == WAKEUP_NEVER, "one never");

enum source { USERSPACE, RESAMPLER, TIMER }; /* of routing_set_irq() */

int64_t irqchip_now(const struct irqchip *c)
{
	struct timespec t;

	if (c->wires.now)
		return c->wires.now(c->wires.ctx);
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* --- which EOIs are wanted ---------------------------------------------- */

static bool is_resampled(const struct irqchip *c, uint32_t gsi)
{
	return c->resampled[gsi / 64] >> gsi % 64 & 1;
}

static bool wants_eoi(const struct irqchip *c, int gsi)
{
	if (gsi == 0 && c->has_pit && c->pit.reinject)
		return true;
	return gsi >= 0 && is_resampled(c, (uint32_t)gsi);
}

static void add_vectors(const struct irqchip *c, const struct ioapic *io,
			uint64_t vectors[4])
{
	uint32_t watched = 0;

	if (!c->full) {
		routing_eoi_vectors(&c->routing, c->pins, vectors);
		return;
	}
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		if (wants_eoi(c, routing_gsi(&c->routing, KVM_IRQCHIP_IOAPIC,
					     pin)))
			watched |= 1u << pin;
	ioapic_eoi_vectors(io, watched, vectors);
}

static void publish(struct irqchip *c, const uint64_t vectors[4])
{
	if (memcmp(vectors, c->vectors, sizeof(c->vectors)) == 0)
		return;
	memcpy(c->vectors, vectors, sizeof(c->vectors));
	c->wires.eoi_vectors(c->wires.ctx, vectors);
}

void irqchip_publish(struct irqchip *c)
{
	uint64_t vectors[4] = { 0 };

	add_vectors(c, &c->ioapic, vectors);
	publish(c, vectors);
}

static int deliver_nothing(void *ctx, const struct irq_msg *msg)
{
	(void)ctx;
	(void)msg;
	return -1;
}

struct ioapic irqchip_rehearsal(const struct irqchip *c)
{
	struct ioapic io = c->ioapic;

	io.wires = (struct ioapic_wires){ deliver_nothing, NULL, NULL };
	return io;
}

void irqchip_publish_before(struct irqchip *c, const struct ioapic *tried)
{
	uint64_t vectors[4];

	memcpy(vectors, c->vectors, sizeof(vectors));
	add_vectors(c, tried, vectors);
	publish(c, vectors);
}

/* --- wires of the chips ------------------------------------------------- */

static int on_deliver(void *ctx, const struct irq_msg *msg)
{
	const struct irqchip *c = ctx;

	return c->wires.deliver(c->wires.ctx, msg);
}

static void on_intr(void *ctx, bool level)
{
	struct irqchip *c = ctx;

	atomic_store(&c->intr, level);
	c->wires.intr(c->wires.ctx, level);
}

int irqchip_irq0(void *ctx, bool level)
{
	struct irqchip *c = ctx;

	return routing_set_irq(&c->routing, 0, TIMER, level);
}

static void on_gsi_eoi(struct irqchip *c, int gsi)
{
	if (gsi < 0)
		return;
	if (gsi == 0 && c->has_pit)
		pit_acked(&c->pit);
	if (!is_resampled(c, (uint32_t)gsi))
		return;
	routing_set_irq(&c->routing, (uint32_t)gsi, RESAMPLER, false);
	c->acked(c->acked_ctx, (uint32_t)gsi);
}

static void on_pic_eoi(void *ctx, unsigned line)
{
	struct irqchip *c = ctx;

	on_gsi_eoi(c, routing_gsi(&c->routing, line / 8, line % 8));
}

static void on_ioapic_eoi(void *ctx, unsigned pin)
{
	struct irqchip *c = ctx;

	on_gsi_eoi(c, routing_gsi(&c->routing, KVM_IRQCHIP_IOAPIC, pin));
}

/* --- the PIT's time ----------------------------------------------------- */

void irqchip_rearm(struct irqchip *c)
{
	if (c->has_pit && !c->wires.now)
		wakeup_at(&c->wakeup, pit_next_event_ns(&c->pit));
}

int64_t irqchip_advance(struct irqchip *c)
{
	int64_t next = PIT_NEVER;

	irqchip_lock(c);
	if (c->has_pit) {
		pit_advance(&c->pit, irqchip_now(c));
		next = pit_next_event_ns(&c->pit);
		irqchip_rearm(c);
	}
	irqchip_unlock(c);
	return next;
}

static void on_wakeup(void *ctx)
{
	irqchip_advance(ctx);
}

/* --- making ------------------------------------------------------------- */

static struct irqchip *create(const struct irqchip_wires *wires, bool full,
			      unsigned pins)
{
	struct irqchip *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->wires = *wires;
	c->full = full;
	c->pins = pins;
	pthread_mutex_init(&c->lock, NULL);
	wakeup_init(&c->wakeup, on_wakeup, c);
	pic_init(&c->pic, &(struct pic_wires){ on_intr, on_pic_eoi, c });
	ioapic_init(&c->ioapic, IOAPIC_VERSION,
		    &(struct ioapic_wires){ on_deliver, on_ioapic_eoi, c });
	c->ioapic_base = c->ioapic.base;
	routing_init(&c->routing, full ? &c->pic : NULL,
		     full ? &c->ioapic : NULL,
		     &(struct routing_wires){ on_deliver, c });
	if (full)
		routing_default(&c->routing);
	return c;
}

struct irqchip *irqchip_create(const struct irqchip_wires *wires)
{
	return create(wires, true, 0);
}

struct irqchip *irqchip_create_split(const struct irqchip_wires *wires,
				     unsigned pins)
{
	return create(wires, false, pins);
}

void irqchip_destroy(struct irqchip *c)
{
	wakeup_destroy(&c->wakeup);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* --- driving lines ------------------------------------------------------ */

int irqchip_line(struct irqchip *c, uint32_t gsi, bool level)
{
	irqchip_lock(c);
	const int ret = routing_set_irq(&c->routing, gsi, USERSPACE, level);
	irqchip_unlock(c);
	return ret;
}

int irqchip_edge(struct irqchip *c, uint32_t gsi)
{
	irqchip_lock(c);
	const int ret = routing_set_irq(&c->routing, gsi, USERSPACE, true);
	routing_set_irq(&c->routing, gsi, USERSPACE, false);
	irqchip_unlock(c);
	return ret;
}

int irqchip_raise(struct irqchip *c, uint32_t gsi)
{
	irqchip_lock(c);
	const int ret = routing_set_irq(&c->routing, gsi, RESAMPLER, true);
	irqchip_unlock(c);
	return ret;
}

int irqchip_resample(struct irqchip *c, uint32_t gsi,
		     void (*acked)(void *ctx, uint32_t gsi), void *ctx)
{
	if (!c->full || gsi >= ROUTING_GSIS)
		return -EINVAL;
	irqchip_lock(c);
	if (acked) {
		c->acked = acked;
		c->acked_ctx = ctx;
		c->resampled[gsi / 64] |= 1ull << gsi % 64;
	} else {
		c->resampled[gsi / 64] &= ~(1ull << gsi % 64);
		routing_set_irq(&c->routing, gsi, RESAMPLER, false);
	}
	irqchip_publish(c);
	irqchip_unlock(c);
	return 0;
}

/* Needs no chip, so no lock. */
int irqchip_msi(struct irqchip *c, const struct kvm_msi *msi)
{
	if (msi->flags & ~KVM_MSI_VALID_DEVID)
		return -EINVAL;
	const struct irq_msg msg =
		routing_decode_msi(msi->address_lo, msi->data);
	return c->wires.deliver(c->wires.ctx, &msg);
}

uint64_t irqchip_msg_address(const struct irq_msg *msg)
{
	return 0xfee00000 | (uint64_t)(msg->dest & 0xff) << 12 |
	       (uint64_t)msg->redir_hint << 3 | (uint64_t)msg->dest_mode << 2;
}

uint32_t irqchip_msg_data(const struct irq_msg *msg)
{
	return msg->vector | (uint32_t)msg->delivery_mode << 8 |
	       (uint32_t)msg->level << 14 | (uint32_t)msg->trigger << 15;
}

/* --- the run loop ------------------------------------------------------- */

bool irqchip_owns_port(const struct irqchip *c, uint16_t port)
{
	switch (port) {
	case 0x20:
	case 0x21:
	case 0xa0:
	case 0xa1:
	case 0x4d0:
	case 0x4d1:
		return c->full;
	case 0x40:
	case 0x41:
	case 0x42:
	case 0x43:
		return c->has_pit;
	case 0x61:
		return c->has_speaker;
	}
	return false;
}

/* Where nobody is the bus reads ones. */
static uint8_t read_byte(struct irqchip *c, uint16_t port)
{
	uint8_t byte = 0xff;

	if (!pic_read(&c->pic, port, &byte) && c->has_pit &&
	    pit_read(&c->pit, port, irqchip_now(c), &byte))
		irqchip_rearm(c);
	return byte;
}

static void write_byte(struct irqchip *c, uint16_t port, uint8_t byte)
{
	if (!pic_write(&c->pic, port, byte) && c->has_pit &&
	    pit_write(&c->pit, port, irqchip_now(c), byte))
		irqchip_rearm(c);
}

/* As a bus of bytes does it: a wider access is one for each. */
bool irqchip_port_read(struct irqchip *c, uint16_t port, unsigned len,
		       uint32_t *value)
{
	if (!irqchip_owns_port(c, port))
		return false;
	irqchip_lock(c);
	*value = 0;
	for (unsigned i = 0; i < len; i++)
		*value |= (uint32_t)read_byte(c, (uint16_t)(port + i)) << 8 * i;
	irqchip_unlock(c);
	return true;
}

/*
 * A bit for each pin of GSI 0's that is not masked: PIC 0-15, I/O APIC 16-.
 * All, if nobody needs to know: there is nothing to forget.
 */
static uint64_t irq0_open(const struct irqchip *c)
{
	uint64_t open = 0;

	if (!c->has_pit || !c->pit.missed)
		return ~0ull;
	for (unsigned line = 0; line < PIC_LINES; line++)
		if (!(c->pic.chip[line / 8].imr >> line % 8 & 1) &&
		    routing_gsi(&c->routing, line / 8, line % 8) == 0)
			open |= 1ull << line;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		if (!ioapic_masked(&c->ioapic, pin) &&
		    routing_gsi(&c->routing, KVM_IRQCHIP_IOAPIC, pin) == 0)
			open |= 1ull << (PIC_LINES + pin);
	return open;
}

/* Who opens an ear does not want to hear what was said before. */
static void irq0_opened(struct irqchip *c, uint64_t before)
{
	if (irq0_open(c) & ~before)
		pit_forget_missed(&c->pit);
}

bool irqchip_port_write(struct irqchip *c, uint16_t port, unsigned len,
			uint32_t value)
{
	if (!irqchip_owns_port(c, port))
		return false;
	irqchip_lock(c);
	const uint64_t open = irq0_open(c);

	for (unsigned i = 0; i < len; i++)
		write_byte(c, (uint16_t)(port + i), (uint8_t)(value >> 8 * i));
	irq0_opened(c, open);
	irqchip_unlock(c);
	return true;
}

static bool owns_gpa(const struct irqchip *c, uint64_t gpa)
{
	return c->full && gpa - c->ioapic_base < IOAPIC_LEN;
}

__attribute__((noinline)) static bool read_ioapic(struct irqchip *c,
						  uint64_t gpa, unsigned len,
						  uint64_t *value)
{
	irqchip_lock(c);
	*value = ioapic_read(&c->ioapic, gpa, len);
	irqchip_unlock(c);
	return true;
}

bool irqchip_mmio_read(struct irqchip *c, uint64_t gpa, unsigned len,
		       uint64_t *value)
{
	return owns_gpa(c, gpa) && read_ioapic(c, gpa, len, value);
}

/* Half of all writes are to IOREGSEL: they change no entry. */
static void write_ioapic(struct irqchip *c, uint64_t gpa, unsigned len,
			 uint64_t value)
{
	struct ioapic tried = irqchip_rehearsal(c);

	ioapic_write(&tried, gpa, len, value);
	const bool changes = memcmp(tried.rte, c->ioapic.rte,
				    sizeof(tried.rte)) != 0;
	if (changes)
		irqchip_publish_before(c, &tried);
	ioapic_write(&c->ioapic, gpa, len, value);
	if (changes)
		irqchip_publish(c);
}

bool irqchip_mmio_write(struct irqchip *c, uint64_t gpa, unsigned len,
			uint64_t value)
{
	if (!owns_gpa(c, gpa))
		return false;
	irqchip_lock(c);
	const uint64_t open = irq0_open(c);

	write_ioapic(c, gpa, len, value);
	irq0_opened(c, open);
	irqchip_unlock(c);
	return true;
}

bool irqchip_eoi(struct irqchip *c, uint8_t vector)
{
	if (!c->full)
		return true;
	irqchip_lock(c);
	ioapic_eoi(&c->ioapic, vector);
	irqchip_unlock(c);
	return false;
}

bool irqchip_intr(const struct irqchip *c)
{
	return c->intr;
}

int irqchip_acknowledge(struct irqchip *c)
{
	int vector = -1;

	irqchip_lock(c);
	if (pic_intr(&c->pic))
		vector = pic_acknowledge(&c->pic);
	irqchip_unlock(c);
	return vector;
}
