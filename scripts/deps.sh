#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# deps.sh - install what building and testing Luvalley needs (Debian packages),
# fetch the two kernels that play dom0 and, with npm, the charting library of
# trace reports. A quick no-op when all is there.
#   deps.sh [-n]     -n: only name what is missing, exit 1 if anything is
# The kernels are unpacked, not installed, into ${LUV_CACHE:-~/.cache/luvalley}
# as kernel-cloud/ and kernel-generic/ and stay there over "make clean"; the
# library is in charts/.
set -eu

# make run/test/nested-test: compilers, C libraries, git for the version
BUILD='make gcc libc6-dev binutils clang libclang-rt-dev git libcmocka-dev
	libjansson-dev liblttng-ust-dev libzydis-dev lttng-tools spin'
# make trace, and its tests
TRACE='babeltrace2 libbabeltrace2-dev libelf-dev libncurses-dev xz-utils zlib1g-dev
	protobuf-compiler chromium linux-perf time'
# the emulators and their firmware
EMULATORS='bochs bochs-term bochsbios vgabios qemu-system-x86 seabios
	ovmf'
# dom0's disk and initramfs, and what runs in them
IMAGE='grub-pc-bin grub-common e2fsprogs busybox-static cpio lz4 kmod
	kexec-tools rt-tests memtest86+'
# npm package for the HTML page of luvtrace, and what its one file must be
CHARTS=echarts@6.1.0
CHARTS_SHA256=b66b25aeb4df84e33199dc21694014d336d222cbd9deb0e5a7c14bd6aa0d0fd0

cache=${LUV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/luvalley}
only_check=
[ "${1:-}" != -n ] || only_check=1

say() { echo "deps: $*" >&2; }
die() { say "$*"; exit 1; }

missing_packages()
{
	for p in $BUILD $TRACE $EMULATORS $IMAGE; do
		case $(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null) in
		installed) ;;
		*) printf '%s ' "$p" ;;
		esac
	done
	# A Node.js that is not Debian's has npm in it.
	command -v npm >/dev/null || printf 'nodejs npm '
}

have_charts()
{
	[ "$(cat "$cache/charts/version" 2>/dev/null)" = "$CHARTS" ]
}

missing_kernels()
{
	for k in cloud generic; do
		[ -s "$cache/kernel-$k/version" ] || printf '%s ' "$k"
	done
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "please run as root (no sudo here): $*"
	fi
}

updated=
apt_update()
{
	[ -z "$updated" ] || return 0
	updated=1
	say "apt-get update"
	as_root apt-get -qq update || die "apt-get update failed: no network?"
}

# The package a kernel metapackage stands for now, such as linux-image-6.1.0-9-amd64.
kernel_package()
{
	case $1 in
	cloud) meta=linux-image-cloud-amd64 ;;
	generic) meta=linux-image-amd64 ;;
	esac
	apt-cache depends "$meta" 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }'
}

# Downloaded and unpacked beside its place, then renamed into it: a kernel
# directory that exists is complete.
fetch_kernel()
{
	pkg=$(kernel_package "$1")
	[ -n "$pkg" ] || { apt_update; pkg=$(kernel_package "$1"); }
	[ -n "$pkg" ] || die "apt knows no kernel package for '$1'"
	say "fetching $pkg into $cache/kernel-$1"
	mkdir -p "$cache"
	tmp=$(mktemp -d "$cache/tmp.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	if ! (cd "$tmp" && apt-get -qq download "$pkg" 2>log); then
		apt_update
		pkg=$(kernel_package "$1")
		(cd "$tmp" && apt-get -qq download "$pkg" 2>log) ||
			{ cat "$tmp/log" >&2; die "cannot download $pkg"; }
	fi
	dpkg-deb -x "$tmp"/*.deb "$tmp/x"
	rel=${pkg#linux-image-}
	mv "$tmp/x/boot/vmlinuz-$rel" "$tmp/x/vmlinuz"
	mv "$tmp/x/boot/config-$rel" "$tmp/x/config"
	mkdir -p "$tmp/x/lib/modules/$rel"
	depmod -b "$tmp/x" "$rel"
	echo "$rel $(dpkg-deb -f "$tmp"/*.deb Version)" > "$tmp/x/version"
	rm -rf "$cache/kernel-$1"
	mv "$tmp/x" "$cache/kernel-$1"
	rm -rf "$tmp"
	trap - EXIT
}

# One file and its licence notice; renamed into place as the kernels are.
fetch_charts()
{
	say "fetching $CHARTS into $cache/charts"
	mkdir -p "$cache"
	tmp=$(mktemp -d "$cache/tmp.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	(cd "$tmp" && npm pack --silent "$CHARTS" >log 2>&1) ||
		(cd "$tmp" && sleep 10 && npm pack --silent "$CHARTS" >log 2>&1) ||
		{ cat "$tmp/log" >&2; die "cannot fetch $CHARTS with npm"; }
	tar -xzf "$tmp"/*.tgz -C "$tmp"
	echo "$CHARTS_SHA256  $tmp/package/dist/echarts.min.js" |
		sha256sum -c --quiet || die "$CHARTS is not what it was"
	mkdir "$tmp/x"
	{
		echo '/*'
		cat "$tmp/package/NOTICE"
		echo '*/'
		cat "$tmp/package/dist/echarts.min.js"
	} > "$tmp/x/echarts.min.js"
	cp "$tmp/package/LICENSE" "$tmp/x/"
	echo "$CHARTS" > "$tmp/x/version"
	rm -rf "$cache/charts"
	mv "$tmp/x" "$cache/charts"
	rm -rf "$tmp"
	trap - EXIT
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	# shellcheck disable=SC2086,SC2116 # blanks and line ends become one blank
	names=$(echo $BUILD $TRACE $EMULATORS $IMAGE)
	die "not a Debian system; needed, by Debian names: $names; and the \
kernels of linux-image-cloud-amd64 and linux-image-amd64, in $cache"
fi
PATH=$PATH:/usr/sbin:/sbin

need=$(missing_packages)
kernels=$(missing_kernels)
charts=
have_charts || charts=$CHARTS
[ -n "$need$kernels$charts" ] || exit 0
if [ -n "$only_check" ]; then
	die "missing packages: ${need:-none}; missing kernels: ${kernels:-none}; \
missing from npm: ${charts:-none}"
fi

if [ -n "$need" ]; then
	say "installing: $need"
	# shellcheck disable=SC2086 # a list of names
	if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		--no-install-recommends install $need >/dev/null; then
		apt_update
		# shellcheck disable=SC2086
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
			--no-install-recommends install $need >/dev/null ||
			die "apt-get could not install: $need"
	fi
fi
for k in $kernels; do
	fetch_kernel "$k"
done
have_charts || fetch_charts
say "all there"
