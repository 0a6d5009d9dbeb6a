/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.h - a folder with a trace in it, whoever made it: ours is read
 * directly, anything else in CTF by libbabeltrace2. Either way records come
 * out as the structs of ctf.h, in order of time. From another tracer come
 * KVM's exits: as ours, with entry_tsc from the kvm_entry that follows on
 * that CPU.
 */
#pragma once

#include "merge.h"
#include "metadata.h"

#include <stdbool.h>

struct capture {
	char *folder;
	struct metadata meta;	/* tsc_hz and offsets hold for all timestamps */
	bool foreign;		/* not of the VMM's */
	unsigned cpus;
	uint32_t *cpu_id;	/* [cpus]: the machine's number */
	uint64_t lost;		/* events: discarded by the writer */
	uint64_t lost_by[3];	/* the same, by trace_cause_value; ours only */
	uint64_t packets_lost;
	char **problem;		/* sentences: what could not be read */
	unsigned problems;

	/* private */
	char **trace;		/* folders with a `metadata` file */
	unsigned traces;
	bool use_bt;
	struct capture_stream *stream; /* of ours, open */
	size_t streams;
};

/*
 * capture_open - 0; -1: c->problem says why; capture_close() either way.
 *   use_bt  read with libbabeltrace2 whatever it is
 */
int capture_open(struct capture *c, const char *folder, bool use_bt);
/*
 * capture_run - all records. Afterwards cpus, cpu_id and what was lost are
 * known, and c->problem has what could not be read.
 */
void capture_run(struct capture *c, merge_fn fn, void *ctx);
/*
 * capture_poll - of a capture that is being written: the records that came
 * since the last call. Losses are up to date; what is damaged is no problem
 * yet. False: it is not one of ours, and cannot be followed.
 */
bool capture_poll(struct capture *c, merge_fn fn, void *ctx);
void capture_close(struct capture *c);

/* Nanoseconds of a time span. */
double capture_ns(const struct capture *c, uint64_t ticks);
/* Nanoseconds since 1970, or since the clock began if it is not absolute. */
int64_t capture_time(const struct capture *c, uint64_t timestamp);

/* For the readers: number the CPU; note a problem. */
unsigned capture_cpu(struct capture *c, uint32_t cpu_id);
void capture_problem(struct capture *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
