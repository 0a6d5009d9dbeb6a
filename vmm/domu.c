/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu.c - the objects of domu.h: creation, slots, state. Slow paths under the
 * VM's lock. Running is domu_run.c.
 */
#include "domu.h"
#include "console.h"
#include "dom0.h"
#include "mem.h"
#include "string.h"

#define VMS	   64
#define DYING	   BIT(31) /* in vm->users: free, or about to be */
#define HANDLE_INDEX(h) ((h) & 0xff)
#define OWNER_MASK 0x000fffffffffe000ull /* no PCID, and not PTI's page bit */
#define FCW_RESET  0x37f
#define VECTORS_WITH_ERROR 0x227d00u /* DF TS NP SS GP PF AC CP */
#define MXCSR_RESET 0x1f80
#define FXSAVE_MXCSR 24

static struct {
	struct lock lock;
	struct vm *vm[VMS];
	uint32_t generation;
	uint32_t token[4];
} all;

static void token_word(uint32_t *w)
{
	uint64_t v = rdtsc();
	bool ok = false;

	if (cpuid(1, 0).c & BIT(30)) /* RDRAND */
		__asm__ volatile("rdrand %0" : "=r"(v), "=@ccc"(ok));
	if (!ok) /* no generator: the best there is before an OS runs */
		for (unsigned i = 0; i < 64; i++)
			v = (v << 7 | v >> 57) * 0x9e3779b97f4a7c15ull ^ rdtsc();
	*w = (uint32_t)(v ^ v >> 32);
}

void domu_init(void)
{
	for (unsigned i = 0; i < 4; i++)
		token_word(&all.token[i]);
}

uint32_t domu_token(unsigned i)
{
	return all.token[i & 3];
}

static uint64_t owner_of(const struct guest_state *g)
{
	return g->paging.cr3 & OWNER_MASK;
}

/*
 * The VM behind a handle, with one user more: put() it. A struct vm stays a
 * struct vm for ever, so a late user of a dead one sees DYING, not garbage.
 */
static struct vm *find(const struct guest_state *g, uint64_t handle,
		       int64_t *why)
{
	struct vm *vm = HANDLE_INDEX(handle) < VMS ?
				all.vm[HANDLE_INDEX(handle)] : NULL;

	*why = -LUV_ENOENT;
	if (!vm)
		return NULL;
	if (!(atomic_fetch_add(&vm->users, 1) & DYING) &&
	    vm->handle == handle) {
		*why = -LUV_EPERM;
		if (vm->owner == owner_of(g))
			return vm;
	}
	atomic_fetch_sub(&vm->users, 1);
	return NULL;
}

static void put(struct vm *vm)
{
	atomic_fetch_sub(&vm->users, 1);
}

static uint64_t table_pa(const void *t)
{
	return ptr_hpa(t).v;
}

static void *table_ptr(uint64_t pa)
{
	return hpa_ptr(HPA(pa));
}

static struct vm *vm_new(void)
{
	struct vm *vm = NULL;

	lock(&all.lock);
	for (unsigned i = 0; i < VMS && !vm; i++) {
		if (!all.vm[i]) {
			all.vm[i] = mem_page();
			if (!all.vm[i])
				break;
			all.vm[i]->users = DYING;
		}
		if (all.vm[i]->users == DYING && !all.vm[i]->handle) {
			vm = all.vm[i];
			all.generation = (all.generation + 1) & 0x7fffff;
			vm->handle = i | all.generation << 8;
		}
	}
	unlock(&all.lock);
	return vm;
}

int64_t domu_vm_create(const struct guest_state *g, uint64_t lo, uint64_t hi)
{
	struct vm *vm;
	void *root;

	if (lo != (all.token[0] | (uint64_t)all.token[1] << 32) ||
	    hi != (all.token[2] | (uint64_t)all.token[3] << 32))
		return -LUV_EPERM;
	root = mem_page();
	vm = root ? vm_new() : NULL;
	if (!vm) {
		mem_page_free(root);
		return -LUV_ENOMEM;
	}
	vm->owner = owner_of(g);
	memset(vm->slot, 0, sizeof(vm->slot));
	memset(vm->vcpu, 0, sizeof(vm->vcpu));
	vm->s2 = (struct stage2){ .root = root, .format = dom0.s2.format,
				  .alloc = mem_page, .to_pa = table_pa,
				  .to_ptr = table_ptr };
	atomic_fetch_and(&vm->users, (uint32_t)~DYING);
	return vm->handle;
}

static void vcpu_free(struct vcpu *v)
{
	if (!v)
		return;
	mem_page_free(v->domu->fpu);
	mem_page_free(v->hw);
	mem_page_free(v->domu);
}

int64_t domu_vm_destroy(const struct guest_state *g, uint64_t handle)
{
	int64_t why;
	struct vm *vm = find(g, handle, &why);
	uint32_t alone = 1;

	if (!vm)
		return why;
	if (!atomic_compare_exchange_strong(&vm->users, &alone,
					    (uint32_t)DYING | 1)) {
		put(vm);
		return -LUV_EBUSY;
	}
	for (unsigned i = 0; i < LUV_VCPUS; i++)
		vcpu_free(vm->vcpu[i]);
	stage2_free(&vm->s2, mem_page_free);
	vm->handle = 0;
	put(vm);
	return 0;
}

