#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# full_grow.sh on|off: `when_full: grow` keeps a sparse COW ahead of an ext4 on
# the origin (through a loop device, with that --direct-io) until it has the
# size that the table allows or its own file system is full; and `refuse:
# origin`, for what comes then.
. "$(dirname "$0")/lib.sh"
direct=${1:-on}
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

truncate -s 64M origin.img
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
mount_snapfs tables.d mnt
log=mnt/.control/log
size() { stat -c %s "$1"; }

attach mnt/base --direct-io="$direct"
mkfs.ext4 -q "$loop"
mkdir fs
mount "$loop" fs
sync -f fs
fsfreeze --freeze fs
snapshot_table base "{path: $work/snap.cow, create: true, size: 1MiB}" \
  "chunk_size: 4KiB" "when_full: {grow: {step: 2MiB, max: 80MiB}}" \
  >mnt/.control/tables/snap.yaml
fsfreeze --unfreeze fs
before=$(sha mnt/snap)

dd if=/dev/urandom of=fs/file bs=1M count=40 conv=fsync status=none
[ "$(size snap.cow)" -gt $((40 << 20)) ] || fail "the COW is too short"
[ "$(size snap.cow)" -le $((80 << 20)) ] || fail "the COW is too long"
eq "$(sha mnt/snap)" "$before" "the snapshot"
contains "$(cat $log)" " grow snap $work/snap.cow has " "the log"
! grep -q ' full ' $log || fail "it was full: $(grep ' full ' $log)"
umount fs
detach "$loop"

# As far as the file system goes, and no further.
"$SNAPFS" remove mnt/snap
mkdir small
mount -t tmpfs -o size=8M tmpfs small
snapshot_table base "{path: $work/small/snap.cow, create: true, size: 64KiB}" \
  "chunk_size: 4KiB" \
  "when_full: {grow: {step: 1MiB, max: 1GiB}, refuse: origin}" \
  >mnt/.control/tables/snap.yaml
before=$(sha mnt/snap)
must_fail dd if=/dev/zero of=mnt/base bs=64k count=1000 oflag=direct \
  conv=notrunc status=none
contains "$text" "Input/output error" "the writer's error"
[ "$(size small/snap.cow)" -gt $((7 << 20)) ] || fail "it has not grown"
[ "$(size small/snap.cow)" -le $((8 << 20)) ] || fail "it has grown too far"
contains "$(cat $log)" "is not extended: its filesystem has no more space" \
  "the log"
eq "$(sha mnt/snap)" "$before" "the snapshot of a full file system"

# With more space it goes on.
mount -o remount,size=80M small
dd if=/dev/zero of=mnt/base bs=64k count=1000 oflag=direct conv=notrunc,fsync \
  status=none
eq "$(sha mnt/snap)" "$before" "the snapshot"
unmount mnt
umount small

# Nobody extends a block device.
mount_snapfs tables.d mnt
truncate -s 1M block.cow
attach block.cow
snapshot_table base "$loop" "when_full: {grow: {step: 1MiB, max: 1GiB}}" \
  >snap.yaml
must_fail "$SNAPFS" load -m mnt snap.yaml
contains "$text" "is not a regular file" "the error"
