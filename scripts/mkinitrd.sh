#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# mkinitrd.sh - make dom0's initramfs (cpio, lz4).
#   mkinitrd.sh OUT KERNEL-DIR INIT [BINARY ...]
# KERNEL-DIR is what deps.sh unpacked. BINARYs go to /bin, together with
# busybox under all its names and with kexec and hackbench and their libraries.
# The disk and file system modules lie in /modules; init loads them, in the
# order of /modules/list, only when a test wants the disk.
set -eu

[ $# -ge 3 ] || { echo "usage: mkinitrd.sh OUT KERNEL-DIR INIT [BINARY ...]" >&2; exit 2; }
out=$1 kernel=$2 init=$3
shift 3
PATH=$PATH:/usr/sbin:/sbin
drivers='ata_piix ahci sd_mod crc32c_generic ext4'
read -r release _ < "$kernel/version"

tmp=$(mktemp -d "$out.tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
r=$tmp/root
mkdir -p "$r/bin" "$r/proc" "$r/sys" "$r/dev" "$r/tmp" "$r/mnt" "$r/modules"
cp "$init" "$r/init"
chmod 755 "$r/init"

busybox=$(command -v busybox)
cp "$busybox" "$r/bin/busybox"
"$busybox" --list | while read -r name; do
	[ "$name" = busybox ] || ln -s busybox "$r/bin/$name"
done

# The libraries of a program, at the paths it wants them; none if it is static.
add_libraries()
{
	ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
		mkdir -p "$r/${lib%/*}"
		cp -L "$lib" "$r/$lib"
	done
}
add_dynamic()
{
	rm -f "$r/bin/${1##*/}"
	cp -L "$1" "$r/bin/"
	add_libraries "$1"
}
for prog in kexec hackbench; do
	add_dynamic "$(command -v $prog)"
done

for f; do
	rm -f "$r/bin/${f##*/}"
	cp "$f" "$r/bin/"
	add_libraries "$f"
	strip "$r/bin/${f##*/}"
done

# Dependencies first, each once; a driver that is built in or not made for
# this kernel (the cloud kernel has no AHCI) adds nothing.
for m in $drivers; do
	modprobe -d "$kernel" -S "$release" --show-depends "$m" 2>/dev/null || :
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' > "$tmp/modules"
while read -r ko; do
	objcopy --strip-debug "$ko" "$r/modules/${ko##*/}"
	echo "${ko##*/}"
done < "$tmp/modules" > "$r/modules/list"

# The MSR driver, which only test "protect" loads.
modprobe -d "$kernel" -S "$release" --show-depends msr 2>/dev/null |
	awk '$1 == "insmod" { print $2 }' | while read -r ko; do
		objcopy --strip-debug "$ko" "$r/modules/${ko##*/}"
	done

(cd "$r" && find . | sort | cpio -o -H newc -R 0:0 --quiet) > "$tmp/cpio"
lz4 -l -9 -f -q "$tmp/cpio" "$tmp/lz4"
mv "$tmp/lz4" "$out"
