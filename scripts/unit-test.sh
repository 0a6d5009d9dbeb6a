#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# unit-test.sh - run unit test programs, one line each; a failed one's output
# follows its line. Exit status 1 if any failed.
#   unit-test.sh PROGRAM ...
set -u

failed=0
for prog; do
	what=unit/${prog##*/}
	case $prog in
	*/clang/*) what="$what (clang)" ;;
	esac
	if output=$("$prog" 2>&1); then
		echo "PASS $what"
	else
		echo "FAIL $what: exit status $?"
		echo "$output" | sed 's/^/    /'
		failed=1
	fi
done
exit $failed
