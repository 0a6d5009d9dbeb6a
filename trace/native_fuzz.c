/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native_fuzz.c - libFuzzer: any bytes as a stream of packets, through
 * everything that looks at records; and as metadata.
 */
#include "events.h"
#include "memory.h"
#include "metadata.h"
#include "native.h"
#include "rows.h"
#include "stacks.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct fuzz {
	struct rows rows;
	struct stacks stacks;
};

static void handled(void *ctx, const struct worlds_handled *h)
{
	struct fuzz *f = ctx;

	rows_add(&f->rows, h, true);
	stacks_add(&f->stacks, h);
}

static void nothing(void *ctx, const char *stack, uint64_t weight)
{
	(void)ctx;
	(void)stack;
	(void)weight;
}

static void look_at(const struct trace_header *h)
{
	const struct events_event *e = events_get(h->id);
	char text[64];

	for (uint32_t i = 0; i < e->fields; i++)
		events_text(text, sizeof(text), &e->field[i], h);
}

/* The UUID is the first packet's own, or no input would get far. */
static void stream(const uint8_t *data, size_t len, bool follow)
{
	static const struct worlds_ops ops = { .handled = handled };
	const int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct fuzz f = { .stacks = { .key = true, .process = true } };
	uint8_t uuid[16] = { 0 };
	const struct trace_header *h;
	struct worlds w;
	struct native n;
	char path[64];

	if (len >= 20)
		memcpy(uuid, data + 4, sizeof(uuid));
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	worlds_init(&w, &ops, &f);
	if (native_open(&n, path, uuid, follow))
		abort();
	while ((h = native_next(&n))) {
		look_at(h);
		worlds_record(&w, 0, h);
	}
	worlds_end(&w);
	stacks_each(&f.stacks, nothing, NULL);
	rows_free(&f.rows);
	stacks_free(&f.stacks);
	worlds_free(&w);
	native_close(&n);
	close(fd);
}

static void text(const uint8_t *data, size_t len)
{
	char *s = memory_zeroed(len + 1, 1);
	struct metadata m;

	memcpy(s, data, len);
	metadata_parse(s, &m);
	free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	stream(data, len, false);
	stream(data, len, true);
	text(data, len);
	return 0;
}
