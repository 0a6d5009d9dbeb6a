#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# bench.sh - measure, and write results/SUITE/SUBSTRATE.csv; suite micro writes
# results/micro/SUBSTRATE/luvalley.csv and kvm.csv.
#   bench.sh [-r] [-s "SUBSTRATE ..."] [-n RUNS] [SUITE ...]
# SUITE (dom0): dom0 - what Luvalley costs its dom0: instructions, exits, start
# and memory; micro - what a virtual machine's exits cost under Luvalley and
# under Linux's KVM; trace - what an exit costs more that is recorded; on
# qemu-svm and bochs-vmx, the substrates where a TSC tick is an instruction.
# RUNS (3) is how often what must repeat exactly is repeated.
# -r makes the rows again from the logs of the last run, which stay in
# build/bench/. results/README.md says what each number is.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cache=${LUV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/luvalley}
elf=$top/build/luvalley.elf
substrates='qemu-svm bochs-vmx' repeat=3 rows_only=''

usage() { sed -n '5,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
die() { echo "bench: $*" >&2; exit 1; }

while getopts rs:n: opt; do
	case $opt in
	r) rows_only=1 ;;
	s) substrates=$OPTARG ;;
	n) repeat=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- dom0

# --- facts: one "KEY NUMBER" line for each number of a run -------------------

