/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.c - KVM_RUN: the guest runs inside the hypercall until there is
 * something for the client. What this library can do itself it does, and goes
 * on. Documentation/virt/kvm/api.rst, "KVM_RUN".
 */
#include "devices.h"
#include "emulate.h"
#include "hyper.h"
#include "ioctl.h"
#include "say.h"
#include "state.h"
#include "system.h"
#include "tp.h"
#include "vcpu.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define AGAIN	   1 /* of handlers: the guest goes on; 0: to the client */
#define READY_IF   1u
#define READY_TAKE 2u
#define FOREVER	   UINT64_MAX
#define NS_PER_S   UINT64_C(1000000000)

/* --- what the client sees after it ------------------------------------------------ */

static long leave(struct vcpu *v, uint32_t reason)
{
	v->run->exit_reason = reason;
	return 0;
}

static void report(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	run->if_flag = v->ready & READY_IF;
	run->ready_for_interrupt_injection =
		(v->ready & READY_TAKE) && !v->event;
	run->cr8 = v->cr8;
	run->apic_base = v->apic_base;
	run->flags = 0;
}

/* --- entering ----------------------------------------------------------------------- */

/* A call has returned with an exit: what it was given has been taken. */
static void returned(struct vcpu *v, const struct hyper_regs *r)
{
	v->wait = WAIT_NOTHING;
	v->wait_msr = v->gp = false;
	v->s_valid = false;
	v->s_shared = r->rax & LUV_RUN_SHARED;
	if (v->s_shared && v->shared->apic_base)
		v->apic_base = v->shared->apic_base;
	if (r->rax & LUV_RUN_QUEUED)
		v->event = 0;
	v->ready = (unsigned)r->r10;
	v->cr8 = r->r10 >> 8 & 0xf;
}

/* An interrupt that is offered and not yet taken wants the window, too. */
static uint64_t run_flags(struct vcpu *v)
{
	const bool waits = devices_interrupt(v);
	uint64_t flags = v->gp ? LUV_RUN_GP : 0;

	if (waits || v->event || v->run->request_interrupt_window)
		flags |= LUV_RUN_WINDOW;
	return flags;
}

static struct hyper_regs run_regs(const struct vcpu *v)
{
	return (struct hyper_regs){ 0, v->vm->handle, v->id, v->in, v->event };
}

void vcpu_settle(struct vcpu *v)
{
	struct hyper_regs r = run_regs(v);

	if (hyper_call(LUV_CALL_vcpu_run, &r,
		       (v->gp ? LUV_RUN_GP : 0) | LUV_RUN_NO_ENTRY) >= 0)
		returned(v, &r);
}

static long prepare(struct vcpu *v)
{
	if (v->vm->irqchip == IRQCHIP_OFF && v->run->cr8 != v->cr8)
		vcpu_change(v)->cr8 = v->run->cr8;
	if (v->kvmclock_stale) {
		v->kvmclock_stale = false;
		clock_tell_guest(&v->vm->clock, &v->vm->memory,
				 v->kvmclock & ~UINT64_C(1),
				 vcpu_state(v)->tsc_offset);
	}
	return v->s_dirty ? vcpu_flush(v) : 0;
}

/* --- exits --------------------------------------------------------------------------- */

static long io_client(struct vcpu *v, const struct hyper_regs *r)
{
	const bool in = r->rsi >> 8 & 1;
	const uint32_t value = (uint32_t)r->rdx;

	if (in)
		v->wait = WAIT_CLIENT_IN;
	else
		memcpy(v->pio, &value, sizeof(value));
	v->run->io.direction = in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	v->run->io.size = v->in_size;
	v->run->io.port = (uint16_t)r->rdi;
	v->run->io.count = 1;
	v->run->io.data_offset = (uint64_t)(v->pio - (uint8_t *)v->run);
	return leave(v, KVM_EXIT_IO);
}

