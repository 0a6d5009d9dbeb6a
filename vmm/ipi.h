/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipi.h - dom0's INIT and SIPI messages as data: decoding the ICR, who a
 * message is for, and what it does to the state of a virtual CPU. Pure; the
 * caller makes each step atomic with a compare-and-swap on the state word.
 * SDM "Interrupt Command Register (ICR)", "Determining IPI Destination",
 * "MP Initialization Protocol Algorithm".
 */
#pragma once

#include "types.h"

enum icr_mode { ICR_FIXED = 0, ICR_LOWEST = 1, ICR_SMI = 2, ICR_NMI = 4,
		ICR_INIT = 5, ICR_SIPI = 6 };
enum icr_shorthand { ICR_DEST = 0, ICR_SELF = 1, ICR_ALL = 2, ICR_OTHERS = 3 };

struct icr {
	uint32_t dest; /* APIC ID or logical mask, width by mode */
	uint8_t vector;
	uint8_t mode;	   /* enum icr_mode */
	uint8_t shorthand; /* enum icr_shorthand */
	bool logical;
	bool assert_; /* level bit */
	bool level;   /* trigger mode bit */
	bool x2apic;
};

struct icr icr_from_xapic(uint32_t high, uint32_t low);
struct icr icr_from_x2apic(uint64_t value);

/*
 * Is this a message that must not reach a physical CPU: INIT or SIPI?
 * (INIT level de-assert counts: it is swallowed too.)
 */
bool icr_is_startup(const struct icr *icr);

/* How a CPU's local APIC is addressed now. */
struct apic_addr {
	uint32_t id;  /* xAPIC: 8 bits; x2APIC: 32 bits */
	uint32_t ldr; /* xAPIC: logical ID in bits 31:24 */
	uint32_t dfr; /* xAPIC: model in bits 31:28, 0xf flat, 0 cluster */
	bool x2apic;  /* logical: cluster in ldr 31:16, mask in 15:0 */
};

/* Does `icr`, sent by CPU `from`, reach CPU `to`? from == to: same CPU. */
bool icr_reaches(const struct icr *icr, const struct apic_addr *from,
		 const struct apic_addr *to);

/*
 * State word of one virtual CPU: a state, and a start-up vector in bits 15:8
 * where the state has one.
 *
 *	          INIT                        SIPI v
 *	RUN       -> RESET, kick it           ignored
 *	RESET     stays (drops a latched v)   -> RESET_SIPI v (first one wins)
 *	RESET_SIPI -> RESET                   ignored
 *	WAIT      stays                       -> START v, wake it
 *	START     -> WAIT                     ignored
 *
 * The CPU itself: ipi_arrive() when it has parked: RESET -> WAIT,
 * RESET_SIPI v -> START v; ipi_start(): START v -> RUN.
 */
enum ipi_state { IPI_RUN, IPI_RESET, IPI_RESET_SIPI, IPI_WAIT, IPI_START };
enum ipi_action { IPI_NONE, IPI_KICK, IPI_WAKE };

#define IPI_STATE(word)	 ((enum ipi_state)((word)&0xff))
#define IPI_VECTOR(word) ((uint8_t)((word) >> 8))

/* The next word for `icr` (a startup message), and what the sender must do. */
uint32_t ipi_step(uint32_t word, const struct icr *icr, enum ipi_action *todo);
uint32_t ipi_arrive(uint32_t word);
uint32_t ipi_start(uint32_t word);
