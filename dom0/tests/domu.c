/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domu.c - virtual machines by bare hypercalls: a real-mode guest of a few
 * instructions does each thing that comes back to ring 3, and what a wrong
 * caller must not be able to do.
 */
#include "domu.h"

#include <sys/wait.h>

/* Linked at 0: out, in, cpuid, mmio, page touches, hlt with an interrupt. */
static const uint8_t guest[] = {
	0xfa,			  /* cli */
	0xb8, 0x34, 0x12,	  /* mov $0x1234, %ax */
	0xe7, 0x80,		  /* out %ax, $0x80 */
	0xe4, 0x81,		  /* in $0x81, %al */
	0xa2, 0x00, 0x20,	  /* mov %al, 0x2000 */
	0x31, 0xc0, 0x0f, 0xa2,	  /* xor %ax,%ax; cpuid */
	0xf4,			  /* hlt */
	0xfb,			  /* sti */
	0xf4,			  /* hlt, an interrupt comes */
	0xb0, 0x77, 0xe6, 0x82,	  /* mov $0x77,%al; out %al,$0x82 */
	0xb9, 0x00, 0x00,	  /* mov $0, %cx */
	0xe2, 0xfe,		  /* 1: loop 1b */
	0xe2, 0xfe,		  /* 1: loop 1b */
	0xe6, 0x83,		  /* out %al, $0x83 */
	0x0f, 0x0b,		  /* ud2: no handler: triple fault? no: IVT */
};
static const uint8_t handler[] = { 0xe6, 0x90, 0xcf }; /* out %al,$0x90; iret */

static void plain_guest(long vm, uint8_t *ram)
{
	struct luv_vcpu s;
	struct run r;
	long e;

	e = luv_call(LUV_CALL_vcpu_create, (uint64_t)vm, 0, 0, 0, 0);
	expect(e == 0, "vcpu_create: %ld", e);
	luv_touch(&s, sizeof(s));
	e = luv_call(LUV_CALL_vcpu_get, (uint64_t)vm, 0, (uintptr_t)&s, 0, 0);
	expect(e == 0, "vcpu_get: %ld", e);
	struct luv_segment flat = { 0, 0xffff, 0, 0x93 };
	s.ds = s.es = s.ss = s.fs = s.gs = flat;
	s.cs = flat;
	s.cs.attrib = 0x9b;
	s.tr = (struct luv_segment){ 0, 0xffff, 0, 0x8b };
	s.ldtr = (struct luv_segment){ 0, 0xffff, 0, 0x82 };
	s.gdt_limit = 0xffff;
	s.idt_base = 0;
	s.idt_limit = 0x3ff;
	s.rip = 0x1000;
	s.rflags = 2;
	s.gpr[4] = 0x8000;
	e = luv_call(LUV_CALL_vcpu_set, (uint64_t)vm, 0, (uintptr_t)&s, 0, 0);
	expect(e == 0, "vcpu_set: %ld", e);
	memcpy(ram + 0x1000, guest, sizeof(guest));
	memcpy(ram + 0x3000, handler, sizeof(handler));
	((uint16_t *)ram)[0x20 * 2] = 0x3000;
	((uint16_t *)ram)[0x20 * 2 + 1] = 0;

	r = run_until(vm, 0, 0, LUV_RUN_IO, "out");
	expect(r.rdi == 0x80 && r.rsi == 2 && r.rdx == 0x1234,
	      "out: port %#lx how %#lx value %#lx", r.rdi, r.rsi, r.rdx);
	r = run_until(vm, 0, 0, LUV_RUN_IO, "in");
	expect(r.rdi == 0x81 && r.rsi == (1 | 1 << 8), "in: port %#lx how %#lx",
	      r.rdi, r.rsi);
	r = run_until(vm, 0x5a, 0, LUV_RUN_HLT, "hlt");
	expect(ram[0x2000] == 0x5a, "the IN's data: %#x", ram[0x2000]);
	r = run_until(vm, 0, 0, LUV_RUN_HLT, "hlt with IF");
	expect(r.r10 & 1, "IF at the second HLT: %lx", r.r10);
	r = run_until(vm, 0, 0x80000020, LUV_RUN_IO, "interrupt");
	expect(r.rdi == 0x90 && (r.rax & LUV_RUN_QUEUED),
	      "handler's port %#lx, rax %#lx", r.rdi, r.rax);
	r = run_until(vm, 0, 0, LUV_RUN_IO, "after the interrupt");
	expect(r.rdi == 0x82 && r.rdx == 0x77, "port %#lx value %#lx", r.rdi,
	      r.rdx);
	r = run_until(vm, 0, 0, LUV_RUN_IO, "after 131072 loops");
	expect(r.rdi == 0x83, "port %#lx", r.rdi);
}

