#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# path.sh - where the instructions of a path through the VMM go.
#   path.sh [-l] SCENARIO FUNCTION [SKIP [ROUNDS]]
# Runs SCENARIO on qemu-svm and logs every instruction of the VMM. One line for
# each function of the VMM: its instructions for one entry to FUNCTION, a mean
# over ROUNDS (1000) entries after the first SKIP (1000); with -l for each source
# line. What runs between those entries is counted, wanted or not, so choose a
# scenario that does one thing for long: "path.sh kvm-cost domu_run".
set -eu

usage() { sed -n '4,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
lines=''
while getopts l opt; do
	case $opt in
	l) lines=1 ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
elf=$work/elf
cp "$top/build/luvalley.sym.elf" "$elf" # who builds meanwhile changes it
entry=$(nm "$elf" | awk -v f="$2" '$3 == f { print $1 }')
[ -n "$entry" ] || { echo "path.sh: no function $2" >&2; exit 2; }
text=$(nm "$elf" | awk '$3 == "vmm_image" { print $1 }')
end=$(nm "$elf" | awk '$3 == "vmm_text_end" { print $1 }')

mkfifo "$work/log"
awk -v entry="$entry" -v skip="${3:-1000}" -v rounds="${4:-1000}" -F'[/[]' '
{
	pc = $3
	if (pc == entry)
		n++
	if (n > skip && n <= skip + rounds)
		count[pc]++
}
END {
	if (n <= skip) {
		print "path.sh: only " n + 0 " entries" > "/dev/stderr"
		exit
	}
	if (n < skip + rounds)
		rounds = n - skip
	for (pc in count)
		print pc, count[pc] / rounds
}' "$work/log" > "$work/counts" &
awk_pid=$!
LUV_QEMU="-d exec,nochain -singlestep -D $work/log -dfilter 0x$text..0x$end" \
	"$top/scripts/run-nested.sh" -s qemu-svm -t 1800 \
	-o "$top/build/nested/path" "$1" >&2 || :
wait $awk_pid
if [ -n "$lines" ]; then
	cut -d' ' -f1 "$work/counts" | addr2line -e "$elf" |
		sed "s|^$top/||; s/ (.*//" | paste -d' ' - "$work/counts" |
		awk '{ n[$1] += $3 } END { for (l in n) printf "%8.1f %s\n", n[l], l }' |
		sort -rn
else
	nm -n "$elf" | awk '$2 ~ /[tT]/ { print $1, "-", $3 }' |
		sort - "$work/counts" |
		awk 'NF == 3 { f = $3; next }
			{ n[f] += $2; all += $2 }
			END { for (f in n) printf "%8.1f %s\n", n[f], f
			      printf "%8.1f all\n", all }' | sort -rn
fi
