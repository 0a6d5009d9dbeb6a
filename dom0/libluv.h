/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libluv.h - hypercalls from ring 3: find the VMM, call it, name what it says.
 * Owns no memory and keeps no state but the opcode of this CPU's vendor and
 * the last reason of luv_open(). See luvalley/luvalley.h for the ABI.
 */
#pragma once

#include <luvalley/luvalley.h>
#include <stddef.h>

/* luv_open() failed before there was a VMM to return an error. */
#define LUV_ABSENT    (-1001) /* this is not a dom0 of Luvalley */
#define LUV_OTHER_ABI (-1002) /* it is, but speaks another ABI version */

/*
 * luv_open - find out whether this process runs in a dom0 of Luvalley, with
 * the ABI of this header. Nothing to close. Survives machines without a
 * hypervisor (SIGILL) and hypervisors that answer something of their own.
 * Returns 0, LUV_ABSENT or LUV_OTHER_ABI.
 * Context: changes the handlers of SIGILL, SIGSEGV and SIGBUS while it runs:
 * call it before other threads exist.
 */
int luv_open(void);

/* What luv_open() makes of identify's answer: for tests. */
int luv_check(const struct luv_info *info, long size);

/*
 * luv_strerror - one sentence, without a full stop, for a negative result of
 * any function here. For those of luv_open() it says what was found.
 */
const char *luv_strerror(long error);

/*
 * luv_raw - execute VMCALL or VMMCALL with RAX = rax: nothing checked, nothing
 * touched, no retry. On a CPU without a VMM, or with a rax that is not
 * LUV_CALL(...), the process gets SIGILL.
 * Returns RAX.
 */
long luv_raw(uint64_t rax, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
	     uint64_t a4);

/* luv_call - luv_raw of hypercall number nr. */
long luv_call(unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
	      uint64_t a4);

/*
 * luv_touch - make every page of [buf, buf+len) present and writable now, as
 * a write of what it already holds. Faults like any write if it cannot.
 */
void luv_touch(void *buf, size_t len);

/*
 * The calls. Each touches its buffer, and does so again a few times if the
 * page went away before the VMM looked (LUV_EFAULT). Structures are cleared
 * first: a VMM that knows fewer fields leaves the others 0.
 */

/* Returns the VMM's size of the structure, or a negative LUV_E*. */
long luv_identify(struct luv_info *info);

/* Returns the VMM's size of the structure, or a negative LUV_E*. */
long luv_cpu_stat(uint64_t cpu, struct luv_cpu_stat *stat);

/* The VM at `index` < LUV_VMS; -LUV_ENOENT: none. Else as luv_cpu_stat. */
long luv_vm_stat(uint64_t index, struct luv_vm_stat *stat);

/*
 * luv_hist - at most `rows` rows of how long exits took, see exit_hist in
 * luvalley.h. Returns rows copied, 0 at the end, or a negative LUV_E*.
 */
long luv_hist(uint64_t who, uint64_t vcpu, uint64_t position,
	      struct luv_hist *row, size_t rows);

/*
 * luv_hist_all - all of them, of one moment. Returns how many, or a negative
 * LUV_E*; -LUV_E2BIG: there are more than `rows`, which LUV_HIST_ALL is not.
 */
#define LUV_HIST_ALL 200
long luv_hist_all(uint64_t who, uint64_t vcpu, struct luv_hist *row,
		  size_t rows);

/* The one of `rows` that is about what `like` is about, or NULL. */
static inline struct luv_hist *luv_hist_find(struct luv_hist *row, size_t rows,
					     const struct luv_hist *like)
{
	for (size_t i = 0; i < rows; i++)
		if (row[i].kind == like->kind &&
		    row[i].has_sub == like->has_sub && row[i].sub == like->sub)
			return &row[i];
	return NULL;
}

/* What `h` has counted, to what `to` has. */
static inline void luv_hist_add(struct luv_hist *to, const struct luv_hist *h)
{
	to->count += h->count;
	to->ticks += h->ticks;
	for (unsigned b = 0; b < LUV_HIST_BUCKETS; b++)
		to->bucket[b] += h->bucket[b];
}

/*
 * luv_log - at most len bytes of the VMM's log from `position`; a position
 * older than the oldest byte kept starts there. Never more than LUV_MAX_COPY.
 * Returns bytes copied, 0 at the end, or a negative LUV_E*.
 */
long luv_log(uint64_t position, void *buf, size_t len);

/*
 * luv_memmap - at most `rows` rows of the memory map from row `first`.
 * Returns rows copied, 0 at the end, or a negative LUV_E*.
 */
long luv_memmap(uint64_t first, struct luv_mem *row, size_t rows);

/* Names as people and JSON read them; "unknown" beyond this ABI's values. */
const char *luv_exit_name(unsigned kind);
const char *luv_cpu_state_name(unsigned state);
const char *luv_isa_name(unsigned isa);
const char *luv_mem_type_name(unsigned type);
