#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# full_wait.sh on|off: an ext4 on the origin, through a loop device (with that
# --direct-io), writes more than the snapshot's COW can take. With `when_full:
# wait` it stands still, holds nobody else up, and goes on when the COW has
# grown. Then what ends a wait otherwise: a kill, an abort, the deadline.
. "$(dirname "$0")/lib.sh"
direct=${1:-on}
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

truncate -s 64M origin.img
truncate -s 4M snap.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
mount_snapfs tables.d mnt
status() { cat mnt/.control/status/snap; }
waiting() { status | sed -n 's/^waiting_for_room: //p'; }
waits() { [ "$(waiting)" = "$1" ]; }
somebody_waits() { [ "$(waiting)" -gt 0 ] 2>/dev/null; }
# load LINES...: a new table for the snapshot, taken at once
load() {
  snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" "activate: now" "$@" \
    >mnt/.control/tables/snap.yaml
}

attach mnt/base --direct-io="$direct"
mkfs.ext4 -q "$loop"
mkdir fs
mount "$loop" fs
"$TEST_IO" stamp $((8 << 20)) 1 >fs/file
sync -f fs
fsfreeze --freeze fs
load "when_full: {wait: 1h}"
fsfreeze --unfreeze fs
before=$(sha mnt/snap)

# A second family, for those who must not notice.
truncate -s 8M other.img
origin_table "$work/other.img" >mnt/.control/tables/other.yaml

dd if=/dev/urandom of=fs/file bs=1M count=20 conv=notrunc,fsync status=none &
writer=$!
wait_until somebody_waits
kill -0 $writer || fail "the writer did not wait"
contains "$(cat mnt/.control/log)" \
  " full snap $work/snap.cow is full: writers wait for room, 3600 s at most" \
  "the log"
"$TEST_IO" pwrite mnt/other 0 4096 >/dev/null
dd if=/dev/zero of=mnt/other bs=4k count=100 conv=notrunc,fsync status=none
eq "$(sha mnt/snap)" "$before" "the snapshot while writers wait"
contains "$(status_line mnt snap)" "/8192 " "the status line"

# A little more is not enough for all of it; then it is.
truncate -s 6M snap.cow
wait_until grep -q ' grow snap ' mnt/.control/log
wait_until somebody_waits
truncate -s 64M snap.cow
wait $writer || fail "the writer"
eq "$(waiting)" 0 "requests that wait"
eq "$(sha mnt/snap)" "$before" "the snapshot"
umount fs
e2fsck -fn "$loop" >e2fsck.log || fail "the file system is damaged"
detach "$loop"

# A new store, and nothing but direct requests.
unmount mnt
rm snap.cow
truncate -s 1M snap.cow
mount_snapfs tables.d mnt
load "when_full: {wait: 1h}"
until_full() {
  # the header, an area and 254 chunks
  dd if=/dev/zero of=mnt/snap bs=4k count=254 conv=notrunc,fsync status=none
}
until_full
"$TEST_IO" pwrite mnt/snap $((2 << 20)) 4096 &
killed=$!
wait_until somebody_waits
kill -KILL $killed
wait_until gone $killed
wait_until waits 0

"$TEST_IO" pwrite mnt/snap $((2 << 20)) 4096 >aborted &
aborted=$!
"$TEST_IO" pwrite mnt/base $((3 << 20)) 4096 >kept &
kept=$!
wait_until waits 2
"$SNAPFS" abort mnt/snap
wait $aborted || :
eq "$(cat aborted)" EIO "an aborted request"
wait_until waits 1
must_fail "$SNAPFS" abort mnt/snap
contains "$text" "none of its requests waits for room" "the error"

# Suspending and resuming does not disturb who waits.
"$SNAPFS" suspend mnt/base
"$SNAPFS" resume mnt/base
wait_until waits 1

# The deadline of the table that holds then; the kernel's outcome after it.
load "when_full: {wait: 200ms}"
wait $kept
eq "$(cat kept)" 4096 "a write that was no longer waited for"
eq "$(status_line mnt snap)" "0 131072 snapshot Invalid" "status after the deadline"

# A mount that ends is not held up.
unmount mnt
rm snap.cow
truncate -s 1M snap.cow
mount_snapfs tables.d mnt
load "when_full: {wait: 1h}"
until_full
"$TEST_IO" pwrite mnt/base $((3 << 20)) 4096 >ended &
ended=$!
wait_until somebody_waits
kill -TERM "$daemon"
wait_until grep -q "base: in use" mnt/.control/errors
kill -TERM "$daemon"
wait_until gone "$daemon"
wait $ended || :