/* What shares its registers: a store to a device, that ring 3 executes. */
static const uint8_t device_guest[] = {
	0xa2, 0x20, 0x00, /* mov %al, 0x20 */
	0x89, 0xd8,	  /* mov %bx, %ax */
	0xe7, 0x84,	  /* out %ax, $0x84 */
	0xa2, 0x20, 0x00, /* mov %al, 0x20 */
};
#define DEVICE 0xd0000000u

static void device_state(long vm, uint8_t *ram, struct luv_vcpu *s)
{
	long e;

	memcpy(ram + 0x4000, device_guest, sizeof(device_guest));
	e = luv_call(LUV_CALL_vcpu_get, (uint64_t)vm, 0, (uintptr_t)s, 0, 0);
	expect(e == 0, "vcpu_get: %ld", e);
	s->rip = 0x4000;
	s->ds.base = DEVICE;
	s->rflags = 2;
	for (unsigned i = 0; i < 16; i++)
		s->gpr[i] = 0x1000 + i;
	e = luv_call(LUV_CALL_vcpu_set, (uint64_t)vm, 0, (uintptr_t)s, 0, 0);
	expect(e == 0, "vcpu_set: %ld", e);
}

/* What WRMSR would refuse. */
static void refused_state(long vm)
{
	static struct luv_vcpu s;
	uint64_t *const bad[] = { &s.lstar, &s.cstar, &s.sfmask,
				  &s.kernel_gs_base, &s.tsc_aux };
	long e = luv_call(LUV_CALL_vcpu_get, (uint64_t)vm, 0, (uintptr_t)&s, 0,
			  0);

	expect(e == 0, "vcpu_get: %ld", e);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		*bad[i] ^= 1ul << 62;
		e = luv_call(LUV_CALL_vcpu_set, (uint64_t)vm, 0, (uintptr_t)&s,
			     0, 0);
		expect(e == -LUV_EINVAL, "vcpu_set of a bad MSR %u: %ld", i, e);
		*bad[i] ^= 1ul << 62;
	}
}

static long share(long vm, const void *at)
{
	return luv_call(LUV_CALL_vcpu_share, (uint64_t)vm, 0, (uintptr_t)at, 0,
			0);
}

static void shared_guest(long vm, uint8_t *ram)
{
	struct luv_shared *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
				    -1, 0);
	static struct luv_vcpu state;
	struct run r;

	expect(share(vm, (char *)s + 4) == -LUV_EINVAL, "share: alignment");
	expect(share(vm, (char *)s + 4088) == -LUV_EINVAL, "share: two pages");
	expect(share(vm, (void *)0x1000) == -LUV_EFAULT, "share: no page");
	expect(share(vm, s) == 0, "share");
	device_state(vm, ram, &state);
	r = run_until(vm, 0, 0, LUV_RUN_MMIO | LUV_RUN_SHARED, "shared store");
	expect(r.rdi == DEVICE + 0x20 && r.rsi == 3, "store: %#lx, %lu", r.rdi,
	      r.rsi);
	expect(!memcmp(s->gpr, state.gpr, sizeof(s->gpr)), "shared registers");
	expect(s->rip == 0x4000 && s->cr0 == state.cr0 &&
	       s->ds.base == DEVICE && s->cs.attrib == state.cs.attrib,
	      "shared state: RIP %#lx CR0 %#lx DS %#lx", s->rip, s->cr0,
	      s->ds.base);
	s->rip += 3;
	s->gpr[3] = 0x4321;
	s->rflags |= 0x201; /* CF, and IF, which is not ours to change */
	s->dirty = 1;
	r = run_until(vm, 0, 0, LUV_RUN_IO, "behind the store");
	expect(r.rdi == 0x84 && r.rdx == 0x4321 && !s->dirty && !(r.r10 & 1),
	      "port %#lx value %#lx", r.rdi, r.rdx);
	luv_call(LUV_CALL_vcpu_get, (uint64_t)vm, 0, (uintptr_t)&state, 0, 0);
	expect((state.rflags & 0x201) == 1, "RFLAGS %#lx", state.rflags);
	expect(share(vm, NULL) == 0, "share nothing");
	run_until(vm, 0, 0, LUV_RUN_MMIO, "store that is not shared");
	munmap(s, 4096);
}

