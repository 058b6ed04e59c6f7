#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# merge_resumed.sh on|off: an ext4 on a loop device over a merge that an earlier
# mount has begun and left half-way: it is sound, has what the snapshot had, is
# used while the merge goes on, and notices nothing when that ends. on and off
# are the loop device's direct I/O.
. "$(dirname "$0")/lib.sh"
direct_io=${1:?on or off}
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

truncate -s 64M origin.img
mkdir tables.d mnt fs
origin_table "$work/origin.img" >tables.d/base.yaml
mount_snapfs tables.d mnt -o save
is_plain() { [[ $(status_line mnt base) == *" snapshot-origin"* ]]; }
value() { sed -n "s/^$1: //p" mnt/.control/status/base; }
has_merged() { [ "$(value merge_merged_chunks)" -ge "$1" ]; }
attach_fs() { # NAME
  attach "mnt/$1" --direct-io="$direct_io"
  mount "$loop" fs
}
detach_fs() {
  umount fs
  detach "$loop"
}
# fill NAME SEED
fill() {
  "$TEST_IO" stamp $((8 << 20)) "$2" >"fs/$1"
  sync -f fs
}
holds() { same <("$TEST_IO" stamp $((8 << 20)) "$2") "fs/$1" "the file $1"; }

mkfs.ext4 -q mnt/base
attach_fs base
fill kept 1
fill changed 2
detach_fs
snapshot_table base "{path: $work/snap.cow, create: true, size: 128MiB}" \
  "chunk_size: 4KiB" >snap.yaml
"$SNAPFS" load -m mnt snap.yaml

# Another history on the snapshot than on the origin.
attach_fs base
fill changed 3
fill lost 4
detach_fs
attach_fs snap
fill changed 5
fill new 6
detach_fs
"$SNAPFS" merge -m mnt --rate 32KiB snap
wait_until has_merged 8
all=$(value merge_total_chunks)
unmount mnt

# Half-way.
mount_snapfs tables.d mnt -o save
contains "$(status_line mnt base)" "snapshot-merge" "the status"
left=$(value merge_total_chunks)
[ "$left" -lt "$all" ] || fail "it has begun anew: $left of $all chunks"
[ "$left" -gt 0 ] || fail "nothing is left"
attach mnt/base --direct-io="$direct_io"
fsck.ext4 -fn "$loop" >fsck.log 2>&1 || fail "fsck: $(cat fsck.log)"
mount "$loop" fs
holds kept 1
holds changed 5
holds new 6
[ ! -e fs/lost ] || fail "the origin's file is there"
fill later 7
wait_until has_merged 8
rm fs/new
"$SNAPFS" table -m mnt base | sed '/^merge_rate:/d' |
  "$SNAPFS" load -m mnt -n base -
wait_until is_plain
fill changed 8
holds later 7
detach_fs
unmount mnt

# It is all on the origin's device.
attach origin.img --direct-io="$direct_io"
fsck.ext4 -fn "$loop" >fsck.log 2>&1 || fail "fsck: $(cat fsck.log)"
mount "$loop" fs
holds kept 1
holds changed 8
holds later 7
[ ! -e fs/new ] || fail "what was removed is there"
umount fs
