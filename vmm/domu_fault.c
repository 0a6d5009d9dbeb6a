/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu_fault.c - stage 2 of a domU: what its owner has at a guest-physical
 * address, mapped when the guest gets there. Changes under the VM's lock.
 */
#include "domu.h"
#include "dom0.h"
#include "mem.h"
#include "string.h"
#include "trace.h"

static const struct luv_slot *slot_at(const struct vm *vm, uint64_t gpa)
{
	for (unsigned i = 0; i < vm->slots; i++)
		if (gpa - vm->slot[i].gpa < vm->slot[i].len)
			return &vm->slot[i];
	return NULL;
}

/* Are all pieces of a slot that [hva, hva+size) touches pinned? */
static bool granted(const struct vm *vm, const struct luv_slot *s,
		    uint64_t hva)
{
	uint64_t i = (hva - ALIGN_DOWN(s->hva, 2 * MIB)) / (2 * MIB);

	return !(s->flags & LUV_SLOT_LAZY) ||
	       (vm->granted[s->slot][i / 8] & 1u << i % 8);
}

/* Where the owner has hva; *left: bytes to the end of its page. */
static bool owner_page(const struct gpaging *p, uint64_t hva, bool write,
		       uint64_t *pa, uint64_t *left)
{
	gpa_t at;

	if (gwalk(p, GVA(hva), write ? GW_WRITE : GW_READ, &dom0_mem, &at,
		  left) != OK)
		return false;
	*pa = at.v;
	return true;
}

static enum err map(struct vm *vm, uint64_t gpa, uint64_t pa, uint64_t size,
		    unsigned perm)
{
	enum err e = stage2_map(&vm->s2, GPA(gpa), pa, size, perm, MTRR_WB);

	if (e == OK)
		trace_mapped(vm, gpa, pa, size, perm);
	return e;
}

/*
 * Is the owner's page a large one? A small one that is the last of 2 MiB looks
 * the same as the end of a large one: then the beginning tells.
 */
static bool owner_large(const struct gpaging *p, uint64_t hva, bool write,
			uint64_t left)
{
	uint64_t offset = hva & (2 * MIB - 1), pa;

	if (left < 2 * MIB - offset)
		return false;
	return left > PAGE_SIZE ||
	       (owner_page(p, hva - offset, write, &pa, &left) &&
		left >= 2 * MIB);
}

/*
 * A piece is pinned whole, so the pages beside one that the guest touches are
 * there as well, mostly: an exit saved for each that it touches next. Those
 * within the slot, in the same row of RAM as its, and below the same table.
 */
static void map_around(struct vcpu *v, const struct luv_slot *s, gpa_t page,
		       uint64_t hva, const struct luv_mem *ram, unsigned perm)
{
	const unsigned at = hva / PAGE_SIZE % GW_AROUND;
	unsigned from = at, to = at + 1;
	uint64_t pa[GW_AROUND], gpa;

	if (!gwalk_around(&v->cpu->paging, GVA(hva),
			  perm & S2_W ? GW_WRITE : GW_READ, &dom0_mem, pa))
		return;
	for (gpa = page.v; from > 0 && gpa > s->gpa && gpa % (2 * MIB);
	     gpa -= PAGE_SIZE)
		from--;
	for (gpa = page.v + PAGE_SIZE;
	     to < GW_AROUND && gpa < s->gpa + s->len && gpa % (2 * MIB);
	     gpa += PAGE_SIZE)
		to++;
	gpa = page.v - (at - from) * PAGE_SIZE;
	for (unsigned i = from; i < to; i++)
		if (pa[i] - ram->base > ram->len - PAGE_SIZE)
			pa[i] = STAGE2_NONE;
	stage2_map_around(&v->vm->s2, GPA(gpa), pa + from, to - from, perm,
			  MTRR_WB);
	for (unsigned i = from; i < to; i++, gpa += PAGE_SIZE)
		if (pa[i] != STAGE2_NONE)
			trace_mapped(v->vm, gpa, pa[i], PAGE_SIZE, perm);
}
_Static_assert(GW_NONE == STAGE2_NONE, "one value passes through");

/* The page at gpa, as large as both sides allow; under the VM's lock. */
static enum err map_page(struct vcpu *v, const struct luv_slot *s, gpa_t page)
{
	uint64_t hva = s->hva + (page.v - s->gpa), pa, left;
	uint64_t big = ALIGN_DOWN(page.v, 2 * MIB);
	bool ro = s->flags & LUV_SLOT_READONLY;
	unsigned perm = ro ? S2_R | S2_X : S2_RWX;
	const struct gpaging *owner = &v->cpu->paging;
	const struct luv_mem *ram;

	if (!granted(v->vm, s, hva) ||
	    !owner_page(owner, hva, !ro, &pa, &left))
		return ERR_FAULT;
	if (!((s->gpa ^ s->hva) & (2 * MIB - 1)) && big >= s->gpa &&
	    big + 2 * MIB <= s->gpa + s->len &&
	    owner_large(owner, hva, !ro, left) &&
	    e820_is_ram(&dom0.map, ALIGN_DOWN(pa, 2 * MIB), 2 * MIB) &&
	    map(v->vm, big, ALIGN_DOWN(pa, 2 * MIB), 2 * MIB, perm) == OK)
		return OK;
	ram = e820_ram_row(&dom0.map, pa);
	if (!ram || ram->len < PAGE_SIZE ||
	    pa - ram->base > ram->len - PAGE_SIZE)
		return ERR_FAULT;
	if (map(v->vm, page.v, pa, PAGE_SIZE, perm) != OK)
		return ERR_NOMEM;
	map_around(v, s, page, hva, ram, perm);
	return OK;
}

enum err domu_map(struct vcpu *v, gpa_t gpa, bool write, struct luv_slot *slot,
		  uint64_t *hva)
{
	struct vm *vm = v->vm;
	gpa_t page = GPA(ALIGN_DOWN(gpa.v, PAGE_SIZE));
	const struct luv_slot *s;
	enum err e = ERR_NOENT;

	lock(&vm->lock);
	s = slot_at(vm, page.v);
	if (s && !((s->flags & LUV_SLOT_READONLY) && write)) {
		e = map_page(v, s, page);
		if (e == ERR_FAULT) {
			*slot = *s;
			*hva = s->hva + (page.v - s->gpa);
		}
	}
	unlock(&vm->lock);
	return e;
}

bool guest_read(const struct vcpu *v, gpa_t gpa, void *buf, size_t len)
{
	uint64_t pa = gpa.v, size, leaf;

	if (v->vm) {
		leaf = stage2_lookup(&v->vm->s2, gpa, &size);
		if (!leaf)
			return false;
		pa = (leaf & 0x000ffffffffff000 & ~(size - 1)) |
		     (gpa.v & (size - 1));
	}
	if (!e820_is_ram(&dom0.map, pa, len))
		return false;
	memcpy(buf, hpa_ptr(HPA(pa)), len);
	return true;
}
