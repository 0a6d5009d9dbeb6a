/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * quiet.h - threads that a client does not notice: they handle none of its
 * signals, and have a name of ours.
 */
#pragma once

#include <pthread.h>

/*
 * quiet_thread - pthread_create() with all signals blocked.
 *   name  at most 15 characters
 * Returns 0 or an error number.
 */
int quiet_thread(pthread_t *thread, const char *name, void *(*fn)(void *),
		 void *arg);
