/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native_test.c - files of packets: whole, rotated, growing, cut, damaged.
 */
#include "native.h"
#include "test.h"

#include <fcntl.h>
#include <unistd.h>

#define PACKET 4096u
#define EACH   10u /* records in a packet */

static const uint8_t uuid[16] = { 1, 2, 3 };
static char path[] = "/tmp/native_test.XXXXXX";
static struct native n;

/* Packet `seq` of CPU 3: exits number seq * EACH to seq * EACH + EACH - 1. */
struct packet {
	struct ctf_packet head;
	struct trace_kvm_exit x[EACH];
	char rest[PACKET - sizeof(struct ctf_packet) -
		  EACH * sizeof(struct trace_kvm_exit)];
};

static struct packet packet(uint64_t seq)
{
	struct packet p = { .head = {
		.magic = CTF_MAGIC, .timestamp_begin = seq * 1000,
		.timestamp_end = seq * 1000 + 999, .packet_size = PACKET * 8,
		.content_size = offsetof(struct packet, rest) * 8,
		.packet_seq_num = seq, .cpu_id = 3 } };

	memcpy(p.head.uuid, uuid, sizeof(uuid));
	for (unsigned i = 0; i < EACH; i++) {
		p.x[i].header.id = TRACE_kvm_exit;
		p.x[i].header.timestamp = seq * 1000 + i;
		p.x[i].seq = seq * EACH + i;
	}
	return p;
}

static void append(const struct packet *p, size_t bytes)
{
	const int fd = open(path, O_WRONLY | O_APPEND);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, bytes), bytes);
	close(fd);
}

static void append_whole(uint64_t seq)
{
	const struct packet p = packet(seq);

	append(&p, sizeof(p));
}

static int begin(void **state)
{
	(void)state;
	return truncate(path, 0);
}

static int end(void **state)
{
	(void)state;
	native_close(&n);
	return 0;
}

static void open_it(bool follow)
{
	assert_int_equal(native_open(&n, path, uuid, follow), 0);
}

/* The numbers of exits from `from` to before `to` come now. */
static void expect(uint64_t from, uint64_t to)
{
	for (; from < to; from++) {
		const struct trace_kvm_exit *x =
			(const struct trace_kvm_exit *)native_next(&n);

		assert_non_null(x);
		assert_int_equal(x->seq, from);
	}
}

static void expect_end(void)
{
	assert_null(native_next(&n));
	assert_null(native_next(&n));
}

static void whole(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		append_whole(i);
	open_it(false);
	assert_int_equal(n.cpu_id, 3);
	expect(0, 30);
	expect_end();
	assert_int_equal(n.errors, 0);
	assert_int_equal(n.packets_lost, 0);
}

/* A ring as it lies in memory, with a sub-buffer that was never used. */
static void rotated(void **state)
{
	struct packet empty = packet(0);

	(void)state;
	empty.head.content_size = sizeof(empty.head) * 8;
	append_whole(7);
	append_whole(8);
	append(&empty, sizeof(empty));
	append_whole(5);
	append_whole(6);
	open_it(false);
	expect(50, 90);
	expect_end();
	assert_int_equal(n.errors, 0);
}

static void gap(void **state)
{
	struct packet p = packet(5);

	(void)state;
	p.head.events_discarded = 12;
	p.head.discarded_nested = 12;
	append_whole(1);
	append(&p, sizeof(p));
	open_it(false);
	expect(10, 20);
	expect(50, 60);
	expect_end();
	assert_int_equal(n.packets_lost, 3);
	assert_int_equal(n.lost, 12);
	assert_int_equal(n.lost_by[TRACE_cause_NESTED], 12);
}

static void growing(void **state)
{
	const struct packet p = packet(2);

	(void)state;
	append_whole(0);
	open_it(true);
	expect(0, 10);
	expect_end();
	append_whole(1);
	append(&p, 50);
	expect(10, 20);
	expect_end();
	append((const struct packet *)((const char *)&p + 50), sizeof(p) - 50);
	expect(20, 30);
	expect_end();
	assert_int_equal(n.errors, 0);
}

static void cut(void **state)
{
	const struct packet p = packet(1);

	(void)state;
	append_whole(0);
	append(&p, offsetof(struct packet, x) + 4 * sizeof(p.x[0]) + 20);
	open_it(false);
	expect(0, 14);
	expect_end();
	assert_true(n.errors > 0);
	assert_has(n.why, "ends within packet 1");
}

static void cut_in_the_head(void **state)
{
	const struct packet p = packet(1);

	(void)state;
	append_whole(0);
	append(&p, 20);
	open_it(false);
	expect(0, 10);
	expect_end();
	assert_has(n.why, "ends within the head of a packet, at byte 4096");
}

static void damaged_head(void **state)
{
	struct packet p = packet(1);

	(void)state;
	p.head.magic = 0;
	append_whole(0);
	append(&p, sizeof(p));
	append_whole(2);
	open_it(false);
	expect(0, 10);
	expect(20, 30);
	expect_end();
	assert_int_equal(n.errors, 1);
	assert_has(n.why, "byte 4096: no packet begins");
}

/* Each damage of a record costs the rest of its packet and no more. */
static void damaged_records(void **state)
{
	struct packet p = packet(1), q = packet(3), r = packet(5);

	(void)state;
	p.x[4].header.id = 999;
	q.x[2].header.timestamp = 1;
	r.x[7].header.timestamp = UINT64_MAX;
	append(&p, sizeof(p));
	append_whole(2);
	append(&q, sizeof(q));
	append_whole(4);
	append(&r, sizeof(r));
	append_whole(6);
	open_it(false);
	expect(10, 14);
	expect(20, 32);
	expect(40, 57);
	expect(60, 70);
	expect_end();
	assert_int_equal(n.errors, 3);
	assert_has(n.why, "packet 1, byte 488 of it: a record of an unknown "
		   "event");
}

static void impossible_heads(void **state)
{
	struct packet p[6];

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		p[i] = packet(i);
	p[0].head.packet_size = 64;
	p[1].head.packet_size = (uint64_t)1 << 60;
	p[2].head.content_size = PACKET * 8 + 64;
	p[3].head.stream_id = 1;
	p[4].head.uuid[0]++;
	for (unsigned i = 0; i < 6; i++)
		append(&p[i], sizeof(p[i]));
	open_it(false);
	expect(50, 60);
	expect_end();
	assert_int_equal(n.errors, 1);
}

static void not_packets(void **state)
{
	struct packet p;

	(void)state;
	memset(&p, 'x', sizeof(p));
	append(&p, sizeof(p));
	open_it(false);
	expect_end();
	assert_has(n.why, "not a file of this capture");
}

static void no_file(void **state)
{
	(void)state;
	assert_int_equal(native_open(&n, "/nowhere/x", uuid, false), -1);
	assert_has(n.why, "/nowhere/x: No such file");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole), TEST(rotated), TEST(gap), TEST(growing), TEST(cut),
		TEST(cut_in_the_head), TEST(damaged_head),
		TEST(damaged_records), TEST(impossible_heads),
		TEST(not_packets), TEST(no_file),
	};
	int failed;

	close(mkstemp(path));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
