#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# fuzz-test.sh - fuzz luvtrace's reader of packets for some seconds, beginning
# with a small stream of events, whole and cut.
#   fuzz-test.sh FOLDER-OF-PROGRAMS [SECONDS]
# What made it fail is left in the folder, as crash-*.
set -eu

bin=$1 seconds=${2:-3}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

"$bin/synth" -n 150 -c 2 -b 4 -l 3 "$tmp/trace"
mkdir "$tmp/corpus"
cp "$tmp/trace/cpu0" "$tmp/trace/metadata" "$tmp/corpus"
head -c 5000 "$tmp/trace/cpu1" > "$tmp/corpus/cut"
"$bin/native_fuzz" -max_total_time="$seconds" -max_len=32768 -seed=1 \
	-rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$bin/" \
	"$tmp/corpus"
