/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.h - what the guest and its client share: the guest-physical map, the
 * ports and the rows. Below 1 GiB, where all is mapped as it is, the client
 * puts the page tables, GDT and IDT; guest.S is one flat binary at GUEST_LOAD
 * that begins with the addresses of its pieces.
 */
#pragma once

#define GUEST_PML4    0x1000
#define GUEST_PDPT    0x2000
#define GUEST_PD      0x3000 /* two pages: 2 GiB in 2 MiB pages */
#define GUEST_GDT     0x5000
#define GUEST_IDT     0x6000
#define GUEST_STACK   0x8000 /* its top */
#define GUEST_LOAD    0x10000
#define GUEST_SAMPLES 0x100000 /* 32-bit TSC differences */
#define GUEST_RAM     0x200000 /* end of what is always there */
#define GUEST_MMIO    0x3f000000
#define GUEST_REGION  0x40000000 /* memory whose first touch is measured */
#define GUEST_TOP     0x80000000

#define GUEST_SAMPLES_MAX ((GUEST_RAM - GUEST_SAMPLES) / 4)

#define GUEST_CS     0x08
#define GUEST_DS     0x10
#define VECTOR_IRQ   0x20
#define VECTOR_IPI   0x21
#define VECTOR_TIMER 0x22

#define PORT_OUT  0x80
#define PORT_IN   0x81
#define PORT_DONE 0x99
