/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.h - which process a VM belongs to: the tag of vm_create.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * PID | start time << 32; 0: there is no such process, or this one is in
 * another PID namespace than dom0's first, or cannot see /proc.
 */
uint64_t process_tag(pid_t pid);

/* Is the process of this tag gone, or a zombie? false: or nobody can say. */
bool process_died(uint64_t tag);

/*
 * The start time in the text of /proc/PID/stat, and whether all of its threads
 * have ended. For tests.
 */
bool process_parse(const char *stat, uint32_t *start, bool *dead);
