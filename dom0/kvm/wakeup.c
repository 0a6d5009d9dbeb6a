/* SPDX-License-Identifier: BSD-2-Clause */
/* wakeup.c - see wakeup.h. */
#include "wakeup.h"
#include "quiet.h"
#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#define NS_PER_S 1000000000

void wakeup_init(struct wakeup *w, void (*fn)(void *ctx), void *ctx)
{
	pthread_condattr_t attr;

	*w = (struct wakeup){ .fn = fn, .ctx = ctx, .at = WAKEUP_NEVER };
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
}

/* Returns false if it is to be looked at again what to wait for. */
static bool wait_for(struct wakeup *w)
{
	const struct timespec until = { .tv_sec = w->at / NS_PER_S,
					.tv_nsec = w->at % NS_PER_S };

	if (w->at == WAKEUP_NEVER) {
		pthread_cond_wait(&w->changed, &w->lock);
		return false;
	}
	return pthread_cond_timedwait(&w->changed, &w->lock, &until) ==
	       ETIMEDOUT;
}

static void *run(void *arg)
{
	struct wakeup *w = arg;

	prctl(PR_SET_TIMERSLACK, 1); /* ns; 50 us are a guest's jitter */
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		const int64_t at = w->at;

		if (!wait_for(w) || w->at != at)
			continue;
		w->at = WAKEUP_NEVER;
		pthread_mutex_unlock(&w->lock);
		w->fn(w->ctx);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* A later time than before needs no hurry: the thread wakes, and looks. */
void wakeup_at(struct wakeup *w, int64_t at)
{
	pthread_mutex_lock(&w->lock);
	const bool sooner = at < w->at;

	w->at = at;
	if (!w->started && at != WAKEUP_NEVER)
		w->started = !quiet_thread(&w->thread, "luv-pit", run, w);
	else if (sooner)
		pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

void wakeup_destroy(struct wakeup *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->changed);
	const bool started = w->started;
	pthread_mutex_unlock(&w->lock);
	if (started)
		pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
}
