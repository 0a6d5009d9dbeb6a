/* SPDX-License-Identifier: BSD-2-Clause */
/* tp.c - see tp.h. Found by name: the only data that others see. */
#include "tp.h"

__attribute__((visibility("default"))) struct tp luvkvm_tp;