# json: numbers of the JSON objects in a serial log, nesting joined by "_";
# what luvctl prints gets the prefix "info". loader_tsc is GRUB's.
json()
{
	tr -d '\r' < "$1" | awk '
	function hex(s,   i, n) {
		for (i = 1; i <= length(s); i++)
			n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
		return n
	}
	function name() { return path[depth] (path[depth] == "" ? "" : "_") key }
	function parse(s, prefix,   c) {
		depth = 0; path[0] = prefix; key = ""
		while (s != "") {
			c = substr(s, 1, 1)
			if (match(s, /^"[^"]*"[ ]*:/)) {
				key = substr(s, 2); sub(/".*/, "", key)
			} else if (match(s, /^"[^"]*"/)) {
				;
			} else if (match(s, /^-?[0-9][0-9.]*/)) {
				print name(), substr(s, 1, RLENGTH)
			} else if (match(s, /^[[{]/)) {
				if (count[depth] != "")
					key = count[depth]++
				path[depth + 1] = key == "" ? path[depth] : name()
				depth++
				count[depth] = c == "[" ? 0 : ""
				key = ""
			} else if (match(s, /^[]}]/)) {
				depth--
			} else
				match(s, /^./)
			s = substr(s, RLENGTH + 1)
		}
	}
	/^loader: tsc / { printf "loader_tsc %.0f\n", hex($3) }
	/LUV json/ { parse(substr($0, index($0, "{")), "") }
	/^\{$/ { text = ""; block = 1 }
	block { text = text $0 }
	/^\}$/ { block = 0; parse(text, "info") }'
}

# What follows from the numbers of one run. A nanosecond is a tick on both
# exact substrates, so what is not idle is ticks minus idle nanoseconds.
derive()
{
	awk '
	{ print; f[$1] = $2 }
	END {
		split("hackbench sha256 gzip exec", work)
		for (i in work) {
			w = work[i]
			if (!((w "_ticks") in f))
				continue
			busy += f[w "_ticks"] - f[w "_idle_ns"]
			good++
		}
		if (good == 4)
			printf "work_busy %.0f\n", busy
		for (k in f) {
			if (k ~ /_ticks$/ && (w = substr(k, 1, length(k) - 6)) "_idle_ns" in f)
				printf "%s_busy %.0f\n", w, f[k] - f[w "_idle_ns"]
			if (k ~ /^after_exit/) {
				w = substr(k, 6)
				printf "cycle%s %.0f\n", w, f[k] - f["before" w]
			}
			if (k ~ /^(hackbench|sha256|gzip|exec)_exit/) {
				w = k
				sub(/^[^_]*/, "", w)
				sum["work" w] += f[k]
			}
			if (k ~ /^steady_(idle|computing)_exits_/ && k !~ /_(cpuid|hypercall)$/) {
				w = k
				sub(/_exits_.*/, "", w)
				sum[w "_exits_rest"] += f[k]
			}
		}
		for (k in sum)
			printf "%s %.0f\n", k, sum[k]
		split("cpuid identify16 unknown_call", call)
		for (i in call)
			if ((call[i] "_median_ticks") in f)
				printf "%s_net %.0f\n", call[i], f[call[i] "_median_ticks"] - f["empty_median_ticks"]
		for (k in f) {
			if (k ~ /^info_vms_0_exits_.*_count$/ && k !~ /external-interrupt/)
				domu_exits += f[k]
		}
		if ("kvm_exits" in f)
			domu_exits = f["kvm_exits"] - f["kvm_irq_exits"]
		if (domu_exits)
			printf "domu_exits %.0f\n", domu_exits
		if ("up_tsc" in f && f["loader_tsc"] > 0)
			printf "loaded_to_up %.0f\n", f["up_tsc"] - f["loader_tsc"]
	}'
}

measure()
{
	echo "bench: $substrate $group $i of $n" >&2
	"$top/scripts/run-nested.sh" -s "$substrate" -o "$runs/$group.$i" "$@" >&2 ||
		die "this run failed; its logs are in $runs/$group.$i"
}

# run GROUP RUNS SCENARIO-AND-OPTIONS...: facts in $runs/GROUP.N.facts
run()
{
	group=$1 n=$2
	shift 2
	i=1
	while [ "$i" -le "$n" ]; do
		if [ -z "$rows_only" ]; then
			measure "$@"
		fi
		json "$runs/$group.$i/serial.log" | derive > "$runs/$group.$i.facts"
		i=$((i + 1))
	done
}

# --- rows --------------------------------------------------------------------

values() { awk -v k="$2" '$1 == k { print $2 }' "$runs/$1".*.facts | sort -g; }

# put BENCHMARK VMM VALUE UNIT N MIN MAX
put() { echo "$1,$2,$3,$4,$5,$6,$7,$about" >> "$csv"; }

# emit BENCHMARK VMM UNIT GROUP KEY: the median over the group's runs; no row
# if no run has the number.
emit()
{
	stats=$(values "$4" "$5" | awk '{ v[NR] = $1 }
		END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, NR, v[1], v[NR] }' \
		OFMT=%.15g)
	[ -n "$stats" ] || return 0
	read -r value n min max <<-END
		$stats
	END
	put "$1" "$2" "$value" "$3" "$n" "$min" "$max"
}

# both BENCHMARK KEY [UNIT]: bare and above Luvalley, and what the second has
# more.
both()
{
	emit "$1" bare "${3:-ticks}" bare "$2"
	emit "$1" luvalley "${3:-ticks}" luv "$2"
	{
		values bare "$2" | sed 's/^/b /'
		values luv "$2" | sed 's/^/l /'
	} | awk -v unit="${3:-ticks}" '{ if (!n[$1]++) min[$1] = $2; max[$1] = $2; v[$1, n[$1]] = $2 }
		function mid(g) { return (v[g, int((n[g] + 1) / 2)] + v[g, int(n[g] / 2) + 1]) / 2 }
		END {
			if (!n["b"] || !n["l"])
				exit
			printf "%s %.0f %d %.0f %.0f\n", unit, mid("l") - mid("b"), n["l"],
				min["l"] - max["b"], max["l"] - min["b"]
			printf "percent %.4f %d %.4f %.4f\n", 100 * (mid("l") / mid("b") - 1),
				n["l"], 100 * (min["l"] / max["b"] - 1), 100 * (max["l"] / min["b"] - 1)
		}' > "$runs/extra"
	while read -r unit value n min max; do
		put "$1.extra" luvalley "$value" "$unit" "$n" "$min" "$max"
	done < "$runs/extra"
}

# kinds BENCHMARK GROUP KEY: KEY_exits and every KEY_exits_KIND there is
kinds()
{
	emit "$1" luvalley exits "$2" "$3_exits"
	awk -v k="$3_exits_" 'index($1, k) == 1 && $2 > 0 { print substr($1, length(k) + 1) }' \
		"$runs/$2".*.facts | sort -u > "$runs/kinds"
	while read -r kind; do
		emit "$1.$kind" luvalley exits "$2" "$3_exits_$kind"
	done < "$runs/kinds"
}

# same BENCHMARK VMM GROUP REGEX: how many runs have the first run's numbers
same()
{
	total=0 equal=0
	for f in "$runs/$3".*.facts; do
		grep -E -- "$4" "$f" | sort > "$f.same"
		[ "$total" != 0 ] || cp "$f.same" "$runs/first"
		total=$((total + 1))
		! cmp -s "$f.same" "$runs/first" || equal=$((equal + 1))
		rm -f "$f.same"
	done
	put "$1" "$2" "$equal" "runs of $total" "$total" "$equal" "$equal"
}

# --- suite dom0 --------------------------------------------------------------

sources() { find "$top/vmm" -name "*.$1" ! -name '*_test.c' ! -name '*_test.h' -exec cat {} +; }

dom0_static()
{
	bytes=$(wc -c < "$elf")
	put image.file luvalley "$bytes" bytes 1 "$bytes" "$bytes"
	all=0
	for ext in c h S def; do
		lines=$(sources $ext | wc -l)
		all=$((all + lines))
		put "lines.$ext" luvalley "$lines" lines 1 "$lines" "$lines"
	done
	put lines.vmm luvalley "$all" lines 1 "$all" "$all"
}

dom0_costs()
{
	both boot.power_on_to_up up_tsc
	both boot.loaded_to_up loaded_to_up
	both boot.kernel_clock_to_up up_boot_ns ns
	emit boot.up.idle bare ns bare up_idle_ns
	emit boot.up.idle luvalley ns luv up_idle_ns
	for w in hackbench sha256 gzip exec; do
		both "work.$w" "${w}_busy"
		emit "work.$w.idle" bare ns bare "${w}_idle_ns"
		emit "work.$w.idle" luvalley ns luv "${w}_idle_ns"
		for m in min max; do
			emit "work.$w.one_run_$m" bare ticks bare "${w}_${m}_ticks"
			emit "work.$w.one_run_$m" luvalley ticks luv "${w}_${m}_ticks"
		done
		emit "work.$w.exits" luvalley exits luv "${w}_exits"
	done
	both work.all work_busy
	if [ "$substrate" = bochs-vmx ]; then # elsewhere the disk answers in host time
		both disk.read disk_busy
		emit disk.read.idle bare ns bare disk_idle_ns
		emit disk.read.idle luvalley ns luv disk_idle_ns
	fi
	emit disk.read.exits luvalley exits luv disk_exits
	for row in empty cpuid identify16 unknown_call; do
		for m in min median p90; do
			emit "cost.$row.$m" luvalley ticks luv "${row}_${m}_ticks"
		done
		emit "cost.$row.net" luvalley ticks luv "${row}_net"
	done
	same same.boot bare bare '^(up|loader)_'
	same same.boot luvalley luv '^(up|loader)_'
	same same.work bare bare '^(hackbench|sha256|gzip|exec)_'
	same same.work luvalley luv '^(hackbench|sha256|gzip|exec|empty|cpuid|identify16|unknown_call)_'
	same same.all bare bare .
	same same.all luvalley luv .
}

dom0_exits()
{
	kinds exits.1cpu.boot luv up
	kinds exits.1cpu.kernel direct up
	kinds exits.1cpu.work luv work
	for phase in idle computing; do
		for k in cpuid hypercall rest; do
			emit "exits.1cpu.steady_$phase.$k" luvalley exits luv "steady_${phase}_exits_$k"
			emit "exits.2cpu.steady_$phase.$k" luvalley exits smp "steady_${phase}_exits_$k"
		done
		emit "exits.2cpu.trap_always.steady_$phase.apic-write" luvalley exits apic \
			"steady_${phase}_exits_apic-write"
		emit "exits.1cpu.steady_$phase.duration" luvalley ticks luv "steady_${phase}_ticks"
		emit "exits.2cpu.steady_$phase.duration" luvalley s smp "steady_${phase}_seconds"
		emit "exits.2cpu.trap_always.steady_$phase.duration" luvalley s apic \
			"steady_${phase}_seconds"
	done
	kinds exits.2cpu.boot smp up
	kinds exits.2cpu.offline_online_twice smp cycle
	kinds exits.2cpu.hackbench smp hackbench
	kinds exits.2cpu.trap_always.boot apic up
	kinds exits.2cpu.trap_always.offline_online_twice apic cycle
	kinds exits.2cpu.trap_always.hackbench apic hackbench
}

dom0_start()
{
	emit start.1cpu luvalley ticks luv info_start_ticks
	if [ "$substrate" = bochs-vmx ]; then # elsewhere no exact ticks
		emit start.2cpu luvalley ticks smp info_start_ticks
		emit start.2cpu.cpu1 luvalley ticks smp info_cpus_1_start_ticks
	fi
	emit image.memory luvalley bytes luv info_vmm_image_bytes
	for mib in $memory_sizes; do
		emit "memory.$mib.reserved" luvalley bytes "mem$mib" info_vmm_bytes
		emit "memory.$mib.used" luvalley bytes "mem$mib" info_vmm_used_bytes
	done
}

suite_dom0()
{
	case $substrate in
	qemu-svm) memory_sizes='512 1024 6144' smp_runs=$repeat ;;
	bochs-vmx) memory_sizes='' smp_runs=1 ;; # each takes minutes
	*) die "suite dom0 wants qemu-svm or bochs-vmx, not '$substrate'" ;;
	esac
	run bare "$repeat" -b bench-dom0
	run luv "$repeat" bench-dom0
	run direct 1 bench-direct
	run smp "$smp_runs" bench-smp
	run apic 1 bench-apic
	for mib in $memory_sizes; do
		run "mem$mib" 1 -m "$mib" bench-memory
	done
	dom0_costs
	dom0_exits
	dom0_start
	dom0_static
}

