/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.c - find the trace in a folder, choose how to read it.
 */
#include "capture.h"
#include "bt.h"
#include "memory.h"
#include "native.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

#define METADATA_MAX (16u << 20) /* bytes */
#define DEPTH_MAX    6		 /* of folders: LTTng has 5 */
#define BILLION	     1000000000u

void capture_problem(struct capture *c, const char *format, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	c->problem = memory_grown(c->problem, c->problems + 1,
				  sizeof(*c->problem));
	c->problem[c->problems++] = memory_checked(text);
}

unsigned capture_cpu(struct capture *c, uint32_t cpu_id)
{
	for (unsigned i = 0; i < c->cpus; i++)
		if (c->cpu_id[i] == cpu_id)
			return i;
	c->cpu_id = memory_grown(c->cpu_id, c->cpus + 1, sizeof(*c->cpu_id));
	c->cpu_id[c->cpus] = cpu_id;
	return c->cpus++;
}

double capture_ns(const struct capture *c, uint64_t ticks)
{
	return (double)ticks * 1e9 / (double)c->meta.tsc_hz;
}

int64_t capture_time(const struct capture *c, uint64_t timestamp)
{
	const uint64_t hz = c->meta.tsc_hz;
	const uint64_t ticks = timestamp + c->meta.offset;
	const double rest = (double)(ticks % hz) * 1e9 / (double)hz;

	/* Unsigned: what a capture says may overflow. */
	return (int64_t)(((uint64_t)c->meta.offset_s + ticks / hz) * BILLION +
			 (uint64_t)rest);
}

/* --- finding it ----------------------------------------------------------- */

static char *join(const char *folder, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		path = NULL;
	return memory_checked(path);
}

/* NULL: there is none, or errno. */
static char *read_metadata(const char *folder)
{
	char *path = join(folder, "metadata"), *text = NULL;
	FILE *f = fopen(path, "r");
	size_t len;

	free(path);
	if (!f)
		return NULL;
	text = memory_zeroed(METADATA_MAX + 1, 1);
	len = fread(text, 1, METADATA_MAX, f);
	fclose(f);
	return memory_grown(text, len + 1, 1);
}

