/* SPDX-License-Identifier: BSD-2-Clause */
/* fds_test.c - objects live as long as a descriptor or a call holds them. */
#include "fds.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static unsigned released;

static void release(void *self)
{
	(void)self;
	released++;
}

static void closing(void **state)
{
	struct object *o, *again;
	struct stat st;
	int fd;

	(void)state;
	released = 0;
	fd = fds_new(OBJ_VM, "test", 8192, &released, release, &o);
	assert_true(fd >= 0 && fds_is(fd));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 8192);
	again = fds_get(fd);
	assert_ptr_equal(again, o);
	fds_closing(fd);
	close(fd);
	assert_null(fds_get(fd));
	assert_int_equal(released, 0); /* the call goes on */
	fds_put(again);
	assert_int_equal(released, 1);
	fds_closing(fd); /* not ours any more */
	assert_int_equal(released, 1);
}

static void copies(void **state)
{
	struct object *o;
	int fd, two;

	(void)state;
	released = 0;
	fd = fds_new(OBJ_VCPU, "test", 0, NULL, release, &o);
	two = dup(fd);
	fds_duped(fd, two);
	fds_closing(fd);
	close(fd);
	assert_int_equal(released, 0);
	assert_true(fds_is(two));
	/* dup2 of something else over it. */
	fds_duped(0, two);
	assert_int_equal(released, 1);
	assert_false(fds_is(two));
	close(two);
	assert_false(fds_is(-1));
	assert_null(fds_get(-1));
	assert_null(fds_get(1 << 30));
}

/* A fork's child ends what it made itself, and nothing of its parent's. */
static void forks(void **state)
{
	struct object *old, *made, *got;
	int fd = fds_new(OBJ_VM, "test", 0, NULL, release, &old), child;

	(void)state;
	released = 0;
	assert_false(fds_inherited(old));
	fds_forked();
	child = fds_new(OBJ_VM, "test", 0, NULL, release, &made);
	assert_false(fds_inherited(made));
	got = fds_get(fd);
	assert_ptr_equal(got, old);
	assert_true(fds_inherited(old));
	fds_put(got);
	fds_closing(fd);
	assert_int_equal(released, 0);
	fds_closing(child);
	assert_int_equal(released, 1);
	close(fd);
	close(child);
}

static void *look(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 200000; i++) {
		struct object *o = fds_get(fd);

		if (o)
			fds_put(o);
	}
	return NULL;
}

/* Two threads look at a descriptor that comes and goes. */
static void races(void **state)
{
	pthread_t thread[2];
	struct object *o;
	unsigned made = 0;
	int fd = fds_new(OBJ_VM, "test", 0, NULL, release, &o);

	(void)state;
	released = 0;
	made++;
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, look, &fd);
	for (int i = 0; i < 20000; i++) {
		fds_closing(fd);
		close(fd);
		assert_int_equal(fds_new(OBJ_VM, "test", 0, NULL, release, &o),
				 fd);
		made++;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	fds_closing(fd);
	close(fd);
	assert_int_equal(released, made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closing),
		cmocka_unit_test(copies),
		cmocka_unit_test(races),
		cmocka_unit_test(forks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
