/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover.c - luvtrace recover: a capture that any reader of CTF opens, out of
 * one that is damaged or lies as the ring did, or out of an image of the
 * machine's memory after a crash. Packets are found by their first words, at
 * multiples of a page.
 */
#include "capture.h"
#include "memory.h"
#include "native.h"
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP	 4096
#define CPUS_MAX 4096u
#define HZ	 1000000000u

struct recover {
	struct metadata meta;
	bool has_uuid;
	char **file;
	unsigned files;
	bool cpu[CPUS_MAX]; /* there are packets of it */
	uint64_t packets;
	bool damaged;
};

static char *join(const char *folder, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		path = NULL;
	return memory_checked(path);
}

static void add_file(struct recover *r, const char *path)
{
	r->file = memory_grown(r->file, r->files + 1, sizeof(char *));
	r->file[r->files++] = memory_string(path);
}

/* A folder with our metadata, or else a file. */
static bool find_files(struct recover *r, const char *where)
{
	struct capture c;
	struct dirent **name = NULL;
	struct stat st;
	int n;

	if (stat(where, &st)) {
		fprintf(stderr, "luvtrace: %s: %s\n", where, strerror(errno));
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		add_file(r, where);
		return true;
	}
	if (!capture_open(&c, where, false) && !c.use_bt) {
		r->meta = c.meta;
		r->has_uuid = true;
	}
	capture_close(&c);
	n = scandir(where, &name, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char *path = join(where, name[i]->d_name);

		if (name[i]->d_name[0] != '.' &&
		    strcmp(name[i]->d_name, "metadata") != 0 &&
		    stat(path, &st) == 0 && S_ISREG(st.st_mode))
			add_file(r, path);
		free(path);
		free(name[i]);
	}
	free(name);
	return true;
}

/* Which CPUs have packets in the file. Without a UUID the first one's counts. */
static void look_for_cpus(struct recover *r, const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct ctf_packet p;
	off_t at = 0;

	while (fd >= 0 && pread(fd, &p, sizeof(p), at) == sizeof(p)) {
		const bool packet = !native_head_wrong(&p) &&
			p.cpu_id < CPUS_MAX;

		if (packet && !r->has_uuid) {
			memcpy(r->meta.uuid, p.uuid, sizeof(p.uuid));
			r->has_uuid = true;
		}
		if (packet && memcmp(p.uuid, r->meta.uuid, 16) == 0)
			r->cpu[p.cpu_id] = true;
		at += packet && p.packet_size / 8 % STEP == 0 ?
			(off_t)(p.packet_size / 8) : STEP;
	}
	if (fd >= 0)
		close(fd);
}

static bool write_cpu(struct recover *r, uint32_t cpu, FILE *out)
{
	for (unsigned i = 0; i < r->files; i++) {
		struct native n;
		const struct ctf_packet *p;

		if (!native_open_cpu(&n, r->file[i], r->meta.uuid, cpu))
			while ((p = native_packet(&n)))
				if (p->content_size / 8 > sizeof(*p)) {
					fwrite(p, p->content_size / 8, 1, out);
					r->packets++;
				}
		r->damaged |= n.errors > 0;
		native_close(&n);
	}
	return !ferror(out);
}

static bool write_file(struct recover *r, const char *folder, const char *name,
		       uint32_t cpu)
{
	char *path = join(folder, name);
	FILE *out = fopen(path, "w");
	bool ok = out && (cpu == UINT32_MAX ?
		metadata_write(out, &r->meta) == 0 : write_cpu(r, cpu, out));

	if (out && fclose(out))
		ok = false;
	if (!ok)
		fprintf(stderr, "luvtrace: %s: %s\n", path, strerror(errno));
	free(path);
	return ok;
}

static enum status recover(struct recover *r, const char *where,
			   const char *out)
{
	unsigned cpus = 0;
	char name[32];

	for (unsigned i = 0; i < r->files; i++)
		look_for_cpus(r, r->file[i]);
	for (uint32_t cpu = 0; cpu < CPUS_MAX; cpu++)
		cpus += r->cpu[cpu];
	if (!cpus) {
		fprintf(stderr, "luvtrace: %s: no packet of a trace in it\n",
			where);
		return STATUS_BAD;
	}
	if (mkdir(out, 0777)) {
		fprintf(stderr, "luvtrace: %s: %s\n", out, strerror(errno));
		return STATUS_BAD;
	}
	if (!write_file(r, out, "metadata", UINT32_MAX))
		return STATUS_BAD;
	for (uint32_t cpu = 0; cpu < CPUS_MAX; cpu++) {
		snprintf(name, sizeof(name), "cpu%" PRIu32, cpu);
		if (r->cpu[cpu] && !write_file(r, out, name, cpu))
			return STATUS_BAD;
	}
	printf("%s: %" PRIu64 " packets of %u CPUs%s\n", out, r->packets, cpus,
	       r->damaged ? "; damaged parts were left out" : "");
	return STATUS_OK;
}

static enum status usage(FILE *f)
{
	fputs("usage: luvtrace recover [options] -o FOLDER CAPTURE|IMAGE\n"
	      "  --tsc-hz N    of the machine, where there is no metadata; else "
	      "times are\n"
	      "                in ticks, called nanoseconds\n"
	      "CAPTURE: a folder, damaged or with rings as they lay in memory. "
	      "IMAGE: a file\n"
	      "with the machine's memory, as QEMU's pmemsave makes it.\n", f);
	return f == stdout ? STATUS_OK : STATUS_USAGE;
}

enum status tool_recover(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "tsc-hz", 1, NULL, 't' }, { "help", 0, NULL, 'h' }, { 0 } };
	struct recover r = { .meta = { .tsc_hz = HZ } };
	const char *out = NULL;
	enum status status = STATUS_BAD;
	uint64_t hz = 0;
	int c;

	while ((c = getopt_long(argc, argv, "o:h", longs, NULL)) != -1)
		switch (c) {
		case 'o': out = optarg; break;
		case 'h': return usage(stdout);
		case 't':
			if (tool_number(optarg, UINT64_MAX / 2, &hz) && hz)
				break;
			/* fall through */
		default: return usage(stderr);
		}
	if (!out || optind != argc - 1)
		return usage(stderr);
	if (find_files(&r, argv[optind])) {
		if (hz)
			r.meta.tsc_hz = hz;
		status = recover(&r, argv[optind], out);
	}
	for (unsigned i = 0; i < r.files; i++)
		free(r.file[i]);
	free(r.file);
	return status;
}
