/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bt_apart.h - one damaged file makes libbabeltrace2 refuse a whole trace; so
 * each file is given to it as a trace of its own.
 */
#pragma once

struct bt_apart {
	char *temp;	/* folder that holds the others, or NULL */
	char **folder;	/* with links to `metadata` and one file */
	char **file;	/* which file, as it is called */
	unsigned count;
};

/* Zeros and temp NULL if there is no temporary folder to be had. */
void bt_apart_make(struct bt_apart *a, const char *trace);
/* The folders go too. */
void bt_apart_free(struct bt_apart *a);
