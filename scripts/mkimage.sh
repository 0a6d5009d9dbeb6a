#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# mkimage.sh - make a bootable BIOS disk: GRUB in the MBR, one ext2 partition.
#   mkimage.sh OUT GRUB.CFG [NAME=FILE ...]
# Each FILE becomes /boot/NAME. Needs no root and no loop device:
#   sector 0       GRUB's boot.img, with our partition table
#   sector 1..     core.img; its own block list is right for a contiguous
#                  image that starts at sector 1
#   1 MiB..        ext2, made by mke2fs -d
# The size is a multiple of 16 heads x 63 sectors, which Bochs insists on.
# GRUB's prefix names no drive, so the disk also boots as BIOS drive 81h.
set -eu

[ $# -ge 2 ] || { echo "usage: mkimage.sh OUT GRUB.CFG [NAME=FILE ...]" >&2; exit 2; }
out=$1 cfg=$2
shift 2
PATH=$PATH:/usr/sbin:/sbin
grub=/usr/lib/grub/i386-pc
modules='biosdisk part_msdos ext2 normal configfile linux linux16 multiboot
	multiboot2 chain boot serial terminal echo test memrw rdmsr wrmsr cpuid
	ls cat search minicmd halt reboot sleep'
part_lba=2048
cylinder=$((16 * 63 * 512))

tmp=$(mktemp -d "$out.tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

mkdir -p "$tmp/root/boot/grub"
cp "$cfg" "$tmp/root/boot/grub/grub.cfg"
for f; do
	cp "${f#*=}" "$tmp/root/boot/${f%%=*}"
done
(cd "$tmp/root/boot" && find . -type f ! -path ./md5sums -exec md5sum {} +) > "$tmp/md5sums"
mv "$tmp/md5sums" "$tmp/root/boot/md5sums"

# Files, block maps and bitmaps, and 1 MiB to spare.
kib=$(du -s --apparent-size -k "$tmp/root" | cut -f1)
kib=$((kib + kib / 64 + 1024))
bytes=$((part_lba * 512 + kib * 1024))
bytes=$(((bytes + cylinder - 1) / cylinder * cylinder))
sectors=$((bytes / 512 - part_lba))

# shellcheck disable=SC2086 # a list of names
grub-mkimage -O i386-pc -p '(,msdos1)/boot/grub' -o "$tmp/core.img" $modules
core=$(wc -c < "$tmp/core.img")
[ "$core" -le $(((part_lba - 1) * 512)) ] || { echo "mkimage: core.img too big" >&2; exit 1; }

# le32 N: four bytes for printf, least significant first.
le32()
{
	printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) \
		$(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

put() { dd of="$tmp/disk" conv=notrunc status=none bs=1 seek="$1"; }

truncate -s "$bytes" "$tmp/disk"
dd if=$grub/boot.img of="$tmp/disk" conv=notrunc status=none bs=440 count=1
# One active partition of type 83h; the CHS fields say "use LBA".
# shellcheck disable=SC2059 # the octal escapes are the data
printf "\\200\\376\\377\\377\\203\\376\\377\\377$(le32 $part_lba)$(le32 $sectors)" | put 446
printf '\125\252' | put 510
dd if="$tmp/core.img" of="$tmp/disk" conv=notrunc status=none bs=512 seek=1
mke2fs -q -F -t ext2 -b 4096 -m 0 -N 64 -O ^resize_inode,^dir_index \
	-E offset=$((part_lba * 512)),root_owner=0:0 -d "$tmp/root" \
	"$tmp/disk" $((sectors / 8)) 2>"$tmp/log" ||
	{ cat "$tmp/log" >&2; exit 1; }
mv "$tmp/disk" "$out"
