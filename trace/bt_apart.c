/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bt_apart.c - see bt_apart.h; symbolic links in a temporary folder.
 */
#include "bt_apart.h"
#include "memory.h"

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static char *join(const char *folder, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		path = NULL;
	return memory_checked(path);
}

static bool link_into(const char *folder, const char *real, const char *name)
{
	char *from = join(real, name), *to = join(folder, name);
	const bool ok = symlink(from, to) == 0;

	free(from);
	free(to);
	return ok;
}

static void add(struct bt_apart *a, const char *trace, const char *real,
		const char *name)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", a->count);
	a->folder = memory_grown(a->folder, a->count + 1, sizeof(char *));
	a->file = memory_grown(a->file, a->count + 1, sizeof(char *));
	a->folder[a->count] = join(a->temp, number);
	a->file[a->count] = join(trace, name);
	if (mkdir(a->folder[a->count], 0700) == 0 &&
	    link_into(a->folder[a->count], real, "metadata"))
		link_into(a->folder[a->count], real, name);
	a->count++;
}

static bool is_stream(const char *real, const char *name)
{
	char *path = join(real, name);
	struct stat st;
	const bool ok = name[0] != '.' && strcmp(name, "metadata") != 0 &&
		stat(path, &st) == 0 && S_ISREG(st.st_mode);

	free(path);
	return ok;
}

void bt_apart_make(struct bt_apart *a, const char *trace)
{
	char *real = realpath(trace, NULL);
	const char *tmp = getenv("TMPDIR");
	struct dirent **name = NULL;
	int n;

	*a = (struct bt_apart){ .temp = join(tmp ? tmp : "/tmp",
					     "luvtrace.XXXXXX") };
	if (!real || !mkdtemp(a->temp)) {
		free(a->temp);
		free(real);
		a->temp = NULL;
		return;
	}
	n = scandir(real, &name, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (is_stream(real, name[i]->d_name))
			add(a, trace, real, name[i]->d_name);
		free(name[i]);
	}
	free(name);
	free(real);
}

static void remove_folder(const char *folder, const char *file)
{
	char *path = join(folder, "metadata");

	unlink(path);
	free(path);
	path = join(folder, file);
	unlink(path);
	free(path);
	rmdir(folder);
}

void bt_apart_free(struct bt_apart *a)
{
	for (unsigned i = 0; i < a->count; i++) {
		remove_folder(a->folder[i], strrchr(a->file[i], '/') + 1);
		free(a->folder[i]);
		free(a->file[i]);
	}
	if (a->temp)
		rmdir(a->temp);
	free(a->temp);
	free(a->folder);
	free(a->file);
	*a = (struct bt_apart){ 0 };
}
