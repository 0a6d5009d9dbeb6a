/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmi.c - an NMI of dom0's is neither lost nor doubled, although the VMM uses
 * NMIs for itself: usage nmi [--kicks] [sends].
 * Sends spaced NMIs from ring 3 and compares the NMI row of /proc/interrupts.
 * Three ways to send, the first that this Linux allows:
 *   the x2APIC's ICR through the msr driver
 *   the xAPIC's ICR through /dev/mem (wants iomem=relaxed)
 *   SysRq "l", which sends one NMI to every other CPU
 * --kicks makes the VMM kick its CPUs meanwhile, by writes to an MTRR that
 * nobody uses. Two NMIs that meet in the CPU's one latch become one there, so
 * that is no part of a plain run.
 * SDM "Interrupt Command Register (ICR)".
 */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

#define CPUS_MAX	64
#define SENDS	       100
#define ARRIVAL_MS     500 /* an emulator under load is slow */
#define PHYS_LAPIC     0xfee00000
#define MSR_APIC_BASE  0x1b
#define MSR_MTRR_PHYSBASE0 0x200
#define MSR_X2APIC_ICR 0x830
#define APIC_BASE_X2   (1u << 10)
#define MTRR_VALID     (1u << 11)
#define LAPIC_ICR_LOW  (0x300 / 4)
#define LAPIC_ICR_HIGH (0x310 / 4)
#define ICR_NMI	       0x4400  /* assert, delivery mode NMI */
#define ICR_OTHERS     0xc0000 /* shorthand: all excluding self */
#define ICR_BUSY       0x1000

/* A way to send. Each member: did Linux let us? */
struct sender {
	const char *name;
	bool (*open)(void);
	bool (*others)(void); /* one to each CPU but this */
	bool (*self)(void);   /* one to this CPU; NULL: it cannot */
};

static volatile uint32_t *lapic;
static int msr = -1;
static uint32_t own_apic_id;

/* --- ways to send --------------------------------------------------------- */

static bool x2apic_open(void)
{
	uint64_t base;

	return msr >= 0 && msr_read(msr, MSR_APIC_BASE, &base) == 0 &&
	       (base & APIC_BASE_X2);
}

static bool x2apic_others(void)
{
	return msr_write(msr, MSR_X2APIC_ICR, ICR_OTHERS | ICR_NMI) == 0;
}

static bool x2apic_self(void)
{
	return msr_write(msr, MSR_X2APIC_ICR,
			 (uint64_t)own_apic_id << 32 | ICR_NMI) == 0;
}

static bool xapic_open(void)
{
	uint64_t base;
	int mem;
	void *p;

	if (msr >= 0 && msr_read(msr, MSR_APIC_BASE, &base) == 0 &&
	    ((base & APIC_BASE_X2) || (base & ~0xfffull) != PHYS_LAPIC))
		return false;
	mem = mem_open();
	if (mem < 0)
		return false;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mem,
		 PHYS_LAPIC);
	close(mem);
	if (p == MAP_FAILED)
		return false;
	lapic = p;
	return true;
}

static void xapic_ready(void)
{
	while (lapic[LAPIC_ICR_LOW] & ICR_BUSY)
		;
}

static bool xapic_others(void)
{
	xapic_ready();
	lapic[LAPIC_ICR_LOW] = ICR_OTHERS | ICR_NMI;
	return true;
}

/*
 * Linux may send an IPI between our two writes and leave its own destination.
 * Then ours went there; say so rather than blame the VMM.
 */
static bool xapic_self(void)
{
	xapic_ready();
	lapic[LAPIC_ICR_HIGH] = own_apic_id << 24;
	lapic[LAPIC_ICR_LOW] = ICR_NMI;
	xapic_ready();
	return lapic[LAPIC_ICR_HIGH] >> 24 == own_apic_id;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text);
}

static bool sysrq_open(void)
{
	return cpus_online() > 1 && access("/proc/sysrq-trigger", W_OK) == 0;
}

static bool sysrq_others(void)
{
	return write_file("/proc/sysrq-trigger", "l");
}

static const struct sender senders[] = {
	{ "the x2APIC", x2apic_open, x2apic_others, x2apic_self },
	{ "the xAPIC page", xapic_open, xapic_others, xapic_self },
	{ "SysRq l", sysrq_open, sysrq_others, NULL },
};

/* --- counting ------------------------------------------------------------- */

static bool read_nmis(uint64_t count[CPUS_MAX])
{
	char line[4096];
	bool found = false;
	FILE *f = fopen("/proc/interrupts", "r");

	require(f != NULL, "/proc/interrupts");
	while (!found && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "NMI:");

		if (!at)
			continue;
		found = true;
		at += 4;
		for (unsigned i = 0; i < cpus_online() && i < CPUS_MAX; i++)
			count[i] = strtoull(at, &at, 10);
	}
	fclose(f);
	return found;
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static uint64_t sum_nmis(void)
{
	uint64_t count[CPUS_MAX] = { 0 }, sum = 0;

	read_nmis(count);
	for (unsigned i = 0; i < CPUS_MAX; i++)
		sum += count[i];
	return sum;
}

/* NMIs must not meet, or the CPU itself makes one of two. */
static void wait_for_sum(uint64_t expected)
{
	for (long ms = 0; ms < ARRIVAL_MS && sum_nmis() < expected; ms++)
		sleep_ms(1);
	sleep_ms(2);
}

