/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipi.c - dom0's INIT and SIPI messages as data.
 *
 * Decoding and addressing follow the manual; the start-up protocol is two
 * tables over the states of ipi.h, one for each message.
 * SDM "Interrupt Command Register (ICR)", "Determining IPI Destination",
 * "Logical Destination Mode in x2APIC Mode".
 */
#include "ipi.h"

#define ICR_VECTOR	   0xff
#define ICR_MODE_SHIFT	   8
#define ICR_MODE_MASK	   7
#define ICR_LOGICAL	   BIT(11)
#define ICR_ASSERT	   BIT(14)
#define ICR_LEVEL	   BIT(15)
#define ICR_SHORTHAND_SHIFT 18
#define ICR_SHORTHAND_MASK 3

#define XAPIC_DEST_SHIFT   24
#define XAPIC_BROADCAST	   0xff
#define X2APIC_BROADCAST   0xffffffff

#define DFR_MODEL_SHIFT	   28
#define DFR_FLAT	   0xf
#define DFR_CLUSTER	   0x0

static struct icr decode(uint32_t low, uint32_t dest, bool x2apic)
{
	return (struct icr){
		.dest = dest,
		.vector = low & ICR_VECTOR,
		.mode = low >> ICR_MODE_SHIFT & ICR_MODE_MASK,
		.shorthand = low >> ICR_SHORTHAND_SHIFT & ICR_SHORTHAND_MASK,
		.logical = low & ICR_LOGICAL,
		.assert_ = low & ICR_ASSERT,
		.level = low & ICR_LEVEL,
		.x2apic = x2apic,
	};
}

struct icr icr_from_xapic(uint32_t high, uint32_t low)
{
	return decode(low, high >> XAPIC_DEST_SHIFT, false);
}

struct icr icr_from_x2apic(uint64_t value)
{
	return decode((uint32_t)value, (uint32_t)(value >> 32), true);
}

bool icr_is_startup(const struct icr *icr)
{
	return icr->mode == ICR_INIT || icr->mode == ICR_SIPI;
}

static bool logical_x2apic(uint32_t dest, uint32_t ldr)
{
	return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
}

static bool logical_xapic(uint32_t dest, const struct apic_addr *to)
{
	const uint32_t id = to->ldr >> XAPIC_DEST_SHIFT;

	switch (to->dfr >> DFR_MODEL_SHIFT) {
	case DFR_FLAT:
		return dest & id;
	case DFR_CLUSTER:
		return dest >> 4 == id >> 4 && (dest & id & 0xf);
	default:
		return false;
	}
}

static bool dest_reaches(const struct icr *icr, const struct apic_addr *to)
{
	if (icr->dest == (icr->x2apic ? X2APIC_BROADCAST : XAPIC_BROADCAST))
		return true;
	if (!icr->logical)
		return icr->dest == to->id;
	return to->x2apic ? logical_x2apic(icr->dest, to->ldr) :
			    logical_xapic(icr->dest, to);
}

bool icr_reaches(const struct icr *icr, const struct apic_addr *from,
		 const struct apic_addr *to)
{
	switch (icr->shorthand) {
	case ICR_SELF:
		return from == to;
	case ICR_ALL:
		return true;
	case ICR_OTHERS:
		return from != to;
	default:
		return dest_reaches(icr, to);
	}
}

/* What one message does in one state. */
struct step {
	uint8_t next;	/* enum ipi_state */
	uint8_t action; /* enum ipi_action */
};

static const struct step on_init[] = {
	[IPI_RUN] = { IPI_RESET, IPI_KICK },
	[IPI_RESET] = { IPI_RESET, IPI_NONE },
	[IPI_RESET_SIPI] = { IPI_RESET, IPI_NONE },
	[IPI_WAIT] = { IPI_WAIT, IPI_NONE },
	[IPI_START] = { IPI_WAIT, IPI_NONE },
};
_Static_assert(ARRAY_SIZE(on_init) == IPI_START + 1, "a row per state");

/* Only a change of state takes the vector: the first SIPI wins. */
static const struct step on_sipi[] = {
	[IPI_RUN] = { IPI_RUN, IPI_NONE },
	[IPI_RESET] = { IPI_RESET_SIPI, IPI_NONE },
	[IPI_RESET_SIPI] = { IPI_RESET_SIPI, IPI_NONE },
	[IPI_WAIT] = { IPI_START, IPI_WAKE },
	[IPI_START] = { IPI_START, IPI_NONE },
};
_Static_assert(ARRAY_SIZE(on_sipi) == IPI_START + 1, "a row per state");

static uint32_t make_word(unsigned state, uint8_t vector)
{
	return state | (uint32_t)vector << 8;
}

/* The bus message that modern APICs ignore: INIT level de-assert. */
static bool is_deassert(const struct icr *icr)
{
	return icr->mode == ICR_INIT && icr->level && !icr->assert_;
}

uint32_t ipi_step(uint32_t word, const struct icr *icr, enum ipi_action *todo)
{
	const enum ipi_state state = IPI_STATE(word);

	*todo = IPI_NONE;
	if (!icr_is_startup(icr) || is_deassert(icr))
		return word;
	if (icr->mode == ICR_INIT) {
		*todo = (enum ipi_action)on_init[state].action;
		return make_word(on_init[state].next, 0);
	}
	if (on_sipi[state].next == state)
		return word;
	*todo = (enum ipi_action)on_sipi[state].action;
	return make_word(on_sipi[state].next, icr->vector);
}

uint32_t ipi_arrive(uint32_t word)
{
	switch (IPI_STATE(word)) {
	case IPI_RESET:
		return IPI_WAIT;
	case IPI_RESET_SIPI:
		return make_word(IPI_START, IPI_VECTOR(word));
	default:
		return word;
	}
}

uint32_t ipi_start(uint32_t word)
{
	return IPI_STATE(word) == IPI_START ? IPI_RUN : word;
}
