/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.c - luvtrace record: from the VMM's rings into a folder, one stream
 * of packets for each CPU and the metadata that explains them. In dom0.
 */
#include "ctf.h"
#include "libluv.h"
#include "metadata.h"
#include "say.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/io.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOCK_FILE  "/run/luvtrace.lock"
#define NS_PER_S   INT64_C(1000000000)
#define POLL_NS	   5000000	 /* between looks at rings that were empty */
#define CPUS_MAX   4096
#define CALIBRATE  (NS_PER_S / 5) /* the least a TSC is measured over */

static const char usage_text[] =
	"usage: luvtrace record [-o FOLDER] [-m stop|flight] [-s SECONDS] [-b MIB]\n"
	"                       [-d DOM,...] [-k REASON,...] [-c CPU,...] [-e] [-q]\n"
	"                       [-- COMMAND ...]\n"
	"Records every exit of this machine until COMMAND ends, SECONDS are over, there\n"
	"are MIB of it, or SIGINT comes. FOLDER (luvtrace-DATE) becomes a CTF trace.\n"
	"  -m  when the reader is slow: stop, new events are lost and counted;\n"
	"      flight, the oldest go (default: stop)\n"
	"  -d  domains: 0 dom0, 1... VMs       -k  reasons, as luvctl stat names them\n"
	"  -c  CPUs, as luvctl stat numbers them\n"
	"  -e  kvm_entry records, too          -q  no progress on stderr\n"
	"What -d, -k and -c leave out is not recorded at all; the gaps are known.\n";
static const char clock_text[] =
	"usage: luvtrace clock\n"
	"Puts a record of what time it is into the trace that the VMM writes now.\n";

struct moment {
	uint64_t tsc;
	int64_t mono, wall; /* ns */
};

struct stream {
	FILE *file;
	uint64_t next; /* packet */
	uint64_t lost; /* events */
	uint64_t gone; /* packets */
};

struct record {
	struct luv_trace_control wanted;
	const char *folder;
	bool quiet;
	const char *cpus; /* -c, or NULL */
	int64_t seconds; /* 0: no limit */
	uint64_t bytes;	 /* 0: no limit */
	char **command;
	uint64_t token[2];
	struct luv_trace_info info;
	struct luv_info vmm;
	struct moment first;
	struct stream *stream; /* of each CPU */
	char *packet;
	uint64_t packets;
	bool failed;
};

static volatile sig_atomic_t stopped;

static void on_signal(int nr)
{
	(void)nr;
	stopped = 1;
}

/* --- time --------------------------------------------------------------------- */

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* The three clocks as one: of a few tries the one that took least. */
static struct moment now(void)
{
	struct moment best = { 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 10; i++) {
		struct moment m;
		uint64_t begin = __builtin_ia32_rdtsc(), end;

		m.mono = clock_ns(CLOCK_MONOTONIC);
		m.wall = clock_ns(CLOCK_REALTIME);
		end = __builtin_ia32_rdtsc();
		m.tsc = begin + (end - begin) / 2;
		if (end - begin < least) {
			least = end - begin;
			best = m;
		}
	}
	return best;
}

static bool write_metadata(const struct record *r)
{
	const struct moment m = now();
	struct metadata d = { .isa = (uint8_t)r->info.isa };
	char name[4096];
	FILE *f;
	int e;

	d.tsc_hz = (uint64_t)((long double)(m.tsc - r->first.tsc) * NS_PER_S /
			      (m.mono - r->first.mono));
	metadata_clock(&d, m.tsc, m.wall);
	memcpy(d.uuid, r->info.uuid, sizeof(d.uuid));
	memcpy(d.build, r->vmm.build, sizeof(d.build));
	snprintf(name, sizeof(name), "%s/metadata", r->folder);
	f = fopen(name, "w");
	e = f ? metadata_write(f, &d) : -1;
	if (f && fclose(f))
		e = -1;
	if (e)
		say("%s cannot be written: %s", name, strerror(errno));
	return !e;
}