/* What the VMM would fault on, when it gave it to the processor. */
static void bad_states(long vm)
{
	struct luv_vcpu good, s;
	long e;

	luv_touch(&good, sizeof(good));
	luv_call(LUV_CALL_vcpu_get, (uint64_t)vm, 0, (uintptr_t)&good, 0, 0);
	for (int i = 0; i < 3; i++) {
		s = good;
		if (i == 0)
			s.tsc_aux = 1ull << 32;
		else
			s.xcr0 = i == 1 ? 0x27 : 0xe3; /* AVX-512: a part; no AVX */
		e = luv_call(LUV_CALL_vcpu_set, (uint64_t)vm, 0, (uintptr_t)&s,
			     0, 0);
		expect(e == -LUV_EINVAL, "bad state %d: %ld", i, e);
	}
	run_until(vm, 0, 0, LUV_RUN_MMIO, "after bad states");
}

/* --- authority ------------------------------------------------------------- */

/* What can be known of a VM. Another process's calls must not change it. */
struct view {
	struct luv_vm_stat stat;
	struct luv_vcpu vcpu;
	uint8_t fpu[4096];
};

static void look(long vm, uint64_t index, struct view *w)
{
	long e;

	memset(w, 0, sizeof(*w));
	e = luv_vm_stat(index, &w->stat);
	expect(e == (long)sizeof(w->stat), "vm_stat: %ld", e);
	luv_touch(w, sizeof(*w));
	e = luv_call(LUV_CALL_vcpu_get, (uint64_t)vm, 0, (uintptr_t)&w->vcpu, 0,
		     0);
	expect(e == 0, "vcpu_get: %ld", e);
	e = luv_call(LUV_CALL_vcpu_fpu_get, (uint64_t)vm, 0, (uintptr_t)w->fpu,
		     sizeof(w->fpu), 0);
	expect(e > 0, "vcpu_fpu_get: %ld", e);
}

static uint64_t index_of(uint64_t tag)
{
	struct luv_vm_stat s;

	for (uint64_t i = 0; i < LUV_VMS; i++)
		if (luv_vm_stat(i, &s) > 0 && s.tag == tag)
			return i;
	expect(false, "no VM has the tag %#lx", tag);
	return 0;
}

#define TAG 0x1234567800000007ull

