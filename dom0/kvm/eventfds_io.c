/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eventfds_io.c - ioeventfds. Most writes of a guest are for none. That is
 * told by counters of them by a hash of the address; what may be for one is
 * looked up under the lock, which keeps its descriptor from being closed, too.
 */
#include "eventfds_inside.h"
#include "tp.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static _Atomic uint16_t *hint(struct eventfds *e, bool pio, uint64_t addr)
{
	const uint64_t mixed = (addr << 1 | pio) * 0x9e3779b97f4a7c15;

	return &e->hint[mixed >> (64 - HINT_BITS)];
}

/* The first that is not before this address: where one of it is, or belongs. */
static unsigned first_at(const struct eventfds *e, bool pio, uint64_t addr)
{
	unsigned from = 0, to = e->ios;

	while (from < to) {
		const unsigned i = (from + to) / 2;
		const struct ioeventfd *x = &e->io[i];

		if (x->pio < pio || (x->pio == pio && x->addr < addr))
			from = i + 1;
		else
			to = i;
	}
	return from;
}

static bool is_at(const struct eventfds *e, unsigned i, bool pio, uint64_t addr)
{
	return i < e->ios && e->io[i].pio == pio && e->io[i].addr == addr;
}

static bool takes(const struct ioeventfd *x, unsigned len, uint64_t data)
{
	if (!x->len)
		return true;
	return x->len == len && (x->any_data || x->datamatch == data);
}

static uint64_t low_bytes(uint64_t data, unsigned len)
{
	return len < 8 ? data & ((1ull << len * 8) - 1) : data;
}

bool eventfds_write(struct eventfds *e, bool pio, uint64_t addr, unsigned len,
		    uint64_t data)
{
	if (!atomic_load_explicit(hint(e, pio, addr), memory_order_acquire))
		return false;
	bool taken = false;

	data = low_bytes(data, len);
	pthread_rwlock_rdlock(&e->io_lock);
	for (unsigned i = first_at(e, pio, addr);
	     !taken && is_at(e, i, pio, addr); i++) {
		taken = takes(&e->io[i], len, data);
		if (taken) {
			TP(ioeventfd, pio, addr, len, data);
			eventfds_signal(e->io[i].out.fd);
		}
	}
	pthread_rwlock_unlock(&e->io_lock);
	return taken;
}

/* Whether a write could be for both, which are at one address. */
static bool collide(const struct ioeventfd *a, const struct ioeventfd *b)
{
	if (!a->len || !b->len)
		return true;
	return a->len == b->len && (a->any_data || b->any_data ||
				    a->datamatch == b->datamatch);
}

/* Takes the descriptor of `new` over if it succeeds. */
static int add_io(struct eventfds *e, const struct ioeventfd *new)
{
	const unsigned at = first_at(e, new->pio, new->addr);

	for (unsigned i = at; is_at(e, i, new->pio, new->addr); i++)
		if (collide(&e->io[i], new))
			return -EEXIST;
	if (e->ios == IOEVENTFDS)
		return -ENOSPC;
	memmove(&e->io[at + 1], &e->io[at], (e->ios - at) * sizeof(*new));
	e->io[at] = *new;
	e->ios++;
	atomic_fetch_add(hint(e, new->pio, new->addr), 1);
	return 0;
}

void eventfds_remove_io(struct eventfds *e, unsigned i)
{
	atomic_fetch_sub(hint(e, e->io[i].pio, e->io[i].addr), 1);
	close(e->io[i].out.fd);
	e->ios--;
	memmove(&e->io[i], &e->io[i + 1], (e->ios - i) * sizeof(e->io[i]));
}

static bool is_it(const struct ioeventfd *x, const struct ioeventfd *what)
{
	return x->len == what->len && x->any_data == what->any_data &&
	       (x->any_data || x->datamatch == what->datamatch) &&
	       eventfds_same(&x->out, what->out.number);
}

static int find_and_remove_io(struct eventfds *e, const struct ioeventfd *what)
{
	for (unsigned i = first_at(e, what->pio, what->addr);
	     is_at(e, i, what->pio, what->addr); i++)
		if (is_it(&e->io[i], what)) {
			eventfds_remove_io(e, i);
			return 0;
		}
	return -ENOENT;
}

static bool is_valid(const struct kvm_ioeventfd *args)
{
	const uint32_t flags = KVM_IOEVENTFD_FLAG_DATAMATCH |
			       KVM_IOEVENTFD_FLAG_PIO |
			       KVM_IOEVENTFD_FLAG_DEASSIGN;

	if (args->flags & ~flags || args->addr + args->len < args->addr)
		return false;
	if (!args->len)
		return !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	return args->len <= 8 && !(args->len & (args->len - 1));
}

int eventfds_ioeventfd(struct eventfds *e, const struct kvm_ioeventfd *args)
{
	const bool add = !(args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN);
	struct ioeventfd x = {
		.out.number = args->fd,
		.addr = args->addr,
		.datamatch = args->datamatch,
		.len = args->len,
		.pio = args->flags & KVM_IOEVENTFD_FLAG_PIO,
		.any_data = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH),
	};

	if (!is_valid(args))
		return -EINVAL;
	x.out.fd = eventfds_duplicate(args->fd);
	if (x.out.fd < 0)
		return x.out.fd;
	pthread_rwlock_wrlock(&e->io_lock);
	const int error = add ? add_io(e, &x) : find_and_remove_io(e, &x);
	pthread_rwlock_unlock(&e->io_lock);
	if (error || !add)
		close(x.out.fd);
	return error;
}
