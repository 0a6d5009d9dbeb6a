/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pic.h - the two 8259A interrupt controllers of a PC, and their ELCRs.
 * Owns nothing but its structure; knows no thread, no clock, no VM.
 *
 * Intel 8259A data sheet: "Initialization Command Words", "Operation Command
 * Words", "Fully Nested Mode", "Automatic Rotation", "Special Mask Mode",
 * "Poll Command", "Edge and Level Triggered Modes", "Special Fully Nested
 * Mode". ELCR: 82371AB (PIIX4) data sheet, "Interrupt Controller".
 *
 * As KVM's and every PC chipset's, not as the bare chip's: LTIM is ignored
 * (ELCR decides), 8080 and buffered modes are not there, and an edge stays
 * latched when its line falls before it is acknowledged. Irqfds pulse lines.
 *
 * Context of everything here: the caller's lock of this VM is held, and is
 * held while the wires are called.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define PIC_LINES 16 /* 0-7 the master's, 8-15 the slave's; 2 is the cascade */

/* What leaves the chips. None may be NULL but eoi. */
struct pic_wires {
	/* The master's INT output has changed. Must not call back. */
	void (*intr)(void *ctx, bool level);
	/* `line` left service. May call pic_set_irq(). */
	void (*eoi)(void *ctx, unsigned line);
	void *ctx;
};

struct pic { /* all of it under the caller's lock */
	struct pic_wires wires;	      /* [I] */
	struct kvm_pic_state chip[2]; /* KVM_IRQCHIP_PIC_MASTER, _SLAVE */
	uint16_t ended; /* lines whose EOI is not yet reported */
	bool intr;	/* level of the INT output */
};

/* Power-on: not initialised, nothing masked, INT low. Calls no wire. */
void pic_init(struct pic *p, const struct pic_wires *wires);

/*
 * pic_set_irq - drive an input.
 *   line  < PIC_LINES; 2 is not connected
 * Returns what KVM_IRQ_LINE_STATUS wants: > 0 taken, 0 coalesced with a
 * request that waits, < 0 ignored (masked, but an edge stays latched).
 */
int pic_set_irq(struct pic *p, unsigned line, bool level);

/*
 * Ports 20h, 21h, A0h, A1h, 4D0h, 4D1h, a byte at a time. A read may have
 * effects (poll). Return false, with nothing done, for any other port.
 */
bool pic_read(struct pic *p, uint16_t port, uint8_t *value);
bool pic_write(struct pic *p, uint16_t port, uint8_t value);

/* Level of the INT output, as last told to wires.intr. */
bool pic_intr(const struct pic *p);

/*
 * pic_acknowledge - the CPU's two INTA cycles.
 * Returns the vector; without a request that of IRQ7 (or IRQ15, if the slave
 * has withdrawn), with nothing (or the cascade alone) in service.
 */
uint8_t pic_acknowledge(struct pic *p);

/*
 * State as KVM_GET_IRQCHIP and KVM_SET_IRQCHIP have it, one chip at a time.
 *   chip  KVM_IRQCHIP_PIC_MASTER or KVM_IRQCHIP_PIC_SLAVE
 * Nonsense in `state` is made sense of (indices masked, flags 0 or 1). INT
 * follows, through wires.intr: in between the two chips of a restore it may
 * change twice.
 */
void pic_get(const struct pic *p, unsigned chip, struct kvm_pic_state *state);
void pic_set(struct pic *p, unsigned chip, const struct kvm_pic_state *state);
