/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bt.h - read traces with libbabeltrace2, for capture.c.
 */
#pragma once

#include "capture.h"

/* capture_run() of the folders c->trace. Sets c->meta of a foreign trace. */
void bt_run(struct capture *c, merge_fn fn, void *ctx);
