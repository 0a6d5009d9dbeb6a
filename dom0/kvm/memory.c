/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c - see memory.h. */
#include "memory.h"
#include "hyper.h"
#include "libluv.h"
#include "pin.h"
#include "say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	    UINT64_C(4096)
#define FLAGS_KNOWN (KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)
#define GPA_END	    (UINT64_C(1) << 48)
#define HVA_END	    (UINT64_C(1) << 47)

void memory_init(struct memory *m, uint64_t vm)
{
	memset(m, 0, sizeof(*m));
	m->vm = vm;
}

/* --- pieces ------------------------------------------------------------------- */

uint64_t memory_pieces(const struct slot *s)
{
	if (!s->len)
		return 0;
	return (s->hva + s->len - 1) / PIECE_SIZE - s->hva / PIECE_SIZE + 1;
}

void memory_piece(const struct slot *s, uint64_t i, uint64_t *hva,
		  uint64_t *len)
{
	uint64_t begin = (s->hva / PIECE_SIZE + i) * PIECE_SIZE;
	uint64_t end = begin + PIECE_SIZE;

	if (begin < s->hva)
		begin = s->hva;
	if (end > s->hva + s->len)
		end = s->hva + s->len;
	*hva = begin;
	*len = end - begin;
}

static long piece_pin(struct slot *s, uint64_t i)
{
	uint64_t hva, len;

	if (s->pin[i])
		return 0;
	memory_piece(s, i, &hva, &len);
	s->pin[i] = pin_add((void *)hva, len);
	return s->pin[i] ? 0 : -ENOMEM;
}

static void slot_unpin(struct slot *s)
{
	for (uint64_t i = 0; s->pin && i < memory_pieces(s); i++)
		pin_remove(s->pin[i]);
	free(s->pin);
	s->pin = NULL;
}

void memory_free(struct memory *m)
{
	for (unsigned i = 0; i < LUV_SLOTS; i++)
		slot_unpin(&m->slot[i]);
}

/* --- changes ------------------------------------------------------------------ */

static bool overlaps(const struct memory *m,
		     const struct kvm_userspace_memory_region *r)
{
	for (unsigned i = 0; i < LUV_SLOTS; i++) {
		const struct slot *s = &m->slot[i];

		if (i != r->slot && s->len &&
		    r->guest_phys_addr < s->gpa + s->len &&
		    s->gpa < r->guest_phys_addr + r->memory_size)
			return true;
	}
	return false;
}

/* As KVM: another size, place or protection is another slot. */
static bool may_become(const struct slot *s,
		       const struct kvm_userspace_memory_region *r)
{
	return s->len == r->memory_size && s->hva == r->userspace_addr &&
	       !((s->flags ^ r->flags) & KVM_MEM_READONLY);
}

long memory_check(const struct memory *m,
		  const struct kvm_userspace_memory_region *r)
{
	const uint64_t gpa = r->guest_phys_addr, len = r->memory_size;

	if (r->slot >= LUV_SLOTS || (r->flags & ~(uint32_t)FLAGS_KNOWN) ||
	    ((gpa | len | r->userspace_addr) & (PAGE - 1)))
		return -EINVAL;
	if (gpa + len < gpa || gpa + len > GPA_END ||
	    r->userspace_addr + len < len || r->userspace_addr + len > HVA_END)
		return -EINVAL;
	if (!len)
		return m->slot[r->slot].len ? 0 : -EINVAL;
	if (m->slot[r->slot].len && !may_become(&m->slot[r->slot], r))
		return -EINVAL;
	return overlaps(m, r) ? -EEXIST : 0;
}

static bool pin_all(void)
{
	const char *v = getenv("LUVKVM_PIN");

	return v && !strcmp(v, "all");
}

static long tell_vmm(struct memory *m, unsigned id, const struct slot *s)
{
	struct luv_slot l = { id, 0, s->gpa, s->len, s->hva };

	if (s->flags & KVM_MEM_READONLY)
		l.flags |= LUV_SLOT_READONLY;
	if (s->lazy)
		l.flags |= LUV_SLOT_LAZY;
	return hyper_buffer(LUV_CALL_vm_slot, m->vm, (uintptr_t)&l, 0, 0, &l,
			    sizeof(l));
}

