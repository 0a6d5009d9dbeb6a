/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extract_test.c - rings in an image of memory become a trace that
 * babeltrace2 reads; images without any, and damaged ones, get a sentence.
 */
#include "test.h"
#include "ctf.h"
#include "ring.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define EXTRACT BIN "/luvtrace extract "
#define SIZE	TRACE_PACKET_SIZE
#define PACKETS 4u
#define AT	(3u * 4096)

static char image[AT + 4096 + PACKETS * SIZE + 4096];

/* Packet n with `records` exits; `finished`: its header says its end. */
static size_t packet(struct trace_ring *r, uint64_t n, unsigned records,
		     bool finished)
{
	char *base = (char *)r + 4096 + n % PACKETS * SIZE;
	struct ctf_packet *p = (void *)base;
	size_t at = sizeof(*p);

	*p = (struct ctf_packet){ .magic = CTF_MAGIC,
				  .timestamp_begin = n * 1000,
				  .timestamp_end = n * 1000,
				  .packet_size = SIZE * 8,
				  .packet_seq_num = n };
	memcpy(p->uuid, r->uuid, sizeof(p->uuid));
	for (unsigned i = 0; i < records; i++) {
		struct trace_kvm_exit *x = (void *)(base + at);

		*x = (struct trace_kvm_exit){
			.header = { .id = TRACE_kvm_exit,
				    .timestamp = n * 1000 + i },
			.seq = n * 10 + i, .entry_tsc = n * 1000 + i + 1,
			.isa = LUV_ISA_SVM, .kind = EXIT_CPUID,
		};
		at += sizeof(*x);
	}
	if (finished) {
		p->content_size = at * 8;
		p->timestamp_end = n * 1000 + records;
	}
	return at;
}

/* A ring in its sixth packet: number 5 is open, 2 to 4 are there. */
static struct trace_ring *make_ring(void)
{
	struct trace_ring *r = (void *)(image + AT);

	memset(image, 0x5a, sizeof(image));
	*r = (struct trace_ring){ .magic = TRACE_RING_MAGIC,
				  .uuid = { 1, 2, 3, 4 },
				  .version = TRACE_RING_VERSION, .cpus = 1,
				  .packets = PACKETS, .packet_size = SIZE,
				  .isa = LUV_ISA_SVM, .build = "test",
				  .finished = 5 };
	for (uint64_t n = 2; n < 5; n++)
		packet(r, n, 3, true);
	r->base = 0xffff800000001000;
	r->open_end = r->base + 5 % PACKETS * SIZE + packet(r, 5, 2, false);
	return r;
}

static void save(const char *tmp)
{
	char name[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s/image", tmp);
	f = fopen(name, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(image, sizeof(image), 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

static char *said_by(const char *command)
{
	char tmp[] = "/tmp/extract.XXXXXX", line[1024];

	assert_non_null(mkdtemp(tmp));
	save(tmp);
	snprintf(line, sizeof(line), "T=%s; (%s) 2>&1; rm -rf $T", tmp,
		 command);
	return output(line);
}

static void a_ring_is_a_trace(void **state)
{
	char *said;

	(void)state;
	make_ring();
	said = said_by(EXTRACT "-o $T/t $T/image && "
		   "babeltrace2 $T/t -c sink.utils.counter && "
		   BIN "/luvtrace stat $T/t");
	assert_has(said, "4 packets of 1 CPUs; 0 were being overwritten");
	assert_has(said, "11 Event messages");
	assert_has(said, "cpuid");
	free(said);
}

/* Two clock records and the trace has a rate, and the time of day. */
static void clocks_are_believed(void **state)
{
	static const struct trace_clock clock = {
		.header = { TRACE_clock, 0 }, .tsc = 7000000000,
		.mono_ns = 2000000000, .wall_ns = 1700000002500000000,
	};
	struct trace_ring *r = make_ring();
	char *at = (char *)r + 4096 + 3 * SIZE + sizeof(struct ctf_packet);
	struct trace_clock c = clock;
	char *said;

	(void)state;
	memcpy(at, &c, sizeof(c));
	c.tsc += 1500000000; /* half a second */
	c.mono_ns += 500000000;
	c.wall_ns += 500000000;
	memcpy(at + sizeof(c), &c, sizeof(c));
	((struct ctf_packet *)(at - sizeof(struct ctf_packet)))->content_size =
		(sizeof(struct ctf_packet) + 2 * sizeof(c)) * 8;
	said = said_by(EXTRACT "-o $T/t $T/image && cat $T/t/metadata");
	assert_has(said, "freq = 3000000000;");
	assert_has(said, "absolute = true;");
	assert_has(said, "offset_s = 1700000000;\n\toffset = 500000000;");
	free(said);
}

static void a_packet_that_is_overwritten_is_left_out(void **state)
{
	struct trace_ring *r = make_ring();
	char *said;

	(void)state;
	packet(r, 7, 1, true); /* where 3 was */
	said = said_by(EXTRACT "-o $T/t $T/image && "
		   "babeltrace2 $T/t -c sink.utils.counter 2>/dev/null");
	assert_has(said, "3 packets of 1 CPUs; 1 were being overwritten");
	assert_has(said, "8 Event messages");
	free(said);
}

static void lies_are_survived(void **state)
{
	static const uint64_t many[] = { 0, 1, UINT64_MAX, UINT64_MAX / 2 };
	struct trace_ring *r;

	(void)state;
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		r = make_ring();
		r->open_end = many[i];
		free(said_by(EXTRACT "-o $T/t $T/image"));
		r->finished = 4;
		r->packets = (uint32_t)many[i];
		free(said_by(EXTRACT "-o $T/t $T/image"));
		r->packets = PACKETS;
		r->packet_size = (uint32_t)many[i];
		free(said_by(EXTRACT "-o $T/t $T/image"));
	}
}

static void no_ring_is_said(void **state)
{
	char *said;

	(void)state;
	memset(image, 0, sizeof(image));
	said = said_by(EXTRACT "-o $T/t $T/image; " EXTRACT "$T/none");
	assert_has(said, "holds no trace rings");
	assert_has(said, "none cannot be read");
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_is_a_trace),
		cmocka_unit_test(clocks_are_believed),
		cmocka_unit_test(a_packet_that_is_overwritten_is_left_out),
		cmocka_unit_test(lies_are_survived),
		cmocka_unit_test(no_ring_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
