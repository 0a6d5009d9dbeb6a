/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pit.h - the 8254 of a PC: three counters, IRQ0, and the part of port 61h
 * that belongs to them. Owns nothing but its structure; has no thread and no
 * clock: the caller says what time it is.
 *
 * Intel 8254 data sheet; 82371AB (PIIX4) data sheet, "NMI Status and Control
 * Register" (port 61h). KVM_CREATE_PIT2, KVM_REINJECT_CONTROL.
 *
 * Time: nanoseconds of CLOCK_MONOTONIC, 0 <= time < 2^61. A time before that
 * of an earlier call counts as that one's: threads need not agree exactly.
 * Context of everything here: the caller's lock of this VM is held, and is
 * held while the wire is called.
 *
 *	thread of the VM, with the lock:
 *		for (;;) {
 *			pit_advance(p, now());
 *			wait until pit_next_event_ns(p), or another port write
 *		}
 */
#pragma once

#include "pit_counter.h"

#define PIT_MIN_PERIOD_NS 200000 /* KVM's min_timer_period_us */

struct pit_wires {
	/*
	 * Drive IRQ0, i.e. counter 0's OUT. Every rising edge is a call with
	 * false and one with true; falling ones are told late. Must not call
	 * back. Returns as routing_set_irq().
	 */
	int (*irq)(void *ctx, bool level);
	void *ctx;
};

struct pit { /* all of it under the caller's lock */
	struct pit_wires wires; /* [I] */
	bool has_speaker;	/* [I] */
	struct pit_counter counter[3];
	int64_t now;
	uint64_t missed;   /* ticks to be made up for, if reinject */
	bool line;	   /* IRQ0, as last told */
	bool refire;	   /* restored after its end: see pit_set() */
	bool reinject;	   /* KVM_REINJECT_CONTROL */
	bool hpet_legacy;  /* IRQ0 is the HPET's */
	bool speaker_data; /* port 61h, bit 1 */
};

/*
 * pit_init - power-on: no counter programmed, the gate of counter 2 low,
 * reinjection on (KVM's default). Calls no wire.
 *   flags  of struct kvm_pit_config: KVM_PIT_SPEAKER_DUMMY claims port 61h
 */
void pit_init(struct pit *p, int64_t now, uint32_t flags,
	      const struct pit_wires *wires);

/*
 * Ports 40h to 43h, and 61h if it was claimed, a byte at a time. They
 * advance to `now` first. Return false, with nothing done, for other ports.
 */
bool pit_read(struct pit *p, uint16_t port, int64_t now, uint8_t *value);
bool pit_write(struct pit *p, uint16_t port, int64_t now, uint8_t value);

/*
 * pit_advance - let time pass. Any number of edges in it is one edge on the
 * wire; with reinjection the others are missed ticks.
 */
void pit_advance(struct pit *p, int64_t now);

/*
 * When to call pit_advance() next: the next rising edge of IRQ0, or
 * PIT_NEVER. Changes with any call here. Periods below PIT_MIN_PERIOD_NS are
 * served that seldom, and their missed ticks are lost.
 */
int64_t pit_next_event_ns(const struct pit *p);

/*
 * Reinjection: a tick that coalesced, or that nobody woke up for in time, is
 * made up for at an EOI. Without it such ticks are lost. Ticks that nobody
 * listens to (wires.irq returns < 0) are lost in any case.
 */
void pit_reinject(struct pit *p, bool on);

/* The guest's EOI of IRQ0, at the PIC or an I/O APIC. May fire one tick. */
void pit_acked(struct pit *p);

/* IRQ0 was unmasked: ticks missed before then are not to be made up for. */
void pit_forget_missed(struct pit *p);

/*
 * State as KVM_GET_PIT2 and KVM_SET_PIT2 have it (KVM_GET_PIT and KVM_SET_PIT
 * are its first member). Counters go on as if the time between count_load_time
 * and `now` had passed here: who wants that a stopped VM's clock stands still
 * moves count_load_time, as QEMU does. A one-shot (modes 0, 4) of counter 0
 * that has ended before `now` fires once more: the state cannot say that it
 * has fired, and KVM starts it again. Missed ticks are not in it.
 */
void pit_get(struct pit *p, int64_t now, struct kvm_pit_state2 *state);
void pit_set(struct pit *p, int64_t now, const struct kvm_pit_state2 *state);
