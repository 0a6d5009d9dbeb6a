/* SPDX-License-Identifier: BSD-2-Clause */
/* quiet.c - see quiet.h. */
#include "quiet.h"
#include <signal.h>

int quiet_thread(pthread_t *thread, const char *name, void *(*fn)(void *),
		 void *arg)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	const int error = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!error)
		pthread_setname_np(*thread, name);
	return error;
}
