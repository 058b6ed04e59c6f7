#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# kernel_reads_ours.sh CHUNK_SECTORS: random writes through a mounted snapshot
# and its origin leave a COW that the kernel loads with the same status line
# and the same content, also after zeroing. The lists are long enough to cross areas where the
# origin has chunks enough.
. "$(dirname "$0")/lib.sh"
chunk=${1:?chunk size in sectors}

for round in 1 2 3; do
  new_devices 4M 24576
  how=(fsync direct "")
  "$TEST_IO" ops $((seed + round)) 250 $sectors 256 1 >ops.list
  start P "$chunk"
  "$TEST_IO" replay mnt/snap mnt/origin "${how[round - 1]}" <ops.list
  report_ours >ours
  check_content ops.list "$chunk"
  "$TEST_IO" fallocate mnt/snap zero 1000000 300000 >/dev/null
  "$TEST_IO" fallocate mnt/snap punch 2097152 131072 >/dev/null
  "$TEST_IO" fallocate mnt/origin zero 123456 234567 >/dev/null
  report_ours >ours
  unmount mnt
  kernel_agrees P "$chunk" "round $round"
done

# With a chunk of one sector there are more than a hundred areas, with 8 there
# are some; and the kernel saw the last of them.
case $chunk in
  1) minimum=100 ;;
  8) minimum=3 ;;
  *) minimum=1 ;;
esac
metadata=$(awk '/^status/ { print $NF }' ours)
[ $((metadata / chunk - 1)) -ge $minimum ] ||
  fail "only $((metadata / chunk - 1)) areas are in use"
