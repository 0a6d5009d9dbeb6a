#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# run-nested.sh - boot scenarios on one emulator and judge them by their logs.
#   run-nested.sh [-s SUBSTRATE] [-c CPUS] [-m MIB] [-t SECONDS] [-o DIR]
#                 [-v] [-i] [-b] SCENARIO...
#   -s  bochs-vmx bochs-svm qemu-svm qemu-kvm, or auto (default): qemu-kvm when
#       this machine can nest, else qemu-svm
#   -v  show the serial console meanwhile
#   -i  be the serial console (QEMU; C-a x ends it); no time limit
#   -b  bare: boot the same operating system without Luvalley
# SCENARIO is scenarios/SCENARIO.scn, described in scenarios/README.md. Several
# that want the same machine share one start of it: their tests run one after
# the other. After a failure those behind it get a machine of their own.
# DIR (build/nested/SCENARIO-SUBSTRATE; SCENARIO+2-SUBSTRATE with two more) gets
# serial.log (COM1), vmm.log (port E9h), emulator.log and stats.json; DIR/rest is
# for those behind a failure. LUV_KEEP=1 leaves the disk there too; LUV_QEMU has
# more options for QEMU.
# The last line, or one for each scenario, is PASS, FAIL or SKIP SCENARIO
# SUBSTRATE: reason; the exit status 0, 1 or 77. 2: the command line or the
# scenario is wrong.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cache=${LUV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/luvalley}
elf=${LUV_ELF:-$top/build/luvalley.elf}
PATH=$PATH:/usr/sbin:/sbin

usage() { sed -n '4,21s/^# \{0,1\}//p' "$0" >&2; exit 2; }
die() { echo "run-nested: $*" >&2; exit 2; }

# --- the command line --------------------------------------------------------

substrate=auto
opt_cpus='' opt_mem='' opt_time='' out='' show='' inter='' bare=''
while getopts s:c:m:t:o:vib opt; do
	case $opt in
	s) substrate=$OPTARG ;;
	c) opt_cpus=$OPTARG ;;
	m) opt_mem=$OPTARG ;;
	t) opt_time=$OPTARG ;;
	o) out=$OPTARG ;;
	v) show=1 ;;
	i) inter=1 ;;
	b) bare=1 ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || usage