/* A port that somebody here has asked for. */
static long io_device(struct vcpu *v, const struct hyper_regs *r)
{
	const uint16_t port = (uint16_t)r->rdi;
	uint32_t value = (uint32_t)r->rdx;

	if (!(r->rsi >> 8 & 1))
		return devices_port_write(v, port, v->in_size, value) ?
			       AGAIN : io_client(v, r);
	if (!devices_port_read(v, port, v->in_size, &value))
		return io_client(v, r);
	v->in = value;
	v->wait = WAIT_VMM;
	return AGAIN;
}

static long io(struct vcpu *v, const struct hyper_regs *r)
{
	if (r->rsi >> 9 & 1)
		return emulate_start(v, false, 0, false) == EMULATE_GO_ON;
	v->in_size = r->rsi & 0xff;
	return devices_port_free(v, (uint16_t)r->rdi) ? io_client(v, r) :
							io_device(v, r);
}

static long mmio(struct vcpu *v, const struct hyper_regs *r)
{
	return emulate_start(v, r->rsi & 2, r->rdi, r->rsi & 1) ==
	       EMULATE_GO_ON;
}

static long fault(struct vcpu *v, const struct hyper_regs *r)
{
	long e = memory_fault(&v->vm->memory, (unsigned)r->rdx, r->rdi, r->rsi);

	return e ? -EFAULT : AGAIN;
}

static uint64_t ticks_to_ns(uint64_t ticks)
{
	const uint64_t khz = clock_tsc_khz();

	return ticks / khz * 1000000 + ticks % khz * 1000000 / khz;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / NS_PER_S),
				  (long)(ns % NS_PER_S) };
}

/*
 * Is there no reason yet to end KVM_RUN? A client that does not know
 * immediate_exit wants it ended by every signal; a preemption looks the same,
 * and may be one.
 */
static bool may_go_on(const struct vcpu *v)
{
	return !v->run->immediate_exit &&
	       (system_knows_immediate_exit() || hyper_undisturbed());
}

/*
 * Blocked until somebody wakes it, its timer fires or a signal comes. Signals
 * are held off between the look at what is to end KVM_RUN and the sleep.
 */
static long sleep_until(struct vcpu *v, uint64_t ticks)
{
	struct timespec limit = to_timespec(ticks_to_ns(ticks));
	struct pollfd fd = { .fd = v->wake_fd, .events = POLLIN };
	sigset_t all, old;
	uint64_t count;
	int n = -1;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	TP(block, v->vm->handle, v->id,
	   ticks == FOREVER ? FOREVER : ticks_to_ns(ticks));
	if (may_go_on(v))
		n = ppoll(&fd, 1, ticks == FOREVER ? NULL : &limit, &old);
	TP(unblock, v->vm->handle, v->id);
	if (n >= 0)
		hyper_watch(); /* it slept, and handled no signal */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (n > 0 && read(v->wake_fd, &count, sizeof(count)) < 0) {
		/* somebody woke it twice, and it saw both at once */
	}
	return n < 0 ? -EINTR : AGAIN;
}

static long hlt(struct vcpu *v, const struct hyper_regs *r)
{
	if (v->vm->irqchip == IRQCHIP_OFF)
		return leave(v, KVM_EXIT_HLT);
	devices_interrupt(v);
	if (v->event) /* that ends it */
		return AGAIN;
	return sleep_until(v, r->rdi);
}

static long window_open(struct vcpu *v, const struct hyper_regs *r)
{
	(void)r;
	if (v->event || !v->run->request_interrupt_window)
		return AGAIN;
	return leave(v, KVM_EXIT_IRQ_WINDOW_OPEN);
}

static long shutdown(struct vcpu *v, const struct hyper_regs *r)
{
	(void)r;
	return leave(v, KVM_EXIT_SHUTDOWN);
}

