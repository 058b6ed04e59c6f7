#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Stores that were full, and are not any more: extended by `when_full: grow`, or
# by somebody for whom writers waited, on a file system that was full, or after
# writes that were refused. The kernel finds the same usage and the same content
# as snapfs showed last. Chunks of 8 sectors; areas of 256 records are crossed.
SNAPFS_SEED=${SNAPFS_SEED:-1}
. "$(dirname "$0")/lib.sh"

value() { sed -n "s/^$1: //p" mnt/.control/status/snap; }
somebody_waits() { [ "$(value waiting_for_room)" != 0 ]; }
waits_or_ends() { somebody_waits || ! kill -0 "$1" 2>/dev/null; }

# begin COW_SECTORS WHEN_FULL: everything is to be written to both, all over
begin() {
  new_devices 4M "$1"
  "$TEST_IO" ops "$seed" 300 "$sectors" 8 1 >ops.list
  start P 8 "when_full: $2"
}

# end WHAT
end() {
  report_ours >ours
  check_content ops.list 8
  unmount mnt
  kernel_agrees P 8 "$1"
}

# By steps that are no whole chunks.
begin 80 "{grow: {step: 33KiB, max: 8MiB}}"
"$TEST_IO" replay mnt/snap mnt/origin <ops.list
[ "$(stat -c %s snap.cow)" -gt $((80 * 512)) ] || fail "the COW has not grown"
end "a store that was extended"

# By hand, each time somebody waits.
begin 80 "{wait: 1h}"
"$TEST_IO" replay mnt/snap mnt/origin <ops.list &
writer=$!
times=0
while
  wait_until waits_or_ends $writer
  kill -0 $writer 2>/dev/null
do
  truncate -s +33K snap.cow
  times=$((times + 1))
done
wait $writer || fail "the writer"
[ $times -gt 5 ] || fail "waited for $times times"
end "a store that was waited for"

# A sparse COW on a file system that is full.
mkdir small
mount -t tmpfs -o size=64k tmpfs small
kib=64
begin 8192 "{wait: 1h}"
unmount mnt
rm snap.cow
truncate -s 4M small/snap.cow
ln -s small/snap.cow snap.cow
start P 8 "when_full: {wait: 1h}"
"$TEST_IO" replay mnt/snap mnt/origin <ops.list &
writer=$!
while
  wait_until waits_or_ends $writer
  kill -0 $writer 2>/dev/null
do
  kib=$((kib + 36))
  mount -o remount,size=${kib}k small
done
wait $writer || fail "the writer on a full file system"
[ $kib -gt 400 ] || fail "the file system has $kib KiB"
mount -o remount,size=64m small
end "a store on a file system that was full"
rm snap.cow

# What is refused has left nothing.
begin 80 "{refuse: origin}"
: >done.list
while read -r name first count; do
  until dd if=<("$TEST_IO" data <<<"$name $first $count") of="mnt/$name" bs=512 \
    seek="$first" iflag=fullblock oflag=dsync conv=notrunc status=none \
    2>/dev/null; do
    truncate -s +33K snap.cow
    echo >>done.list
  done
done < <(head -n 60 ops.list)
[ -s done.list ] || fail "nothing was refused"
report_ours >ours
unmount mnt
kernel_agrees P 8 "a store with writes that were refused"
