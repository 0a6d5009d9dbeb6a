#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# bench-reader.sh - how fast traces are read, on one CPU of this machine, and in
# how much memory: luvtrace stat, babeltrace2's text sink, perf kvm stat report.
#   bench-reader.sh [-n RUNS]
# Writes results/trace/reader.csv. The traces stay in build/bench/reader: `big`,
# ten million events by synth, `small`, one million, and `kvm`, which is made if
# it is not there: scenario bench-perf, perf's and as CTF.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
bin=$top/build/trace
work=$top/build/bench/reader
csv=$top/results/trace/reader.csv
repeat=3

usage() { sed -n '5s/^#  */usage: /p' "$0" >&2; exit 2; }
while getopts n: opt; do
	case $opt in
	n) repeat=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# = 0 ] || usage

# spread FILE: the median of its numbers, how many, the least, the greatest.
spread()
{
	sort -g "$1" | awk '{ v[NR] = $1 } END {
		m = (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2
		printf "%.0f,UNIT,%d,%.0f,%.0f\n", m, NR, v[1], v[NR] }'
}

# measure ROW EVENTS COMMAND...: events a second of CPU time, and memory.
measure()
{
	row=$1 events=$2
	shift 2
	: > "$work/rate"
	: > "$work/kib"
	for _ in $(seq "$repeat"); do
		echo "bench: $*" >&2
		taskset -c 0 /usr/bin/time -f '%U %S %M' -o "$work/time" "$@" > /dev/null 2> "$work/err" ||
			{ cat "$work/err" >&2; exit 1; }
		awk -v n="$events" '{ print n / ($1 + $2) }' "$work/time" >> "$work/rate"
		awk '{ print $3 }' "$work/time" >> "$work/kib"
	done
	echo "$row.rate,$(spread "$work/rate" | sed s/UNIT/events\\/s/),$events,$about" >> "$csv"
	echo "$row.rss,$(spread "$work/kib" | sed s/UNIT/KiB/),$events,$about" >> "$csv"
}

version() { dpkg-query -W -f="$1 \${Version}" "$1"; }

mkdir -p "$work" "${csv%/*}"
[ -e "$work/kvm/perf.data" ] ||
	"$top/scripts/run-nested.sh" -s qemu-svm -b -o "$work/kvm" bench-perf >&2
[ -e "$work/big" ] || "$bin/synth" -n 10000000 -c 2 "$work/big"
[ -e "$work/small" ] || "$bin/synth" -n 1000000 -c 2 "$work/small"
kvm_events=$(babeltrace2 "$work/kvm/trace" | wc -l)

cpu=$(sed -n '/^model name/{s/.*: //;s/,//g;p;q}' /proc/cpuinfo)
about="$("$top/scripts/commit.sh"),$(version babeltrace2),$(version linux-perf),$cpu,$(date -u +%F)"
echo benchmark,value,unit,n,min,max,events,commit,babeltrace2,perf,cpu,date > "$csv"
measure stat.small 1000000 "$bin/luvtrace" stat "$work/small"
measure stat 10000000 "$bin/luvtrace" stat "$work/big"
measure stat_bt 10000000 "$bin/luvtrace" stat --bt "$work/big"
measure babeltrace2_text 10000000 babeltrace2 "$work/big"
measure kvm.perf_kvm_stat "$kvm_events" perf kvm -i "$work/kvm/perf.data" stat report
measure kvm.stat "$kvm_events" "$bin/luvtrace" stat --kvm "$work/kvm/trace"
measure kvm.babeltrace2_text "$kvm_events" babeltrace2 "$work/kvm/trace"
echo "bench: results/trace/reader.csv" >&2
