/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hypercall.c - the calls of include/luvalley/luvalley.h, and the BIOS stub's.
 * A call checks everything first; what it copies out is built on our stack.
 */
#include "bios.h"
#include "console.h"
#include "dom0.h"
#include "domu.h"
#include "dump.h"
#include "exit.h"
#include "hv.h"
#include "mem.h"
#include "string.h"
#include "trace.h"

#define HEADER_MIN 16  /* identify, cpu_stat: shortest useful buffer */
#define HIST_CHUNK 4u /* rows on the stack */
#define CHUNK	   256 /* log bytes moved at a time */

typedef int64_t (*call_fn)(struct vcpu *v, const struct gpaging *g);

static int64_t copy_struct(const struct gpaging *g, uint64_t buf,
			   uint64_t len, const void *src, size_t size)
{
	if (len < HEADER_MIN)
		return -LUV_EINVAL;
	if (len > LUV_MAX_COPY)
		return -LUV_E2BIG;
	if (dom0_copy_out(g, GVA(buf), src, len < size ? len : size) != OK)
		return -LUV_EFAULT;
	return (int64_t)size;
}

static int64_t call_identify(struct vcpu *v, const struct gpaging *g)
{
	struct luv_info info = {
		.abi_version = LUV_ABI_VERSION,
		.build = LUV_BUILD,
		.isa = hv->isa,
		.cpus = machine.cpus,
		.vmm_base = mem.base,
		.vmm_len = mem.len,
		.vmm_used = mem.used - mem.free,
		.image_len = mem.image_len,
		.ram_len = e820_ram_bytes(&dom0.map) + mem.len,
		.start_ticks = machine.ready_tsc - machine.start_tsc,
		.exit_kinds = EXIT_KINDS,
		.apic_trap = dom0.apic_trapped,
	};

	memcpy(info.signature, LUV_SIGNATURE, sizeof(info.signature));
	log_span(&info.log_first, &info.log_next);
	return copy_struct(g, v->gpr[RDI], v->gpr[RSI], &info, sizeof(info));
}

static int64_t call_cpu_stat(struct vcpu *v, const struct gpaging *g)
{
	struct luv_cpu_stat stat;
	const struct cpu *cpu;

	if (v->gpr[RDI] >= machine.cpus)
		return -LUV_ENOENT;
	cpu = machine.cpu[v->gpr[RDI]];
	stat = (struct luv_cpu_stat){
		.cpu = cpu->index,
		.apic_id = cpu->apic_id,
		.state = cpu->state,
		.exit_kinds = EXIT_KINDS,
		.start_ticks = cpu->start_ticks,
		.now = rdtsc(),
	};
	for (unsigned k = 0; k < EXIT_KINDS; k++)
		stat.exits[k] = hist_kind(&cpu->dom0.hist, k);
	return copy_struct(g, v->gpr[RSI], v->gpr[RDX], &stat, sizeof(stat));
}

/* The next rows of whoever it is; *at moves on behind them. */
static int64_t hist_rows(uint64_t who, uint64_t id, uint64_t *at,
			 struct luv_hist *to, unsigned max)
{
	if (who & LUV_HIST_VM)
		return domu_hist(who & ~LUV_HIST_VM, id, at, to, max);
	if (who >= machine.cpus)
		return -LUV_ENOENT;
	return hist_read(&machine.cpu[who]->dom0.hist, at, to, max);
}

