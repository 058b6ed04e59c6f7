#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# full_stores.sh middle|area_end: stores that were left full, invalid and
# overflowed. The kernel finds the same state, the same usage and the same
# content as snapfs showed last, and snapfs finds it again. Chunks of 8 sectors;
# an origin of 1024 chunks.
. "$(dirname "$0")/lib.sh"

# chunk_ops COUNT: whole chunks far from each other, to both devices by turns
chunk_ops() {
  local i
  for ((i = 0; i < $1; ++i)); do
    ((i % 3)) && echo "snap $((i * 389 % 1024 * 8)) 8" ||
      echo "origin $((i * 389 % 1024 * 8)) 8"
  done
}

# case_of NAME STORE COW_CHUNKS STATUS < OPS
case_of() {
  local name=$1 store=$2 state=$4
  cat >ops.list
  new_devices 4M $(($3 * 8))
  start "$store" 8
  "$TEST_IO" replay mnt/snap mnt/origin <ops.list
  report_ours >ours
  eq "$(sed -n 's/^status 0 8192 snapshot //p' ours)" "$state" \
    "$name: status"
  check_content ops.list 8
  unmount mnt
  # Overflow is not on the disk: whoever loads the store sees it full.
  sed -i "s|Overflow|${full:-$(($3 * 8))/$(($3 * 8)) 16}|" ours
  kernel_agrees "$store" 8 "$name"
  start "$store" 8
  report_ours >again
  diff -u ours again >&2 || fail "$name: another mount sees something else"
  unmount mnt
}

refused() { echo "refused $(($1 * 8)) 8"; }
origin() { echo "origin $(($1 * 8)) 8"; }

# Full somewhere in an area: 40 chunks are the header, the area and 38
# exceptions.
middle() {
  case_of "full to the last chunk" P 40 "320/320 16" \
    <<<"$(chunk_ops 38)"
  case_of "invalid by a write to the snapshot" P 40 Invalid \
    <<<"$(chunk_ops 38; refused 1)"
  case_of "invalid by a write to the origin" P 40 Invalid \
    <<<"$(chunk_ops 38; origin 1; echo "origin 4096 256")"
  case_of "overflowed by a write to the snapshot" PO 40 Overflow \
    <<<"$(chunk_ops 38; refused 1; refused 50; origin 0)"
  case_of "overflowed, then invalid by a write to the origin" PO 40 Invalid \
    <<<"$(chunk_ops 38; refused 1; origin 1)"
  case_of "the smallest store that takes an exception" P 3 "24/24 16" \
    <<<"snap 0 8"
}

# Full where an area ends: it holds 256 records, and the last of them needs the
# next area on the device.
area_end() {
  case_of "one record short of an area" P 258 "2056/2064 16" \
    <<<"$(chunk_ops 255)"
  case_of "a full area, and the next at the end" P 259 "2072/2072 24" \
    <<<"$(chunk_ops 256)"
  case_of "one record in the second area" P 260 "2080/2080 24" \
    <<<"$(chunk_ops 257)"
  case_of "invalid in the second area" P 260 Invalid \
    <<<"$(chunk_ops 257; refused $((257 * 389 % 1024)))"

  # Where the kernel would make the snapshot invalid because the next area does
  # not fit, snapfs keeps the last chunk unused; what is there stays readable.
  full="2056/2064 16"
  case_of "a store without room for the next area" PO 258 Overflow \
    <<<"$(chunk_ops 255; refused $((255 * 389 % 1024)))"
}

case ${1:-both} in
  both)
    middle
    area_end
    ;;
  *) "$1" ;;
esac
