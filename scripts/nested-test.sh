#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# nested-test.sh - run the unit tests, then every row of a list of scenarios,
# two at a time (LUV_JOBS), and count.
#   nested-test.sh LIST [UNIT-TEST ...]
# A row of LIST is "SCENARIO[,SCENARIO ...] SUBSTRATE [run-nested.sh options]";
# scenarios with commas between share a machine. Rows start in the order of the
# list, so the long ones belong first. One line per scenario; the logs of a row
# lie in build/nested/SCENARIO-SUBSTRATE and its options, as in
# linux-dom0-qemu-svm-c4, or linux-domu+2-qemu-svm with two more on the machine. The ends of the logs of what failed come after all
# rows; the last line is
# "N passed, N failed, N skipped", the exit status 0 if nothing failed.
set -u

[ $# -ge 1 ] || { echo "usage: nested-test.sh LIST [UNIT-TEST ...]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
top=${here%/*}
list=$1
shift
jobs=${LUV_JOBS:-2}
work=$(mktemp -d)
pids=''
trap 'for p in $pids; do kill "$p" 2>/dev/null; done; wait; rm -rf "$work"; exit 130' INT TERM HUP
trap 'rm -rf "$work"' EXIT

: > "$work/results"
: > "$work/failed"

for prog; do
	"$here/unit-test.sh" "$prog" > "$work/unit" || cat "$work/unit" >> "$work/failed"
	head -n 1 "$work/unit"
	head -n 1 "$work/unit" >> "$work/results"
done

# show_tail FILE: its last lines, indented.
show_tail()
{
	[ -s "$1" ] || return 0
	echo "  -- ${1#"$top"/}"
	tail -n 15 "$1" | tr -d '\r\033' | tr '\000' '?' | sed 's/^/     /'
}

# finish PID: report the row that ended.
finish()
{
	wait "$1"
	rc=$?
	read -r row done_scn done_sub dir < "$work/row.$1"
	grep -E '^(PASS|FAIL|SKIP) ' "$work/out.$row" > "$work/lines"
	if [ "$(wc -l < "$work/lines")" != "$(echo "$done_scn" | tr , '\n' | wc -l)" ]; then
		echo "FAIL $done_scn $done_sub: run-nested.sh status $rc: $(tail -n 1 "$work/out.$row")" \
			>> "$work/lines"
	fi
	cat "$work/lines"
	cat "$work/lines" >> "$work/results"
	grep '^FAIL ' "$work/lines" >> "$work/failed" || return 0
	find "$dir" -name serial.log -o -name vmm.log | sort | while read -r log; do
		show_tail "$log"
	done >> "$work/failed"
}

# reap N: wait until fewer than N rows run.
reap()
{
	while :; do
		still=''
		count=0
		for p in $pids; do
			if kill -0 "$p" 2>/dev/null; then
				still="$still $p"
				count=$((count + 1))
			else
				finish "$p"
			fi
		done
		pids=$still
		[ $count -ge "$1" ] || return 0
		sleep 0.5
	done
}

n=0
while read -r scenario substrate options; do
	case $scenario in
	''|'#'*) continue ;;
	esac
	reap "$jobs"
	n=$((n + 1))
	# shellcheck disable=SC2046 # words
	set -- $(echo "$scenario" | tr , ' ')
	more=+$(($# - 1))
	logs=$top/build/nested/$1${more#+0}-$substrate$(echo "$options" | tr -d ' ')
	# shellcheck disable=SC2086 # options are words
	"$here/run-nested.sh" -s "$substrate" $options -o "$logs" "$@" \
		> "$work/out.$n" 2>&1 < /dev/null &
	echo "$n $scenario $substrate $logs" > "$work/row.$!"
	pids="$pids $!"
done < "$list"
reap 1

cat "$work/failed"
passed=$(grep -c '^PASS ' "$work/results")
failed=$(grep -c '^FAIL ' "$work/results")
skipped=$(grep -c '^SKIP ' "$work/results")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