static long rdmsr(struct vcpu *v, const struct hyper_regs *r)
{
	v->in = 0;
	v->gp = !msr_read(v, (uint32_t)r->rdi, &v->in, false);
	if (v->gp)
		debug(1, "vCPU %u reads MSR %#lx: #GP", v->id, r->rdi);
	v->wait = WAIT_VMM;
	v->wait_msr = true;
	v->in_size = 4; /* all of RAX */
	return AGAIN;
}

/* Registers are changed when the instruction is over: a change ends it. */
static long wrmsr(struct vcpu *v, const struct hyper_regs *r)
{
	const uint32_t msr = (uint32_t)r->rdi;

	v->wait = WAIT_VMM;
	v->wait_msr = true;
	v->in_size = 4;
	if (msr_sets_register(msr, r->rsi))
		vcpu_settle(v);
	if (!msr_write(v, msr, r->rsi, false)) {
		debug(1, "vCPU %u writes %#lx to MSR %#x: #GP", v->id, r->rsi,
		      msr);
		v->gp = true;
	}
	return AGAIN;
}

static long unknown(struct vcpu *v, const struct hyper_regs *r)
{
	const struct luv_vcpu *s = vcpu_state(v);

	if (r->rdi == EXIT_STAGE2 && r->rsi == LUV_ENOMEM)
		say("the VMM has no memory left for the page tables of virtual "
		    "machines: give them huge pages, or less memory");
	say("vCPU %u left its guest for a reason that nobody handles: exit %lu, "
	    "reason %#lx, information %#lx, at %#lx", v->id, r->rdi, r->rsi,
	    r->rdx, s->rip);
	v->run->internal.suberror = KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON;
	v->run->internal.ndata = 3;
	v->run->internal.data[0] = r->rdi;
	v->run->internal.data[1] = r->rsi;
	v->run->internal.data[2] = r->rdx;
	return leave(v, KVM_EXIT_INTERNAL_ERROR);
}

static long kicked(struct vcpu *v, const struct hyper_regs *r)
{
	(void)v;
	(void)r;
	return AGAIN;
}

static long spins(struct vcpu *v, const struct hyper_regs *r)
{
	(void)v;
	(void)r;
	sched_yield();
	return AGAIN;
}

static long wake(struct vcpu *v, const struct hyper_regs *r)
{
	vm_wake(v->vm, r->rdi);
	return AGAIN;
}

static long eoi(struct vcpu *v, const struct hyper_regs *r)
{
	if (!devices_eoi(v, (uint8_t)r->rdi))
		return AGAIN;
	v->run->eoi.vector = (uint8_t)r->rdi;
	return leave(v, KVM_EXIT_IOAPIC_EOI);
}

/* An interrupt on this CPU at that time is all that is wanted of it. */
static long timer(struct vcpu *v, const struct hyper_regs *r)
{
	struct itimerspec t = { .it_value = to_timespec(ticks_to_ns(r->rdi)) };

	if (!r->rdi)
		t.it_value.tv_nsec = 1;
	timerfd_settime(v->timer_fd, 0, &t, NULL);
	return AGAIN;
}

static long debug_exit(struct vcpu *v, const struct hyper_regs *r)
{
	struct kvm_debug_exit_arch *d = &v->run->debug.arch;
	const bool int3 = r->rdi == UINT64_MAX;

	d->exception = int3 ? 3 : 1;
	d->pc = r->rsi;
	d->dr6 = int3 ? 0 : r->rdi;
	d->dr7 = vcpu_state(v)->debug_dr7;
	return leave(v, KVM_EXIT_DEBUG);
}

static long failed(struct vcpu *v, long error)
{
	if (error == -LUV_EBUSY) { /* a look at its registers by another CPU */
		sched_yield();
		return AGAIN;
	}
	say("vCPU %u cannot run: %s", v->id, strerror((int)-error));
	v->run->fail_entry.hardware_entry_failure_reason = (uint64_t)-error;
	v->run->fail_entry.cpu = 0;
	return leave(v, KVM_EXIT_FAIL_ENTRY);
}