/* The VMM forgets the pages first; then they may move. */
static long slot_delete(struct memory *m, unsigned id)
{
	struct slot *s = &m->slot[id], none = { 0 };
	long e = tell_vmm(m, id, &none);

	if (e)
		return e;
	slot_unpin(s);
	*s = none;
	return 0;
}

static long slot_create(struct memory *m, unsigned id, struct slot *s)
{
	uint64_t pieces = memory_pieces(s);
	long e = 0;

	s->lazy = !pin_all();
	s->pin = calloc(pieces, sizeof(*s->pin));
	if (!s->pin)
		return -ENOMEM;
	for (uint64_t i = 0; !e && !s->lazy && i < pieces; i++)
		e = piece_pin(s, i);
	if (!e)
		e = tell_vmm(m, id, s);
	if (e) {
		slot_unpin(s);
		return e;
	}
	m->slot[id] = *s;
	return 0;
}

/* The VMM answers with the number of pieces. */
static long grant(const struct memory *m, unsigned id, uint64_t piece)
{
	long n = hyper_simple(LUV_CALL_vm_grant, m->vm, id, piece, 1);

	return n < 0 ? n : 0;
}

/* Same memory, same pins: at most the address and the logging change. */
static long slot_move(struct memory *m, unsigned id, const struct slot *to)
{
	struct slot *s = &m->slot[id], moved = *s;
	long e = 0;

	moved.gpa = to->gpa;
	moved.flags = to->flags;
	if (moved.gpa == s->gpa) {
		*s = moved;
		return 0;
	}
	e = tell_vmm(m, id, &moved);
	if (e)
		return e;
	*s = moved;
	for (uint64_t i = 0; s->lazy && !e && i < memory_pieces(s); i++)
		if (s->pin[i])
			e = grant(m, id, i);
	return e;
}

long memory_set(struct memory *m, const struct kvm_userspace_memory_region *r)
{
	struct slot s = { .gpa = r->guest_phys_addr, .len = r->memory_size,
			  .hva = r->userspace_addr, .flags = r->flags };
	long e;

	share_begin(&m->lock);
	e = memory_check(m, r);
	if (!e && !s.len)
		e = slot_delete(m, r->slot);
	else if (!e && m->slot[r->slot].len)
		e = slot_move(m, r->slot, &s);
	else if (!e)
		e = slot_create(m, r->slot, &s);
	m->changes++;
	if (m->slots <= r->slot && !e)
		m->slots = r->slot + 1;
	share_end(&m->lock);
	if (e)
		debug(1, "slot %u: gpa %#llx, %#llx bytes at %#llx, flags %#x: "
		      "error %ld", r->slot, r->guest_phys_addr, r->memory_size,
		      r->userspace_addr, r->flags, -e);
	return e;
}

long memory_dirty_log(struct memory *m, const struct kvm_dirty_log *log)
{
	uint64_t pages = 0;

	memory_enter(m);
	if (log->slot < LUV_SLOTS &&
	    (m->slot[log->slot].flags & KVM_MEM_LOG_DIRTY_PAGES))
		pages = m->slot[log->slot].len / PAGE;
	memory_leave(m);
	if (!pages)
		return -ENOENT;
	/* The bitmap's size is a multiple of 64 bits; no bit for no page. */
	memset(log->dirty_bitmap, 0, (pages + 63) / 64 * 8);
	memset(log->dirty_bitmap, 0xff, pages / 8);
	if (pages % 8)
		((uint8_t *)log->dirty_bitmap)[pages / 8] =
			(uint8_t)((1u << pages % 8) - 1);
	return 0;
}

/* --- the guest's accesses ------------------------------------------------------ */

static void touch(uint64_t hva, bool write)
{
	if (write)
		luv_touch((void *)hva, 1);
	else
		(void)*(volatile const char *)hva;
}

static long fault_locked(struct memory *m, unsigned id, uint64_t hva)
{
	struct slot *s = &m->slot[id];
	uint64_t i;
	long e;

	if (!s->lazy)
		return 0;
	i = hva / PIECE_SIZE - s->hva / PIECE_SIZE;
	e = piece_pin(s, i);
	if (e)
		return e;
	return grant(m, id, i);
}

