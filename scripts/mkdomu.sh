#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# mkdomu.sh - make the disk from which dom0 runs virtual machines: stock QEMU
# with its libraries and firmware, the KVM library, a guest's kernel, and in
# /guest/disk the same with GRUB before it.
#   mkdomu.sh [-g PROGRAM] OUT KERNEL-DIR GUEST-INIT [FILE ...]
# One ext2 file system over the whole disk, which dom0 mounts and changes root
# to; FILEs go to /bin, and lttng-tools and perf are there. A disk and not an initramfs: only what is touched is
# read. The guest's initramfs is busybox with GUEST-INIT, PROGRAM, a static one,
# and virtio's drivers. /modules has KVM for a dom0 without Luvalley, to compare
# with.
set -eu

usage() { sed -n '6s/^#  */usage: /p' "$0" >&2; exit 2; }
program=''
while getopts g: opt; do
	case $opt in
	g) program=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 3 ] || usage
out=$1 kernel=$2 init=$3
shift 3
PATH=$PATH:/usr/sbin:/sbin
here=$(dirname "$0")
drivers='virtio_pci virtio_mmio virtio_blk virtio_net virtio_rng'
kvm='kvm_intel kvm_amd'
cylinder=$((16 * 63 * 512)) # Bochs wants whole ones
read -r release _ < "$kernel/version"

tmp=$(mktemp -d "$out.tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

cpio_lz4()
{
	(cd "$1" && find . | sort | cpio -o -H newc -R 0:0 --quiet) > "$tmp/cpio"
	lz4 -l -9 -f -q "$tmp/cpio" "$2"
}

busybox_root()
{
	mkdir -p "$1/bin" "$1/proc" "$1/sys" "$1/dev" "$1/tmp"
	cp "$(command -v busybox)" "$1/bin/busybox"
	busybox --list | while read -r name; do
		[ "$name" = busybox ] || ln -s busybox "$1/bin/$name"
	done
}

# add_modules DIR MODULE...: with what they need, and DIR/list in their order.
add_modules()
{
	dir=$1
	shift
	mkdir -p "$dir"
	for m; do
		modprobe -d "$kernel" -S "$release" --show-depends "$m" 2>/dev/null || :
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' > "$tmp/modules"
	while read -r ko; do
		objcopy --strip-debug "$ko" "$dir/${ko##*/}"
		echo "${ko##*/}"
	done < "$tmp/modules" > "$dir/list"
}

# --- the guest ---------------------------------------------------------------

g=$tmp/guest
busybox_root "$g"
[ -z "$program" ] || cp "$program" "$g/bin/"
cp "$init" "$g/init"
chmod 755 "$g/init"
# shellcheck disable=SC2086 # words
add_modules "$g/modules" $drivers

# --- dom0's side -------------------------------------------------------------

r=$tmp/root
busybox_root "$r"
mkdir -p "$r/guest" "$r/var" "$r/usr/bin" "$r/usr/share/qemu" "$r/usr/lib/x86_64-linux-gnu/qemu"
ln -s ../tmp "$r/var/tmp" # QEMU's changes to a disk it opens as a snapshot
cpio_lz4 "$g" "$r/guest/initrd"
cp "$kernel/vmlinuz" "$r/guest/vmlinuz"
# shellcheck disable=SC2086 # words
add_modules "$r/modules" $kvm
cp /boot/memtest86+x64.bin "$r/guest/memtest"
cat > "$tmp/grub.cfg" <<END
serial --port=0x3f8 --speed=115200
terminal_output serial
set timeout=0
menuentry "a domU" {
	linux /boot/vmlinuz console=ttyS0 quiet panic=-1 cryptomgr.notests domu.cpus=1 domu.run=clock
	initrd /boot/initrd
}
END
"$here/mkimage.sh" "$r/guest/disk" "$tmp/grub.cfg" \
	"vmlinuz=$r/guest/vmlinuz" "initrd=$r/guest/initrd"

add_libraries()
{
	{ ldd "$1" 2>/dev/null || :; } | grep -o '/[^ ]*' | while read -r lib; do
		[ ! -e "$r/$lib" ] || continue
		mkdir -p "$r/${lib%/*}"
		cp -L "$lib" "$r/$lib"
		strip --strip-unneeded "$r/$lib" 2>/dev/null || :
	done
}
qemu=$(command -v qemu-system-x86_64)
cp "$qemu" "$r/usr/bin/" # where it finds its modules and firmware from
strip "$r/usr/bin/qemu-system-x86_64"
add_libraries "$qemu"
tcg=/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so
[ ! -e $tcg ] || cp $tcg "$r/$tcg"
for rom in bios-256k.bin bios-microvm.bin vgabios-stdvga.bin; do
	cp "/usr/share/seabios/$rom" "$r/usr/share/qemu/"
done
for rom in kvmvapic.bin linuxboot_dma.bin multiboot_dma.bin pvh.bin; do
	cp "/usr/share/qemu/$rom" "$r/usr/share/qemu/"
done
mkdir -p "$r/usr/share/OVMF"
cp /usr/share/OVMF/OVMF_CODE.fd /usr/share/OVMF/OVMF_VARS.fd "$r/usr/share/OVMF/"
# perf; lttng-tools, and what a provider's library loads by name.
lib=usr/lib/x86_64-linux-gnu
mkdir -p "$r/$lib/lttng/libexec" "$r/usr/share/xml/lttng"
cp /usr/share/xml/lttng/session.xsd "$r/usr/share/xml/lttng/"
mkdir "$r/var/run" # LTTng follows no link there
for f in usr/bin/perf usr/bin/lttng usr/bin/lttng-sessiond $lib/lttng/libexec/lttng-consumerd; do
	cp "/$f" "$r/$f"
	strip "$r/$f"
	add_libraries "/$f"
done
cp -L /$lib/liblttng-ust-tracepoint.so.1 "$r/$lib/"
add_libraries /$lib/liblttng-ust-tracepoint.so.1
for f; do
	rm -f "$r/bin/${f##*/}"
	cp "$f" "$r/bin/"
	strip --strip-unneeded "$r/bin/${f##*/}" 2>/dev/null || : # a script
	add_libraries "$f"
done

kib=$(du -s --apparent-size -k "$r" | cut -f1)
kib=$((kib + kib / 16 + 8192))
bytes=$(((kib * 1024 + cylinder - 1) / cylinder * cylinder))
truncate -s "$bytes" "$tmp/disk"
mke2fs -q -F -t ext2 -b 4096 -m 0 -O ^resize_inode,^dir_index \
	-E root_owner=0:0 -L luvdomu -d "$r" "$tmp/disk" \
	2>"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }
mv "$tmp/disk" "$out"
