/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * repair.c - luvtrace repair: what can be read of a damaged capture as one
 * that any reader of CTF opens: whole records, packets in order.
 */
#include "capture.h"
#include "memory.h"
#include "native.h"
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sys/stat.h>

struct repair {
	struct capture capture;
	const char *out;
	uint64_t packets;
};

static char *join(const char *folder, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		path = NULL;
	return memory_checked(path);
}

static void copy_packets(struct repair *r, const char *from, FILE *to)
{
	struct native n;
	const struct ctf_packet *p;

	if (!native_open(&n, from, r->capture.meta.uuid, false))
		while ((p = native_packet(&n)))
			if (p->content_size / 8 > sizeof(*p)) {
				fwrite(p, p->content_size / 8, 1, to);
				r->packets++;
			}
	if (n.errors)
		fprintf(stderr, "luvtrace: %s; damaged places in this file: "
			"%u\n", n.why, n.errors);
	native_close(&n);
}

static bool write_file(struct repair *r, const char *name)
{
	char *from = join(r->capture.trace[0], name), *to = join(r->out, name);
	FILE *f = fopen(to, "w");
	bool ok = f != NULL;

	if (f && strcmp(name, "metadata") == 0)
		ok = metadata_write(f, &r->capture.meta) == 0;
	else if (f)
		copy_packets(r, from, f);
	ok = ok && !ferror(f);
	if (f && fclose(f))
		ok = false;
	if (!ok)
		fprintf(stderr, "luvtrace: %s: %s\n", to, strerror(errno));
	free(from);
	free(to);
	return ok;
}

static enum status repair(struct repair *r)
{
	struct dirent **name = NULL;
	enum status status = STATUS_OK;
	int n;

	if (mkdir(r->out, 0777)) {
		fprintf(stderr, "luvtrace: %s: %s\n", r->out, strerror(errno));
		return STATUS_BAD;
	}
	n = scandir(r->capture.trace[0], &name, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (name[i]->d_type != DT_DIR && name[i]->d_name[0] != '.' &&
		    !write_file(r, name[i]->d_name))
			status = STATUS_BAD;
		free(name[i]);
	}
	free(name);
	fprintf(stderr, "luvtrace: %s: %" PRIu64 " packets\n", r->out,
		r->packets);
	return status;
}

static enum status usage(FILE *f)
{
	fputs("usage: luvtrace repair -o NEW-FOLDER FOLDER\n"
	      "Copies the whole records of a damaged capture, in order, for "
	      "other programs.\n", f);
	return f == stdout ? STATUS_OK : STATUS_USAGE;
}

enum status tool_repair(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", 0, NULL, 'h' }, { 0 } };
	struct repair r = { .out = NULL };
	enum status status = STATUS_BAD;
	int c;

	while ((c = getopt_long(argc, argv, "o:h", longs, NULL)) != -1)
		if (c == 'o')
			r.out = optarg;
		else
			return usage(c == 'h' ? stdout : stderr);
	if (!r.out || optind != argc - 1)
		return usage(stderr);
	if (capture_open(&r.capture, argv[optind], false))
		fprintf(stderr, "luvtrace: %s\n", r.capture.problem[0]);
	else if (r.capture.use_bt)
		fprintf(stderr, "luvtrace: %s: not a capture of this version "
			"of Luvalley\n", argv[optind]);
	else
		status = repair(&r);
	capture_close(&r.capture);
	return status;
}
