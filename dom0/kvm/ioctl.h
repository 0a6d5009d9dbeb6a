/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioctl.h - the table of ioctls and that of capabilities.
 */
#pragma once

#include "fds.h"

#include <stdint.h>

/* Returns >= 0 or -errno. */
typedef long (*ioctl_fn)(void *self, unsigned long arg);

struct ioctl_row {
	unsigned on;	  /* enum object_kind */
	uint32_t request; /* all 32 bits: numbers alone are ambiguous */
	const char *name;
	ioctl_fn fn;	  /* NULL: not implemented */
	int error;	  /* then */
	const char *why;  /* then; else NULL */
};

extern const struct ioctl_row ioctl_rows[];
extern const unsigned ioctl_row_count;

/* The row, or NULL: no such ioctl on such an object. */
const struct ioctl_row *ioctl_find(unsigned kind, uint32_t request);

/*
 * ioctl_call - an ioctl on an object of ours. What is not implemented is
 * answered here and nowhere else. Returns >= 0 or -errno.
 */
long ioctl_call(struct object *o, uint32_t request, unsigned long arg);

/*
 * cap_value - KVM_CHECK_EXTENSION: what the row of caps.def says, or 0 if one
 * of the ioctls that it promises is not implemented.
 */
long cap_value(unsigned long cap);

/* --- the functions that the rows name ----------------------------------------- */

#define FN(object, request, fn) long fn(void *self, unsigned long arg);
#define PART(object, request, fn, what) FN(object, request, fn)
#define NOT(object, request, error, why)
#include "ioctls.def"
#undef FN
#undef PART
#undef NOT
