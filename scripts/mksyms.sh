#!/bin/sh
# mksyms.sh - `nm -n` of the VMM on stdin, its symbol table as assembly on
# stdout: functions only, as 32-bit offsets from vmm_image with their names.
# The table is the last thing in the image, so that it moves no function.
set -eu
awk '
BEGIN { print ".section .symtab_vmm, \"a\"\n.globl symtab_start, symtab_end\nsymtab_start:" }
$2 ~ /^[tT]$/ && $3 !~ /^\./ { printf "\t.long %s - vmm_image, 9f - symtab_start\n.pushsection .symtab_names, \"a\"\n9:\t.asciz \"%s\"\n.popsection\n", "0x" $1, $3 }
END { print "symtab_end:" }'