names=''
for scn; do
	name=${scn##*/}
	names="$names ${name%.scn}"
done
# shellcheck disable=SC2086 # words
set -- $names
name=$1 several=''
[ $# = 1 ] || several=+$(($# - 1))

# Why qemu-kvm cannot run here; nothing if it can.
kvm_trouble()
{
	grep -qwE 'vmx|svm' /proc/cpuinfo ||
		{ echo "this machine's CPU shows neither vmx nor svm"; return; }
	if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
		echo "/dev/kvm cannot be opened"
		return
	fi
	cat /sys/module/kvm_intel/parameters/nested \
		/sys/module/kvm_amd/parameters/nested 2>/dev/null |
		grep -q '[Y1]' || { echo "KVM has nested=0"; return; }
	rc=0
	timeout 3 qemu-system-x86_64 -accel kvm -cpu host -nodefaults \
		-display none -S >/dev/null 2>&1 || rc=$?
	[ $rc = 124 ] || echo "qemu -accel kvm -cpu host fails here"
}

case $substrate in
auto)
	substrate=qemu-svm
	[ -n "$(kvm_trouble)" ] || substrate=qemu-kvm
	;;
bochs-vmx|bochs-svm|qemu-svm|qemu-kvm) ;;
*) die "unknown substrate '$substrate': bochs-vmx bochs-svm qemu-svm qemu-kvm auto" ;;
esac
emulator=${substrate%-*}
: "${out:=$top/build/nested/$name$several-$substrate${bare:+-bare}}"
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -rf "$out/trace" "$out/ust" "$out/rest"
rm -f "$out"/* "$out"/.[a-z]*

# --- the scenario: data, read line by line, never executed -------------------

# defaults: what a scenario is that says nothing.
defaults()
{
	title='' substrates='bochs-vmx bochs-svm qemu-svm qemu-kvm'
	cpus=2 mem=1024 limit='' kernel=cloud boot=disk machine=pc
	vmm='' vmm_first='' dom0='' loader='' image='' icount='' resets=0 end=poweroff
	domu="" trace="" selftests="" qemu_cpu="" qemu_extra="" bochs_cpu="" bochs_memory="" bochs_ips=50000000
	case $substrate in
	qemu-svm) qemu_cpu=EPYC-Milan,+svm,+npt limit=120 ;;
	qemu-kvm) qemu_cpu=host limit=120 ;;
	bochs-vmx)
		# Bochs 2.7 delivers a pending virtual interrupt whatever RFLAGS.IF is
		# when an external one arrives, which an OS does not survive for long.
		bochs_cpu=model=corei7_haswell_4770 limit=400 vmm_first=apicv=off
		;;
	bochs-svm) bochs_cpu=model=trinity_apu limit=400 ;;
	esac
	: > "$out/.expect.serial"
	: > "$out/.expect.vmm"
	: > "$out/.expect.trace"
	: > "$out/bochs-extra"
	# What no run may print, unless its scenario says "allow" with the same words.
	cat > "$out/.reject" <<'END'
Kernel panic
VMM PANIC
Oops:
BUG:
general protection fault
cannot start:
LUV test .*: FAIL
LUV done FAIL
LUV kexec FAIL
error: 
END
}

key_applies()
{
	case $1 in
	"$substrate"|"${substrate%-*}"|"${substrate#*-}") return 0 ;;
	bochs|qemu|vmx|svm|kvm|bochs-vmx|bochs-svm|qemu-svm|qemu-kvm) return 1 ;;
	bare) [ -n "$bare" ]; return ;;
	*) die "$scn: unknown variant '.$1'" ;;
	esac
}

set_key()
{
	case $1 in
	title) title=$2 ;;
	substrates) substrates=$2 ;;
	cpus) cpus=$2 ;;
	mem) mem=$2 ;;
	timeout) limit=$2 ;;
	kernel) kernel=$2 ;;
	boot) boot=$2 ;;
	vmm) vmm=$2 ;;
	dom0) dom0=$2 ;;
	loader) loader=$loader${loader:+; }$2 ;;
	image) image=$2 ;;
	machine) machine=$2 ;;
	icount) icount=$2 ;;
	resets) resets=$2 ;;
	end) end=$2 ;;
	qemu-cpu) qemu_cpu=$2 ;;
	qemu-extra) qemu_extra="$qemu_extra $2" ;;
	bochs-cpu) bochs_cpu=$2 ;;
	bochs-memory) bochs_memory=$2 ;;
	bochs-ips) bochs_ips=$2 ;;
	domu) domu=$2 ;;
	trace) trace=$2 ;;
	selftests) selftests=$2 ;;
	bochs-extra) echo "$2" >> "$out/bochs-extra" ;;
	expect)
		case $2 in
		serial\ *|vmm\ *|trace\ *) echo "${2#* }" >> "$out/.expect.${2%% *}" ;;
		*) die "$scn: expect wants 'serial', 'vmm' or 'trace' and a REGEX: $2" ;;
		esac
		;;
	reject) echo "$2" >> "$out/.reject" ;;
	allow)
		grep -vxF -- "$2" "$out/.reject" > "$out/.reject2" || :
		mv "$out/.reject2" "$out/.reject"
		;;
	*) die "$scn: unknown key '$1'" ;;
	esac
}

read_scenario()
{
	scn=$top/scenarios/$1.scn
	[ -r "$scn" ] || die "no scenario $scn"
	defaults
	while read -r key eq value; do
		case $key in
		''|'#'*) continue ;;
		esac
		[ "$eq" = = ] || die "$scn: not 'key = value': $key $eq $value"
		case $key in
		*.*) key_applies "${key#*.}" || continue ;;
		esac
		set_key "${key%%.*}" "$value"
	done < "$scn"
}

# What makes this scenario's machine, and whether others may share it.
machine_wanted()
{
	for n in "${opt_cpus:-$cpus}" "${opt_mem:-$mem}" "$kernel" "$boot" "$image" "$vmm" "$loader" \
		"$machine" "$icount" "$resets" "$end" "$trace" "$selftests" "$qemu_cpu" \
		"$qemu_extra" "$bochs_cpu" "$bochs_memory" "$bochs_ips"; do
		echo "$n"
	done
	cat "$out/bochs-extra" "$out/.reject"
	echo "$dom0" | tr ' ' '\n' | grep -v '^luv\.run=' || :
}

# Each scenario's tests, limit and expectations, which .serial.N and .vmm.N keep.
all_runs='' all_limits='' any_domu='' number=0
for name; do
	read_scenario "$name"
	number=$((number + 1))
	mv "$out/.expect.serial" "$out/.serial.$number"
	mv "$out/.expect.vmm" "$out/.vmm.$number"
	all_limits="$all_limits${all_limits:+ }$limit"
	all_runs="$all_runs $(echo "$dom0" | tr ' ' '\n' | grep '^luv\.run=' || :)"
	any_domu=$any_domu$domu
	[ -n "$several" ] || break
	wanted=$(machine_wanted)
	[ "$wanted" = "${first_wanted:=$wanted}" ] ||
		die "$1 and $name want different machines"
	[ "$end$resets$trace" = poweroff0 ] ||
		die "$name must have a machine of its own"
	[ "$(tail -n 1 "$out/.serial.$number")" = "LUV done ok" ] ||
		die "$name does not expect 'LUV done ok' last"
	case " $substrates " in
	*" $substrate "*) ;;
	*) die "$name is not for $substrate" ;;
	esac
done
domu=$any_domu current=1 limit=${opt_time:-${all_limits%% *}}
[ -z "$several" ] || dom0="$(echo "$dom0" | tr ' ' '\n' | grep -v '^luv\.run=' | tr '\n' ' ')$all_runs"
name=$1

case $boot in
disk|second-disk|direct|multiboot2|image|mbr) ;;
*) die "$scn: boot must be disk, second-disk, direct, multiboot2, image or mbr" ;;
esac
case $kernel in cloud|generic) ;; *) die "$scn: kernel must be cloud or generic" ;; esac
case $end in poweroff|pattern) ;; *) die "$scn: end must be poweroff or pattern" ;; esac
cpus=${opt_cpus:-$cpus} mem=${opt_mem:-$mem}
# shellcheck disable=SC2086 # words
for n in "$cpus" "$mem" $all_limits $opt_time "$resets"; do
	case $n in
	''|*[!0-9]*) die "cpus, mem, timeout and resets must be numbers, not '$n'" ;;
	esac
done
[ -z "$bare" ] || for n in "$out"/.vmm.*; do : > "$n"; done
vmm="$vmm_first${vmm_first:+ }$vmm"

# --- the verdict -------------------------------------------------------------

emu='' tail_pid='' start=$(date +%s%N) tty='' began=0

tenths() { echo $((($(date +%s%N) - start) / 100000000)); }

# The seconds that the scenario has run for.
elapsed()
{
	wall=$(($(tenths) - began))
	echo "$((wall / 10)).$((wall % 10))"
}

# stop PID: end a process of ours, hard if it does not listen.
stop()
{
	kill "$1" 2>/dev/null || return 0
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.2
	done
	kill -9 "$1" 2>/dev/null || :
	wait "$1" 2>/dev/null || :
}

cleanup()
{
	[ -z "$emu" ] || stop "$emu"
	[ -z "$tail_pid" ] || stop "$tail_pid"
	[ -z "$tty" ] || stty "$tty" 2>/dev/null || :
	[ -n "${LUV_KEEP:-}" ] || rm -f "$out"/*.img "$out"/*.img.lock "$out/memory"
	rm -rf "$out"/.[a-z]* "$out"/*.tmp.*
	emu='' tail_pid='' tty=''
}
trap cleanup EXIT
trap 'cleanup; exit 130' INT TERM HUP

json_string() { printf '%s' "$1" | sed 's/[\\"]/\\&/g; s/\t/ /g'; }

emulator_version()
{
	case $emulator in
	qemu) qemu-system-x86_64 --version | sed -n '1s/.*version //p' ;;
	bochs) dpkg-query -W -f='bochs ${Version}' bochs 2>/dev/null || echo bochs ;;
	esac
}

kernel_version() { cat "$cache/kernel-$kernel/version" 2>/dev/null || echo none; }

verdict()
{
	result=$1
	shift
	wall=$(tenths)
	cleanup
	echo "$result $name $substrate: $*"
	commit=$(git -C "$top" describe --always --dirty 2>/dev/null || echo unknown)
	guest=$(tr -d '\r' 2>/dev/null < "$out/serial.log" |
		sed -n 's/^.*LUV json \({.*}\)[[:space:]]*$/\1/p' | paste -sd, -) || guest=''
	cat > "$out/stats.json" <<END
{"scenario": "${names# }", "substrate": "$substrate", "bare": ${bare:+true}${bare:-false},
 "title": "$(json_string "$title")", "cpus": $cpus, "mem_mib": $mem, "wall_s": $((wall / 10)).$((wall % 10)),
 "result": "$result", "reason": "$(json_string "$*")",
 "emulator": "$(json_string "$(emulator_version)")",
 "kernel": "$(json_string "$(kernel_version)")", "commit": "$commit",
 "guest": [$guest]}
END
	sed -i 's/true1/true/' "$out/stats.json"
	run_rest
	case $result in
	PASS) exit 0 ;;
	SKIP) exit 77 ;;
	esac
	exit 1
}

# Those behind one that failed, on a machine of their own.
run_rest()
{
	# shellcheck disable=SC2086 # words
	set -- $names
	shift "$current"
	[ $# != 0 ] || return 0
	"$0" -s "$substrate" ${opt_cpus:+-c "$opt_cpus"} ${opt_mem:+-m "$opt_mem"} \
		${opt_time:+-t "$opt_time"} ${bare:+-b} ${show:+-v} -o "$out/rest" "$@" &
	emu=$!
	wait "$emu" || :
	emu=''
}

case " $substrates " in
*" $substrate "*) ;;
*) verdict SKIP "not for this substrate, but for: $substrates" ;;
esac
if [ "$substrate" = qemu-kvm ]; then
	why=$(kvm_trouble)
	[ -z "$why" ] || verdict SKIP "$why"
fi

# --- disks -------------------------------------------------------------------

initrd=$top/build/dom0/initrd-$kernel.img
needs_os=1
case $boot in image|mbr) needs_os='' ;; esac
[ -z "$needs_os" ] || [ -r "$initrd" ] || die "no $initrd: run 'make dom0' first"
[ -n "$bare" ] || [ -r "$elf" ] || die "no $elf: run 'make' first"

kernel_args="console=ttyS0,115200 quiet luv.cpus=$cpus${dom0:+ $dom0}"
# Linux tests its ciphers at boot: most of what it takes in Bochs.
[ "$selftests" = 1 ] || kernel_args="$kernel_args cryptomgr.notests"
# Linux tests at boot that the timer interrupts; under TCG its ticks follow the
# host's clock, so a busy host can fail that test with or without Luvalley.
[ "$substrate" != qemu-svm ] || kernel_args="$kernel_args no_timer_check"

# The two menu entries. Luvalley leaves "LUVA" at 4F0h, in the BIOS data area's
# scratch bytes: a GRUB that finds it there runs above Luvalley.
# The port is named, for after a reset Bochs' BIOS overlooks a UART whose FIFO
# Linux has left on.
grub_head()
{
	cat <<END
serial --port=0x3f8 --speed=115200
terminal_output serial
set timeout=0
read_dword -v luv 0x4f0
if [ "\$luv" = 4156554c ]; then set default=os; else set default=$1; fi
END
}

grub_vmm()
{
	echo 'menuentry "Luvalley below the operating system" --id vmm {'
	echo '	echo "loader: first pass, starting Luvalley"'
	[ -z "$loader" ] || echo "	$loader"
	case $boot in
	multiboot2) echo "	multiboot2 /boot/luvalley.elf $1" ;;
	*) echo "	multiboot /boot/luvalley.elf $1" ;;
	esac
	if [ "$boot" = direct ]; then
		echo "	module --nounzip /boot/vmlinuz $kernel_args"
		echo '	module --nounzip /boot/initrd'
	fi
	echo '}'
}

grub_os()
{
	echo 'menuentry "The operating system" --id os {'
	echo '	echo "loader: starting the operating system"'
	case $boot in
	image) echo "	linux16 /boot/image $dom0" ;;
	*)
		echo "	linux /boot/vmlinuz $kernel_args"
		echo '	initrd /boot/initrd'
		;;
	esac
	echo '}'
}

# make_disk OUT FIRST WORD...: a disk with the entries named by the WORDs,
# FIRST being the one when no Luvalley is there yet.
make_disk()
{
	disk=$1
	grub_head "$2" > "$disk.cfg"
	shift 2
	files=''
	for w; do
		case $w in
		vmm)
			grub_vmm "$vmm" >> "$disk.cfg"
			files="$files luvalley.elf=$elf"
			;;
		os)
			grub_os >> "$disk.cfg"
			if [ "$boot" = image ]; then
				files="$files image=$image"
			else
				files="$files vmlinuz=$cache/kernel-$kernel/vmlinuz initrd=$initrd"
			fi
			;;
		esac
	done
	# shellcheck disable=SC2086 # NAME=FILE words
	"$top/scripts/mkimage.sh" "$disk" "$disk.cfg" $files ||
		verdict FAIL "mkimage.sh failed"
}

# The guest's own boot sectors, filled up to one cylinder.
make_mbr()
{
	bin=$top/build/guests/$image.bin
	[ -r "$bin" ] || die "no $bin: run 'make guests' first"
	cp "$bin" "$1"
	truncate -s $((16 * 63 * 512)) "$1"
}

disk0=$out/disk0.img disk1='' disk2=''
[ -z "$domu" ] || [ -r "$top/build/dom0/domu.img" ] || die "no build/dom0/domu.img: run 'make dom0' first"
if [ -n "$domu" ]; then
	disk1=$top/build/dom0/domu.img
	# Bochs locks a disk's file and writes to it: a copy for each run.
	if [ "$emulator" = bochs ]; then
		cp --sparse=always "$disk1" "$out/disk1.img"
		disk1=$out/disk1.img
	fi
fi
# The last disk is one that dom0 writes a tar archive to.
memory=''
if [ "$trace" = memory ]; then
	memory=$out/memory
elif [ -n "$trace" ]; then
	disk2=$out/trace.img
	truncate -s $((trace * 2 * 16 * 63 * 512)) "$disk2"
fi
case $boot-$bare in
second-disk-1) make_disk "$disk0" os os ;;
second-disk-)
	disk1=$out/disk1.img
	make_disk "$disk0" vmm vmm
	make_disk "$disk1" os os
	;;
mbr-1) make_mbr "$disk0" ;;
mbr-)
	disk1=$out/disk1.img
	make_disk "$disk0" vmm vmm
	make_mbr "$disk1"
	;;
*-1) make_disk "$disk0" os os ;;
*-) make_disk "$disk0" vmm vmm os ;;
esac

# --- the emulators -----------------------------------------------------------

start_qemu()
{
	# One thread for all CPUs: with a thread each, XRSTOR and FXRSTOR on any
	# CPU write CPU 0's hflags2 back (cpu_clear_ignne in QEMU 7.2), which
	# holds its guest mode and GIF: CPU 0 finds itself in guest mode after
	# an #VMEXIT, now and then.
	accel=tcg,thread=single
	[ "$substrate" != qemu-kvm ] || accel=kvm
	set -- -machine "$machine" -cpu "$qemu_cpu" -m "$mem" -smp "$cpus" \
		-nodefaults -vga std -display none \
		-debugcon "file:$out/vmm.log" \
		-drive "file=$disk0,format=raw,if=ide,index=0,snapshot=on"
	[ -z "$disk1" ] || set -- "$@" \
		-drive "file=$disk1,format=raw,if=ide,index=1,snapshot=on"
	[ -z "$disk2" ] || set -- "$@" \
		-drive "file=$disk2,format=raw,if=ide,index=2"
	[ -z "$memory" ] || set -- "$@" -machine memory-backend=ram -object \
		"memory-backend-file,id=ram,size=${mem}M,share=on,mem-path=$memory"
	if [ "$icount" = 1 ]; then
		set -- "$@" -icount shift=0,sleep=off -seed 1 \
			-rtc base=2024-01-01,clock=vm
	fi
	# shellcheck disable=SC2086 # words
	set -- "$@" -accel "$accel" $qemu_extra ${LUV_QEMU:-}
	if [ -n "$inter" ]; then
		tty=$(stty -g 2>/dev/null || :)
		set -- "$@" -serial chardev:con -chardev \
			"stdio,id=con,mux=on,signal=off,logfile=$out/serial.log"
	else
		set -- "$@" -serial "file:$out/serial.log"
	fi
	echo "qemu-system-x86_64 $*" > "$out/command"
	qemu-system-x86_64 "$@" <&3 2>"$out/emulator.log" 3<&- &
	emu=$!
}

start_bochs()
{
	reset=0
	[ "$resets" = 0 ] || reset=1
	cat > "$out/bochsrc" <<END
display_library: rfb, options="timeout=0"
cpu: $bochs_cpu, count=$cpus, ips=$bochs_ips, reset_on_triple_fault=$reset
memory: ${bochs_memory:-guest=$mem, host=$mem}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
boot: disk
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=0
ata0-master: type=disk, mode=flat, path="$disk0"
com1: enabled=1, mode=file, dev="$out/serial.log"
log: "$out/emulator.log"
panic: action=fatal
clock: sync=none
sound: driver=dummy
plugin_ctrl: sb16=false, es1370=false
port_e9_hack: enabled=1
END
	if [ -n "$disk1" ]; then
		echo "ata0-slave: type=disk, mode=flat, path=\"$disk1\"" >> "$out/bochsrc"
	fi
	if [ -n "$disk2" ]; then
		sed -i '/^ata1/d' "$out/bochsrc"
		echo 'ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15' >> "$out/bochsrc"
		echo "ata1-master: type=disk, mode=flat, path=\"$disk2\"" >> "$out/bochsrc"
	fi
	cat "$out/bochs-extra" >> "$out/bochsrc"
	# The debugger stops at each reset: go on, every time.
	yes c | head -n 50 > "$out/.debugger"
	echo "bochs -q -f $out/bochsrc" > "$out/command"
	bochs -q -f "$out/bochsrc" -rc "$out/.debugger" \
		</dev/null >"$out/vmm.log" 2>&1 3<&- &
	emu=$!
	[ -z "$inter" ] || { show=1; echo "run-nested: Bochs takes no input, its console is only shown" >&2; }
}

# --- watching ----------------------------------------------------------------

serial_at=0 serial_next=1 vmm_at=0 vmm_next=1

# GRUB says this once each time the machine comes up.
pass='loader: first pass'
[ -z "$bare" ] || pass='loader: starting'

# A log as lines of text: a screen's escape sequences begin lines of their own.
text() { tr -d '\r\000' < "$out/$1.log" | tr '\033' '\n'; }

# match LOG AT NEXT: go on from line AT of LOG with the scenario's expectation
# NEXT as far as they match; sets at and next.
match()
{
	at=$2 next=$3
	while re=$(sed -n "${next}p" "$out/.$1.$current") && [ -n "$re" ]; do
		hit=$(text "$1" | tail -n "+$((at + 1))" |
			grep -a -m1 -nE -- "$re" | cut -d: -f1) || :
		[ -n "$hit" ] || return 0
		at=$((at + hit)) next=$((next + 1))
	done
}

# The first expectation that is still open, in words.
open_expectation()
{
	re=$(sed -n "${vmm_next}p" "$out/.vmm.$current")
	[ -z "$re" ] || { echo "vmm '$re'"; return; }
	re=$(sed -n "${serial_next}p" "$out/.serial.$current")
	[ -z "$re" ] || echo "serial '$re'"
}

match_logs()
{
	match serial "$serial_at" "$serial_next"
	serial_at=$at serial_next=$next
	match vmm "$vmm_at" "$vmm_next"
	vmm_at=$at vmm_next=$next
}

# One of several has said all: the next goes on in the serial log where it ended;
# what the VMM said when it started counts for each.
next_scenario()
{
	echo "PASS $name $substrate: all seen after $(elapsed) s"
	# shellcheck disable=SC2086 # words
	set -- $names
	shift "$current"
	name=$1
	# shellcheck disable=SC2086
	set -- $all_limits
	shift "$current"
	limit=${opt_time:-$1}
	current=$((current + 1))
	began=$(tenths) serial_next=1 vmm_at=0 vmm_next=1
}

check_logs()
{
	match_logs
	while [ $current -lt $number ] && [ -z "$(open_expectation)" ]; do
		next_scenario
		match_logs
	done
	bad=$(text serial | grep -a -m1 -E -f "$out/.reject") ||
		bad=$(text vmm | grep -a -m1 -E -f "$out/.reject") || :
	[ -z "$bad" ] || verdict FAIL "it said: $bad"
	passes=$(grep -a -c "$pass" "$out/serial.log") || :
	[ "$passes" -le $((resets + 1)) ] ||
		verdict FAIL "the machine was reset $((passes - 1)) times, expected $resets"
}

watch()
{
	sizes=''
	while :; do
		alive=1
		kill -0 "$emu" 2>/dev/null || alive=''
		now=$(stat -c %s "$out/serial.log" "$out/vmm.log")
		if [ "$now" != "$sizes" ]; then
			sizes=$now
			check_logs
		fi
		if [ "$end" = pattern ] && [ -z "$(open_expectation)" ]; then
			verdict PASS "all seen after $(elapsed) s"
		fi
		[ -n "$alive" ] || break
		[ "$(($(tenths) - began))" -lt $((limit * 10)) ] || [ -n "$inter" ] ||
			verdict FAIL "$limit s are over, still waiting for: $(open_expectation)"
		sleep 0.5
	done
}

# What dom0 left on the last disk, or the VMM in memory, becomes DIR/trace, and has to be a whole trace.
check_trace()
{
	rm -rf "$out/trace"
	if [ -n "$memory" ]; then
		"$top/build/trace/luvtrace" extract -o "$out/trace" "$memory" ||
			verdict FAIL "no trace in the machine's memory"
	else
		tar xf "$disk2" -C "$out" || verdict FAIL "dom0 left no trace"
	fi
	[ ! -e "$out/perf.data" ] || convert_perf
	babeltrace2 "$out/trace" > "$out/trace.txt" 2> "$out/trace.log" ||
		verdict FAIL "babeltrace2 cannot read the trace: $(tail -n 1 "$out/trace.log")"
	[ ! -s "$out/trace.log" ] ||
		verdict FAIL "babeltrace2 says: $(head -n 1 "$out/trace.log")"
	"$top/build/trace/luvtrace" stat "$out/trace" > "$out/trace.stat" ||
		verdict FAIL "luvtrace cannot read the trace"
	grep -q 'kvm_exit' "$out/trace.txt" || verdict FAIL "the trace has no exit"
	while read -r re; do
		grep -qE -- "$re" "$out/trace.stat" ||
			verdict FAIL "the trace's table has no '$re'"
	done < "$out/.expect.trace"
	[ -e "$out/perf.data" ] || check_sequence
	rm "$out/trace.txt"
	[ ! -d "$out/ust" ] || check_ust
	[ ! -e "$out/perf.data" ] || check_perf
}

# The exits of each CPU have numbers: from its first in the trace to its last
# none is missing.
check_sequence()
{
	sed -n 's/.* kvm_exit: { cpu_id = \([0-9]*\), [^}]*}, { seq = \([0-9]*\),.*/\1 \2/p' \
		"$out/trace.txt" | awk '
		!($1 in last) { first[$1] = $2; last[$1] = $2 - 1 }
		{ missing += $2 != last[$1] + 1; last[$1] = $2 }
		END {
			for (c in last)
				printf "CPU %d: exits %.0f to %.0f\n", c, first[c], last[c]
			printf "%d gaps\n", missing
			exit missing || !NR
		}' > "$out/trace.sequence" ||
		verdict FAIL "exits are missing: $(tail -n 1 "$out/trace.sequence")"
}

