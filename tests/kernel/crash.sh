#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# snapfs is killed while the origin is being written. Wherever that was, the
# kernel loads the COW and sees the origin as it was when the snapshot was
# taken, and so does the next snapfs.
. "$(dirname "$0")/lib.sh"

for round in 1 2 3 4; do
  chunk=$((1 << round))
  new_devices 4M 24576
  before=$(sha origin.img)
  "$TEST_IO" ops $((seed + round)) 100000 "$sectors" 64 1 |
    sed 's/^snap/origin/' >ops.list
  start P $chunk
  "$TEST_IO" replay mnt/snap mnt/origin <ops.list 2>replay.log &
  writer=$!

  # Killed when the store holds a random number of sectors.
  enough=$((100 + (seed + round) * 7919 % 4000))
  in_use() {
    local used
    used=$(status_line mnt snap)
    used=${used#* snapshot }
    [ "${used%%/*}" -ge "$enough" ]
  }
  wait_until in_use
  kill -KILL "$daemon"
  ! wait $writer || fail "the writer had ended before"
  wait_until gone "$daemon"
  umount mnt

  [ "$(sha origin.img)" != "$before" ] || fail "nothing had been written"
  in_kernel <<<"load P $chunk; report; unload" >kernels
  eq "$(sed -n 's/^snapshot_sha256 //p' kernels)" "$before" \
    "the snapshot in the kernel, after a crash with $enough sectors in use"
  start P $chunk
  report_ours >ours
  diff -u --label kernel kernels --label snapfs ours >&2 ||
    fail "snapfs does not see what the kernel saw"
  unmount mnt
done
