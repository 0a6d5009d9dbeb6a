/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * errors.c - a client of the KVM API that fails: its errors are looked at here,
 * the library's sentences, and what is left of it, by who runs it.
 *   errors memlock | refused | die
 */
#include "client.h"

#include <linux/capability.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

/* From here on no more memory may be locked than 64 KiB. */
static void limit_memlock(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3,
						   0 };
	struct __user_cap_data_struct caps[2];
	const struct rlimit limit = { 65536, 65536 };

	require(!setrlimit(RLIMIT_MEMLOCK, &limit) &&
		!syscall(SYS_capget, &header, caps), "limits");
	caps[0].effective &= ~(1u << CAP_IPC_LOCK);
	caps[0].permitted &= ~(1u << CAP_IPC_LOCK);
	require(!syscall(SYS_capset, &header, caps), "capset");
}

static void memlock(void)
{
	static const uint8_t code[] = { 0xf4 };

	start(code, sizeof(code));
	expect(ioctl(cpu, KVM_RUN, 0) < 0 && errno == EFAULT,
	       "KVM_RUN without guest memory");
}

static void refused(void)
{
	expect(ioctl(cpu, KVM_SMI, 0) < 0 && errno == ENOTTY, "KVM_SMI");
	expect(ioctl(vm, _IO(KVMIO, 0xff), 0) < 0 && errno == ENOTTY,
	       "an ioctl that does not exist");
}

/* Killed with its guest running: luvkvm has to free the VM. */
static void die(void)
{
	static const uint8_t code[] = { 0xeb, 0xfe };
	struct itimerval t = { .it_value = { 0, 10000 } };
	struct sigaction act = { .sa_handler = SIG_DFL };

	sigaction(SIGALRM, &act, NULL);
	start_with(code, sizeof(code), RFLAGS_1 | RFLAGS_IF);
	setitimer(ITIMER_REAL, &t, NULL);
	ioctl(cpu, KVM_RUN, 0);
	expect(false, "KVM_RUN outlived SIGALRM");
}

int main(int argc, char **argv)
{
	const bool limited = argc == 2 && !strcmp(argv[1], "memlock");

	if (limited) /* before the library opens its io_uring */
		limit_memlock();
	machine();
	/* Who does not ask for this sees EINTR when it is preempted. */
	ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT);
	if (limited)
		memlock();
	else if (argc == 2 && !strcmp(argv[1], "refused"))
		refused();
	else if (argc == 2 && !strcmp(argv[1], "die"))
		die();
	else
		expect(false, "usage: errors memlock | refused | die");
	return failures ? 1 : 0;
}