# What perf recorded of Linux's KVM becomes a trace.
convert_perf()
{
	perf data convert -i "$out/perf.data" --to-ctf "$out/trace" > "$out/perf.log" 2>&1 ||
		verdict FAIL "perf cannot convert its trace: $(tail -n 1 "$out/perf.log")"
}

# The same table by perf from its own file, and by luvtrace from the trace.
check_perf()
{
	perf kvm -i "$out/perf.data" stat report > "$out/perf.table" 2>&1 ||
		verdict FAIL "perf has no table: $(tail -n 1 "$out/perf.table")"
	sort "$out/perf.table" > "$out/.perf.table"
	"$top/build/trace/luvtrace" stat --kvm "$out/trace" > "$out/trace.kvm" ||
		verdict FAIL "luvtrace has no such table as perf's"
	sort "$out/trace.kvm" | cmp -s - "$out/.perf.table" ||
		verdict FAIL "trace.kvm is not perf.table"
}

# LTTng's trace of the KVM library beside it: as one. Where the library ran its
# vCPU the VMM saw the hypercall (16h): of 100 it may be 2 that look otherwise,
# since the clocks are compared within a microsecond or so.
check_ust()
{
	babeltrace2 --clock-force-correlate "$out/trace" "$out/ust" \
		> "$out/trace.txt" 2> "$out/trace.log" ||
		verdict FAIL "babeltrace2 cannot read both: $(tail -n 1 "$out/trace.log")"
	[ ! -s "$out/trace.log" ] ||
		verdict FAIL "babeltrace2 says of both: $(head -n 1 "$out/trace.log")"
	awk '/ luvkvm:run_entry: / { seen = 0 }
		/ kvm_exit: .* dom = 0, .* sub = 0x16 / { seen = 1 }
		/ luvkvm:run_exit: / { n++; good += seen }
		END { print good + 0, "of", n + 0; exit !(n > 100 && good >= n * 0.98) }' \
		"$out/trace.txt" > "$out/ust.log" ||
		verdict FAIL "runs of a vCPU with their hypercall between: $(cat "$out/ust.log")"
	rm "$out/trace.txt"
}

exec 3<&0
[ -n "$inter" ] || exec 3</dev/null
: > "$out/serial.log"
: > "$out/vmm.log"
start=$(date +%s%N)
case $emulator in
qemu) start_qemu ;;
bochs) start_bochs ;;
esac
exec 3<&-
if [ -n "$show" ]; then
	tail -n +1 -f "$out/serial.log" &
	tail_pid=$!
fi
watch
took=$(elapsed)
open=$(open_expectation)
[ -z "$open" ] || verdict FAIL "the machine ended after $took s without: $open"
[ -z "$trace" ] || check_trace
[ "$boot" = mbr ] || [ "$passes" = $((resets + 1)) ] ||
	verdict FAIL "the machine was reset $((passes - 1)) times, expected $resets"
verdict PASS "powered off after $took s"