static int not_dot(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void find_traces(struct capture *c, const char *folder, unsigned depth)
{
	struct dirent **name = NULL;
	int n = depth < DEPTH_MAX ? scandir(folder, &name, not_dot, alphasort) :
		0;

	for (int i = 0; i < n; i++) {
		char *path = join(folder, name[i]->d_name);

		if (strcmp(name[i]->d_name, "metadata") == 0) {
			c->trace = memory_grown(c->trace, c->traces + 1,
						sizeof(*c->trace));
			c->trace[c->traces++] = memory_string(folder);
		} else if (is_folder(path)) {
			find_traces(c, path, depth + 1);
		}
		free(path);
		free(name[i]);
	}
	free(name);
}

/* Of several traces one can be ours: then it alone is read. */
static void keep_only(struct capture *c, unsigned i)
{
	char *keep = c->trace[i];

	c->trace[i] = c->trace[0];
	c->trace[0] = keep;
	while (c->traces > 1)
		free(c->trace[--c->traces]);
}

static void choose(struct capture *c)
{
	c->foreign = true;
	for (unsigned i = 0; c->foreign && i < c->traces; i++) {
		char *text = read_metadata(c->trace[i]);

		if (text && metadata_parse(text, &c->meta)) {
			c->foreign = false;
		} else if (text && strstr(text, "tracer_name = \"luvalley\"")) {
			c->foreign = false;
			c->use_bt = true; /* another version's layout */
		}
		free(text);
		if (!c->foreign)
			keep_only(c, i);
	}
	c->use_bt |= c->foreign;
}

/* Is it a file of somebody's that we know? */
static bool begins(const char *path, const char *magic)
{
	char head[16] = "";
	FILE *f = fopen(path, "r");
	const size_t n = f ? fread(head, 1, sizeof(head), f) : 0;

	if (f)
		fclose(f);
	return n >= strlen(magic) && memcmp(head, magic, strlen(magic)) == 0;
}

static void no_folder(struct capture *c, const char *path)
{
	const int error = errno;

	if (begins(path, "PERFILE2"))
		capture_problem(c, "%s: perf's own format; make a folder of "
				"it: perf data convert -i %s --to-ctf FOLDER",
				path, path);
	else if (begins(path, "\x17\x08\x44tracing"))
		capture_problem(c, "%s: trace-cmd's own format, of which "
				"nothing makes CTF; record with perf or LTTng",
				path);
	else
		capture_problem(c, "%s: %s; name the folder of a capture", path,
				error ? strerror(error) : "not a folder");
}

int capture_open(struct capture *c, const char *folder, bool use_bt)
{
	*c = (struct capture){ .use_bt = use_bt };
	c->folder = memory_string(folder);
	errno = 0;
	if (!is_folder(folder))
		no_folder(c, folder);
	else
		find_traces(c, folder, 0);
	if (!c->problems && !c->traces)
		capture_problem(c, "%s: no capture here: there is no file "
				"`metadata` in it or below", folder);
	if (c->problems)
		return -1;
	choose(c);
	return 0;
}

/* --- our own layout ------------------------------------------------------- */

struct capture_stream {
	char *name; /* of the file */
	struct native native;
};

static const struct trace_header *next_record(void *source)
{
	return native_next(source);
}

static bool is_open(const struct capture *c, const char *name)
{
	for (size_t i = 0; i < c->streams; i++)
		if (strcmp(c->stream[i].name, name) == 0)
			return true;
	return false;
}

/* Files that were not there the last time. */
static void open_streams(struct capture *c, bool follow)
{
	struct dirent **name = NULL;
	const int n = scandir(c->trace[0], &name, not_dot, alphasort);

	for (int i = 0; i < n; i++) {
		char *path = join(c->trace[0], name[i]->d_name);

		if (strcmp(name[i]->d_name, "metadata") && !is_folder(path) &&
		    !is_open(c, name[i]->d_name)) {
			struct capture_stream *s;

			c->stream = memory_grown(c->stream, c->streams + 1,
						 sizeof(*c->stream));
			s = &c->stream[c->streams++];
			s->name = memory_string(name[i]->d_name);
			native_open(&s->native, path, c->meta.uuid, follow);
		}
		free(path);
		free(name[i]);
	}
	free(name);
}

static void count_losses(struct capture *c)
{
	c->lost = c->packets_lost = 0;
	memset(c->lost_by, 0, sizeof(c->lost_by));
	for (size_t i = 0; i < c->streams; i++) {
		const struct native *n = &c->stream[i].native;

		c->lost += n->lost;
		for (unsigned j = 0; j < 3; j++)
			c->lost_by[j] += n->lost_by[j];
		c->packets_lost += n->packets_lost;
	}
}

static void native_run(struct capture *c, merge_fn fn, void *ctx, bool follow)
{
	struct merge_stream *merge;
	size_t live = 0;

	open_streams(c, follow);
	merge = memory_zeroed(c->streams, sizeof(*merge));
	for (size_t i = 0; i < c->streams; i++) {
		struct native *n = &c->stream[i].native;

		native_look(n);
		if (n->has_cpu) /* there is a packet */
			merge[live++] = (struct merge_stream){ next_record, n,
				capture_cpu(c, n->cpu_id), NULL };
	}
	merge_run(merge, live, fn, ctx);
	count_losses(c);
	free(merge);
}

static void note_damage(struct capture *c)
{
	for (size_t i = 0; i < c->streams; i++) {
		const struct native *n = &c->stream[i].native;

		if (n->errors == 1)
			capture_problem(c, "%s", n->why);
		else if (n->errors)
			capture_problem(c, "%s (and %u more such places)",
					n->why, n->errors - 1);
	}
	if (!c->streams)
		capture_problem(c, "%s: only `metadata`, no stream of events",
				c->trace[0]);
}

bool capture_poll(struct capture *c, merge_fn fn, void *ctx)
{
	if (c->use_bt)
		return false;
	native_run(c, fn, ctx, true);
	return true;
}

void capture_run(struct capture *c, merge_fn fn, void *ctx)
{
	if (c->use_bt) {
		bt_run(c, fn, ctx);
		return;
	}
	native_run(c, fn, ctx, false);
	note_damage(c);
}

void capture_close(struct capture *c)
{
	for (unsigned i = 0; i < c->problems; i++)
		free(c->problem[i]);
	for (unsigned i = 0; i < c->traces; i++)
		free(c->trace[i]);
	for (size_t i = 0; i < c->streams; i++) {
		free(c->stream[i].name);
		native_close(&c->stream[i].native);
	}
	free(c->problem);
	free(c->trace);
	free(c->stream);
	free(c->cpu_id);
	free(c->folder);
	*c = (struct capture){ 0 };
}