# --- suite micro -------------------------------------------------------------

# micro_rows VMM GROUP: what the clients have printed, in their order
micro_rows()
{
	sed -nE 's/^((micro|no_irqchip|qemu)_.*)_median .*/\1/p' "$runs/$2.1.facts" > "$runs/rows"
	while read -r key; do
		case $key in
		micro_*) row=${key#micro_} ;;
		no_irqchip_*) row=no_irqchip.${key#no_irqchip_} ;;
		*) row=qemu.${key#qemu_} ;;
		esac
		[ "${row##*.}" = tsc ] || emit "$row" "$1" ticks "$2" "${key}_net"
		for m in min median p90 max mean; do
			emit "$row.$m" "$1" ticks "$2" "${key}_$m"
		done
	done < "$runs/rows"
}

micro_domu()
{
	micro_rows "$1" "$2"
	emit domu.boot "$1" ticks "$2" domu_boot_ticks
	emit domu.boot.idle "$1" ns "$2" domu_boot_idle_ns
	emit domu.boot.busy "$1" ticks "$2" domu_boot_busy
	emit domu.boot.pin_all.busy "$1" ticks "$2" domu_boot_pin_all_busy
	emit domu.qemu_start.busy "$1" ticks "$2" domu_start_pin_lazy_busy
	emit domu.qemu_start.pin_all.busy "$1" ticks "$2" domu_start_pin_all_busy
	emit domu.exits "$1" exits "$2" domu_exits
	for page in 4k 2m; do
		emit "memory.1g.$page.vmm" "$1" bytes "$2" "memory_${page}_vmm"
		emit "memory.1g.$page.kernel" "$1" bytes "$2" "memory_${page}_kernel"
	done
}

