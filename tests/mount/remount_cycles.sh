#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A hundred times mount, write, umount and mount again without waiting for
# anything: no mount fails, and neither what was synced nor what was only closed
# is lost.
. "$(dirname "$0")/lib.sh"

stamped origin.img 2M
cp origin.img reference.img
truncate -s 8M snap.cow kept.cow
mkdir tables.d mnt
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 1" >tables.d/snap.yaml
snapshot_table base "$work/kept.cow" "chunk_size: 8" >tables.d/kept.yaml
"$TEST_IO" stamp 2097152 1 >base.img
"$TEST_IO" stamp 2097152 2 >snap.img
cp reference.img base.expected
cp reference.img snap.expected

for ((i = 0; i < 100; ++i)); do
  "$SNAPFS" mount tables.d mnt
  how=notrunc
  ((i % 2)) || how=notrunc,fsync
  for name in base snap; do
    for file in mnt/$name $name.expected; do
      dd if=$name.img of="$file" bs=512 skip=$((i * 37)) seek=$((i * 37)) \
        count=3 conv=$how status=none
    done
  done
  umount mnt
done
mount_snapfs tables.d mnt
same mnt/base base.expected "the origin"
same mnt/snap snap.expected "the snapshot"
same mnt/kept reference.img "the snapshot that was not written"
