#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# model-test.sh - check a Spin model: its properties hold, and each BROKEN_...
# variant that it names is found to break them.
#   model-test.sh MODEL
set -eu

model=$(realpath "$1")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
cd "$tmp"

# errors [-D...]: how many counterexamples.
errors()
{
	spin "$@" -search -a -f -m1000000 "$model" > out 2>&1 ||
		[ -s out ] || { echo "spin failed"; exit 1; }
	! grep "search depth too small" out >&2 || exit 1
	sed -n 's/^.*errors: \([0-9]*\).*$/\1/p' out
}

n=$(errors)
[ "$n" = 0 ] || { cat out; echo "${model##*/}: errors: ${n:-no answer}"; exit 1; }
# shellcheck disable=SC2013 # words
for variant in $(grep -o 'BROKEN_[A-Z]*' "$model" | sort -u); do
	n=$(errors "-D$variant")
	[ "${n:-0}" != 0 ] || { cat out; echo "$variant was not found"; exit 1; }
done