/*
 * Pinning comes first: it populates the piece by writes, in a huge page where
 * there can be one. A touch that reads first, as a locked instruction does on
 * QEMU's emulated CPU, gets the huge zero page, which the write then splits.
 */
long memory_fault(struct memory *m, unsigned slot, uint64_t hva, bool write)
{
	const struct slot *s = &m->slot[slot % LUV_SLOTS];
	long e = 0;

	share_begin(&m->lock);
	/* Deleted meanwhile: the guest's access will exit again. */
	if (slot < LUV_SLOTS && hva - s->hva < s->len) {
		e = fault_locked(m, slot, hva);
		touch(hva, write);
	}
	share_end(&m->lock);
	return e;
}

const struct slot *memory_find(const struct memory *m, uint64_t gpa,
			       uint64_t *hva)
{
	for (unsigned i = 0; i < m->slots; i++) {
		const struct slot *s = &m->slot[i];

		if (gpa - s->gpa < s->len) {
			*hva = s->hva + (gpa - s->gpa);
			return s;
		}
	}
	return NULL;
}

void memory_need(struct memory *m, uint64_t gpa)
{
	const struct slot *s;
	uint64_t hva;

	share_begin(&m->lock);
	s = memory_find(m, gpa, &hva);
	if (s && !fault_locked(m, (unsigned)(s - m->slot), hva))
		touch(hva, !(s->flags & KVM_MEM_READONLY));
	share_end(&m->lock);
}

/* A guest chooses addresses: what it means may end behind the slot. */
static void *ram(const struct memory *m, uint64_t gpa, unsigned len, bool write)
{
	uint64_t hva;
	const struct slot *s = memory_find(m, gpa, &hva);

	if (!s || (write && (s->flags & KVM_MEM_READONLY)) ||
	    len > s->gpa + s->len - gpa)
		return NULL;
	return (void *)hva;
}

void *memory_ram(const struct memory *m, uint64_t gpa, bool write)
{
	return ram(m, gpa, 1, write);
}

bool memory_read(struct memory *m, uint64_t gpa, void *buf, unsigned len)
{
	const void *at;

	memory_enter(m);
	at = ram(m, gpa, len, false);
	if (at)
		memcpy(buf, at, len);
	memory_leave(m);
	return at;
}

bool memory_write(struct memory *m, uint64_t gpa, const void *buf,
		  unsigned len)
{
	void *at;

	memory_enter(m);
	at = ram(m, gpa, len, true);
	if (at)
		memcpy(at, buf, len);
	memory_leave(m);
	return at;
}

static bool exchange(void *at, uint64_t old, uint64_t new_, unsigned len)
{
	bool same;

	switch (len) {
	case 1:
		__asm__ volatile("lock cmpxchgb %3, %1"
				 : "=@ccz"(same), "+m"(*(uint8_t *)at),
				   "+a"(old)
				 : "q"((uint8_t)new_)
				 : "memory");
		return same;
	case 2:
		__asm__ volatile("lock cmpxchgw %3, %1"
				 : "=@ccz"(same), "+m"(*(uint16_t *)at),
				   "+a"(old)
				 : "r"((uint16_t)new_)
				 : "memory");
		return same;
	case 4:
		__asm__ volatile("lock cmpxchgl %3, %1"
				 : "=@ccz"(same), "+m"(*(uint32_t *)at),
				   "+a"(old)
				 : "r"((uint32_t)new_)
				 : "memory");
		return same;
	default:
		__asm__ volatile("lock cmpxchgq %3, %1"
				 : "=@ccz"(same), "+m"(*(uint64_t *)at),
				   "+a"(old)
				 : "r"(new_)
				 : "memory");
		return same;
	}
}

int memory_exchange(const struct memory *m, uint64_t gpa, uint64_t old,
		    uint64_t new_, unsigned len)
{
	void *at = ram(m, gpa, len, true);

	if (!at)
		return -EFAULT;
	return exchange(at, old, new_, len) ? 0 : -EAGAIN;
}
