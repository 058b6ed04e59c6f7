#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The real kernel loads the store of a snapshot that an origin was reverted to:
# half-way, after a kill, where the snapshot is right and the origin is not yet,
# and in the end, where both are.
. "$(dirname "$0")/lib.sh"

value() { sed -n "s/^$1: //p" mnt/.control/status/origin; }
has_reverted() { [ "$(value revert_reverted_chunks)" -ge "$1" ]; }
is_done() { [ -z "$(value revert)" ]; }
in_kernel_is() {
  in_kernel <<<"load P $chunk; report; unload" >kernels
  eq "$(sed -n 's/^snapshot_sha256 //p' kernels)" "$1" "$2: the snapshot there"
}

for chunk in 8 32; do
  new_devices 16M 65536
  "$TEST_IO" ops "$seed" 600 "$sectors" 8 1 >ops.list
  start P "$chunk"
  "$TEST_IO" replay mnt/snap mnt/origin "" 1 600 <ops.list
  expected=$(sha mnt/snap)
  [ "$(sha mnt/origin)" != "$expected" ] || fail "there is nothing to revert"
  "$SNAPFS" revert -m mnt --rate 32KiB snap
  eq "$(sha mnt/origin)" "$expected" "the origin"
  wait_until has_reverted 8
  kill -KILL "$daemon"
  wait_until gone "$daemon"
  umount -l mnt
  [ "$(sha origin.img)" != "$expected" ] || fail "it had ended already"
  in_kernel_is "$expected" "half-way"

  # And to the end, with other content in both then.
  start P "$chunk"
  eq "$(sha mnt/origin)" "$expected" "the origin afterwards"
  head -c 65536 /dev/urandom |
    dd of=mnt/origin bs=4k seek=17 conv=notrunc,fsync status=none
  head -c 65536 /dev/urandom |
    dd of=mnt/snap bs=4k seek=100 conv=notrunc,fsync status=none
  wait_until is_done
  origin=$(sha mnt/origin)
  snapshot=$(sha mnt/snap)
  unmount mnt
  eq "$(sha origin.img)" "$origin" "the device"
  in_kernel_is "$snapshot" "in the end"
  eq "$(sed -n 's/^origin_sha256 //p' kernels)" "$origin" "the origin there"
  # What it has written we read.
  start P "$chunk"
  eq "$(sha mnt/snap)" "$snapshot" "the snapshot here again"
  unmount mnt
done
