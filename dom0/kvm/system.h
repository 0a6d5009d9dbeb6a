/* SPDX-License-Identifier: BSD-2-Clause */
/* system.h - /dev/kvm itself: finding the VMM, and what there is in general. */
#pragma once

#include <stdbool.h>

/* A descriptor for /dev/kvm, or -errno after a sentence to the user. */
int system_open(void);

/*
 * Has the client asked for KVM_CAP_IMMEDIATE_EXIT? One that has not expects
 * every signal to end KVM_RUN.
 */
bool system_knows_immediate_exit(void);
