#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# SIGTERM and SIGINT never take a device away from who uses it, unless they come
# twice. SIGHUP does no harm.
. "$(dirname "$0")/lib.sh"

stamped origin.img 4M
mkdir spec
origin_table "$work/origin.img" >spec/base.yaml
snapshot_table base "{path: $work/snap.cow, create: true, size: 8MiB}" \
  >spec/snap.yaml

in_errors() { grep -qF "$1" mnt/.control/errors; }

# Nothing open: unmounted, by either signal.
for signal in TERM INT; do
  mount_snapfs spec mnt
  kill "-$signal" "$daemon"
  wait_until gone "$daemon"
  ! mountpoint -q mnt || fail "still mounted after SIG$signal"
done

# A loop device: flushed, named, served on. What it wrote before is on the COW
# though nobody has synced it.
mount_snapfs spec mnt
attach mnt/snap --direct-io=on
"$TEST_IO" stamp 65536 7 >data
dd if=data of="$loop" bs=64k seek=1 oflag=direct status=none
eq "$(status_line mnt snap | cut -d' ' -f4)" 192/16384 "used sectors"
kill -TERM "$daemon"
wait_until in_errors "snap: in use: attached to $loop"
cp snap.cow flushed.cow
same <(dd if="$loop" bs=64k skip=1 count=1 status=none) data "the loop device"

# SIGHUP is no reason to end, nor does it count as the second one.
kill -HUP "$daemon"
kill -HUP "$daemon"
same <(dd if="$loop" bs=64k skip=1 count=1 iflag=direct status=none) data \
  "the loop device after SIGHUP"

# The second one ends it. The loop device gets errors.
kill -TERM "$daemon"
wait_until gone "$daemon"
! mountpoint -q mnt || fail "still mounted after the second SIGTERM"
must_fail dd if="$loop" bs=64k iflag=direct of=/dev/null status=none
detach "$loop"
flock --nonblock snap.cow true || fail "the COW is still held"

# Also what was on the COW at the time of the first one is a good snapshot.
cp flushed.cow snap.cow
mount_snapfs spec mnt
same <(dd if=mnt/snap bs=64k skip=1 count=1 status=none) data \
  "what was flushed by SIGTERM"

# Files that were closed meanwhile are no obstacle for the second one.
exec 3<mnt/base
kill -INT "$daemon"
wait_until in_errors "base: in use: "
contains "$(cat mnt/.control/errors)" "open in $$ (bash)" "the users"
exec 3<&-
kill -INT "$daemon"
wait_until gone "$daemon"
! mountpoint -q mnt || fail "still mounted"

# A shell that stands in the mount keeps it as well.
"$SNAPFS" mount -f spec mnt 2>foreground.log &
daemon=$!
remember "$daemon"
wait_until mountpoint -q mnt
(cd mnt && exec sleep infinity) &
sleeper=$!
stands_in_mount() { [ "$(readlink "/proc/$sleeper/cwd")" = "$work/mnt" ]; }
wait_until stands_in_mount
kill -TERM "$daemon"
wait_until grep -q "SIGTERM: .* in use; serving on" foreground.log
same mnt/base origin.img "the device under a shell that stands there"
kill "$sleeper"
wait "$sleeper" || true
unmount mnt