static int64_t call_exit_hist(struct vcpu *v, const struct gpaging *g)
{
	uint64_t buf = v->gpr[RSI], at = v->gpr[RDX], max = v->gpr[R10];
	struct luv_hist rows[HIST_CHUNK];
	uint64_t done = 0;

	if (max > LUV_MAX_COPY / sizeof(rows[0]))
		return -LUV_E2BIG;
	if (dom0_writable(g, GVA(buf), max * sizeof(rows[0])) != OK)
		return -LUV_EFAULT;
	while (done < max) {
		int64_t n = hist_rows(v->gpr[RDI], v->gpr[R8], &at, rows,
				      max - done < HIST_CHUNK ?
					      (unsigned)(max - done) :
					      HIST_CHUNK);

		if (n < 0 && !done)
			return n;
		if (n <= 0)
			break; /* an error, too: of the next call */
		if (dom0_copy_out(g, GVA(buf + done * sizeof(rows[0])), rows,
				  (uint64_t)n * sizeof(rows[0])) != OK)
			return -LUV_EFAULT;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

static int64_t call_log(struct vcpu *v, const struct gpaging *g)
{
	uint64_t pos = v->gpr[RDI], buf = v->gpr[RSI], len = v->gpr[RDX];
	uint64_t first, next, done = 0;
	char chunk[CHUNK];

	if (len > LUV_MAX_COPY)
		return -LUV_E2BIG;
	log_span(&first, &next);
	if (pos > next)
		return -LUV_EINVAL;
	if (pos < first)
		pos = first;
	if (len > next - pos)
		len = next - pos;
	if (dom0_writable(g, GVA(buf), len) != OK)
		return -LUV_EFAULT;
	while (done < len) {
		size_t n = len - done < CHUNK ? len - done : CHUNK;

		n = log_read(pos + done, chunk, n);
		if (!n)
			break;
		if (dom0_copy_out(g, GVA(buf + done), chunk, n) != OK)
			return -LUV_EFAULT;
		done += n;
	}
	return (int64_t)done;
}

static int64_t call_memmap(struct vcpu *v, const struct gpaging *g)
{
	uint64_t first = v->gpr[RDI], rows = v->gpr[RDX];

	if (rows > LUV_MAX_COPY)
		return -LUV_E2BIG;
	rows /= sizeof(struct luv_mem);
	if (first >= dom0.map.count)
		return 0;
	if (rows > dom0.map.count - first)
		rows = dom0.map.count - first;
	if (dom0_copy_out(g, GVA(v->gpr[RSI]), &dom0.map.row[first],
			  rows * sizeof(struct luv_mem)) != OK)
		return -LUV_EFAULT;
	return (int64_t)rows;
}

#define R(reg) v->gpr[reg]
/* CALL(name, arguments after the guest's state) */
#define CALL(name, ...)                                                        \
	static int64_t call_##name(struct vcpu *v,                             \
				   const struct gpaging *g)                \
	{                                                                      \
		return domu_##name(g, __VA_ARGS__);                            \
	}
CALL(vm_create, R(RDI), R(RSI), R(RDX))
CALL(vm_destroy, R(RDI))
CALL(vm_stat, R(RDI), R(RSI), R(RDX))
CALL(vm_slot, R(RDI), R(RSI))
CALL(vm_grant, R(RDI), R(RSI), R(RDX), R(R10))
CALL(vcpu_create, R(RDI), R(RSI), R(RDX))
CALL(vcpu_kick, R(RDI), R(RSI))
CALL(vcpu_nmi, R(RDI), R(RSI))
CALL(vcpu_get, R(RDI), R(RSI), R(RDX))
CALL(vcpu_set, R(RDI), R(RSI), R(RDX))
CALL(vcpu_share, R(RDI), R(RSI), R(RDX))
CALL(vcpu_cpuid, R(RDI), R(RSI), R(RDX), R(R10))
CALL(vcpu_fpu_get, R(RDI), R(RSI), R(RDX), R(R10))
CALL(vcpu_fpu_set, R(RDI), R(RSI), R(RDX), R(R10))
CALL(vcpu_apic_get, R(RDI), R(RSI), R(RDX))
CALL(vcpu_apic_set, R(RDI), R(RSI), R(RDX))
CALL(vcpu_apic_read, R(RDI), R(RSI), R(RDX))
CALL(vcpu_apic_write, R(RDI), R(RSI), R(RDX), R(R10))
#undef CALL

static int64_t call_vm_reap(struct vcpu *v, const struct gpaging *g)
{
	(void)g;
	return domu_vm_reap(R(RDI), R(RSI), R(RDX), R(R10));
}

static int64_t call_vm_eoi_vectors(struct vcpu *v,
				   const struct gpaging *g)
{
	const uint64_t bits[4] = { R(RSI), R(RDX), R(R10), R(R8) };

	return domu_vm_eoi_vectors(g, R(RDI), bits);
}

static int64_t call_vm_msi(struct vcpu *v, const struct gpaging *g)
{
	uint64_t wake;
	int64_t result = domu_vm_msi(g, R(RDI), R(RSI), R(RDX), &wake);

	if (result >= 0)
		R(RDX) = wake;
	return result;
}

static int64_t call_trace_info(struct vcpu *v, const struct gpaging *g)
{
	return trace_info(g, R(RDI), R(RSI));
}

static int64_t call_trace_control(struct vcpu *v, const struct gpaging *g)
{
	return domu_token_ok(R(RDI), R(RSI)) ? trace_control(g, R(RDX)) :
					       -LUV_EPERM;
}

static int64_t call_trace_read(struct vcpu *v, const struct gpaging *g)
{
	return domu_token_ok(R(RDI), R(RSI)) ? trace_read(g, R(RDX)) :
					       -LUV_EPERM;
}

static int64_t call_trace_clock(struct vcpu *v, const struct gpaging *g)
{
	(void)g;
	return domu_token_ok(R(RDI), R(RSI)) ?
		       trace_clock(R(RDX), R(R10), R(R8)) : -LUV_EPERM;
}
#undef R

/* The one call that does not end here: dom0 stays at it while a domU runs. */
static int64_t call_vcpu_run(struct vcpu *v, const struct gpaging *g)
{
	return domu_run(v, g);
}

static const call_fn calls[] = {
#define X(nr, name) [nr] = call_##name,
	LUV_CALLS(X)
#undef X
};

enum exit_action hypercall_exit(struct vcpu *v)
{
	uint32_t call = (uint32_t)v->gpr[RAX], nr = call ^ LUV_MAGIC;
	enum exit_action action;
	struct gpaging *g = &v->cpu->paging; /* what vcpu_run begins needs it */
	unsigned bits = hv->paging(v, g);
	int64_t result;

	if (bits == 16 && bios_call(v, &action))
		return action;
	if ((call & 0xffff0000) != LUV_MAGIC) {
		hv->inject(v, VEC_UD, -1);
		return RESUME;
	}
	if (dom0.opt.crash == CRASH_EXIT)
		return STOP;
	if (bits != 64)
		for (unsigned i = RAX; i <= RDI; i++)
			v->gpr[i] = (uint32_t)v->gpr[i];
	if (nr == LUV_CALL_vcpu_run) {
		result = domu_run(v, g);
		if (!result)
			return RESUME; /* it has come back, or will */
	} else if (nr >= ARRAY_SIZE(calls) || !calls[nr]) {
		result = -LUV_ENOSYS;
	} else {
		result = calls[nr](v, g);
	}
	v->gpr[RAX] = (uint64_t)result;
	return SKIP;
}
