/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.c - see clock.h. */
#include "clock.h"
#include "memory.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S	INT64_C(1000000000)
#define CALIBRATE_NS	20000000
#define TSC_STABLE	1 /* PVCLOCK_TSC_STABLE_BIT */

/* Documentation/virt/kvm/x86/msr.rst */
struct time_info {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad2[2];
};

struct wall_clock {
	uint32_t version, sec, nsec;
};

/* --- the TSC ------------------------------------------------------------------ */

uint64_t clock_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

static int64_t now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* What the kernel knows: ns = ticks * time_mult >> time_shift. 0: it does not. */
static uint32_t khz_of_kernel(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.exclude_kernel = 1,
	};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct perf_event_mmap_page *p;
	uint32_t khz = 0;
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			      PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return 0;
	p = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED) {
		if (p->cap_user_time && p->time_mult)
			khz = (uint32_t)((UINT64_C(1000000) << p->time_shift) /
					 p->time_mult);
		munmap(p, page);
	}
	syscall(SYS_close, fd);
	return khz;
}

static uint32_t khz_measured(void)
{
	const struct timespec wait = { 0, CALIBRATE_NS };
	int64_t ns = now(CLOCK_MONOTONIC_RAW);
	uint64_t ticks = clock_tsc();

	nanosleep(&wait, NULL);
	ns = now(CLOCK_MONOTONIC_RAW) - ns;
	ticks = clock_tsc() - ticks;
	return (uint32_t)(ticks * 1000000 / (uint64_t)ns);
}

static uint32_t tsc_khz;

static void find_khz(void)
{
	tsc_khz = khz_of_kernel();
	if (!tsc_khz)
		tsc_khz = khz_measured();
}

uint32_t clock_tsc_khz(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find_khz);
	return tsc_khz;
}

void clock_scale(uint32_t khz, uint32_t *mul, int8_t *shift)
{
	uint64_t ns = 1000000, ticks = khz;
	int s = 0;

	/* ns / ticks of a tick: into [1/2, 1), the rest is the shift. */
	for (; ns >= ticks; ticks <<= 1)
		s++;
	for (; ns * 2 < ticks; ns <<= 1)
		s--;
	*mul = (uint32_t)((ns << 32) / ticks);
	*shift = (int8_t)s;
}

/* --- the VM's time ------------------------------------------------------------- */

void clock_init_vm(struct clock *c)
{
	pthread_mutex_init(&c->lock, NULL);
	c->offset = -now(CLOCK_MONOTONIC_RAW);
}

static int64_t vm_time(struct clock *c)
{
	int64_t t;

	pthread_mutex_lock(&c->lock);
	t = now(CLOCK_MONOTONIC_RAW) + c->offset;
	pthread_mutex_unlock(&c->lock);
	return t;
}

void clock_get(struct clock *c, struct kvm_clock_data *data)
{
	memset(data, 0, sizeof(*data));
	data->clock = (uint64_t)vm_time(c);
	data->flags = KVM_CLOCK_TSC_STABLE;
}

long clock_set(struct clock *c, const struct kvm_clock_data *data)
{
	if (data->flags & ~(uint32_t)KVM_CLOCK_TSC_STABLE)
		return -EINVAL;
	pthread_mutex_lock(&c->lock);
	c->offset = (int64_t)data->clock - now(CLOCK_MONOTONIC_RAW);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

/* Odd versions tell the guest that the rest is being written. */
static bool write_versioned(struct memory *m, uint64_t gpa, uint32_t *record,
			    unsigned len)
{
	uint32_t old[sizeof(struct time_info) / 4];

	if (!memory_read(m, gpa, old, len)) /* all of it, before any is written */
		return false;
	record[0] = (old[0] | 1) + 2;
	if (!memory_write(m, gpa, record, sizeof(*record)))
		return false;
	memory_write(m, gpa + 4, record + 1, len - 4);
	record[0]++;
	return memory_write(m, gpa, record, sizeof(*record));
}

bool clock_tell_guest(struct clock *c, struct memory *m, uint64_t gpa,
		      uint64_t tsc_offset)
{
	union {
		struct time_info info;
		uint32_t word[sizeof(struct time_info) / 4];
	} u = { { 0 } };

	clock_scale(clock_tsc_khz(), &u.info.mul, &u.info.shift);
	u.info.system_time = (uint64_t)vm_time(c);
	u.info.tsc_timestamp = clock_tsc() + tsc_offset;
	u.info.flags = TSC_STABLE;
	return write_versioned(m, gpa, u.word, sizeof(u));
}

bool clock_tell_wall(struct clock *c, struct memory *m, uint64_t gpa)
{
	/* The time of day when the VM's clock was 0. */
	int64_t boot = now(CLOCK_REALTIME) - vm_time(c);
	uint32_t word[sizeof(struct wall_clock) / 4] = {
		0, (uint32_t)(boot / NS_PER_S), (uint32_t)(boot % NS_PER_S)
	};

	return write_versioned(m, gpa, word, sizeof(word));
}
