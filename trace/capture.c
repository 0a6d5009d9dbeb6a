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

int capture_open(struct capture *c, const char *folder, bool use_bt)
{
	*c = (struct capture){ .use_bt = use_bt };
	c->folder = memory_string(folder);
	if (!is_folder(folder))
		capture_problem(c, "%s: %s; name the folder of a capture",
				folder, errno ? strerror(errno) :
				"not a folder");
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

void capture_close(struct capture *c)
{
	for (unsigned i = 0; i < c->problems; i++)
		free(c->problem[i]);
	for (unsigned i = 0; i < c->traces; i++)
		free(c->trace[i]);
	free(c->problem);
	free(c->trace);
	free(c->cpu_id);
	free(c->folder);
	*c = (struct capture){ 0 };
}

/* --- our own layout ------------------------------------------------------- */

static const struct trace_header *next_record(void *source)
{
	return native_next(source);
}

static size_t open_streams(struct capture *c, struct native **streams)
{
	struct dirent **name = NULL;
	int n = scandir(c->trace[0], &name, not_dot, alphasort);
	size_t used = 0;

	*streams = memory_zeroed(n > 0 ? (size_t)n : 1, sizeof(**streams));
	for (int i = 0; i < n; i++) {
		char *path = join(c->trace[0], name[i]->d_name);

		if (strcmp(name[i]->d_name, "metadata") && !is_folder(path))
			native_open(&(*streams)[used++], path, c->meta.uuid,
				    false);
		free(path);
		free(name[i]);
	}
	free(name);
	return used;
}

static void close_stream(struct capture *c, struct native *n)
{
	if (n->errors == 1)
		capture_problem(c, "%s", n->why);
	else if (n->errors)
		capture_problem(c, "%s (and %u more such places)", n->why,
				n->errors - 1);
	c->lost += n->lost;
	for (unsigned i = 0; i < 3; i++)
		c->lost_by[i] += n->lost_by[i];
	c->packets_lost += n->packets_lost;
	native_close(n);
}

static void native_run(struct capture *c, merge_fn fn, void *ctx)
{
	struct native *streams;
	const size_t n = open_streams(c, &streams);
	struct merge_stream *merge = memory_zeroed(n, sizeof(*merge));

	for (size_t i = 0; i < n; i++)
		merge[i] = (struct merge_stream){ next_record, &streams[i],
			streams[i].has_cpu ?
			capture_cpu(c, streams[i].cpu_id) : 0, NULL };
	merge_run(merge, n, fn, ctx);
	for (size_t i = 0; i < n; i++)
		close_stream(c, &streams[i]);
	if (!n)
		capture_problem(c, "%s: only `metadata`, no stream of events",
				c->trace[0]);
	free(merge);
	free(streams);
}

void capture_run(struct capture *c, merge_fn fn, void *ctx)
{
	(c->use_bt ? bt_run : native_run)(c, fn, ctx);
}