/* --- the VMM ------------------------------------------------------------------- */

static bool find_vmm(struct record *r)
{
	uint32_t w[4];
	int e = luv_open();

	if (e < 0) {
		say("%s", luv_strerror(e));
		return false;
	}
	if (ioperm(LUV_TOKEN_PORT, 16, 1)) {
		say("a trace shows everybody's addresses: run this as root");
		return false;
	}
	for (unsigned short i = 0; i < 4; i++)
		w[i] = inl((unsigned short)(LUV_TOKEN_PORT + 4 * i));
	ioperm(LUV_TOKEN_PORT, 16, 0);
	r->token[0] = w[0] | (uint64_t)w[1] << 32;
	r->token[1] = w[2] | (uint64_t)w[3] << 32;
	luv_touch(&r->info, sizeof(r->info));
	if (luv_identify(&r->vmm) < 0 ||
	    luv_call(LUV_CALL_trace_info, (uintptr_t)&r->info, sizeof(r->info),
		     0, 0, 0) < 0) {
		say("this VMM does not know traces");
		return false;
	}
	if (!r->info.packets)
		say("this VMM has no rings: start it with trace_kib=1024");
	return r->info.packets;
}

static bool control(const struct record *r, uint32_t mode)
{
	struct luv_trace_control c = r->wanted;
	long e;

	c.mode = mode;
	luv_touch(&c, sizeof(c));
	e = luv_call(LUV_CALL_trace_control, r->token[0], r->token[1],
		     (uintptr_t)&c, 0, 0);
	if (e < 0)
		say("the VMM refuses: %s", luv_strerror(e));
	return e >= 0;
}

/* A record of what time it is: whoever reads the trace can line up others. */
static bool tell_time(const struct record *r)
{
	const struct moment m = now();

	return luv_call(LUV_CALL_trace_clock, r->token[0], r->token[1], m.tsc,
			(uint64_t)m.mono, (uint64_t)m.wall) >= 0;
}

/* --- packets ------------------------------------------------------------------- */

/*
 * The stream's next packet. Finished ones only, or the open one as well, which
 * is then the last. 1: there was one; 0: none; -1: it cannot be kept.
 */
static int take(struct record *r, unsigned cpu, bool last)
{
	struct stream *s = &r->stream[cpu];
	struct luv_trace_read q = { .cpu = cpu, .packet = s->next,
				    .buf = (uintptr_t)r->packet,
				    .len = r->info.packet_size };
	long n;

	memset(r->packet, 0, r->info.packet_size);
	luv_touch(&q, sizeof(q));
	n = luv_call(LUV_CALL_trace_read, r->token[0], r->token[1],
		     (uintptr_t)&q, 0, 0);
	if (n <= 0 || (q.open && !last))
		return 0;
	s->gone += s->next ? q.packet - s->next : 0;
	s->lost = q.lost;
	s->next = q.packet + 1;
	r->packets++;
	if (fwrite(r->packet, r->info.packet_size, 1, s->file) == 1)
		return 1;
	say("%s/cpu%u: %s; what is there is a whole trace", r->folder, cpu,
	    strerror(errno));
	r->failed = true;
	return -1;
}

/* Everything there is now. False: nothing. */
static bool take_all(struct record *r, bool last)
{
	bool any = false;

	for (unsigned i = 0; i < r->info.cpus && !r->failed; i++)
		while (take(r, i, last) > 0)
			any = true;
	return any;
}

static void progress(const struct record *r, int64_t since)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < r->info.cpus; i++)
		lost += r->stream[i].lost;
	fprintf(stderr, "luvtrace: %.1f MiB, %.1f MiB/s, %" PRIu64
		" events lost\n",
		(double)r->packets * r->info.packet_size / 0x1p20,
		(double)r->packets * r->info.packet_size / 0x1p20 /
			((double)since / NS_PER_S), lost);
}

