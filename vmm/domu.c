/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu.c - the objects of domu.h: creation, slots, death. Slow paths under the
 * VM's lock. State is domu_state.c, running is domu_run.c.
 */
#include "domu.h"
#include "console.h"
#include "dom0.h"
#include "mem.h"
#include "string.h"
#include "trace.h"

#define DYING	   BIT(31) /* in vm->users: free, or about to be */
#define HANDLE_RANDOM	0x3fffffffffffffull
#define OWNER_MASK 0x000ffffffffff000ull /* no PCID */
#define PIECE	   (2 * MIB)
#define FCW_RESET  0x37f
#define MXCSR_RESET 0x1f80
#define FXSAVE_MXCSR 24

static struct {
	struct lock lock;
	struct vm *vm[LUV_VMS];
	uint32_t token[4];
} all;

uint32_t domu_random(void)
{
	uint64_t v = rdtsc();
	bool ok = false;

	if (cpuid(1, 0).c & BIT(30)) /* RDRAND */
		__asm__ volatile("rdrand %0" : "=r"(v), "=@ccc"(ok));
	if (!ok) /* no generator: the best there is before an OS runs */
		for (unsigned i = 0; i < 64; i++)
			v = (v << 7 | v >> 57) * 0x9e3779b97f4a7c15ull ^ rdtsc();
	return (uint32_t)(v ^ v >> 32);
}

COLD void domu_init(void)
{
	for (unsigned i = 0; i < 4; i++)
		all.token[i] = domu_random();
	domu_switch_init();
}

uint32_t domu_token(unsigned i)
{
	return all.token[i & 3];
}

bool domu_token_ok(uint64_t lo, uint64_t hi)
{
	return lo == (all.token[0] | (uint64_t)all.token[1] << 32) &&
	       hi == (all.token[2] | (uint64_t)all.token[3] << 32);
}

static uint64_t owner_of(const struct gpaging *g)
{
	return g->cr3 & OWNER_MASK;
}

/*
 * With one user more. A struct vm stays a struct vm for ever, so a late user
 * of a dead one sees DYING, not garbage.
 */
static struct vm *hold(uint64_t index)
{
	struct vm *vm = index < LUV_VMS ? all.vm[index] : NULL;

	if (!vm || !(atomic_fetch_add(&vm->users, 1) & DYING))
		return vm;
	atomic_fetch_sub(&vm->users, 1);
	return NULL;
}

static inline struct vm *find(const struct gpaging *g, uint64_t handle,
			      int64_t *why)
{
	struct vm *vm = hold(LUV_VM_INDEX(handle));

	if (vm && vm->handle == handle && vm->owner == owner_of(g))
		return vm;
	*why = vm && vm->handle == handle ? -LUV_EPERM : -LUV_ENOENT;
	if (vm)
		domu_put(vm);
	return NULL;
}

struct vm *domu_find(const struct gpaging *g, uint64_t handle, int64_t *why)
{
	*why = 0;
	return find(g, handle, why);
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
	uint64_t bits = domu_random() | (uint64_t)domu_random() << 32;
	struct vm *vm = NULL;

	lock(&all.lock);
	for (unsigned i = 0; i < LUV_VMS && !vm; i++) {
		if (!all.vm[i]) {
			struct vm *new = mem_page();

			if (!new)
				break;
			new->users = DYING;
			all.vm[i] = new;
		}
		if (all.vm[i]->users == DYING && !all.vm[i]->handle) {
			vm = all.vm[i];
			vm->handle = i | (bits & HANDLE_RANDOM) << 8 |
				     BIT(8);
		}
	}
	unlock(&all.lock);
	return vm;
}

