/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * provider.c - libluvkvm-lttng.so: libluvkvm.so's trace points (kvm/tp.h) as
 * events of LTTng. It is loaded beside that library, LD_PRELOAD, which does not
 * know of it or of LTTng.
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "points.h"
#include "../kvm/tp.h"

#include <dlfcn.h>
#include <stddef.h>

static void ioctl_entry(unsigned kind, uint32_t request, uint64_t arg)
{
	lttng_ust_tracepoint(luvkvm, ioctl_entry, kind, request, arg);
}

static void ioctl_exit(unsigned kind, uint32_t request, int64_t result)
{
	lttng_ust_tracepoint(luvkvm, ioctl_exit, kind, request, result);
}

static void run_entry(uint64_t vm, uint32_t vcpu)
{
	lttng_ust_tracepoint(luvkvm, run_entry, vm, vcpu);
}

static void run_exit(uint64_t vm, uint32_t vcpu, uint64_t rax, uint64_t rdi,
		     uint64_t rsi, uint64_t rdx)
{
	lttng_ust_tracepoint(luvkvm, run_exit, vm, vcpu, rax, rdi, rsi, rdx);
}

static void block(uint64_t vm, uint32_t vcpu, uint64_t ns)
{
	lttng_ust_tracepoint(luvkvm, block, vm, vcpu, ns);
}

static void unblock(uint64_t vm, uint32_t vcpu)
{
	lttng_ust_tracepoint(luvkvm, unblock, vm, vcpu);
}

static void wake(uint64_t vm, uint64_t vcpus)
{
	lttng_ust_tracepoint(luvkvm, wake, vm, vcpus);
}

static void irqfd(uint32_t gsi)
{
	lttng_ust_tracepoint(luvkvm, irqfd, gsi);
}

static void ioeventfd(uint32_t pio, uint64_t addr, uint32_t len, uint64_t data)
{
	lttng_ust_tracepoint(luvkvm, ioeventfd, pio, addr, len, data);
}

__attribute__((constructor)) static void fill_in(void)
{
	struct tp *tp = dlsym(RTLD_DEFAULT, "luvkvm_tp");

	if (!tp)
		return; /* a program without the library */
	*tp = (struct tp){
#define X(name, parameters) .name = name,
		TP_POINTS(X)
#undef X
	};
}