static long (*const exits[])(struct vcpu *, const struct hyper_regs *) = {
	[0] = unknown,
	[LUV_RUN_IO] = io,
	[LUV_RUN_MMIO] = mmio,
	[LUV_RUN_FAULT] = fault,
	[LUV_RUN_HLT] = hlt,
	[LUV_RUN_WINDOW_OPEN] = window_open,
	[LUV_RUN_SHUTDOWN] = shutdown,
	[LUV_RUN_PAUSE] = spins,
	[LUV_RUN_RDMSR] = rdmsr,
	[LUV_RUN_WRMSR] = wrmsr,
	[LUV_RUN_UNKNOWN] = unknown,
	[LUV_RUN_KICKED] = kicked,
	[LUV_RUN_WAKE] = wake,
	[LUV_RUN_EOI] = eoi,
	[LUV_RUN_TIMER] = timer,
	[LUV_RUN_DEBUG] = debug_exit,
};

static long handle(struct vcpu *v, const struct hyper_regs *r)
{
	unsigned kind = (unsigned)(r->rax & LUV_RUN_KIND);

	if ((int64_t)r->rax < 0)
		return failed(v, (long)r->rax);
	debug(3, "vCPU %u: exit %u (%#lx %#lx %#lx) ready %#lx", v->id, kind,
	      r->rdi, r->rsi, r->rdx, r->r10);
	returned(v, r);
	if (kind >= sizeof(exits) / sizeof(exits[0]) || !exits[kind])
		kind = 0;
	return exits[kind](v, r);
}

/* --- the loop ------------------------------------------------------------------------ */

/* What the client was asked for at its last exit. Returns AGAIN or 0. */
static long take_answer(struct vcpu *v)
{
	if (v->wait == WAIT_CLIENT_IN) {
		v->in = 0;
		memcpy(&v->in, v->pio, v->in_size);
		v->wait = WAIT_VMM;
	} else if (v->wait == WAIT_EMULATOR) {
		v->wait = WAIT_NOTHING;
		return emulate_resume(v) == EMULATE_GO_ON;
	}
	return AGAIN;
}

/*
 * immediate_exit, or a signal for a client that does not know that. The VMM
 * finishes what waits, and tells what the guest can take now.
 */
static long interrupted(struct vcpu *v, bool ran)
{
	if (v->s_dirty)
		vcpu_flush(v);
	if (ran || v->wait == WAIT_VMM)
		vcpu_settle(v);
	leave(v, KVM_EXIT_INTR);
	return -EINTR;
}

static long run(struct vcpu *v)
{
	const bool knows = system_knows_immediate_exit();
	bool aborted = false;
	struct hyper_regs r;
	uint64_t flags;
	long e = take_answer(v);

	while (e == AGAIN) {
		e = prepare(v);
		if (e)
			break;
		flags = run_flags(v);
		r = run_regs(v);
		TP(run_entry, v->vm->handle, v->id);
		switch (hyper_run(&r, flags, &v->run->immediate_exit,
				  knows)) {
		case HYPER_DONE:
			TP(run_exit, v->vm->handle, v->id, r.rax, r.rdi, r.rsi,
			   r.rdx);
			aborted = false;
			e = handle(v, &r);
			break;
		case HYPER_ABORTED:
			aborted = true;
			e = AGAIN;
			if (!knows)
				return interrupted(v, true);
			break;
		case HYPER_IMMEDIATE:
			return interrupted(v, aborted);
		}
	}
	if (e == -EINTR)
		leave(v, KVM_EXIT_INTR);
	return e;
}

long vcpu_run(struct vcpu *v)
{
	sigset_t old;
	long e;

	if (!system_knows_immediate_exit())
		hyper_watch();
	if (v->has_sigmask)
		pthread_sigmask(SIG_SETMASK, &v->sigmask, &old);
	e = run(v);
	report(v);
	if (v->has_sigmask)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	return e;
}

long vcpu_ioctl_run(void *self, unsigned long arg)
{
	if (arg)
		return -EINVAL;
	return vcpu_run(self);
}