/* Send from OS CPU `cpu`; every count must rise by what was sent, exactly. */
static void send_from(unsigned cpu, bool (*send)(void), bool to_self,
		      unsigned sends)
{
	uint64_t before[CPUS_MAX] = { 0 }, after[CPUS_MAX] = { 0 };
	unsigned cpus = cpus_online(), sent = 0;
	uint64_t start = sum_nmis();
	unsigned each = to_self ? 1 : cpus - 1;

	read_nmis(before);
	for (unsigned i = 0; i < sends; i++) {
		if (!send()) {
			note("note: a send from CPU %u went astray, "
				    "this round does not count", cpu);
			return;
		}
		sent++;
		wait_for_sum(start + (uint64_t)sent * each);
	}
	sleep_ms(50);
	read_nmis(after);
	for (unsigned i = 0; i < cpus && i < CPUS_MAX; i++) {
		uint64_t want = (i == cpu) == to_self ? sent : 0;

		expect(after[i] - before[i] == want,
		       "%u NMIs from CPU %u to %s: CPU %u expected %" PRIu64
		       ", got %" PRIu64, sent, cpu,
		       to_self ? "itself" : "the others", i, want,
		       after[i] - before[i]);
	}
}

static void send_all(const struct sender *s, unsigned sends)
{
	for (unsigned cpu = 0; cpu < cpus_online(); cpu++) {
		if (!pin(cpu))
			continue;
		if (msr >= 0)
			close(msr);
		msr = msr_open(cpu);
		own_apic_id = apic_id_here();
		if (cpus_online() > 1)
			send_from(cpu, s->others, false, sends);
		if (s->self)
			send_from(cpu, s->self, true, sends);
	}
}

/* --- kicks ---------------------------------------------------------------- */

static _Atomic bool kicks_stop;
static uint64_t kicks;

/* Change an MTRR that is off: the VMM makes all CPUs forget translations. */
static void *kick_thread(void *unused)
{
	uint32_t reg = MSR_MTRR_PHYSBASE0;
	uint64_t base, mask;
	int fd;

	(void)unused;
	pin(cpus_online() - 1);
	fd = msr_open(cpus_online() - 1);
	while (fd >= 0 && reg < MSR_MTRR_PHYSBASE0 + 16 &&
	       (msr_read(fd, reg + 1, &mask) || (mask & MTRR_VALID)))
		reg += 2;
	if (fd < 0 || reg == MSR_MTRR_PHYSBASE0 + 16 ||
	    msr_read(fd, reg, &base))
		return NULL;
	while (!kicks_stop) {
		kicks += msr_write(fd, reg, base ^ 0x100000) == 0;
		kicks += msr_write(fd, reg, base) == 0;
		sleep_ms(1);
	}
	close(fd);
	return NULL;
}

static void send_with_kicks(const struct sender *s, unsigned sends)
{
	pthread_t thread;

	require(pthread_create(&thread, NULL, kick_thread, NULL) == 0,
		"starting a thread");
	send_all(s, sends);
	kicks_stop = true;
	pthread_join(thread, NULL);
	note("nmi: %" PRIu64 " writes to an MTRR meanwhile", kicks);
}

/* --- the run -------------------------------------------------------------- */

static char printk_was[64];

/* NMIs of others would be counted; and unknown ones must not stop Linux. */
static void quiet(void)
{
	int fd = open("/proc/sys/kernel/printk", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, printk_was, sizeof(printk_was) - 1) < 0)
		printk_was[0] = '\0';
	if (fd >= 0)
		close(fd);
	write_file("/proc/sys/kernel/nmi_watchdog", "0");
	write_file("/proc/sys/kernel/unknown_nmi_panic", "0");
	write_file("/proc/sys/kernel/panic_on_unrecovered_nmi", "0");
	/* Unknown NMIs are emergencies to it: below even those. */
	write_file("/proc/sys/kernel/printk", "0 4 0 7");
}

static const struct sender *find_sender(void)
{
	for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
		if (senders[i].open())
			return &senders[i];
	return NULL;
}

static bool arguments(int argc, char **argv, bool *with_kicks, unsigned *sends)
{
	for (int i = 1; i < argc; i++) {
		char *end;

		if (!strcmp(argv[i], "--kicks")) {
			*with_kicks = true;
			continue;
		}
		*sends = (unsigned)strtoul(argv[i], &end, 10);
		if (!argv[i][0] || *end || !*sends)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct sender *sender;
	struct luv_info vmm;
	bool with_kicks = false;
	unsigned sends = SENDS;
	uint64_t count[CPUS_MAX];

	if (!arguments(argc, argv, &with_kicks, &sends)) {
		fprintf(stderr, "usage: nmi [--kicks] [sends]\n");
		return 2;
	}
	test_open(&vmm);
	pin(0);
	msr = msr_open(0);
	sender = find_sender();
	if (!sender || !read_nmis(count))
		return test_end("nmi", "Linux lets root send no NMI here (boot "
				"with iomem=relaxed for the APIC page, or with "
				"two CPUs for SysRq)");
	quiet();
	note("nmi: %u sends each way, through %s", sends, sender->name);
	if (with_kicks)
		send_with_kicks(sender, sends);
	else
		send_all(sender, sends);
	sleep_ms(200); /* what Linux has to say about it comes late */
	note("LUV json {\"nmi_sends\":%u,\"nmi_failures\":%u}", sends,
	     test_failures);
	write_file("/proc/sys/kernel/printk", printk_was);
	return test_end("nmi", NULL);
}