static bool slot_bad(const struct vm *vm, const struct luv_slot *s)
{
	if (s->slot >= LUV_SLOTS || (s->flags & ~LUV_SLOT_READONLY) ||
	    ((s->gpa | s->len | s->hva) & PAGE_MASK) ||
	    s->gpa + s->len < s->gpa || s->hva + s->len < s->hva ||
	    s->gpa + s->len > BIT(48) || s->hva + s->len > BIT(47))
		return true;
	for (unsigned i = 0; s->len && i < LUV_SLOTS; i++)
		if (i != s->slot && vm->slot[i].len &&
		    s->gpa < vm->slot[i].gpa + vm->slot[i].len &&
		    vm->slot[i].gpa < s->gpa + s->len)
			return true;
	return false;
}

int64_t domu_vm_slot(const struct guest_state *g, uint64_t handle,
		     uint64_t buf)
{
	struct luv_slot s, *old;
	int64_t why;
	struct vm *vm = find(g, handle, &why);

	if (!vm)
		return why;
	if (dom0_copy_in(g, &s, GVA(buf), sizeof(s)) != OK) {
		put(vm);
		return -LUV_EFAULT;
	}
	lock(&vm->lock);
	why = slot_bad(vm, &s) ? -LUV_EINVAL : 0;
	if (!why) {
		old = &vm->slot[s.slot];
		if (old->len)
			stage2_unmap(&vm->s2, GPA(old->gpa), old->len);
		vm->slot[s.slot] = s;
		vm->s2_changed++;
	}
	unlock(&vm->lock);
	put(vm);
	return why;
}

int64_t domu_vcpu_create(const struct guest_state *g, uint64_t handle,
			 uint64_t id)
{
	int64_t why;
	struct vm *vm = find(g, handle, &why);
	struct domu *u;

	if (!vm)
		return why;
	u = id < LUV_VCPUS ? mem_page() : NULL;
	if (!u) {
		put(vm);
		return id < LUV_VCPUS ? -LUV_ENOMEM : -LUV_EINVAL;
	}
	_Static_assert(sizeof(struct domu) <= PAGE_SIZE, "one page");
	u->fpu = mem_page();
	u->v.hw = mem_page();
	u->v.hw_pa = ptr_hpa(u->v.hw);
	u->v.domu = u;
	u->v.vm = vm;
	u->v.stats = u->stats;
	u->v.handlers = domu_handlers;
	u->last_cpu = ~0u;
	u->xcr0 = 1;
	lock(&vm->lock);
	why = vm->vcpu[id] ? -LUV_EEXIST : 0;
	if (!u->fpu || !u->v.hw)
		why = -LUV_ENOMEM;
	if (!why) {
		*(uint16_t *)u->fpu = FCW_RESET;
		*(uint32_t *)((char *)u->fpu + FXSAVE_MXCSR) = MXCSR_RESET;
		u->v.cpu = this_cpu();
		hv->domu_init(&u->v);
		vm->vcpu[id] = &u->v;
	}
	unlock(&vm->lock);
	if (why)
		vcpu_free(&u->v);
	put(vm);
	return why;
}

struct vcpu *domu_take(const struct guest_state *g, uint64_t handle,
		       uint64_t id, int64_t *why)
{
	struct vm *vm = find(g, handle, why);
	struct vcpu *v = vm && id < LUV_VCPUS ? vm->vcpu[id] : NULL;

	if (!vm)
		return NULL;
	*why = v ? -LUV_EBUSY : -LUV_ENOENT;
	if (!v || atomic_exchange(&v->domu->running, 1)) {
		put(vm);
		return NULL;
	}
	*why = 0;
	v->cpu = this_cpu();
	return v;
}

void domu_let_go(struct vcpu *v)
{
	atomic_store(&v->domu->running, 0);
	put(v->vm);
}

int64_t domu_vcpu_get(const struct guest_state *g, uint64_t handle,
		      uint64_t id, uint64_t buf)
{
	struct luv_vcpu s = { 0 };
	int64_t why;
	struct vcpu *v = domu_take(g, handle, id, &why);

	if (!v)
		return why;
	hv->domu_get(v, &s);
	domu_let_go(v);
	return dom0_copy_out(g, GVA(buf), &s, sizeof(s)) == OK ? 0 :
								 -LUV_EFAULT;
}

/*
 * Would VM entry take this event? SDM "VM-Entry Controls for Event
 * Injection". An external interrupt, an NMI or a hardware exception; software
 * events are executed again instead.
 */
static bool event_ok(const struct luv_vcpu *s)
{
	unsigned vector = s->event & 0xff, type = s->event >> 8 & 7;
	bool error = s->event & BIT(11);
	bool has_error = (s->cr0 & CR0_PE) && vector < 32 &&
			 (BIT(vector) & VECTORS_WITH_ERROR);

	if (!(s->event & BIT(31)))
		return true;
	if (s->event & 0x7ffff000)
		return false;
	if (type == EVENT_EXCEPTION)
		return vector < 32 && vector != VEC_NMI && error == has_error &&
		       s->event_error < BIT(15);
	return !error && (type == 0 || (type == EVENT_NMI &&
					vector == VEC_NMI));
}

int64_t domu_vcpu_set(const struct guest_state *g, uint64_t handle,
		      uint64_t id, uint64_t buf)
{
	struct luv_vcpu s;
	int64_t why;
	struct vcpu *v;

	if (dom0_copy_in(g, &s, GVA(buf), sizeof(s)) != OK)
		return -LUV_EFAULT;
	v = domu_take(g, handle, id, &why);
	if (!v)
		return why;
	why = event_ok(&s) && hv->domu_set(v, &s) ? 0 : -LUV_EINVAL;
	v->domu->in_size = 0;
	domu_let_go(v);
	return why;
}

