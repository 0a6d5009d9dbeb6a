/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - dom0's accesses to the trapped ports: done for it, watched for two
 * things. ACPI "PM1 Control Registers", "Sleeping States", "FACS".
 */
#include "io.h"
#include "console.h"
#include "dom0.h"
#include "domu.h"
#include "mem.h"

#define CMOS_INDEX	0x70
#define CMOS_DATA	0x71
#define CMOS_SHUTDOWN	0x0f /* register: what a CPU does after INIT */
#define SHUTDOWN_JUMP	0x0a /* jump through 40:67, as INIT-SIPI needs */
#define CMOS_INDEX_MASK 0x7f /* bit 7 disables NMIs */
#define PM1_SLP_EN	BIT(13)
#define PM1_SLP_TYP(v)	((v) >> 10 & 7)
#define FACS_WAKING	12 /* firmware waking vector, 32 bits */
#define FACS_LEN	64

unsigned io_trapped(uint16_t *ports)
{
	const struct acpi_sleep *s = &dom0.sleep;
	unsigned n = 0;

	ports[n++] = CMOS_INDEX;
	for (uint16_t i = 0; i < 16; i++)
		ports[n++] = LUV_TOKEN_PORT + i;
	ports[n++] = CMOS_DATA;
	if (dom0.has_sleep && s->has_s3) {
		ports[n++] = s->pm1a_cnt;
		ports[n++] = s->pm1a_cnt + 1;
		if (s->pm1b_cnt) {
			ports[n++] = s->pm1b_cnt;
			ports[n++] = s->pm1b_cnt + 1;
		}
	}
	return n;
}

/*
 * S3 would power the CPUs off and come back through the BIOS without a VMM.
 * Instead dom0 wakes up at once: at its own waking vector, in real mode, with
 * memory and devices as they were.
 */
static enum exit_action sleep_s3(struct vcpu *v)
{
	static _Atomic unsigned said;
	uint64_t facs = dom0.sleep.facs;
	uint32_t vector = 0;

	if (facs && facs + FACS_LEN < mem.top)
		vector = *(volatile uint32_t *)hpa_ptr(HPA(facs + FACS_WAKING));
	if (!vector || vector >= MIB) {
		log_few(&said, "luvalley: suspend to RAM refused: dom0 has set no "
			   "real-mode waking vector\n");
		return SKIP;
	}
	log_printf("luvalley: suspend to RAM is not carried out: dom0 wakes at "
		   "once at %x\n", vector);
	hv->reset(v, (uint16_t)(vector >> 4), (uint16_t)(vector & 0xf));
	return RESUME;
}

static bool wants_s3(uint16_t port, uint32_t value, unsigned size)
{
	const struct acpi_sleep *s = &dom0.sleep;
	uint16_t base = port & 1 ? port - 1 : port;

	if (!dom0.has_sleep || !s->has_s3 ||
	    (base != s->pm1a_cnt && base != s->pm1b_cnt))
		return false;
	if (size == 1)
		value = port & 1 ? value << 8 : 0;
	return (value & PM1_SLP_EN) &&
	       PM1_SLP_TYP(value) == (base == s->pm1a_cnt ? s->s3_a : s->s3_b);
}

static void out(uint16_t port, uint32_t value, unsigned size)
{
	if (size == 1)
		outb(port, (uint8_t)value);
	else if (size == 2)
		outw(port, (uint16_t)value);
	else
		outl(port, value);
}

static void in(struct vcpu *v, uint16_t port, unsigned size)
{
	uint64_t *rax = &v->gpr[RAX];

	if (size == 1)
		*rax = (*rax & ~0xffull) | inb(port);
	else if (size == 2)
		*rax = (*rax & ~0xffffull) | inw(port);
	else
		*rax = inl(port);
}

/* Is this the write of the code that goes before an INIT? */
static bool announces_init(uint16_t port, uint32_t value, unsigned size)
{
	static _Atomic uint8_t index;

	if (port == CMOS_INDEX) {
		index = value & CMOS_INDEX_MASK;
		if (size == 1)
			return false;
		value >>= 8;
	} else if (port != CMOS_DATA) {
		return false;
	}
	return index == CMOS_SHUTDOWN && (value & 0xff) == SHUTDOWN_JUMP;
}

enum exit_action io_exit(struct vcpu *v)
{
	static _Atomic unsigned said;
	const struct vmexit *x = v->exit;
	uint32_t value = (uint32_t)v->gpr[RAX];

	if (x->string) {
		log_few(&said, "luvalley: string I/O to port %x is not carried "
			   "out: #GP\n", x->port);
		hv->inject(v, VEC_GP, 0);
		return RESUME;
	}
	if (x->port >= LUV_TOKEN_PORT && x->port < LUV_TOKEN_PORT + 16) {
		if (x->in && x->size == 4)
			v->gpr[RAX] = domu_token((x->port - LUV_TOKEN_PORT) / 4);
		return SKIP;
	}
	if (x->in) {
		in(v, x->port, x->size);
		return SKIP;
	}
	if (announces_init(x->port, value, x->size) && !v->cpu->apic.x2apic)
		dom0_apic_trap(true);
	if (wants_s3(x->port, value, x->size))
		return sleep_s3(v);
	out(x->port, value, x->size);
	return SKIP;
}
