#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# lttng-test.sh - the library's trace points by real lttng-tools, and with a
# trace of the VMM's as one, on one clock, by babeltrace2.
#   lttng-test.sh CLIENT PROVIDER      dom0/lttng/client.c, libluvkvm-lttng.so
# Exit status 77: lttng-tools are not there.
set -eu

client=$1 provider=$2
command -v lttng-sessiond > /dev/null || exit 77
work=$(mktemp -d)
export LTTNG_HOME="$work"
name=luvkvm-test-$$ daemon=''
cleanup()
{
	lttng --no-sessiond destroy "$name" > /dev/null 2>&1 || :
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

fail() { echo "lttng-test: $*"; exit 1; }

# A session daemon of root's is one for all: use it if there is one.
if ! lttng --no-sessiond list > /dev/null 2>&1; then
	lttng-sessiond --daemonize --no-kernel --pidfile "$work/pid" > "$work/log" 2>&1 ||
		fail "$(cat "$work/log")"
	daemon=$(cat "$work/pid")
fi
mkdir "$work/vmm"
{
	lttng create "$name" --output "$work/ust"
	lttng enable-event --session "$name" --userspace 'luvkvm:*'
	lttng start "$name"
} > "$work/log" || fail "$(cat "$work/log")"
LTTNG_UST_REGISTER_TIMEOUT=-1 LD_PRELOAD="$provider" "$client" "$work/vmm" ||
	fail "the client ended with $?"
{
	lttng stop "$name"
	lttng destroy "$name"
} > "$work/log" || fail "$(cat "$work/log")"

# Events by name, in the order of time; one clock counts from 1970, the other
# from the boot: LTTng says what is between them, in its clock's offset.
babeltrace2 --clock-force-correlate --names none --no-delta "$work/ust" "$work/vmm" \
	> "$work/all" 2> "$work/err" || fail "$(cat "$work/err")"
[ ! -s "$work/err" ] || fail "babeltrace2 says: $(head -n 1 "$work/err")"
sed 's/^\[[^]]*\] //; s/^[^ :]* \(luvkvm:\)/\1/; s/: .*//' "$work/all" > "$work/names"
{
	echo luvkvm:ioctl_entry
	for _ in $(seq 100); do
		printf 'luvkvm:run_entry\nkvm_exit\nluvkvm:run_exit\n'
	done
	printf 'luvkvm:%s\n' block unblock wake irqfd ioeventfd ioctl_exit
} > "$work/want"
diff "$work/want" "$work/names" || fail "these are not the events, or not their order"
echo "$(wc -l < "$work/names") events on one clock"
