#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# path.sh - where the instructions of a path go, in the VMM and in ring 3.
#   path.sh [-l] SCENARIO FUNCTION [SKIP [ROUNDS]]
# Runs SCENARIO on qemu-svm and counts every instruction (path.c). One line for
# each function of the VMM and of libluvkvm.so (ring3:), and one for each 64 KiB
# of addresses elsewhere: its instructions for one entry to FUNCTION, which is the
# VMM's, a mean over ROUNDS (1000) entries after the first SKIP (1000); with -l for
# each source line. What runs between those entries is counted, wanted or not, so
# choose a scenario that does one thing for long, "path.sh mmio-cost domu_run", and
# one that has norandmaps, for else the library is not found.
set -eu

usage() { sed -n '4,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
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
rounds=${4:-1000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
elf=$work/elf lib=$work/lib
cp "$top/build/luvalley.sym.elf" "$elf" # who builds meanwhile changes them
cp "$top/build/dom0/libluvkvm.so" "$lib"
entry=$(nm "$elf" | awk -v f="$2" '$3 == f { print $1 }')
[ -n "$entry" ] || { echo "path.sh: no function $2" >&2; exit 2; }

${CC:-cc} -std=c11 -Wall -D_GNU_SOURCE -O2 -fPIC -fvisibility=hidden -shared \
	-o "$work/path.so" "$top/scripts/path.c"
plugin=$work/path.so,out=$work/counts,entry=$entry,skip=${3:-1000},rounds=$rounds
LUV_QEMU="-plugin $plugin" "$top/scripts/run-nested.sh" -s qemu-svm -t 1800 \
	-o "$top/build/nested/path" "$1" >&2 || :
[ -s "$work/counts" ] || { echo "path.sh: too few entries" >&2; exit 1; }

# The library is where the VMMCALL that runs guests is.
there=$(awk '$3 == "call" && $1 < "8" && $2 > n { n = $2; a = $1 } END { print a }' \
	"$work/counts")
here=$(objdump -d --no-show-raw-insn "$lib" | awk '/<hyper_run>:/ { in_it = 1 }
	in_it && $2 == "vmmcall" { sub(":", "", $1); print $1; exit }')
base=$((0x${there:-0} - 0x${here:-0}))

# Where what was counted is: "ADDRESS MEAN" in vmm, ring3 (from its base) and else.
hex() { printf '%016x' "$1"; }
awk -v n="$rounds" -v dir="$work" \
	-v text="$(nm "$elf" | awk '$3 == "vmm_image" { print $1 }')" \
	-v end="$(nm "$elf" | awk '$3 == "vmm_text_end" { print $1 }')" \
	-v from="$(hex $base)" -v to="$(hex $((base + $(wc -c < "$lib"))))" '
	function in_it(from, to) { return $1 "" >= from "" && $1 "" < to "" }
	{ print $1, $2 / n > (dir "/" (in_it(text, end) ? "vmm" : in_it(from, to) ? "moved" : "else")) }
' "$work/counts"
touch "$work/moved" "$work/else"
while read -r at mean; do
	echo "$(hex $((0x$at - base))) $mean"
done < "$work/moved" > "$work/ring3"

# functions FILE COUNTS PREFIX: "ADDRESS - NAME" and "ADDRESS MEAN" become "MEAN NAME"
functions()
{
	nm -n "$1" | awk '$2 ~ /[tT]/ { print $1, "-", $3 }' | sort - "$2" |
		awk -v prefix="$3" 'NF == 3 { f = prefix $3; next }
			{ n[f] += $2 }
			END { for (f in n) print n[f], f }'
}

source_lines()
{
	cut -d' ' -f1 "$2" | addr2line -e "$1" | sed "s|^$top/||; s/ (.*//" |
		paste -d' ' - "$2" |
		awk '{ n[$1] += $3 } END { for (l in n) print n[l], l }'
}

show=functions
[ -z "$lines" ] || show=source_lines
{
	$show "$elf" "$work/vmm" ""
	$show "$lib" "$work/ring3" ring3:
	awk '{ n[substr($1, 1, 12)] += $2 } END { for (a in n) print n[a], a "0000" }' "$work/else"
} | sort -rn | awk '
	{ printf "%8.1f %s\n", $1, $2; all += $1 }
	END { printf "%8.1f all\n", all }'
