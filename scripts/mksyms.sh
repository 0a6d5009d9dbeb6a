#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# mksyms.sh - `nm -n` of the VMM on stdin, its symbol table as assembly on
# stdout: functions only, the low 32 bits of their addresses with their names.
# The table is the last thing in the image, so that it moves no function.
set -eu
awk '
BEGIN {
	print ".section .symtab_vmm, \"a\""
	print ".globl symtab_start, symtab_end\nsymtab_start:"
}
$1 ~ /^ffffffff/ && $2 ~ /^[tT]$/ && $3 !~ /^\./ {
	sub(/\..*/, "", $3) # what gcc adds to the name of a part or variant
	printf "\t.long 0x%s, 9f - symtab_start\n", substr($1, 9)
	print "\t.pushsection .symtab_names, \"a\""
	printf "9:\t.asciz \"%s\"\n\t.popsection\n", $3
}
END { print "symtab_end:\n.section .note.GNU-stack, \"\"" }'
