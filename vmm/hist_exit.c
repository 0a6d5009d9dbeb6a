/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hist_exit.c - the handlers of all exits: each chooses its row of hist.h and
 * goes on to the kind's own handler.
 */
#include "hist_exit.h"
#include "domu.h"
#include "exit.h"

static enum exit_action slowly(struct vcpu *v)
{
	unsigned kind = v->exit->kind;

	v->hist.row = hist_find(&v->hist, kind, hist_sub(v, v->exit, kind));
	return (v->vm ? domu_handlers : exit_handlers)[kind](v);
}

/* Inline: `kind` and `plain` are constants. */
static inline __attribute__((always_inline)) enum exit_action
count(struct vcpu *v, const exit_handler *plain, unsigned kind)
{
	const int class = hist_class(kind);
	struct hist_row *row = hist_row(&v->hist, kind);

	if (class >= 0) {
		uint64_t sub = hist_sub(v, v->exit, kind);

		row = &v->hist.subs[class][hist_hash(sub)];
		if (__builtin_expect(row->sub != sub, 0))
			return slowly(v);
	}
	v->hist.row = row;
	return plain[kind](v);
}

#define X(kind, name)                                                          \
	static enum exit_action dom0_##kind(struct vcpu *v)                    \
	{                                                                      \
		return count(v, exit_handlers, EXIT_##kind);                   \
	}                                                                      \
	static enum exit_action domu_##kind(struct vcpu *v)                    \
	{                                                                      \
		return count(v, domu_handlers, EXIT_##kind);                   \
	}
#include <luvalley/exits.def>
#undef X

const exit_handler hist_dom0[EXIT_KINDS] = {
#define X(kind, name) [EXIT_##kind] = dom0_##kind,
#include <luvalley/exits.def>
#undef X
};

const exit_handler hist_domu[EXIT_KINDS] = {
#define X(kind, name) [EXIT_##kind] = domu_##kind,
#include <luvalley/exits.def>
#undef X
};
