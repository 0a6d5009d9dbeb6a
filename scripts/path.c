/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.c - a plugin of QEMU's (docs/devel/tcg-plugins.rst, version 1 of its
 * interface) that counts how often each instruction is executed, for path.sh:
 *	out=FILE      "ADDRESS COUNT" of each, "ADDRESS COUNT call" of VMMCALL
 *	entry=HEX     from one entry to the instruction there to another
 *	skip=N        entries before the first that counts
 *	rounds=N      entries that count
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT	__attribute__((visibility("default")))
#define ROWS	(1u << 22)
#define ADD_U64 0 /* enum qemu_plugin_op */

struct qemu_plugin_tb;
struct qemu_plugin_insn;

/* What QEMU has of it; its header is not in Debian's packages. */
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *,
						 size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(
	uint64_t id, void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
						int op, void *at, uint64_t by);
void qemu_plugin_register_vcpu_insn_exec_cb(
	struct qemu_plugin_insn *insn, void (*fn)(unsigned cpu, void *ctx),
	int flags, void *ctx);

EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc,
			       char **argv);

int qemu_plugin_version = 1;

static struct row {
	uint64_t at, count;
	bool is_call;
} *rows;
static const char *out;
static uint64_t entry, skip, rounds, entries;

static struct row *row_of(uint64_t at)
{
	unsigned i = (unsigned)(at * 0x9e3779b97f4a7c15 >> 42);

	while (rows[i].at && rows[i].at != at)
		i = (i + 1) % ROWS;
	rows[i].at = at;
	return &rows[i];
}

static void print(void)
{
	FILE *f = fopen(out, "w");

	for (unsigned i = 0; f && i < ROWS; i++)
		if (rows[i].count)
			fprintf(f, "%016llx %llu%s\n",
				(unsigned long long)rows[i].at,
				(unsigned long long)rows[i].count,
				rows[i].is_call ? " call" : "");
	if (f)
		fclose(f);
}

static void entered(unsigned cpu, void *ctx)
{
	(void)cpu;
	(void)ctx;
	if (entries == skip)
		for (unsigned i = 0; i < ROWS; i++)
			rows[i].count = 0;
	if (entries++ == skip + rounds)
		print();
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t at = qemu_plugin_insn_vaddr(insn);
		struct row *row = row_of(at);

		row->is_call = qemu_plugin_insn_size(insn) == 3 &&
			       !memcmp(qemu_plugin_insn_data(insn),
				       "\x0f\x01\xd9", 3);
		if (at == entry)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, entered, 0,
							       NULL);
		qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64,
							   &row->count, 1);
	}
}

static const char *value_of(const char *arg, const char *key)
{
	return strncmp(arg, key, strlen(key)) ? NULL : arg + strlen(key);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	const char *v;

	(void)info;
	rows = calloc(ROWS, sizeof(*rows));
	for (int i = 0; i < argc; i++) {
		if ((v = value_of(argv[i], "out=")))
			out = strdup(v);
		else if ((v = value_of(argv[i], "entry=")))
			entry = strtoull(v, NULL, 16);
		else if ((v = value_of(argv[i], "skip=")))
			skip = strtoull(v, NULL, 0);
		else if ((v = value_of(argv[i], "rounds=")))
			rounds = strtoull(v, NULL, 0);
	}
	if (!rows || !out || !rounds)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
