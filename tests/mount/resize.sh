#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# resize.sh on|off: an origin grows under an ext4 on it and a process that works
# there, on a loop device (with that --direct-io), and its snapshots keep their
# length and content until they get longer tables. Shortening is refused.
. "$(dirname "$0")/lib.sh"
direct=${1:-on}
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

truncate -s 32M origin.img
attach origin.img
backing=$loop
mkdir tables.d
origin_table "$backing" >tables.d/base.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables
size() { stat -c %s "mnt/$1"; }

attach mnt/base --direct-io="$direct"
mkfs.ext4 -q "$loop"
mkdir fs
mount "$loop" fs
"$TEST_IO" stamp $((4 << 20)) 1 >fs/first
sync -f fs
fsfreeze --freeze fs
snapshot_table base "{path: $work/snap.cow, create: true, size: 128MiB}" \
  "chunk_size: 4KiB" >$tables/snap.yaml
fsfreeze --unfreeze fs
before=$(sha mnt/snap)
exec 3<>mnt/base

worker() {
  local i=0
  until [ -e stop ]; do
    "$TEST_IO" stamp 262144 $i >data
    dd if=data of=fs/file$((i % 4)) bs=64k conv=fsync status=none || return
    dd if=fs/file$((i % 4)) bs=64k iflag=direct status=none | cmp - data ||
      return
    i=$((i + 1))
    echo $i >rounds.new && mv rounds.new rounds
  done
}
echo 0 >rounds
worker >worker.log 2>&1 3>&- &
worker=$!
worked() { [ "$(cat rounds)" -gt "$1" ]; }
wait_until worked 2

# The device first, then the table, then whoever uses the file.
truncate -s 64M origin.img
losetup --set-capacity "$backing"
eq "$(size base)" $((32 << 20)) "size of the origin before its table"
origin_table "$backing" >$tables/base.yaml
eq "$(size base)" $((64 << 20)) "size of the origin"
eq "$(stat -L -c %s /dev/fd/3)" $((64 << 20)) "size of the open file"
losetup --set-capacity "$loop"
eq "$(blockdev --getsize64 "$loop")" $((64 << 20)) "size of the loop device"
eq "$(size snap)" $((32 << 20)) "size of the snapshot"
wait_until worked $(($(cat rounds) + 2))
eq "$(sha mnt/snap)" "$before" "the snapshot"

# Growing a mounted ext4 takes CAP_SYS_RESOURCE.
capabilities=$((16#$(awk '/^CapEff/ { print $2 }' /proc/self/status)))
if [ $((capabilities >> 24 & 1)) -eq 1 ]; then
  resize2fs "$loop" >resize.log 2>&1 || fail "resize2fs"
  wait_until worked $(($(cat rounds) + 2))
fi
touch stop
wait $worker || fail "the worker: $(cat worker.log)"
if [ ! -e resize.log ]; then
  umount fs
  e2fsck -fp "$loop" >e2fsck.log || fail "the file system is damaged"
  resize2fs "$loop" >resize.log 2>&1 || fail "resize2fs"
  mount "$loop" fs
fi
[ "$(df --output=size -k fs | tail -n 1)" -gt 45000 ] || fail "it has not grown"
dd if=/dev/urandom of=fs/large bs=1M count=30 conv=fsync status=none
umount fs
e2fsck -fn "$loop" >e2fsck.log || fail "the file system is damaged"
eq "$(sha mnt/snap)" "$before" "the snapshot of a grown origin"
tail_now=$(tail -c +$(((32 << 20) + 1)) mnt/base | sha256sum)

# A longer snapshot shows what is new as it is now, and keeps that.
snapshot_table base "$work/snap.cow" "length: 64MiB" "activate: now" \
  >$tables/snap.yaml
eq "$(size snap)" $((64 << 20)) "size of the longer snapshot"
"$TEST_IO" stamp $((64 << 20)) 9 |
  dd of=mnt/base bs=1M iflag=fullblock conv=notrunc,fsync status=none
eq "$(head -c $((32 << 20)) mnt/snap | sha256sum | cut -c1-64)" "$before" \
  "the first half"
eq "$(tail -c +$(((32 << 20) + 1)) mnt/snap | sha256sum)" "$tail_now" \
  "the second half"

# Neither is cut off by a table, nor by its device.
origin_table "$backing" "length: 32MiB" >shorter.yaml
must_fail cp shorter.yaml $tables/base.yaml
contains "$(cat mnt/.control/errors)" \
  "base cannot be shortened to 65536 sectors: its snapshot snap has 131072" \
  "errors"
eq "$(size base)" $((64 << 20)) "size of the origin"
exec 3>&-
detach "$loop"
unmount mnt

# It is all on the COW.
snapshot_table base "$work/snap.cow" >tables.d/snap.yaml
mount_snapfs tables.d mnt
eq "$(head -c $((32 << 20)) mnt/snap | sha256sum | cut -c1-64)" "$before" \
  "the first half after a new mount"
"$SNAPFS" remove mnt/snap
"$SNAPFS" load -m mnt -n base shorter.yaml
eq "$(size base)" $((32 << 20)) "size of an origin without snapshots"
