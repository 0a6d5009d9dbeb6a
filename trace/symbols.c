/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symbols.c - one sorted array for each file. A name goes to the next symbol,
 * or to the end that an ELF symbol has, but never further than FAR.
 */
#include "symbols.h"
#include "memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

#define FAR (1u << 20) /* bytes: no function is as long */

struct symbol {
	uint64_t address, size; /* size 0: not known */
	char *name;
};

struct symbols_file {
	int dom;
	uint64_t offset;
	struct symbol *symbol;
	size_t symbols;
};

static char why[300];

static void add(struct symbols_file *f, uint64_t address, uint64_t size,
		const char *name)
{
	if ((f->symbols & (f->symbols - 1)) == 0)
		f->symbol = memory_grown(f->symbol, f->symbols ?
					 f->symbols * 2 : 1,
					 sizeof(*f->symbol));
	f->symbol[f->symbols++] = (struct symbol){
		address + f->offset, size, memory_string(name) };
}

/* Lines "ffffffff81000000 T name [module]"; true: it is such a file. */
static bool load_text(struct symbols_file *f, FILE *in)
{
	char *line = NULL, name[512], type;
	unsigned long long address;
	size_t room = 0;

	while (getline(&line, &room, in) >= 0)
		if (strspn(line, "0123456789abcdef") == 16 &&
		    sscanf(line, "%llx %c %511s", &address, &type, name) == 3 &&
		    strchr("tTwWvVi", type))
			add(f, address, 0, name);
	free(line);
	return f->symbols > 0;
}

static void load_section(struct symbols_file *f, Elf *elf, Elf_Scn *scn,
			 const GElf_Shdr *head)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	const size_t n = data && head->sh_entsize ?
		data->d_size / head->sh_entsize : 0;
	GElf_Sym sym;

	for (size_t i = 0; i < n && gelf_getsym(data, (int)i, &sym); i++) {
		const char *name = elf_strptr(elf, head->sh_link, sym.st_name);

		if (name && *name && sym.st_value &&
		    GELF_ST_TYPE(sym.st_info) == STT_FUNC)
			add(f, sym.st_value, sym.st_size, name);
	}
}

static bool load_elf(struct symbols_file *f, int fd)
{
	Elf *elf;
	Elf_Scn *scn = NULL;
	GElf_Shdr head;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF) {
		elf_end(elf);
		return false;
	}
	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &head) && (head.sh_type == SHT_SYMTAB ||
						 head.sh_type == SHT_DYNSYM))
			load_section(f, elf, scn, &head);
	elf_end(elf);
	return f->symbols > 0;
}

static int compare(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

static bool load(struct symbols_file *f, const char *path)
{
	FILE *in = fopen(path, "r");
	bool ok;

	if (!in) {
		snprintf(why, sizeof(why), "%s: %s", path, strerror(errno));
		return false;
	}
	ok = load_elf(f, fileno(in));
	if (!ok) {
		rewind(in);
		ok = load_text(f, in);
	}
	fclose(in);
	if (!ok)
		snprintf(why, sizeof(why), "%s: no functions in it: give a "
			 "System.map, a copy of /proc/kallsyms as root sees "
			 "it, or an ELF file that is not stripped", path);
	else
		qsort(f->symbol, f->symbols, sizeof(*f->symbol), compare);
	return ok;
}

const char *symbols_load(struct symbols *s, const char *what)
{
	struct symbols_file f = { .dom = SYMBOLS_ALL };
	const size_t digits = strspn(what, "0123456789");
	char *path, *plus, *end;
	bool ok;

	if (digits && what[digits] == '=') {
		f.dom = atoi(what);
		what += digits + 1;
	}
	path = memory_string(what);
	plus = strrchr(path, '+');
	if (plus && isdigit((unsigned char)plus[1])) {
		f.offset = strtoull(plus + 1, &end, 0);
		if (!*end)
			*plus = '\0';
	}
	ok = load(&f, path);
	free(path);
	s->file = memory_grown(s->file, s->files + 1, sizeof(*s->file));
	s->file[s->files++] = f;
	return ok ? NULL : why;
}

/* The last symbol at or below the address. */
static const struct symbol *below(const struct symbols_file *f,
				  uint64_t address)
{
	size_t low = 0, high = f->symbols;

	while (low < high) {
		const size_t mid = (low + high) / 2;

		if (f->symbol[mid].address <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? &f->symbol[low - 1] : NULL;
}

const char *symbols_find(const struct symbols *s, unsigned dom,
			 uint64_t address, uint64_t *at)
{
	for (unsigned i = 0; i < s->files; i++) {
		const struct symbols_file *f = &s->file[i];
		const struct symbol *y = f->dom == SYMBOLS_ALL ||
			f->dom == (int)dom ? below(f, address) : NULL;

		if (y && address - y->address < (y->size ? y->size : FAR)) {
			*at = address - y->address;
			return y->name;
		}
	}
	return NULL;
}

void symbols_free(struct symbols *s)
{
	for (unsigned i = 0; i < s->files; i++) {
		for (size_t j = 0; j < s->file[i].symbols; j++)
			free(s->file[i].symbol[j].name);
		free(s->file[i].symbol);
	}
	free(s->file);
	*s = (struct symbols){ 0 };
}
