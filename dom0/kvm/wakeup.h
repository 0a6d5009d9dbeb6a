/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wakeup.h - a thread that calls a function when the time has come. There is
 * none until the first time is set.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define WAKEUP_NEVER INT64_MAX

struct wakeup {
	void (*fn)(void *ctx); /* [I] */
	void *ctx;	       /* [I] */
	pthread_mutex_t lock;  /* a leaf; not held while fn is called */
	pthread_cond_t changed;
	pthread_t thread; /* [L] lock */
	bool started;	  /* [L] lock */
	bool stop;	  /* [L] lock */
	int64_t at;	  /* [L] lock */
};

/* wakeup_init - `fn` will be called by the thread, with no lock held. */
void wakeup_init(struct wakeup *w, void (*fn)(void *ctx), void *ctx);

/*
 * wakeup_at - call `fn` at `at`, CLOCK_MONOTONIC in nanoseconds, and not when
 * it was to be called before. WAKEUP_NEVER: not at all. A call that is under
 * way is not waited for. `fn` may call this.
 */
void wakeup_at(struct wakeup *w, int64_t at);

/* wakeup_destroy - ends the thread; no lock that `fn` takes is held. */
void wakeup_destroy(struct wakeup *w);
