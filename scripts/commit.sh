#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# commit.sh - the commit that results are of, with -dirty if the tree is another
# one; results of another suite or substrate do not make it one.
set -eu

cd "$(dirname "$0")/.."
dirty=''
git diff --quiet HEAD -- ':!results' || dirty=-dirty
echo "$(git describe --always)$dirty"