suite_micro()
{
	run luv "$repeat" bench-micro
	run kvm "$repeat" -b bench-micro
	run luv-domu "$repeat" bench-domu
	run kvm-domu "$repeat" -b bench-domu
	micro_rows luvalley luv
	same same.rows luvalley luv '^(micro|no_irqchip)_'
	micro_domu luvalley luv-domu
	sed -n 's/^info_vms_0_exits_\(.*\)_count .*/\1/p' "$runs/luv-domu.1.facts" > "$runs/kinds"
	while read -r kind; do
		emit "domu.exits.$kind" luvalley exits luv-domu "info_vms_0_exits_${kind}_count"
	done < "$runs/kinds"
	micro_rows kvm kvm
	same same.rows kvm kvm '^(micro|no_irqchip)_'
	micro_domu kvm kvm-domu
	for kind in irq_exits io_exits mmio_exits halt_exits irq_window_exits hypercalls; do
		emit "domu.exits.$kind" kvm exits kvm-domu "kvm_$kind"
	done
}

# --- suite trace -------------------------------------------------------------

# Of the instructions for a guest's CPUID those that count it in a histogram,
# and those that are for a trace that is off: by source line, a mean over 1000.
trace_lines()
{
	if [ -z "$rows_only" ]; then
		"$top/scripts/path.sh" -l cpuid-cost domu_cpuid_exit > "$runs/path" ||
			die "no instructions of cpuid-cost"
	fi
	count=$(sed -n '/hist_count(v/=' "$top/vmm/cpu.h")
	entered=$(sed -n '/cpu->entered = now/=' "$top/vmm/cpu.h")
	for row in "histogram /(hist(_exit)?[.][ch]:|cpu[.]h:$count$)" \
		"trace_off /cpu[.]h:$entered$"; do
		n=$(awk -v re="${row#* }" '$2 ~ re { n += $1 } END { print n + 0 }' "$runs/path")
		put "exit.cpuid.${row%% *}" luvalley "$n" ticks 1 "$n" "$n"
	done
}

