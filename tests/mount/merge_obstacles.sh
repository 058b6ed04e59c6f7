#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What stands in the way of merges, and what waits for them: snapshots that cannot
# be merged, an origin that may not be written or is in use, one whose file system
# is full in the middle of it, and a snapshot that is taken when one has ended.
. "$(dirname "$0")/lib.sh"

mkdir small tables.d
mount -t tmpfs -o size=9m tmpfs small
truncate -s 16M small/origin.img
origin_table "$work/small/origin.img" >tables.d/base.yaml
mount_snapfs tables.d mnt
control=mnt/.control
value() { sed -n "s/^$1: //p" $control/status/base; }
is_plain() { [[ $(status_line mnt base) == *" snapshot-origin"* ]]; }
has_failed() { [[ $(status_line mnt base) == *" Merge failed" ]]; }
# snapshot NAME SIZE [LINE...]
snapshot() {
  snapshot_table base "{path: $work/$1.cow, create: true, size: $2}" "${@:3}" |
    "$SNAPFS" load -m mnt -n "$1" -
}
# refused PART COMMAND...
refused() {
  must_fail "${@:2}"
  contains "$text" "$1" "the error of ${*:2}"
  is_plain || fail "it merges: $(status_line mnt base)"
}

# What cannot be merged.
snapshot transient 1MiB "store: N" "chunk_size: 4KiB"
refused "does not support snapshot-merge: it is transient" \
  "$SNAPFS" merge -m mnt transient
"$SNAPFS" remove -m mnt transient
snapshot lost 64KiB
dd if=/dev/urandom of=mnt/base bs=64k count=2 oflag=direct conv=notrunc \
  status=none
eq "$(status_line mnt lost)" "0 32768 snapshot Invalid" "a full snapshot"
refused "Snapshot is invalid: can't merge" "$SNAPFS" merge -m mnt lost
"$SNAPFS" remove -m mnt lost

# An origin that may not be written.
snapshot snap 32MiB "chunk_size: 4KiB"
dd if=/dev/urandom of=mnt/snap bs=1M seek=4 count=10 conv=notrunc,fsync \
  status=none
content=$(sha mnt/snap)
origin_table "$work/small/origin.img" "read_only: true" |
  "$SNAPFS" load -m mnt -n base -
refused "the origin base is read-only" "$SNAPFS" merge -m mnt snap
origin_table "$work/small/origin.img" | "$SNAPFS" load -m mnt -n base -

# One that is in use, unless it is forced. Then its file system is full.
exec 3<mnt/base
refused "change the content of base under its users (" \
  "$SNAPFS" merge -m mnt snap
contains "$text" "open in $$ (" "the users"
"$SNAPFS" merge -m mnt --force snap
same mnt/base /dev/fd/3 "the open file"
exec 3<&-
wait_until has_failed
contains "$(value reason)" "No space left on device" "the reason"
eq "$(value merge)" failed "the phase"
contains "$(cat $control/log)" " merge-failed base " "the log"
contains "$(cat $control/metrics)" 'snapfs_merge_failed{device="base"} 1' \
  "the metrics"
must_fail "$SNAPFS" merge -m mnt --wait base
eq "$status" 2 "exit status of --wait"
contains "$text" "the merge failed: " "the error of --wait"

# Reads and writes go on.
eq "$(sha mnt/base)" "$content" "the origin, half-way"
head -c 65536 /dev/urandom >data
dd if=data of=mnt/base bs=64k seek=100 conv=notrunc,fsync status=none
content=$(sha mnt/base)

# Who wants a snapshot now is refused, or waits.
must_fail snapshot early 32MiB
contains "$text" "a snapshot cannot be taken during a merge" "the error"
snapshot later 32MiB "wait: merge"
eq "$(cat $control/state/later)" "waiting for the merge of base" "the state"
[ ! -e mnt/later ] || fail "a snapshot that waits has a file"
must_fail "$SNAPFS" resume -m mnt later
contains "$text" "waits for the end of the merge of base" "the error"

# The cause is gone.
mount -o remount,size=64m small
"$SNAPFS" resume -m mnt base
wait_until is_plain
wait_until [ -e mnt/later ]
eq "$(cat $control/state/later)" live "the state of what has waited"
dd if=/dev/zero of=mnt/base bs=1M count=8 conv=notrunc,fsync status=none
eq "$(sha mnt/later)" "$content" "the snapshot that was taken at the end"
unmount mnt
umount small
