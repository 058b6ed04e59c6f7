#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A suspended device with a thousand requests waiting on it, and a loop device:
# everything else goes on as if nothing were, the waiting processes can be
# killed, and whatever ends the suspension ends the wait.
. "$(dirname "$0")/lib.sh"
command -v fio >/dev/null || skip "needs fio"

stamped origin.img 16M
stamped other.img 16M
truncate -s 32M snap.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" >tables.d/snap.yaml
origin_table "$work/other.img" >tables.d/other.yaml
mount_snapfs tables.d mnt
state=mnt/.control/state

waiting() {
  sed -n 's/^waiting_requests: //p' "mnt/.control/status/snap"
}
waits_for() { [ "$(waiting)" -ge "$1" ]; }
waits_as() { [ "$(waiting)" -eq "$1" ]; }
suspend() { echo suspend >$state/snap; }
resume() { echo resume >$state/snap; }
# A thousand asynchronous reads.
flood() {
  fio --name=flood --filename=mnt/snap --thread --ioengine=libaio --direct=1 \
    --rw=randread --randrepeat=1 --bs=4k --iodepth=1000 --io_size=8M \
    --size=16M --output=fio.log >/dev/null 2>&1 &
  flood=$!
}
fails() { ! wait "$1" || fail "a process that was to fail did not"; }
# In time, or the test fails.
promptly() { timeout "$patience" "$@" || fail "not in time: $*"; }

attach mnt/snap --direct-io=on
suspend
flood
dd if="$loop" of=loop.data bs=64k iflag=direct status=none &
loop_reader=$!
wait_until waits_for 1001
echo "$(waiting) requests wait;" \
  "threads: $(sed -n 's/^Threads:\t//p' "/proc/$daemon/status")," \
  "memory: $(sed -n 's/^VmRSS:\t *//p' "/proc/$daemon/status")"

eq "$(promptly ls mnt)" $'base\nother\nsnap' "ls"
promptly stat mnt/snap >/dev/null
promptly ls -l mnt mnt/.control/state >/dev/null
eq "$(cat $state/snap)" suspended "state"
promptly dd if=/dev/zero of=mnt/other bs=64k count=100 conv=notrunc,fsync \
  status=none
promptly dd if=mnt/other bs=64k iflag=direct of=/dev/null status=none
promptly dd if=mnt/base bs=64k of=/dev/null status=none
promptly dd if=/dev/zero of=mnt/base bs=64k count=10 conv=notrunc,fsync \
  status=none
promptly fio --name=other --filename=mnt/other --ioengine=libaio --direct=1 \
  --rw=randrw --bs=4k --iodepth=64 --io_size=4M --size=16M --output=other.log
# Another open of the suspended file itself, and its end.
promptly sh -c ': <mnt/snap'
promptly sh -c ': <>mnt/snap'
# More devices come and go.
truncate -s 1M new.img
origin_table "$work/new.img" >mnt/.control/tables/new.yaml
wait_until rm mnt/.control/tables/new.yaml 2>/dev/null

# Whoever waits by itself can be killed.
for signal in KILL TERM; do
  for way in "cat mnt/snap" "dd if=mnt/snap bs=4k count=1 iflag=direct" \
    "dd if=/dev/zero of=mnt/snap bs=4k count=1 conv=notrunc"; do
    before=$(waiting)
    # shellcheck disable=SC2086  # a list
    $way >/dev/null 2>&1 &
    wait_until waits_for $((before + 1))
    kill -$signal $!
    wait_until gone $!
    fails $!
    wait_until waits_as "$before"
  done
done

# The mount cannot be unmounted meanwhile, and says why.
must_fail umount mnt
contains "$text" "busy" "umount"

# All of it goes on where it stopped.
resume
wait $flood || fail "fio: $(cat fio.log)"
wait $loop_reader || fail "reading the loop device"
same loop.data <(cat mnt/snap) "what was read from the loop device"
wait_until waits_as 0

# The administrator ends the wait, not the suspension.
suspend
flood
wait_until waits_for 1000
echo abort >$state/snap
fails $flood
contains "$(cat fio.log)" "Input/output error" "fio"
eq "$(cat $state/snap)" suspended "state"
grep -q "waiting requests were aborted" mnt/.control/errors || fail "no event"
resume
same mnt/snap loop.data "the snapshot"

# What is handed over ends the wait as well, and goes with all that waited.
suspend
flood
wait_until waits_for 1000
snapshot_table base "$work/snap.cow" >mnt/.control/tables/next.yaml
fails $flood
contains "$(cat fio.log)" "Input/output error" "fio"
detach "$loop"
rm mnt/.control/tables/snap.yaml
same mnt/next loop.data "the snapshot under its new name"
snapshot_table base "$work/snap.cow" "activate: now" >mnt/.control/tables/snap.yaml
rm mnt/.control/tables/next.yaml

# SIGTERM: serves on. Again: ends, and with it the wait.
attach mnt/snap --direct-io=on
suspend
flood
dd if="$loop" of=/dev/null bs=64k iflag=direct status=none 2>/dev/null &
loop_reader=$!
wait_until waits_for 1001
kill -TERM "$daemon"
in_use() { grep -q "snap: in use:" mnt/.control/errors; }
wait_until in_use
waits_for 1001 || fail "the first SIGTERM ended a wait"
kill -TERM "$daemon"
wait_until gone "$daemon"
fails $flood
fails $loop_reader
detach "$loop"
! mountpoint -q mnt || fail "still mounted"

# Everything that was acknowledged is on the COW.
mount_snapfs tables.d mnt
same mnt/snap loop.data "the snapshot after a new mount"
# Unmounted lazily under a waiting process, it ends with that process.
suspend
cat mnt/snap >/dev/null 2>&1 &
reader=$!
wait_until waits_for 1
umount --lazy mnt
kill -KILL $reader
wait_until gone "$daemon"
