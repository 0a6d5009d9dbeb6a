/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * descriptors.c - a client of the KVM API that copies, closes and passes on its
 * descriptors, forks and executes programs.
 *   descriptors [FD ERRNO]   is that what an ioctl on FD gives?
 */
#include "client.h"

#include <sys/socket.h>
#include <sys/wait.h>

/* What a fork's child and a copy of a descriptor can do. */
static void descriptors(void)
{
	struct kvm_regs regs;
	int copy = dup(cpu), status = 0;

	expect(copy >= 0 && ioctl(copy, KVM_GET_REGS, &regs) == 0, "dup");
	close(copy);
	expect(ioctl(copy, KVM_GET_REGS, &regs) < 0 && errno == EBADF,
	       "closed copy");
	expect(ioctl(vm, KVM_RUN, 0) < 0 && errno == ENOTTY, "KVM_RUN of a VM");
	if (fork() == 0)
		_exit(ioctl(cpu, KVM_GET_REGS, &regs) < 0 && errno == EIO ? 0
									  : 1);
	wait(&status);
	expect(status == 0, "a child's ioctl: %d", status);
	expect(ioctl(cpu, KVM_GET_REGS, &regs) == 0, "after fork");
}

/* One of ours that came in a message, or -1. */
static int passed_on(int fd)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} u = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &u, .msg_controllen = sizeof(u) };
	int pair[2], got = -1;

	memcpy(CMSG_DATA(&u.header), &fd, sizeof(fd));
	if (!socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
		if (sendmsg(pair[0], &m, 0) == 1 && recvmsg(pair[1], &m, 0) == 1)
			memcpy(&got, CMSG_DATA(&u.header), sizeof(got));
		close(pair[0]);
		close(pair[1]);
	}
	return got;
}

/* Runs this program again: main() looks at the descriptor, and exits. */
static int after_exec(int fd, int error)
{
	char number[12], code[12];
	int status = -1;

	snprintf(number, sizeof(number), "%d", fd);
	snprintf(code, sizeof(code), "%d", error);
	fflush(stdout);
	if (fork() == 0) {
		execl("/proc/self/exe", "descriptors", number, code, NULL);
		_exit(127);
	}
	wait(&status);
	return status;
}

/* Where the library does not know a descriptor it is refused: ENOTTY. */
static void strangers(void)
{
	struct kvm_regs regs;
	int got = passed_on(cpu);

	expect(got >= 0 && got != cpu, "SCM_RIGHTS");
	expect(ioctl(got, KVM_GET_REGS, &regs) < 0 && errno == ENOTTY,
	       "a descriptor that came in a message");
	close(got);
	expect(after_exec(cpu, EBADF) == 0, "exec closes descriptors");
	fcntl(cpu, F_SETFD, 0);
	expect(after_exec(cpu, ENOTTY) == 0, "a descriptor kept over exec");
	fcntl(cpu, F_SETFD, FD_CLOEXEC);
	expect(ioctl(cpu, KVM_GET_REGS, &regs) == 0, "the one that was kept");
}

static int look_at(const char *fd, const char *error)
{
	struct kvm_regs regs;

	if (ioctl(atoi(fd), KVM_GET_REGS, &regs) < 0 && errno == atoi(error))
		return 0;
	printf("descriptor %s: errno %d, not %s\n", fd, errno, error);
	return 1;
}

/* Made in a fork's child: one VM is ended here, the other with the process. */
static int child_of_its_own(const uint8_t *code, size_t len)
{
	const unsigned before = vms();

	failures = 0;
	for (int i = 0; i < 2; i++) {
		machine();
		expect(vms() == before + 1, "a child's VM %d", i);
		start(code, len);
		runs(KVM_EXIT_IO, "a child's guest");
		is_io(true, 0x80, 1);
		if (i)
			break;
		close(cpu);
		close(vm);
		close(kvm);
		expect(vms() == before, "a child's VM has ended");
	}
	fflush(stdout);
	return failures ? 1 : 0;
}

/* As a client that goes into the background, before or after it has a VM. */
static void forked(void)
{
	static const uint8_t code[] = { 0xe6, 0x80, 0xf4 }; /* out; hlt */
	const unsigned before = vms();
	int status = -1;

	start(code, sizeof(code));
	runs(KVM_EXIT_IO, "before fork");
	fflush(stdout);
	if (fork() == 0)
		exit(child_of_its_own(code, sizeof(code)));
	wait(&status);
	expect(status == 0, "the child: %#x", status);
	expect(vms() == before, "%u VMs, not %u", vms(), before);
	runs(KVM_EXIT_HLT, "after fork");
}
/* What KVM's binary statistics of a descriptor say of a name. */
static uint64_t statistic(int fd, const char *name)
{
	struct kvm_stats_header h;
	struct kvm_stats_desc d;
	char text[128] = "";
	uint64_t value = 0;

	require(pread(fd, &h, sizeof(h), 0) == sizeof(h) &&
		h.name_size < sizeof(text), "the header of statistics");
	for (unsigned i = 0; i < h.num_desc; i++) {
		off_t at = h.desc_offset +
			   (off_t)(i * (sizeof(d) + h.name_size));

		require(pread(fd, &d, sizeof(d), at) == sizeof(d) &&
			pread(fd, text, h.name_size, at + (off_t)sizeof(d)) ==
				(ssize_t)h.name_size, "a row of statistics");
		if (!strcmp(text, name) &&
		    pread(fd, &value, 8, h.data_offset + d.offset) == 8)
			return value;
	}
	expect(false, "there is no %s", name);
	return 0;
}

/* One OUT more is one more, also in a file that was opened before. */
static void statistics(void)
{
	static const uint8_t code[] = { 0xe6, 0x80, 0xeb, 0xfc };
	const int of_vm = ioctl(vm, KVM_GET_STATS_FD, 0);
	const int of_cpu = ioctl(cpu, KVM_GET_STATS_FD, 0);
	uint64_t before;

	expect(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_BINARY_STATS_FD) == 1,
	       "KVM_CAP_BINARY_STATS_FD");
	require(of_vm >= 0 && of_cpu >= 0, "KVM_GET_STATS_FD");
	start(code, sizeof(code));
	runs(KVM_EXIT_IO, "out");
	before = statistic(of_cpu, "io_exits");
	expect(statistic(of_vm, "io_exits") == before, "both count alike");
	runs(KVM_EXIT_IO, "out again");
	expect(statistic(of_cpu, "io_exits") == before + 1, "one OUT more");
	expect(statistic(of_vm, "io_exits") == before + 1, "one OUT more");
	expect(statistic(of_cpu, "exits") >= before + 1, "of all exits");
	expect(statistic(of_vm, "ram") == RAM && statistic(of_vm, "vcpus") == 1,
	       "RAM and vCPUs");
	close(of_vm);
	close(of_cpu);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return look_at(argv[1], argv[2]);
	machine();
	descriptors();
	strangers();
	forked();
	statistics();
	printf("descriptors: %u checks, %u failed.\n", checks, failures);
	return failures ? 1 : 0;
}