static bool open_streams(struct record *r)
{
	if (mkdir(r->folder, 0777) && errno != EEXIST) {
		say("%s cannot be made: %s", r->folder, strerror(errno));
		return false;
	}
	r->stream = calloc(r->info.cpus, sizeof(*r->stream));
	r->packet = calloc(1, r->info.packet_size);
	for (unsigned i = 0; r->stream && r->packet && i < r->info.cpus; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/cpu%u", r->folder, i);
		r->stream[i].file = fopen(name, "w");
		if (!r->stream[i].file) {
			say("%s cannot be written: %s", name, strerror(errno));
			return false;
		}
	}
	return r->stream && r->packet;
}

static void close_streams(struct record *r)
{
	for (unsigned i = 0; i < r->info.cpus; i++)
		if (fclose(r->stream[i].file) && !r->failed) {
			say("%s/cpu%u: %s", r->folder, i, strerror(errno));
			r->failed = true;
		}
}

/* --- the recording -------------------------------------------------------------- */

static pid_t start(char **command)
{
	pid_t pid = command ? fork() : 0;

	if (command && !pid) {
		execvp(command[0], command);
		say("%s cannot be run: %s", command[0], strerror(errno));
		_exit(127);
	}
	return pid;
}

static bool over(const struct record *r, pid_t pid)
{
	if (stopped || r->failed)
		return true;
	if (pid > 0 && waitpid(pid, NULL, WNOHANG) == pid)
		return true;
	if (r->bytes && r->packets * r->info.packet_size >= r->bytes)
		return true;
	return r->seconds && clock_ns(CLOCK_MONOTONIC) - r->first.mono >
				     r->seconds * NS_PER_S;
}

static void run(struct record *r)
{
	const struct timespec nap = { 0, POLL_NS };
	int64_t told = r->first.mono;
	pid_t pid = start(r->command);

	tell_time(r);

	while (!over(r, pid)) {
		int64_t t = clock_ns(CLOCK_MONOTONIC);

		if (!take_all(r, false))
			nanosleep(&nap, NULL);
		if (t - told < NS_PER_S)
			continue;
		if (!r->quiet)
			progress(r, t - r->first.mono);
		tell_time(r);
		told = t;
	}
	tell_time(r);
}

static void report(const struct record *r)
{
	uint64_t lost = 0, gone = 0;

	for (unsigned i = 0; i < r->info.cpus; i++) {
		lost += r->stream[i].lost;
		gone += r->stream[i].gone;
	}
	fprintf(stderr, "luvtrace: %s: %" PRIu64 " packets of %u CPUs, %.1f "
		"MiB; %" PRIu64 " events lost, %" PRIu64 " packets gone.\n",
		r->folder, r->packets, r->info.cpus,
		(double)r->packets * r->info.packet_size / 0x1p20, lost, gone);
}

static enum status record(struct record *r)
{
	const uint32_t before = r->info.now.mode;
	const struct timespec calibrate = { 0, CALIBRATE };
	struct sigaction act = { .sa_handler = on_signal };

	r->first = now();
	nanosleep(&calibrate, NULL);
	if (!open_streams(r) || !write_metadata(r))
		return STATUS_BAD;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (!control(r, r->wanted.mode))
		return STATUS_BAD;
	run(r);
	control(r, LUV_TRACE_OFF);
	take_all(r, true);
	close_streams(r);
	/* Better known now. */
	if (!write_metadata(r))
		r->failed = true;
	if (before == LUV_TRACE_FLIGHT) /* the boot option's recorder goes on */
		control(r, before);
	report(r);
	return r->failed ? STATUS_BAD : STATUS_OK;
}

/* --- the command line ------------------------------------------------------------ */

