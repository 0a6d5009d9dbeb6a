/* SPDX-License-Identifier: BSD-2-Clause */
/* eventfds_irqfd.c - irqfds and their poller. */
#include "eventfds_inside.h"
#include "quiet.h"
#include "tp.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Take what was signalled, without waiting: the client may have read it first.
 * A kernel before 5.8 does not know how, and reads.
 */
static bool take_signal(int fd)
{
	uint64_t count;
	const struct iovec to = { &count, sizeof(count) };
	ssize_t n = preadv2(fd, &to, 1, -1, RWF_NOWAIT);

	if (n < 0 && errno != EAGAIN)
		n = read(fd, &count, sizeof(count));
	return n == sizeof(count);
}

/* irqchip.lock is held. */
static void on_acked(void *ctx, uint32_t gsi)
{
	struct eventfds *e = ctx;

	pthread_mutex_lock(&e->resample_lock);
	for (unsigned i = 0; i < e->irqfds; i++)
		if (e->irqfd[i].resample_fd >= 0 && e->irqfd[i].gsi == gsi)
			eventfds_signal(e->irqfd[i].resample_fd);
	pthread_mutex_unlock(&e->resample_lock);
}

static void interrupt(const struct irqfd *f)
{
	if (!take_signal(f->in.fd))
		return;
	TP(irqfd, f->gsi);
	if (f->resample_fd >= 0)
		irqchip_raise(f->chip, f->gsi);
	else
		irqchip_edge(f->chip, f->gsi);
}

/* `key` says place and serial: it may be gone since the kernel said so. */
static void serve(struct eventfds *e, uint64_t key)
{
	const uint32_t place = (uint32_t)key;

	if (place < e->irqfds && e->irqfd[place].in.fd >= 0 &&
	    e->irqfd[place].serial == key >> 32)
		interrupt(&e->irqfd[place]);
}

static void *poll_irqfds(void *arg)
{
	struct eventfds *e = arg;
	struct epoll_event event[16];
	bool stop = false;

	while (!stop) {
		const int n = epoll_wait(e->epoll, event, 16, -1);

		pthread_mutex_lock(&e->lock);
		for (int i = 0; i < n; i++)
			if (event[i].data.u64 == STOP)
				stop = true;
			else
				serve(e, event[i].data.u64);
		pthread_mutex_unlock(&e->lock);
	}
	return NULL;
}

static int start_poller(struct eventfds *e)
{
	int error = 0;

	if (!e->polling)
		error = quiet_thread(&e->poller, "luv-irqfd", poll_irqfds, e);
	e->polling = !error;
	return -error;
}

static bool has_resampler(const struct eventfds *e, const struct irqchip *c,
			  uint32_t gsi)
{
	for (unsigned i = 0; i < e->irqfds; i++)
		if (e->irqfd[i].resample_fd >= 0 && e->irqfd[i].chip == c &&
		    e->irqfd[i].gsi == gsi)
			return true;
	return false;
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* What was signalled before still interrupts. */
void eventfds_remove_irqfd(struct eventfds *e, struct irqfd *f)
{
	const struct irqfd old = *f;

	interrupt(f);
	epoll_ctl(e->epoll, EPOLL_CTL_DEL, old.in.fd, NULL);
	pthread_mutex_lock(&e->resample_lock);
	f->in.fd = f->resample_fd = -1;
	pthread_mutex_unlock(&e->resample_lock);
	if (old.resample_fd >= 0 && !has_resampler(e, old.chip, old.gsi))
		irqchip_resample(old.chip, old.gsi, NULL, NULL);
	close(old.in.fd);
	close_if(old.resample_fd);
}

/* A free place, or NULL: no memory. */
static struct irqfd *find_place(struct eventfds *e)
{
	for (unsigned i = 0; i < e->irqfds; i++)
		if (e->irqfd[i].in.fd < 0)
			return &e->irqfd[i];
	const unsigned more = e->irqfds ? 2 * e->irqfds : 16;

	pthread_mutex_lock(&e->resample_lock);
	struct irqfd *all = realloc(e->irqfd, more * sizeof(*all));
	const unsigned first = e->irqfds;
	if (all) {
		for (unsigned i = first; i < more; i++)
			all[i].in.fd = all[i].resample_fd = -1;
		e->irqfd = all;
		e->irqfds = more;
	}
	pthread_mutex_unlock(&e->resample_lock);
	return all ? &all[first] : NULL;
}

static bool is_used(const struct eventfds *e, int fd)
{
	for (unsigned i = 0; i < e->irqfds; i++)
		if (e->irqfd[i].in.fd >= 0 && eventfds_same(&e->irqfd[i].in, fd))
			return true;
	return false;
}

/* The poller may hear of it at once, and then waits for e->lock. */
static int watch(struct eventfds *e, const struct irqfd *f, uint64_t place)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.u64 = (uint64_t)f->serial << 32 | place,
	};

	return epoll_ctl(e->epoll, EPOLL_CTL_ADD, f->in.fd, &event) ? -errno :
								      0;
}

/* Takes the descriptors of `new` over if it succeeds. */
static int add_irqfd(struct eventfds *e, struct irqfd *new)
{
	if (is_used(e, new->in.number))
		return -EBUSY;
	struct irqfd *f = find_place(e);
	int error = f ? start_poller(e) : -ENOMEM;

	new->serial = e->serial++;
	if (!error)
		error = watch(e, new, (uint64_t)(f - e->irqfd));
	if (!error && new->resample_fd >= 0)
		error = irqchip_resample(new->chip, new->gsi, on_acked, e);
	if (error) {
		epoll_ctl(e->epoll, EPOLL_CTL_DEL, new->in.fd, NULL);
		return error;
	}
	pthread_mutex_lock(&e->resample_lock);
	*f = *new;
	pthread_mutex_unlock(&e->resample_lock);
	return 0;
}

static int assign(struct eventfds *e, struct irqchip *c,
		  const struct kvm_irqfd *args)
{
	const bool resample = args->flags & KVM_IRQFD_FLAG_RESAMPLE;
	struct irqfd new = { .in = { .number = (int)args->fd },
			     .resample_fd = -1, .gsi = args->gsi, .chip = c };

	if (!c)
		return -EINVAL;
	new.in.fd = eventfds_duplicate((int)args->fd);
	if (new.in.fd < 0)
		return new.in.fd;
	if (resample)
		new.resample_fd = eventfds_duplicate((int)args->resamplefd);
	int error = resample && new.resample_fd < 0 ? new.resample_fd : 0;

	if (!error) {
		pthread_mutex_lock(&e->lock);
		error = add_irqfd(e, &new);
		pthread_mutex_unlock(&e->lock);
	}
	if (error) {
		close(new.in.fd);
		close_if(new.resample_fd);
	}
	return error;
}

static int deassign(struct eventfds *e, const struct kvm_irqfd *args)
{
	const int fd = eventfds_duplicate((int)args->fd);

	if (fd < 0)
		return fd;
	close(fd);
	pthread_mutex_lock(&e->lock);
	for (unsigned i = 0; i < e->irqfds; i++)
		if (e->irqfd[i].in.fd >= 0 && e->irqfd[i].gsi == args->gsi &&
		    eventfds_same(&e->irqfd[i].in, (int)args->fd))
			eventfds_remove_irqfd(e, &e->irqfd[i]);
	pthread_mutex_unlock(&e->lock);
	return 0;
}

int eventfds_irqfd(struct eventfds *e, struct irqchip *c,
		   const struct kvm_irqfd *args)
{
	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return deassign(e, args);
	return assign(e, c, args);
}