/* Each call that takes a handle; each argument is one that its owner may give. */
static void stranger(long vm)
{
	static uint8_t buf[4096] __attribute__((aligned(4096)));
	const uint64_t h = (uint64_t)vm, at = (uintptr_t)buf;
	const struct {
		const char *name;
		unsigned nr;
		uint64_t a, b, c, d;
	} calls[] = {
#define CALL(name, ...) { #name, LUV_CALL_##name, __VA_ARGS__ }
		CALL(vm_slot, at, 0, 0, 0),
		CALL(vm_grant, 0, 0, 1, 0),
		CALL(vm_msi, 0xfee00000, 0x40, 0, 0),
		CALL(vm_eoi_vectors, ~0ull, ~0ull, ~0ull, ~0ull),
		CALL(vcpu_create, 1, 0, 0, 0),
		CALL(vcpu_get, 0, at, 0, 0),
		CALL(vcpu_set, 0, at, 0, 0),
		CALL(vcpu_run, 0, 0, 0, 0),
		CALL(vcpu_kick, 0, 0, 0, 0),
		CALL(vcpu_nmi, 0, 0, 0, 0),
		CALL(vcpu_cpuid, 0, at, 1, 0),
		CALL(vcpu_fpu_get, 0, at, sizeof(buf), 0),
		CALL(vcpu_fpu_set, 0, at, 576, 0),
		CALL(vcpu_apic_get, 0, at, 0, 0),
		CALL(vcpu_apic_set, 0, at, 0, 0),
		CALL(vcpu_apic_read, 0, 0x20, 0, 0),
		CALL(vcpu_apic_write, 0, 0xf0, 0x1ff, 0),
		CALL(vcpu_share, 0, at, 0, 0),
		CALL(vm_destroy, 0, 0, 0, 0),
#undef CALL
	};
	long e;

	memset(buf, 0x5a, sizeof(buf));
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		e = luv_call(calls[i].nr, h, calls[i].a, calls[i].b, calls[i].c,
			     calls[i].d);
		expect(e == -LUV_EPERM, "another process's %s: %ld",
		       calls[i].name, e);
		expect(all_bytes(buf, sizeof(buf), 0x5a), "%s wrote something",
		       calls[i].name);
	}
}

/* Whose VM it is, not who knows its handle; who has the token, not who asks. */
static void authority(long vm)
{
	const uint64_t index = index_of(TAG);
	static struct view before, after;
	int status = -1;
	long e;

	look(vm, index, &before);
	fflush(stdout);
	if (fork() == 0) {
		test_failures = 0;
		stranger(vm);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	wait(&status);
	expect(status == 0, "another process: %d", status);
	for (int i = 0; i < 2; i++) {
		e = luv_call(LUV_CALL_vm_reap, token[0] ^ (i == 0),
			     token[1] ^ (uint64_t)(i == 1) << 63, index, TAG, 0);
		expect(e == -LUV_EPERM, "vm_reap with a wrong token: %ld", e);
	}
	e = luv_call(LUV_CALL_vm_reap, token[0], token[1], index, TAG ^ 1, 0);
	expect(e == -LUV_ENOENT, "vm_reap with another tag: %ld", e);
	look(vm, index, &after);
	expect(!memcmp(&before, &after, sizeof(before)),
	       "something of the VM has changed");
	run_until(vm, 0, 0, LUV_RUN_MMIO, "the guest goes on");
}

int main(void)
{
	struct luv_slot slot = { 0 };
	uint8_t *ram;
	long vm, e;

	test_open(&info);
	require(token_read(), "ioperm on the token's port");
	e = luv_call(LUV_CALL_vm_create, token[0] ^ 1, token[1], 0, 0, 0);
	expect(e == -LUV_EPERM, "vm_create with a wrong token: %ld", e);
	vm = luv_call(LUV_CALL_vm_create, token[0], token[1], TAG, 0, 0);
	expect(vm > 0, "vm_create: %ld", vm);
	ram = mmap(NULL, 2 * RAM, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	slot.len = RAM;
	slot.hva = (uintptr_t)ram;
	e = luv_call(LUV_CALL_vm_slot, (uint64_t)vm, (uintptr_t)&slot, 0, 0, 0);
	expect(e == 0, "vm_slot: %ld", e);
	plain_guest(vm, ram);
	shared_guest(vm, ram);
	refused_state(vm);
	bad_states(vm);
	authority(vm);
	e = luv_call(LUV_CALL_vm_destroy, (uint64_t)vm, 0, 0, 0, 0);
	expect(e == 0, "vm_destroy: %ld", e);
	e = luv_call(LUV_CALL_vm_destroy, (uint64_t)vm, 0, 0, 0, 0);
	expect(e == -LUV_ENOENT, "vm_destroy again: %ld", e);
	return test_end("domu", NULL);
}