/* Numbers with commas to bits, 63 and more to bit 63. */
static bool read_numbers(const char *s, unsigned limit, const char *what,
			 uint64_t *mask)
{
	char *end;

	*mask = 0;
	for (;; s = end + 1) {
		unsigned long n = strtoul(s, &end, 10);

		if (end == s || *s < '0' || *s > '9' ||
		    (*end && *end != ',')) {
			say("%s is no list of %s: give numbers, as in 0,1", s,
			    what);
			return false;
		}
		if (n >= limit) {
			say("%lu is none of the %s: they are 0 to %u", n, what,
			    limit - 1);
			return false;
		}
		*mask |= UINT64_C(1) << (n < 63 ? n : 63);
		if (!*end)
			return true;
	}
}

static bool read_kinds(char *s, uint64_t *mask)
{
	*mask = 0;
	for (char *word = strtok(s, ","); word; word = strtok(NULL, ",")) {
		unsigned k = 0;

		while (k < EXIT_KINDS && strcmp(luv_exit_name(k), word) != 0)
			k++;
		if (k == EXIT_KINDS) {
			say("%s is no reason of an exit; see luvctl stat", word);
			return false;
		}
		*mask |= UINT64_C(1) << k;
	}
	if (!*mask)
		say("-k wants reasons of exits; see luvctl stat");
	return *mask;
}

static bool option(struct record *r, int opt)
{
	uint64_t n;

	switch (opt) {
	case 'o':
		r->folder = optarg;
		return true;
	case 'm':
		r->wanted.mode = strcmp(optarg, "flight") ? LUV_TRACE_STOP :
							    LUV_TRACE_FLIGHT;
		return r->wanted.mode == LUV_TRACE_FLIGHT ||
		       !strcmp(optarg, "stop");
	case 's':
		n = strtoull(optarg, NULL, 10);
		r->seconds = (int64_t)n;
		return n > 0 && n < UINT32_MAX;
	case 'b':
		n = strtoull(optarg, NULL, 10);
		r->bytes = n << 20;
		return n > 0 && n < UINT32_MAX;
	case 'd':
		return read_numbers(optarg, LUV_VMS + 1, "domains",
				    &r->wanted.doms);
	case 'c':
		r->cpus = optarg;
		return read_numbers(optarg, CPUS_MAX, "CPUs", &r->wanted.cpus);
	case 'k':
		return read_kinds(optarg, &r->wanted.kinds);
	case 'e':
		r->wanted.flags |= LUV_TRACE_ENTRIES;
		return true;
	case 'q':
		r->quiet = true;
		return true;
	default:
		return false;
	}
}

enum status tool_record(int argc, char **argv)
{
	struct record r = { .wanted = { LUV_TRACE_STOP, 0, ~0ull, ~0ull,
					~0ull } };
	char name[64];
	time_t t = time(NULL);
	int opt, fd;

	strftime(name, sizeof(name), "luvtrace-%Y%m%d-%H%M%S", localtime(&t));
	r.folder = name;
	while ((opt = getopt(argc, argv, "+o:m:s:b:d:k:c:eq")) != -1)
		if (!option(&r, opt)) {
			fputs(usage_text, stderr);
			return STATUS_USAGE;
		}
	if (optind < argc)
		r.command = argv + optind;
	if (!find_vmm(&r))
		return STATUS_BAD;
	if (r.cpus && !read_numbers(r.cpus, r.info.cpus, "machine's CPUs",
				    &r.wanted.cpus))
		return STATUS_USAGE;
	fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		say("another luvtrace records already: wait for it, or end it");
		return STATUS_BAD;
	}
	return record(&r);
}

enum status tool_clock(int argc, char **argv)
{
	struct record r = { 0 };

	if (argc != 1) {
		(void)argv;
		fputs(clock_text, stderr);
		return STATUS_USAGE;
	}
	if (!find_vmm(&r))
		return STATUS_BAD;
	if (tell_time(&r))
		return STATUS_OK;
	say("nothing is being recorded on this CPU, or it has no room");
	return STATUS_BAD;
}
