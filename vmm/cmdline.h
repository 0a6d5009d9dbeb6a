/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmdline.h - the VMM's boot options. Pure. The options are the table in
 * cmdline.c; an unknown word or a bad value is an error with a sentence.
 */
#pragma once

#include "types.h"

enum apic_trap {
	APIC_TRAP_AUTO,	  /* trap xAPIC writes only while a CPU may be started */
	APIC_TRAP_ALWAYS, /* trap them for good */
};

/* Deliberate faults, so that the dumps can be tested: crash=WORD. */
enum crash {
	CRASH_NONE,
	CRASH_UD,   /* the VMM executes UD2 */
	CRASH_PF,   /* the VMM reads an unmapped address */
	CRASH_EXIT, /* the first hypercall is treated as an unexpected exit */
};

struct options {
	uint8_t boot_drive;	  /* boot_drive=0x80..0xff, BIOS drive; default 0x80 */
	unsigned cpus;		  /* cpus=1.., CPUs to use at most; default all (~0u) */
	bool hypervisor_bit;	  /* hypervisor_bit=on|off: CPUID.1:ECX[31]; default off */
	enum apic_trap apic_trap; /* apic_trap=auto|always; default auto */
	bool apicv;		  /* apicv=auto|off: a domU's APIC by the CPU;
				     default auto */
	uint16_t serial;	  /* serial=0x3f8|0x2f8|..|off (0); default 0x3f8 */
	enum crash crash;	  /* crash=none|ud|pf|exit */
	uint8_t trace;		  /* trace=off|stop|flight, enum luv_trace_mode;
				     default off */
	unsigned trace_kib;	  /* trace_kib=0.., the rings of all CPUs together;
				     default 512 */
};

/*
 * cmdline_parse - read `s` (words separated by blanks; a first word that
 * contains '/' or ends in ".elf" is the image's own name and is skipped; the
 * words after "--" are not ours) into *o, defaults first.
 * Returns OK; ERR_INVAL: `why` (why_len bytes) holds one sentence that names
 * the word and says which words or values exist; *o is complete all the same
 * (defaults and the words before the bad one), so that it can be printed.
 */
MUST_USE enum err cmdline_parse(const char *s, struct options *o, char *why,
				size_t why_len);