COLD int64_t domu_vm_create(const struct gpaging *g, uint64_t lo, uint64_t hi,
		       uint64_t tag)
{
	struct vm *vm;
	void *root;

	if (!domu_token_ok(lo, hi))
		return -LUV_EPERM;
	root = mem_page();
	vm = root ? vm_new() : NULL;
	if (!vm) {
		mem_page_free(root);
		return -LUV_ENOMEM;
	}
	vm->owner = owner_of(g);
	vm->tag = tag;
	memset(vm->told_eoi, 0, sizeof(vm->told_eoi));
	vm->apic_page = NULL;
	memset(vm->slot, 0, sizeof(vm->slot));
	memset(vm->granted, 0, sizeof(vm->granted));
	memset(vm->vcpu, 0, sizeof(vm->vcpu));
	vm->slots = 0;
	vm->vcpus = 0;
	vm->s2 = (struct stage2){ .root = root, .format = dom0.s2.format,
				  .alloc = mem_page, .to_pa = table_pa,
				  .to_ptr = table_ptr };
	atomic_fetch_and(&vm->users, (uint32_t)~DYING);
	trace_vm_created(vm);
	return (int64_t)vm->handle;
}

COLD void domu_set_handlers(const exit_handler *handlers)
{
	for (unsigned i = 0; i < LUV_VMS; i++) {
		struct vm *vm = hold(i);

		for (unsigned k = 0; vm && k < LUV_VCPUS; k++)
			if (vm->vcpu[k])
				vm->vcpu[k]->handlers = handlers;
		if (vm)
			domu_put(vm);
	}
}

static void vcpu_free(struct vcpu *v)
{
	if (!v)
		return;
	mem_page_free(v->domu->fpu);
	mem_page_free(v->domu->cpuid);
	mem_page_free(v->hw);
	hist_free(&v->hist);
	mem_page_free(v->domu);
}

/* A VM that the caller holds; it is the last one, or LUV_EBUSY. */
static int64_t vm_free(struct vm *vm)
{
	uint32_t alone = 1;

	if (!atomic_compare_exchange_strong(&vm->users, &alone,
					    (uint32_t)DYING | 1)) {
		domu_put(vm);
		return -LUV_EBUSY;
	}
	trace_vm_destroyed(vm);
	for (unsigned i = 0; i < LUV_VCPUS; i++) {
		vcpu_free(vm->vcpu[i]);
		vm->vcpu[i] = NULL;
	}
	for (unsigned i = 0; i < LUV_SLOTS; i++)
		mem_page_free(vm->granted[i]);
	mem_page_free(vm->apic_page);
	stage2_free(&vm->s2, mem_page_free);
	vm->handle = 0;
	domu_put(vm);
	return 0;
}

int64_t domu_vm_destroy(const struct gpaging *g, uint64_t handle)
{
	int64_t why;
	struct vm *vm = domu_find(g, handle, &why);

	return vm ? vm_free(vm) : why;
}

int64_t domu_vm_reap(uint64_t lo, uint64_t hi, uint64_t index, uint64_t tag)
{
	struct vm *vm;

	if (!domu_token_ok(lo, hi))
		return -LUV_EPERM;
	vm = hold(index);
	if (!vm)
		return -LUV_ENOENT;
	if (vm->tag == tag)
		return vm_free(vm);
	domu_put(vm);
	return -LUV_ENOENT;
}

static void count(const struct vm *vm, struct luv_vm_stat *s)
{
	uint64_t pages = 2 + vm->s2.tables; /* itself and the root */

	pages += vm->apic_page ? 1 : 0;

	for (unsigned i = 0; i < LUV_SLOTS; i++) {
		s->ram += vm->slot[i].len;
		pages += vm->granted[i] ? 1 : 0;
	}
	for (unsigned i = 0; i < LUV_VCPUS; i++) {
		if (!vm->vcpu[i])
			continue;
		s->vcpus++;
		pages += 4 + hist_pages(&vm->vcpu[i]->hist);
		for (unsigned k = 0; k < EXIT_KINDS; k++) {
			struct luv_exit_stat e =
				hist_kind(&vm->vcpu[i]->hist, k);

			s->exits[k].count += e.count;
			s->exits[k].ticks += e.ticks;
		}
	}
	s->vmm_used = pages * PAGE_SIZE;
}

COLD int64_t domu_hist(uint64_t index, uint64_t id, uint64_t *at,
		       struct luv_hist *to, unsigned max)
{
	struct vm *vm = index < LUV_VMS ? hold((unsigned)index) : NULL;
	int64_t n = -LUV_ENOENT;

