/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eventfds_inside.h - what eventfds.c, eventfds_irqfd.c and eventfds_io.c
 * share; nobody else's.
 */
#pragma once

#include "eventfds.h"
#include <pthread.h>
#include <stdatomic.h>

#define IOEVENTFDS 1000 /* KVM's limit of a bus */
#define HINT_BITS  10
#define STOP	   UINT64_MAX /* as an epoll event: the poller is to end */

/* An eventfd of the client's. */
struct source {
	int fd;	    /* our duplicate, or -1 */
	int number; /* the client's, when it gave it to us */
};

struct irqfd {
	struct source in; /* fd -1: a free place */
	int resample_fd;  /* our duplicate, or -1 */
	uint32_t gsi;
	uint32_t serial; /* tells it from who had this place before */
	struct irqchip *chip;
};

struct ioeventfd {
	struct source out;
	uint64_t addr, datamatch;
	uint32_t len; /* 0: any */
	bool pio;
	bool any_data;
};

struct eventfds {
	pthread_mutex_t lock;	       /* irqfds */
	pthread_mutex_t resample_lock; /* a leaf: changing irqfds takes both */
	struct irqfd *irqfd;
	unsigned irqfds; /* places */
	uint32_t serial; /* [L] lock */
	int epoll;	 /* [I] */
	int stop_fd;	 /* [I] */
	bool polling;	 /* [L] lock */
	pthread_t poller;

	pthread_rwlock_t io_lock; /* a leaf: ioeventfds */
	struct ioeventfd io[IOEVENTFDS]; /* sorted by pio, addr */
	unsigned ios;
	_Atomic uint16_t hint[1 << HINT_BITS]; /* [a] */
};

/* A duplicate of the client's descriptor, or -EBADF, -EMFILE, -EINVAL. */
int eventfds_duplicate(int number);

/* Whether the client's `number` is the same eventfd, whatever it was then. */
bool eventfds_same(const struct source *s, int number);

void eventfds_signal(int fd);

/* Closes its descriptors. Context: e->lock is held, or the poller gone. */
void eventfds_remove_irqfd(struct eventfds *e, struct irqfd *f);

/* Closes its descriptor. Context: e->io_lock is held, or nobody else here. */
void eventfds_remove_io(struct eventfds *e, unsigned i);