# The same exits without a trace and with one.
suite_trace()
{
	run off "$repeat" cost
	run on "$repeat" cost-trace
	i=1
	while [ "$i" -le "$repeat" ]; do
		awk '{ sub(/_net$/, "_extra", $1) }
			FNR == NR { off[$1] = $2; next }
			$1 ~ /_extra$/ { print $1, $2 - off[$1] }' \
			"$runs/off.$i.facts" "$runs/on.$i.facts" > "$runs/extra.$i.facts"
		i=$((i + 1))
	done
	for row in cpuid identify16 unknown_call; do
		emit "exit.$row.off" luvalley ticks off "${row}_net"
		emit "exit.$row.on" luvalley ticks on "${row}_net"
		emit "exit.$row.extra" luvalley ticks extra "${row}_extra"
	done
	[ "$substrate" != qemu-svm ] || trace_lines
}

# --- what to measure ---------------------------------------------------------

emulator_version()
{
	case $1 in
	qemu-*) dpkg-query -W -f='qemu ${Version}' qemu-system-x86 ;;
	bochs-*) dpkg-query -W -f='bochs ${Version}' bochs ;;
	esac
}

# The last columns of every row: what was measured, and when.
state()
{
	read -r kernel _ < "$cache/kernel-cloud/version"
	echo "$("$top/scripts/commit.sh"),$substrate,$(emulator_version "$substrate"),$kernel,$(date -u +%F)"
}

# save FILE [VMM]: the rows, or those of one VMM, are the results
save()
{
	mkdir -p "$top/results/${1%/*}"
	awk -F, -v vmm="${2:-}" 'NR == 1 || vmm == "" || $2 == vmm' "$csv" > "$top/results/$1"
	echo "bench: results/$1" >&2
}

for suite; do
	case $suite in
	dom0|micro|trace) ;;
	*) die "no suite '$suite'; there are: dom0 micro trace" ;;
	esac
	for substrate in $substrates; do
		runs=$top/build/bench/$suite-$substrate
		if [ -z "$rows_only" ]; then
			rm -rf "$runs"
			mkdir -p "$runs"
			state > "$runs/about"
		fi
		read -r about < "$runs/about" || die "nothing was run for $suite on $substrate"
		csv=$runs/csv
		echo benchmark,vmm,value,unit,n,min,max,commit,substrate,emulator,kernel,date > "$csv"
		"suite_$suite"
		case $suite in
		micro)
			save "micro/$substrate/luvalley.csv" luvalley
			save "micro/$substrate/kvm.csv" kvm
			;;
		*) save "$suite/$substrate.csv" ;;
		esac
	done
done
