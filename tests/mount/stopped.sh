#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# stopped.sh SECONDS: the daemon is stopped (SIGSTOP) for so long after all of its
# users have come to stand: fio on an origin, an ext4 on a snapshot through a
# loop device, and a handover. Then they go on where they were, without an error
# and with the right data; a second mount has not noticed. One that is killed
# while it is stopped leaves what was acknowledged.
. "$(dirname "$0")/lib.sh"
seconds=${1:?SECONDS}
command -v fio >/dev/null || skip "needs fio"
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

stamped origin.img 16M
stamped base.img 256K
stamped other.img 1M
truncate -s 32M fs.img
mkdir spec fs ctl
for name in origin base; do
  origin_table "$work/$name.img" >spec/$name.yaml
done
origin_table "$work/fs.img" >spec/disk.yaml
snapshot_table origin "{path: keep.cow, create: true, size: 20MiB}" >spec/keep.yaml
snapshot_table base "{path: snap.cow, create: true, size: 1MiB}" >spec/snap.yaml
snapshot_table disk "{path: fs.cow, create: true, size: 40MiB}" >spec/fs.yaml
origin_table "$work/other.img" >other.yaml
mount_snapfs other.yaml other
mount_snapfs spec mnt
keep=$(sha mnt/keep)
attach mnt/fs --direct-io=on
mkfs.ext4 -q "$loop"
mount "$loop" fs

# What the kernel has sent or will send, and has no answer to.
mount -t fusectl none ctl
unanswered() { cat "ctl/$(mountpoint -d mnt | cut -d: -f2)/waiting"; }
is_stopped() { [[ $(awk '/^State/ { print $2 }' "/proc/$daemon/status") = T ]]; }
stand() { [ "$(unanswered)" -ge "$1" ]; }

work_in_fs() {
  local n=0
  until [ -e stop ]; do
    n=$((n + 1))
    "$TEST_IO" stamp 131072 $n >fs.data &&
      dd if=fs.data of=fs/$((n % 8)) bs=64k conv=fsync status=none &&
      dd if=fs/$((n % 8)) bs=64k iflag=direct status=none | cmp - fs.data ||
      return
    echo $n >rounds.new && mv rounds.new rounds
  done
}
echo 0 >rounds
work_in_fs &
worker=$!
fio --name=origin --filename=mnt/origin --rw=randrw --bsrange=4k-64k \
  --ioengine=libaio --iodepth=8 --direct=1 --size=16m --time_based --runtime=1h \
  --verify=crc32c --verify_backlog=64 --verify_fatal=1 --serialize_overlap=1 \
  --allow_file_create=0 --output=fio.log &
fio=$!
went_on() { [ "$(cat rounds)" -gt "$1" ]; }
has_written() { [ "$(sha mnt/origin)" != "$1" ]; }
# A fio that has not begun yet has nothing to say of itself when it ends, either.
all_go_on() {
  wait_until has_written "$(sha mnt/origin)"
  wait_until went_on "$(cat rounds)"
}

for ((round = 0; round < 2; ++round)); do
  all_go_on
  snapshot_table disk fs.cow "# round $round" >mnt/.control/tables/fs.yaml
  kill -STOP "$daemon"
  wait_until is_stopped
  "$SNAPFS" suspend -m mnt fs &
  suspend=$!
  # fio's requests, the loop device's, and the command.
  wait_until stand 3
  stood=$(cat rounds)
  "$TEST_IO" stamp 1048576 $round | dd of=other/other bs=64k iflag=fullblock \
    conv=notrunc,fsync status=none
  same other/other <("$TEST_IO" stamp 1048576 $round) "the other mount"
  sleep "$seconds"
  { ! gone $suspend && ! gone $worker && ! gone $fio; } ||
    fail "somebody has not waited"
  [ "$(cat rounds)" -le $((stood + 1)) ] || fail "it went on while it was stopped"
  kill -CONT "$daemon"
  wait $suspend || fail "the handover"
  contains "$(cat mnt/.control/tables/fs.yaml)" "# round $round" "the table"
  all_go_on
done

touch stop
wait $worker || fail "the file system"
kill -INT $fio
result=0
wait $fio || result=$?
eq $result 128 "status of the fio that was interrupted"
grep -q "err= 0:" fio.log || fail "fio: $(head -n 20 fio.log)"
umount fs
e2fsck -fn "$loop" >e2fsck.log 2>&1 || fail "the file system is damaged"
detach "$loop"
eq "$(sha mnt/keep)" "$keep" "the snapshot of what fio has written"
! cmp -s mnt/keep mnt/origin || fail "fio has written nothing"
! grep . mnt/.control/errors || fail "there were errors"

# Killed while it is stopped.
: >records
"$TEST_IO" record mnt records 64 base snap &
recorder=$!
acknowledged() { [ "$(grep -c '^done' records)" -gt 50 ]; }
wait_until acknowledged
kill -STOP "$daemon"
wait_until is_stopped
wait_until stand 1
kill -KILL "$daemon"
wait $recorder || fail "the recorder"
wait_until gone "$daemon"
umount -l mnt
mount_snapfs spec mnt
"$TEST_IO" check-records mnt/snap mnt/base records
eq "$(sha mnt/keep)" "$keep" "the snapshot after the kill"
