#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# An origin is brought back by `snapfs revert` to a snapshot that an ext4 works
# on through a loop device; the daemon is killed (-9) in the middle, and the next
# mount goes on. Both names show the snapshot from the first instant, each goes on
# for itself, another snapshot keeps its content.
. "$(dirname "$0")/lib.sh"
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

truncate -s 64M origin.img
mkfs.ext4 -q origin.img 32M
truncate -s 96M snap.cow other.cow
mkdir tables.d fs
origin_table "$work/origin.img" "mode: 0640" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" >tables.d/snap.yaml
mount_snapfs tables.d mnt
control=mnt/.control
value() { sed -n "s/^$1: //p" $control/status/base; }
is_reverting() { [ -n "$(value revert)" ]; }
has_reverted() { [ "$(value revert_reverted_chunks)" -ge "$1" ]; }
is_done() { ! is_reverting; }

# The snapshot and the origin each get files of their own.
attach mnt/snap
mount "$loop" fs
dd if=/dev/urandom of=fs/own bs=1M count=4 conv=fsync status=none
cp fs/own own
umount fs
detach "$loop"
attach mnt/base
mount "$loop" fs
dd if=/dev/urandom of=fs/new bs=1M count=6 conv=fsync status=none
umount fs
detach "$loop"
snapshot_table base "$work/other.cow" "chunk_size: 16KiB" |
  "$SNAPFS" load -m mnt -n other -
cp "$control/tables/other.yaml" tables.d/other.yaml
before=$(sha mnt/snap)
other=$(sha mnt/other)
[ "$(sha mnt/base)" != "$before" ] || fail "there is nothing to revert"

# Whoever uses the origin's file is named, and it stays as it is.
exec 3<mnt/base
must_fail "$SNAPFS" revert -m mnt snap
contains "$text" "change the content of base under its users" "the refusal"
contains "$text" "open in $$ (" "the refusal"
exec 3<&-
must_fail "$SNAPFS" revert -m mnt base
contains "$text" "base is no live snapshot" "an origin"
must_fail "$SNAPFS" revert -m mnt --rate fast snap
eq "$status" 1 "exit status with a wrong rate"
is_done || fail "a revert after refusals"
eq "$(sha mnt/base)" "$other" "the origin after refusals"

# So slow that it does not end by itself here.
"$SNAPFS" revert -m mnt --rate 16KiB/s snap
eq "$(sha mnt/base)" "$before" "the origin from the first instant"
eq "$(sha mnt/snap)" "$before" "the snapshot"
eq "$(sha mnt/other)" "$other" "the other snapshot"
eq "$(value revert)" running "phase"
eq "$(value revert_to)" snap "whose content it gets"
eq "$(value revert_rate)" 16384 "rate"
contains "$(cat $control/metrics)" 'snapfs_revert_total_bytes{device="base"}' \
  "the metrics"
must_fail "$SNAPFS" revert -m mnt other
contains "$text" "base is being reverted already, to snap" "a second revert"
must_fail "$SNAPFS" merge -m mnt snap
contains "$text" "the origin is being reverted to snap" "a merge"
must_fail "$SNAPFS" remove -m mnt snap
contains "$text" "before the revert to snap has ended" "the refusal"
truncate -s 96M third.cow
snapshot_table base "$work/third.cow" >third.yaml
must_fail "$SNAPFS" load -m mnt third.yaml
contains "$text" "a snapshot cannot be taken during a revert" "a new snapshot"

# Both are written to meanwhile: the origin by a file system.
attach mnt/base
mount "$loop" fs
same fs/own own "the snapshot's file on the origin"
[ ! -e fs/new ] || fail "the origin's file is still there"
dd if=/dev/urandom of=fs/late bs=1M count=2 conv=fsync status=none
cp fs/late late
umount fs
detach "$loop"
dd if=/dev/urandom of=mnt/snap bs=4k count=100 seek=9000 conv=notrunc,fsync \
  status=none
expected_base=$(sha mnt/base)
expected_snap=$(sha mnt/snap)
wait_until has_reverted 8
[ "$(value revert_reverted_chunks)" -lt "$(value revert_total_chunks)" ] ||
  fail "no rate limit"

# Killed half-way; the origin comes without its snapshot, or read-only: no.
kill -KILL "$daemon"
wait_until gone "$daemon"
umount -l mnt
mkdir bad.d
{ cat tables.d/base.yaml && echo "read_only: true"; } >bad.d/base.yaml
cp tables.d/snap.yaml bad.d
refuse_mount bad.d "a revert to snap is under way" "and writable"
contains "$("$SNAPFS" info snap.cow)" "revert: under way" "the store"
contains "$("$SNAPFS" check snap.cow)" "byte 16: revert-note: " "the check"
must_fail "$SNAPFS" repair snap.cow --in-place --backup backup
contains "$text" "its origin is being reverted to it" "a repair in place"

mount_snapfs tables.d mnt
eq "$(sha mnt/base)" "$expected_base" "the origin after the kill"
eq "$(sha mnt/snap)" "$expected_snap" "the snapshot after the kill"
eq "$(sha mnt/other)" "$other" "the other snapshot after the kill"
"$SNAPFS" suspend -m mnt base
if is_reverting; then eq "$(value revert)" suspended "phase"; fi
"$SNAPFS" resume -m mnt base
wait_until is_done
contains "$(cat $control/log)" " revert base finished: " "the log"
eq "$(sha mnt/base)" "$expected_base" "the origin after the revert"
eq "$(sha mnt/snap)" "$expected_snap" "the snapshot after the revert"
eq "$(sha mnt/other)" "$other" "the other snapshot after the revert"

# Once more, to its end, with somebody who looks.
"$SNAPFS" revert -m mnt --wait snap >wait.log
eq "$(tail -n 1 wait.log)" "base: reverted" "the last line"
eq "$(sha mnt/base)" "$expected_snap" "the origin"
unmount mnt
eq "$(sha origin.img)" "$expected_snap" "the device"
mount_snapfs tables.d mnt
is_done || fail "a revert that had ended"
eq "$(sha mnt/snap)" "$expected_snap" "the snapshot of the next mount"
attach mnt/base
e2fsck -fn "$loop" >e2fsck.log 2>&1 || fail "the file system is damaged"
detach "$loop"
unmount mnt
