/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * irqchip_inside.h - what irqchip.c and irqchip_state.c share; nobody else's.
 * Context of everything but the lock itself: it is held.
 */
#pragma once

#include "irqchip.h"
#include "pic.h"
#include "pit.h"
#include "routing.h"
#include "wakeup.h"
#include <pthread.h>
#include <stdatomic.h>

struct irqchip {
	struct irqchip_wires wires; /* [I] */
	bool full;		    /* [I] not split */
	unsigned pins;		    /* [I] split: the client's I/O APICs' */
	pthread_mutex_t lock;	    /* all of what has no key */
	struct pic pic;
	struct ioapic ioapic;
	struct pit pit;
	struct routing routing;
	uint64_t vectors[4]; /* published by wires.eoi_vectors */
	uint64_t resampled[ROUTING_GSIS / 64];
	void (*acked)(void *ctx, uint32_t gsi);
	void *acked_ctx;
	struct wakeup wakeup;	      /* its own lock */
	atomic_bool has_pit;	      /* [a] changes under lock */
	atomic_bool has_speaker;      /* [a] as has_pit */
	atomic_bool intr;	      /* [a] as pic_intr() */
	_Atomic uint64_t ioapic_base; /* [a] as ioapic.base */
};

static inline void irqchip_lock(struct irqchip *c)
{
	pthread_mutex_lock(&c->lock);
}

static inline void irqchip_unlock(struct irqchip *c)
{
	pthread_mutex_unlock(&c->lock);
}

int64_t irqchip_now(const struct irqchip *c);

/* pit_wires.irq; ctx is the irqchip. */
int irqchip_irq0(void *ctx, bool level);

/* The PIT may have to be called at another time. */
void irqchip_rearm(struct irqchip *c);

/*
 * What the chips or the routing want EOIs of has changed: tell the VMM. Not
 * needed after an EOI: what is live only until then is kept.
 */
void irqchip_publish(struct irqchip *c);

/* A copy of the I/O APIC, to try something on that will be done to it. */
struct ioapic irqchip_rehearsal(const struct irqchip *c);

/* Have the VMM know all vectors of now and of after what was tried. */
void irqchip_publish_before(struct irqchip *c, const struct ioapic *tried);
