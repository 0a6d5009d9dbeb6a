/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h - KVM's binary statistics: a descriptor whose file says what the VMM
 * counts of a VM, or of a vCPU. Documentation/virt/kvm/api.rst,
 * "KVM_GET_STATS_FD". What exits took is in `luvctl hist`.
 */
#pragma once

#include <linux/kvm.h>
#include <luvalley/luvalley.h>
#include <stdint.h>

struct vm;
struct vcpu;

/* A descriptor of those of a VM, or of one of its vCPUs (else NULL); -errno. */
long stats_open(struct vm *vm, struct vcpu *v);

/* The file is about to be read: its numbers are to be those of now. */
void stats_refresh(void *self, int fd);

/* --- the file: for tests, too ------------------------------------------------ */

#define STATS_NAME 48 /* bytes of a name; a descriptor has 16 more */

enum { /* rows; those of all exits and of each kind follow */
	STATS_VCPUS,
	STATS_RAM,
	STATS_VMM,
	STATS_EXITS,
	STATS_TICKS,
	STATS_ROWS = STATS_EXITS + 2 * EXIT_KINDS,
};

struct stats_file {
	struct kvm_stats_header header;
	char id[STATS_NAME];
	char desc[STATS_ROWS][sizeof(struct kvm_stats_desc) + STATS_NAME];
	uint64_t data[STATS_ROWS];
};

/* All but the data. */
void stats_describe(struct stats_file *f, const char *id);

/* The data, out of the VMM's. */
void stats_fill(uint64_t *data, const struct luv_vm_stat *s);