	if (vm && id < LUV_VCPUS && vm->vcpu[id])
		n = hist_read(&vm->vcpu[id]->hist, at, to, max);
	if (vm)
		domu_put(vm);
	return n;
}

COLD int64_t domu_vm_stat(const struct gpaging *g, uint64_t index, uint64_t buf,
			  uint64_t len)
{
	struct luv_vm_stat s = { .index = (uint32_t)index,
				 .exit_kinds = EXIT_KINDS };
	struct vm *vm;

	if (len < 16)
		return -LUV_EINVAL;
	vm = hold(index);
	if (!vm)
		return -LUV_ENOENT;
	s.tag = vm->tag;
	count(vm, &s);
	domu_put(vm);
	if (len > sizeof(s))
		len = sizeof(s);
	return dom0_copy_out(g, GVA(buf), &s, len) == OK ? (int64_t)sizeof(s) :
							   -LUV_EFAULT;
}

static bool slot_bad(const struct vm *vm, const struct luv_slot *s)
{
	if (s->slot >= LUV_SLOTS ||
	    (s->flags & ~(LUV_SLOT_READONLY | LUV_SLOT_LAZY)) ||
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

/* Pieces of a slot: 2 MiB windows of its hva. */
static uint64_t pieces(const struct luv_slot *s)
{
	uint64_t first = ALIGN_DOWN(s->hva, PIECE);

	return s->len ? (s->hva + s->len - 1 - first) / PIECE + 1 : 0;
}

/* Under the VM's lock. */
static int64_t slot_set(struct vm *vm, const struct luv_slot *s)
{
	struct luv_slot *old = &vm->slot[s->slot];
	uint8_t *granted = NULL;

	if (s->len && (s->flags & LUV_SLOT_LAZY)) {
		if (pieces(s) > PAGE_SIZE * 8)
			return -LUV_EINVAL;
		granted = mem_page();
		if (!granted)
			return -LUV_ENOMEM;
	}
	if (old->len) {
		stage2_unmap(&vm->s2, GPA(old->gpa), old->len);
		trace_unmapped(vm, old->gpa, old->len);
		atomic_fetch_add(&vm->s2_changed, 1);
	}
	mem_page_free(vm->granted[s->slot]);
	vm->granted[s->slot] = granted;
	*old = *s;
	if (s->len && vm->slots <= s->slot)
		vm->slots = s->slot + 1;
	return 0;
}

/*
 * Until no CPU runs a vCPU with translations from before: one that runs exits,
 * back to dom0, and flushes when it is entered again. It may move meanwhile,
 * so it is asked wherever it is. No lock is held, and CPUs that wait here run
 * no vCPU: nobody waits for them.
 */
static void forgotten(struct vm *vm)
{
	const uint32_t now = atomic_load(&vm->s2_changed);

	for (unsigned i = 0; i < vm->vcpus; i++) {
		struct domu *u = vm->vcpu[i] ? vm->vcpu[i]->domu : NULL;
		const struct cpu *asked = NULL;

		while (u && atomic_load(&u->running) &&
		       (int32_t)(atomic_load(&u->s2_seen) - now) < 0) {
			const struct cpu *cpu = u->v.cpu;

			if (cpu != asked)
				domu_nudge(u);
			asked = cpu;
			pause();
		}
	}
}

COLD int64_t domu_vm_slot(const struct gpaging *g, uint64_t handle,
		     uint64_t buf)
{
	struct luv_slot s;
	int64_t why;
	struct vm *vm = domu_find(g, handle, &why);

	if (!vm)
		return why;
	if (dom0_copy_in(g, &s, GVA(buf), sizeof(s)) != OK) {
		domu_put(vm);
		return -LUV_EFAULT;
	}
	lock(&vm->lock);
	why = slot_bad(vm, &s) ? -LUV_EINVAL : slot_set(vm, &s);
	unlock(&vm->lock);
	if (!why)
		forgotten(vm);
	domu_put(vm);
	return why;
}

int64_t domu_vm_grant(const struct gpaging *g, uint64_t handle,
		      uint64_t slot, uint64_t first, uint64_t n)
{
	int64_t why;
	struct vm *vm = domu_find(g, handle, &why);

	if (!vm)
		return why;
	lock(&vm->lock);
	if (slot >= LUV_SLOTS || !vm->granted[slot] ||
	    first + n < first || first + n > pieces(&vm->slot[slot]))
		why = -LUV_EINVAL;
	else
		for (uint64_t i = first; i < first + n; i++)
			vm->granted[slot][i / 8] |= (uint8_t)(1u << i % 8);
	unlock(&vm->lock);
	domu_put(vm);
	return why;
}

COLD int64_t domu_vm_eoi_vectors(const struct gpaging *g, uint64_t handle,
				 const uint64_t bits[4])
{
	int64_t why;
	struct vm *vm = domu_find(g, handle, &why);

	if (!vm)
		return why;
	memcpy(vm->told_eoi, bits, sizeof(vm->told_eoi));
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; machine.hw_apic && i < vm->vcpus; i++)
		if (vm->vcpu[i]) /* it looks when it enters */
			domu_nudge(vm->vcpu[i]->domu);
	domu_put(vm);
	return 0;
}

static struct domu *vcpu_new(struct vm *vm, uint32_t id, uint64_t flags)
{
	struct domu *u = mem_page();

	if (!u)
		return NULL;
	u->id = id;
	u->fpu = mem_page();
	u->cpuid = mem_page();
	u->v.hw = mem_page();
	u->v.hw_pa = ptr_hpa(u->v.hw);
	u->v.domu = u;
	u->v.vm = vm;
	u->v.trace_id = id | (uint32_t)((vm->handle & 0xff) + 1) << 16;
	u->v.handlers = trace_handlers(true);
	u->last_cpu = ~0u;
	u->xcr0 = 1;
	u->has_apic = flags & LUV_VCPU_APIC;
	u->hw_apic = u->has_apic && machine.hw_apic;
	if (u->has_apic)
		vlapic_reset(&u->apic, id, id == 0);
	if (u->has_apic && id)
		u->mp_state = LUV_MP_WAIT_SIPI;
	if (!hist_init(&u->v.hist) || !u->fpu || !u->cpuid || !u->v.hw) {
		vcpu_free(&u->v);
		return NULL;
	}
	*(uint16_t *)u->fpu = FCW_RESET;
	*(uint32_t *)((char *)u->fpu + FXSAVE_MXCSR) = MXCSR_RESET;
	u->v.cpu = this_cpu();
	hv->domu_init(&u->v);
	return u;
}

COLD int64_t domu_vcpu_create(const struct gpaging *g, uint64_t handle,
			 uint64_t id, uint64_t flags)
{
	int64_t why;
	struct vm *vm = domu_find(g, handle, &why);
	struct domu *u;

	if (!vm)
		return why;
	if (id >= LUV_VCPUS || (flags & ~(uint64_t)LUV_VCPU_APIC)) {
		domu_put(vm);
		return -LUV_EINVAL;
	}
	u = vcpu_new(vm, (uint32_t)id, flags);
	why = u ? 0 : -LUV_ENOMEM;
	lock(&vm->lock);
	if (u && vm->vcpu[id])
		why = -LUV_EEXIST;
	else if (u) {
		vm->vcpu[id] = &u->v;
		if (vm->vcpus <= id)
			atomic_store(&vm->vcpus, (uint32_t)id + 1);
	}
	unlock(&vm->lock);
	if (!why)
		trace_vcpu_created(&u->v);
	if (u && why)
		vcpu_free(&u->v);
	domu_put(vm);
	return why;
}

struct vcpu *domu_take(const struct gpaging *g, uint64_t handle,
		       uint64_t id, int64_t *why)
{
	struct vm *vm = find(g, handle, why);
	struct vcpu *v = vm && id < LUV_VCPUS ? vm->vcpu[id] : NULL;

	if (!vm)
		return NULL;
	if (v && !atomic_exchange(&v->domu->running, 1)) {
		*why = 0;
		v->cpu = this_cpu();
		return v;
	}
	*why = v ? -LUV_EBUSY : -LUV_ENOENT;
	domu_put(vm);
	return NULL;
}

