/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hyper.c - see hyper.h.
 * SDM "VMCALL - Call to VM Monitor"; APM "VMMCALL - Call VMM".
 * Restartable sequences: <linux/rseq.h>, <sys/rseq.h> of glibc 2.35.
 */
#include "hyper.h"
#include "libluv.h"
#include "say.h"

#include <errno.h>
#include <pthread.h>
#include <sys/io.h>
#include <sys/rseq.h>

#define BUFFER_TRIES 8

struct hyper_token hyper_token;
static bool is_vmx;

/* --- calls ------------------------------------------------------------------ */

long hyper_call(unsigned nr, struct hyper_regs *r, uint64_t flags)
{
	register uint64_t r10 __asm__("r10") = r->r10;
	register uint64_t r8 __asm__("r8") = flags;

	r->rax = LUV_CALL(nr);
	if (is_vmx)
		__asm__ volatile("vmcall"
				 : "+a"(r->rax), "+D"(r->rdi), "+S"(r->rsi),
				   "+d"(r->rdx), "+r"(r10)
				 : "r"(r8)
				 : "memory");
	else
		__asm__ volatile("vmmcall"
				 : "+a"(r->rax), "+D"(r->rdi), "+S"(r->rsi),
				   "+d"(r->rdx), "+r"(r10)
				 : "r"(r8)
				 : "memory");
	r->r10 = r10;
	return (long)r->rax;
}

long hyper_simple(unsigned nr, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t r10)
{
	struct hyper_regs r = { 0, rdi, rsi, rdx, r10 };

	return hyper_call(nr, &r, 0);
}

long hyper_buffer(unsigned nr, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t r10, void *buf, size_t len)
{
	long result = -LUV_EFAULT;

	for (int i = 0; i < BUFFER_TRIES && result == -LUV_EFAULT; i++) {
		luv_touch(buf, len);
		result = hyper_simple(nr, rdi, rsi, rdx, r10);
	}
	return result;
}

/* --- running a guest -------------------------------------------------------- */

/*
 * RCX comes with the sequence's name and leaves with an enum hyper_end.
 * The sequence is [1, 2): the look whether the kernel has taken the sequence's
 * name out of the thread's area (rseq_cs, the quadword at 8) since it was
 * written there, the look at immediate_exit, and the hypercall, which is its
 * last instruction, so that its outputs are never lost. Where the VMM was
 * interrupted in it RIP is still at it: in the sequence. The kernel then goes
 * on at 4 (whose signature, RSEQ_SIG, makes it a place to go to) with all
 * other registers as they were. Outside of the sequence it only clears rseq_cs.
 */
#define RSEQ_RUN(opcode, name)                                                 \
	__asm__ volatile(                                                      \
		".pushsection __rseq_cs, \"aw\"\n"                             \
		".balign 32\n" #name ": .long 0, 0\n"                          \
		".quad 1f, 2f - 1f, 4f\n"                                      \
		".popsection\n"                                                \
		"1: cmp %%rcx, 8(%[rseq])\n"                                   \
		"jne 4f\n"                                                     \
		"cmpb $0, (%[immediate])\n"                                    \
		"jne 5f\n" opcode "\n"                                         \
		"2: xor %%ecx, %%ecx\n"                                        \
		"jmp 6f\n"                                                     \
		".byte 0x0f, 0xb9, 0x3d\n" /* UD1: never executed */           \
		".long 0x53053053\n"                                           \
		"4: mov $1, %%ecx\n"                                           \
		"jmp 6f\n"                                                     \
		"5: mov $2, %%ecx\n"                                           \
		"6:\n"                                                         \
		: "+c"(end), "+a"(r->rax), "+D"(r->rdi), "+S"(r->rsi),         \
		  "+d"(r->rdx), "+r"(r10)                                      \
		: "r"(r8), [rseq] "r"(area), [immediate] "r"(immediate_exit)   \
		: "memory", "cc")

extern const char hyper_rseq_vmx[], hyper_rseq_svm[];

static char *rseq(void)
{
	char *thread;

	__asm__("mov %%fs:0, %0" : "=r"(thread));
	return thread + __rseq_offset;
}

static const char *volatile *rseq_cs(char *area)
{
	return (const char *volatile *)(void *)(area + 8);
}

static const char *sequence(void)
{
	return is_vmx ? hyper_rseq_vmx : hyper_rseq_svm;
}

void hyper_watch(void)
{
	*rseq_cs(rseq()) = sequence();
}

bool hyper_undisturbed(void)
{
	return *rseq_cs(rseq()) == sequence();
}

enum hyper_end hyper_run(struct hyper_regs *r, uint64_t flags,
			 const volatile uint8_t *immediate_exit, bool watch)
{
	char *const area = rseq();
	register uint64_t r10 __asm__("r10") = r->r10;
	register uint64_t r8 __asm__("r8") = flags;
	uint64_t end = (uintptr_t)sequence();

	if (watch)
		*rseq_cs(area) = sequence();
	r->rax = LUV_CALL(LUV_CALL_vcpu_run);
	if (is_vmx)
		RSEQ_RUN("vmcall", hyper_rseq_vmx);
	else
		RSEQ_RUN("vmmcall", hyper_rseq_svm);
	r->r10 = r10;
	return (enum hyper_end)end;
}

/* --- finding the VMM -------------------------------------------------------- */

static int read_token(void)
{
	uint32_t w[4];

	if (ioperm(LUV_TOKEN_PORT, 16, 1)) {
		say("virtual machines need the VMM's token, which only root "
		    "can read: run this as root");
		return -EACCES;
	}
	for (unsigned short i = 0; i < 4; i++)
		w[i] = inl((unsigned short)(LUV_TOKEN_PORT + 4 * i));
	ioperm(LUV_TOKEN_PORT, 16, 0);
	hyper_token.low = w[0] | (uint64_t)w[1] << 32;
	hyper_token.high = w[2] | (uint64_t)w[3] << 32;
	return 0;
}

static int open_once(void)
{
	struct luv_info info;
	int e = luv_open();

	if (e < 0) {
		say("%s", luv_strerror(e));
		return -ENODEV;
	}
	if (__rseq_size == 0) {
		say("this process has no restartable sequences: use a kernel "
		    "with CONFIG_RSEQ and leave glibc.pthread.rseq on");
		return -ENODEV;
	}
	if (luv_identify(&info) < 0)
		return -ENODEV;
	is_vmx = info.isa == LUV_ISA_VMX;
	return read_token();
}

static int opened;

static void open_first(void)
{
	opened = open_once();
}

int hyper_open(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, open_first);
	return opened;
}
