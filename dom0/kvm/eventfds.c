/* SPDX-License-Identifier: BSD-2-Clause */
/* eventfds.c - eventfds, and making and ending a VM's list of them. */
#include "eventfds_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- eventfds ----------------------------------------------------------- */

int eventfds_duplicate(int number)
{
	static const char is[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(is)];
	const int fd = fcntl(number, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const ssize_t len = readlink(path, target, sizeof(target));
	if (len < 0) /* no /proc: believe it */
		return fd;
	if (len == sizeof(is) - 1 && memcmp(target, is, sizeof(is) - 1) == 0)
		return fd;
	close(fd);
	return -EINVAL;
}

bool eventfds_same(const struct source *s, int number)
{
	const pid_t me = getpid();
	const long order = syscall(SYS_kcmp, me, me, KCMP_FILE, s->fd,
				   number);

	return order < 0 ? s->number == number : order == 0;
}

/*
 * It would block if the counter were full. That takes a client that fills it
 * on purpose, and then waits for itself.
 */
void eventfds_signal(int fd)
{
	const uint64_t one = 1;
	const ssize_t n = write(fd, &one, sizeof(one));

	(void)n; /* a full counter says what one more would */
}

/* --- making ------------------------------------------------------------- */

static bool open_poller(struct eventfds *e)
{
	struct epoll_event stop = { .events = EPOLLIN, .data.u64 = STOP };

	e->epoll = epoll_create1(EPOLL_CLOEXEC);
	e->stop_fd = eventfd(0, EFD_CLOEXEC);
	return e->epoll >= 0 && e->stop_fd >= 0 &&
	       epoll_ctl(e->epoll, EPOLL_CTL_ADD, e->stop_fd, &stop) == 0;
}

static void free_all(struct eventfds *e)
{
	if (e->epoll >= 0)
		close(e->epoll);
	if (e->stop_fd >= 0)
		close(e->stop_fd);
	pthread_rwlock_destroy(&e->io_lock);
	pthread_mutex_destroy(&e->resample_lock);
	pthread_mutex_destroy(&e->lock);
	free(e->irqfd);
	free(e);
}

struct eventfds *eventfds_create(void)
{
	struct eventfds *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	pthread_mutex_init(&e->lock, NULL);
	pthread_mutex_init(&e->resample_lock, NULL);
	pthread_rwlock_init(&e->io_lock, NULL);
	if (open_poller(e))
		return e;
	free_all(e);
	return NULL;
}

void eventfds_destroy(struct eventfds *e)
{
	if (e->polling) {
		eventfds_signal(e->stop_fd);
		pthread_join(e->poller, NULL);
	}
	for (unsigned i = 0; i < e->irqfds; i++)
		if (e->irqfd[i].in.fd >= 0)
			eventfds_remove_irqfd(e, &e->irqfd[i]);
	while (e->ios)
		eventfds_remove_io(e, e->ios - 1);
	free_all(e);
}
