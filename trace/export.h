/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * export.h - a capture in the formats of other programs. Each reads the
 * folder and writes to `out`.
 */
#pragma once

#include "tool.h"

/* A line for every event of the kind named, its fields as they are. */
enum status export_csv(struct tool *t, const char *folder, const char *event,
		       FILE *out);
/* Trace Event Format: chrome://tracing, ui.perfetto.dev, speedscope. */
enum status export_chrome(struct tool *t, const char *folder, FILE *out);
/* Perfetto's protobuf. */
enum status export_perfetto(struct tool *t, const char *folder, FILE *out);
