/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm.h - a virtual machine of this process: what a KVM VM descriptor means.
 * Lives until the last descriptor of it and of its vCPUs is closed.
 */
#pragma once

#include "clock.h"
#include "coalesced.h"
#include "eventfds.h"
#include "fds.h"
#include "memory.h"
#include "ports.h"
#include "system.h"

#include <linux/kvm.h>
#include <luvalley/luvalley.h>
#include <pthread.h>

struct vcpu;

#define VCPU_MMAP 0x3000 /* bytes: kvm_run, PIO data, coalesced writes */

enum vm_irqchip { /* who has the interrupt controllers */
	IRQCHIP_OFF,   /* the client, all of them */
	IRQCHIP_SPLIT, /* local APICs: the VMM; the others: the client */
	IRQCHIP_ON,    /* local APICs: the VMM; the others: this library */
};

struct vm {
	struct object *object;
	uint64_t handle;	     /* [I] the VMM's */
	pthread_mutex_t lock;
	struct vcpu *vcpu[LUV_VCPUS]; /* [L] lock; [I] once set */
	enum vm_irqchip irqchip;     /* [L] lock; [I] once there is a vCPU */
	struct irqchip *chip;	     /* the same; NULL: IRQCHIP_OFF */
	atomic_bool pic_wants;	     /* [a] the PIC's INT output */
	struct eventfds *eventfds;   /* [I] */
	struct ports ports;	     /* [a] not the client's alone */
	struct memory memory;	     /* its own lock */
	struct clock clock;	     /* its own lock */
	int ring_fd;		     /* [I] memfd of the page that follows */
	struct kvm_coalesced_mmio_ring *ring; /* [I] all vCPUs' third page */
	struct coalesced coalesced;  /* its own lock */
	struct {		     /* [L] lock: guest TSCs kept together */
		uint64_t value, at, offset;
	} tsc;
};

/* KVM_CREATE_VM: a descriptor, or -errno. */
long vm_create(unsigned long type);

/* Every VM of this process, as it exits: those in use are left to luvkvm. */
void vm_exit_all(void);

/* This process is a fork's child: the VMs are its parent's. */
void vm_forked(void);

/* vm_wake - end the sleep of those vCPUs in the mask that sleep. */
void vm_wake(struct vm *vm, uint64_t mask);

/*
 * vm_map_ring - put the VM's page of coalesced writes over the third page of
 * a client's new mapping of one of its vCPUs: KVM has one for all of them.
 */
bool vm_map_ring(struct vm *vm, void *at);
