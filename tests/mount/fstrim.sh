#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# fstrim of an ext4 on a snapshot, through a loop device: what is in files stays,
# what was in deleted ones becomes zeroes, the file system is clean, and a sparse
# copy of the device is the device.
. "$(dirname "$0")/lib.sh"
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

stamped origin.img 32M
mkdir tables.d fs
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "{path: $work/snap.cow, create: true, size: 40MiB}" \
  "chunk_size: 4KiB" "features: [discard_zeroes_cow]" >tables.d/snap.yaml
mount_snapfs tables.d mnt
attach mnt/snap --direct-io=on
mkfs.ext4 -q -E nodiscard "$loop"
mount "$loop" fs
for i in {1..8}; do
  "$TEST_IO" stamp 1048576 "$i" >"fs/$i"
done
sync -f fs
rm fs/[2468]
sync -f fs
cp --sparse=always mnt/snap before.img
trimmed=$(fstrim -v fs | sed 's/.*(\([0-9]*\) bytes.*/\1/')
[ "$trimmed" -ge $((4 << 20)) ] || fail "only $trimmed bytes were trimmed"
umount fs
e2fsck -fn "$loop" >e2fsck.log 2>&1 || fail "the file system is damaged"
detach "$loop"

cp --sparse=always mnt/snap sparse.img
same sparse.img mnt/snap "a sparse copy"
zeroes=$((($(stat -c %b before.img) - $(stat -c %b sparse.img)) * 512))
[ $zeroes -ge $((4 << 20)) ] || fail "only $zeroes bytes have become zeroes"
unmount mnt
mount_snapfs tables.d mnt
same sparse.img mnt/snap "the snapshot in the next mount"
same mnt/base <("$TEST_IO" stamp $((32 << 20)) 0) "the origin"
attach mnt/snap
mount "$loop" fs
for i in 1 3 5 7; do
  same "fs/$i" <("$TEST_IO" stamp 1048576 "$i") "file $i"
done
