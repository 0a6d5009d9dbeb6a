/* SPDX-License-Identifier: BSD-2-Clause */
/* luvctl_hist.h - luvctl hist. */
#pragma once

#include <luvalley/luvalley.h>
#include <stdbool.h>

/* The ticks that `part` (0 to 1) of a row's exits took less than. */
uint64_t luvctl_quantile(const struct luv_hist *row, double part);

/* Print all there is. A negative LUV_E*: the VMM cannot be asked. */
long luvctl_hist(bool json);
