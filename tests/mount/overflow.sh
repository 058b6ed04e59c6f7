#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A PO store fills up: thresholds are told in events, status and metrics, reads go
# on when it has overflowed, and `resume` ends that when the COW, a file or a
# block device, has grown, which is seen at once.
. "$(dirname "$0")/lib.sh"

stamped origin.img 8M
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
mount_snapfs tables.d mnt
log() { cat mnt/.control/log; }
value() { sed -n "s/^$1: //p" mnt/.control/status/snap; }
# own FIRST COUNT: chunks of 4 KiB, in the snapshot
own() {
  dd if=/dev/urandom of=mnt/snap bs=4k seek="$1" count="$2" oflag=direct \
    conv=notrunc status=none
}

for kind in file block; do
  # Room for 200 chunks behind the header and an area.
  truncate -s $((202 * 4096)) $kind.cow
  cow=$work/$kind.cow
  if [ $kind = block ]; then
    attach block.cow
    cow=$loop
  fi
  snapshot_table base "$cow" "store: PO" "chunk_size: 4KiB" \
    "thresholds: [50, 90]" >mnt/.control/tables/snap.yaml

  own 0 99
  ! log | grep -q " usage snap .* of $cow" || fail "$kind: told too early: $(log)"
  own 99 1
  contains "$(log)" " usage snap 50% used: " "$kind: the first threshold"
  eq "$(value cow_used_percent)" 50 "$kind: the status"
  own 100 80
  contains "$(log)" " usage snap 90% used: " "$kind: the second threshold"
  contains "$(cat mnt/.control/metrics)" \
    'snapfs_cow_used_percent{device="snap"} 90' "$kind: the metrics"
  # With a rate there is an end; it takes a second to have one.
  seen=180
  until [ -n "$(value cow_full_in_seconds)" ]; do
    [ $seen -eq 200 ] || own $((seen++)) 1
    sleep 0.1
  done
  own 180 20

  # Full.
  must_fail own 300 1
  eq "$(status_line mnt snap)" "0 16384 snapshot Overflow" "$kind: the status"
  contains "$(log)" " overflow snap " "$kind: the log"
  must_fail own 0 1
  before=$(sha mnt/snap)
  must_fail "$SNAPFS" resume -m mnt snap
  contains "$text" "No space left on device" "$kind: resume without room"

  # More of it.
  truncate -s $((302 * 4096)) $kind.cow
  [ $kind = file ] || losetup -c "$loop"
  eq "$(value cow_total_bytes)" $((302 * 4096)) "$kind: its size"
  "$SNAPFS" resume -m mnt snap
  eq "$(status_line mnt snap)" "0 16384 snapshot 1616/2416 16" "$kind: resumed"
  eq "$(sha mnt/snap)" "$before" "$kind: the snapshot"
  own 300 50
  dd if=/dev/zero of=mnt/base bs=4k seek=1000 count=10 conv=notrunc,fsync \
    status=none
  "$SNAPFS" remove -m mnt snap
done
