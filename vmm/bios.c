/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bios.c - see bios.h. INT 15h functions: ACPI "INT 15H, E820H - Query System
 * Address Map"; E801h and AH=88h as PC BIOSes have them.
 */
#include "bios.h"
#include "console.h"
#include "dom0.h"
#include "dump.h"
#include "e820.h"
#include "hv.h"
#include "mem.h"
#include "string.h"

#define IVT_INT15    (0x15 * 4)
#define BDA_BASE_KIB 0x413
#define SMAP	     0x534d4150
#define E820_ROW     20
#define LOW_END	     0xa0000
#define STACKED_FLAGS 4 /* bytes above SP in an interrupt frame */
#define VMM_CALL_LEN 3

extern const char bios_stub[], bios_int15[], bios_start[], bios_drive[],
	bios_old15[], bios_call15[], bios_call_go[], bios_call_fail[],
	bios_linux[], bios_stub_end[];

static uint16_t stub_segment;

static uint16_t offset(const char *label)
{
	return (uint16_t)(label - bios_stub);
}

static void *low(uint32_t pa)
{
	return hpa_ptr(HPA(pa));
}

void bios_prepare(uint8_t boot_drive)
{
	static const uint8_t vmcall[] = { 0x0f, 0x01, 0xc1 };
	static const uint8_t vmmcall[] = { 0x0f, 0x01, 0xd9 };
	const uint8_t *call = hv->isa == LUV_ISA_VMX ? vmcall : vmmcall;
	uint16_t *base_kib = low(BDA_BASE_KIB);
	uint16_t *vector = low(IVT_INT15);
	uint32_t marker = BIOS_MARKER;
	char *stub;

	--*base_kib;
	stub_segment = (uint16_t)(*base_kib * (KIB / 16));
	stub = low((uint32_t)stub_segment << 4);
	memcpy(stub, bios_stub, (size_t)(bios_stub_end - bios_stub));
	memcpy(stub + offset(bios_call15), call, VMM_CALL_LEN);
	memcpy(stub + offset(bios_call_go), call, VMM_CALL_LEN);
	memcpy(stub + offset(bios_call_fail), call, VMM_CALL_LEN);
	memcpy(stub + offset(bios_old15), vector, 4);
	stub[offset(bios_drive)] = (char)boot_drive;
	vector[0] = offset(bios_int15);
	vector[1] = stub_segment;
	memcpy(low(BIOS_MARKER_PA), &marker, sizeof(marker));
	if (e820_carve(&dom0.map, (uint64_t)stub_segment << 4, KIB,
		       LUV_MEM_RESERVED, false) != OK)
		die("the memory map has too many rows to hook INT 15h");
}

void bios_entry(bool linux_image, uint16_t *cs, uint16_t *ip)
{
	*cs = stub_segment;
	*ip = offset(linux_image ? bios_linux : bios_start);
}

static bool e820_row(struct vcpu *v, const struct guest_state *g)
{
	uint32_t i = (uint32_t)v->gpr[RBX];
	uint32_t at = ((uint32_t)g->es << 4) + (uint16_t)v->gpr[RDI];
	const struct luv_mem *m;
	char *out;

	if ((uint32_t)v->gpr[RDX] != SMAP || (uint32_t)v->gpr[RCX] < E820_ROW ||
	    i >= dom0.map.count || at + E820_ROW > LOW_END)
		return false;
	m = &dom0.map.row[i];
	out = low(at);
	memcpy(out, &m->base, 8);
	memcpy(out + 8, &m->len, 8);
	memcpy(out + 16, &m->type, 4);
	v->gpr[RAX] = SMAP;
	v->gpr[RCX] = E820_ROW;
	v->gpr[RBX] = i + 1 < dom0.map.count ? i + 1 : 0;
	return true;
}

static void set16(uint64_t *reg, uint16_t value)
{
	*reg = (*reg & ~0xffffull) | value;
}

static bool int15(struct vcpu *v, const struct guest_state *g)
{
	uint16_t kib, blocks;

	switch ((uint16_t)v->gpr[RAX]) {
	case 0xe820:
		return e820_row(v, g);
	case 0xe801:
		e820_int15_e801(&dom0.map, &kib, &blocks);
		set16(&v->gpr[RAX], kib);
		set16(&v->gpr[RCX], kib);
		set16(&v->gpr[RBX], blocks);
		set16(&v->gpr[RDX], blocks);
		return true;
	default:
		set16(&v->gpr[RAX], e820_int15_88(&dom0.map));
		return true;
	}
}

/* The caller gets CF from the FLAGS that IRET pops. */
static void return_carry(struct vcpu *v, const struct guest_state *g, bool cf)
{
	uint32_t at = (uint32_t)g->ss_base +
		      (uint16_t)(v->gpr[RSP] + STACKED_FLAGS);
	uint8_t *flags;

	if (at >= LOW_END)
		return;
	flags = low(at);
	*flags = (uint8_t)((*flags & ~RFLAGS_CF) | (cf ? RFLAGS_CF : 0));
}

static void no_boot_sector(const struct vcpu *v)
{
	console_seize();
	die("no bootable disk: BIOS drive 0x%x %s (INT 13h status 0x%02x); "
	    "attach a bootable disk or choose another with boot_drive=0x81",
	    dom0.opt.boot_drive,
	    v->gpr[RAX] >> 8 & 0xff ? "cannot be read" :
				      "has no boot signature",
	    (unsigned)(v->gpr[RAX] >> 8 & 0xff));
}

bool bios_call(struct vcpu *v, enum exit_action *action)
{
	struct guest_state g;
	uint16_t ip;

	hv->snapshot(v, &g);
	if ((g.paging.cr0 & CR0_PE) || g.cs != stub_segment)
		return false;
	*action = SKIP;
	ip = (uint16_t)g.rip;
	if (ip == offset(bios_call15)) {
		return_carry(v, &g, !int15(v, &g));
	} else if (ip == offset(bios_call_go)) {
		log_printf("luvalley: starting dom0 from BIOS drive 0x%x\n",
			   dom0.opt.boot_drive);
		console_yield();
	} else if (ip == offset(bios_call_fail)) {
		no_boot_sector(v);
	} else {
		return false;
	}
	return true;
}
