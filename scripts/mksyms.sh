#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# mksyms.sh - `nm -n` of the VMM on stdin, its symbol table as assembly on
# stdout: functions only, the low 32 bits of their addresses with their names.
# The table is the last thing in the image, so that it moves no function. A name
# that many functions have is there once.
set -eu
awk '
BEGIN {
	print ".section .symtab_vmm, \"a\""
	print ".globl symtab_start, symtab_end\nsymtab_start:"
}
$1 ~ /^ffffffff/ && $2 ~ /^[tT]$/ && $3 !~ /^\./ {
	sub(/\..*/, "", $3) # what gcc adds to the name of a part or variant
	printf "\t.long 0x%s, name_%s - symtab_start\n", substr($1, 9), $3
	if (!seen[$3]++)
		names[++n] = $3
}
END {
	print "symtab_end:\n\t.section .symtab_names, \"a\""
	for (i = 1; i <= n; i++)
		printf "name_%s:\t.asciz \"%s\"\n", names[i], names[i]
	print ".section .note.GNU-stack, \"\""
}'
