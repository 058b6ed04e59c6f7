#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# handover_same_name.sh on|off: new tables for a snapshot that an ext4 works on,
# through a loop device (with that --direct-io), an open file and a mapping.
# None of them notices, but for the size, which they see at once.
. "$(dirname "$0")/lib.sh"
direct=${1:-on}
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

truncate -s 64M origin.img
truncate -s 96M snap.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" "length: 40MiB" \
  >tables.d/snap.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables
size() { stat -c %s mnt/snap; }
loop_size() { blockdev --getsize64 "$loop"; }

# reload LINE...: the next table, taken while everything goes on
reload() {
  snapshot_table base "$work/snap.cow" "$@" >$tables/snap.yaml
  eq "$(cat mnt/.control/state/snap)" $'live\nnext: waiting for snap' "state"
  echo suspend >mnt/.control/state/snap
  eq "$(cat mnt/.control/state/snap)" live "state after the handover"
}

attach mnt/snap --direct-io="$direct"
# What is behind the file system is for the others.
mkfs.ext4 -q "$loop" 32M
mkdir fs
mount "$loop" fs
exec 3<>mnt/snap
mkfifo hold
# shellcheck disable=SC2094  # a command's name and a fifo
"$TEST_IO" mmap-hold mnt/snap $((36 << 20)) 65536 7 <hold >mapped 2>held &
holder=$!
exec 4>hold
wait_until grep -q held held

# Somebody writes, synchronises and reads again all the time.
worker() {
  local i=0
  until [ -e stop ]; do
    "$TEST_IO" stamp 262144 $i >data
    dd if=data of=fs/file$((i % 8)) bs=64k conv=fsync status=none || return
    dd if=fs/file$((i % 8)) bs=64k iflag=direct status=none | cmp - data || return
    i=$((i + 1))
    echo $i >rounds.new && mv rounds.new rounds
  done
}
echo 0 >rounds
worker >worker.log 2>&1 3>&- 4>&- &
worker=$!
worked() { [ "$(cat rounds)" -gt "$1" ]; }

for i in 1 2 3 4 5 6; do
  wait_until worked "$(cat rounds)"
  case $((i % 3)) in
    0) reload "length: 40MiB" "# $i" ;;
    1) reload "length: 64MiB" "store: PO" ;;
    2) reload "length: 48MiB" "features: [discard_zeroes_cow]" ;;
  esac
  case $((i % 3)) in
    0) bytes=$((40 << 20)) ;;
    1) bytes=$((64 << 20)) ;;
    2) bytes=$((48 << 20)) ;;
  esac
  eq "$(size)" $bytes "size of the file"
  eq "$(stat -L -c %s /dev/fd/3)" $bytes "size of the open file"
  losetup --set-capacity "$loop"
  eq "$(loop_size)" $bytes "size of the loop device"
  eq "$("$TEST_IO" pwrite mnt/snap $bytes 1)" ENOSPC "a write behind the end"
  kill -0 $worker 2>/dev/null || fail "the worker gave up: $(cat worker.log)"
done
eq "$(grep -c ' handover snap ' mnt/.control/log)" 6 "number of handovers"

# A file system that grows into what is new.
reload "length: 64MiB"
losetup --set-capacity "$loop"
exec 4>&-
wait "$holder" || fail "the process with a mapping"
same mapped <("$TEST_IO" stamp $((37 << 20)) 7 | tail -c +$(((36 << 20) + 1)) |
  head -c 65536) "the mapping"
dd bs=64k count=1 skip=576 iflag=fullblock status=none <&3 | cmp - mapped ||
  fail "the open file does not show what the mapping wrote"
exec 3>&-
# Growing a mounted ext4 takes CAP_SYS_RESOURCE.
capabilities=$((16#$(awk '/^CapEff/ { print $2 }' /proc/self/status)))
if [ $((capabilities >> 24 & 1)) -eq 1 ]; then
  resize2fs "$loop" 64M >resize.log 2>&1 || fail "resize2fs"
fi
wait_until worked "$(cat rounds)"
touch stop
wait $worker || fail "the worker: $(cat worker.log)"
if [ ! -e resize.log ]; then
  umount fs
  e2fsck -fp "$loop" >e2fsck.log || fail "the file system is damaged"
  resize2fs "$loop" 64M >resize.log 2>&1 || fail "resize2fs"
  mount "$loop" fs
fi
[ "$(df --output=size -k fs | tail -n 1)" -gt 45000 ] || fail "it has not grown"
umount fs
e2fsck -fn "$loop" >e2fsck.log || fail "the file system is damaged"
detach "$loop"
content=$(sha mnt/snap)
unmount mnt

# It is all on the COW.
snapshot_table base "$work/snap.cow" >tables.d/snap.yaml
mount_snapfs tables.d mnt
eq "$(sha mnt/snap)" "$content" "the snapshot after a new mount"
unmount mnt
