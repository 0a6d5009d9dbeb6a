/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symbols.h - names of a guest's addresses, from System.map, /proc/kallsyms or
 * an ELF file with a symbol table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYMBOLS_ALL (-1)

/* Tables of any number of files; zeros are none. */
struct symbols {
	struct symbols_file *file;
	unsigned files;
};

/*
 * symbols_load - add "[DOM=]FILE[+OFFSET]": of this domain, or of all; OFFSET
 * is added to its addresses (KASLR, a position-independent program). NULL, or
 * a sentence that says what is wrong, valid until the next call.
 */
const char *symbols_load(struct symbols *s, const char *what);
/*
 * symbols_find - the name of the function that has the address, or NULL.
 *   *at   offset within it
 */
const char *symbols_find(const struct symbols *s, unsigned dom,
			 uint64_t address, uint64_t *at);
void symbols_free(struct symbols *s);
