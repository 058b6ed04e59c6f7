#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# repaired_stores.sh CHUNK_SECTORS: the kernel loads a store that `repair` has
# copied, one that it has mended in place, and one whose metadata `restore` has
# brought back, with the content that it had before it was damaged, but for the
# chunks that were named.
. "$(dirname "$0")/lib.sh"
chunk=${1:?chunk size in sectors}

old_chunks() {
  "$SNAPFS" dump "$1" | awk '$1 == "record" { print $4 }' | sort
}

new_devices 4M 24576
"$TEST_IO" ops "$seed" 150 $sectors 256 1 >ops.list
{
  echo "load P $chunk"
  awk '{ print "op", $0, at + 0 } { at += $3 }' ops.list
  echo "report; unload"
} | in_kernel ops.list >kernels
cp snap.cow kernels.cow
chunk_bytes=$((chunk * 512))
status=0
"$SNAPFS" check snap.cow --origin origin.img || status=$?
eq "$status" 0 "status of the check of the kernel's store"

# As it was: restored over what was wiped.
# shellcheck disable=SC2094  # dump is a word here
"$SNAPFS" dump snap.cow --format json >dump
head -c $((2 * chunk_bytes)) /dev/zero | dd of=snap.cow conv=notrunc status=none
"$SNAPFS" restore dump snap.cow
cp kernels ours
kernel_agrees P "$chunk" "the restored store"

# A packed copy shows the same; its status line has no gaps either.
cp kernels.cow snap.cow
"$SNAPFS" repair snap.cow --output copy.cow
mv copy.cow snap.cow
kernel_agrees P "$chunk" "the copied store"

# Two records are lost. The kernel shows the origin there, and all else as it
# was: so does snapfs, mounted.
for how in copy in_place; do
  cp kernels.cow snap.cow
  # New chunks that are none, which the kernel itself would take.
  for slot in 1 4; do
    printf '\377\377\377\377\377\377\377\377' |
      dd of=snap.cow bs=1 seek=$((chunk_bytes + slot * 16 + 8)) conv=notrunc \
        status=none
  done
  must_fail "$SNAPFS" check snap.cow --origin origin.img
  eq "$status" 4 "status of the check ($text)"
  if [ $how = copy ]; then
    must_fail "$SNAPFS" repair snap.cow --output copy.cow
    mv copy.cow snap.cow
  else
    must_fail "$SNAPFS" repair snap.cow --in-place --backup "$how.dump"
  fi
  eq "$status" 1 "status of the repair ($text)"
  contains "$text" "2 left out" "the repair"
  "$SNAPFS" check snap.cow --origin origin.img

  start P "$chunk"
  report_ours >ours
  # What is in the snapshot comes from the origin in two chunks only.
  cp mnt/snap mended.view
  unmount mnt
  kernel_agrees P "$chunk" "the repaired store ($how)"
  "$TEST_IO" views "$chunk" "$bytes" snap.view origin.view <ops.list
  lost=$(comm -23 <(old_chunks kernels.cow) <(old_chunks snap.cow))
  eq "$(wc -l <<<"$lost")" 2 "chunks that were lost"
  for old in $lost; do
    dd if=origin.view of=snap.view bs="$chunk_bytes" skip="$old" seek="$old" \
      count=1 conv=notrunc status=none
  done
  same mended.view snap.view "the snapshot without the two chunks ($how)"
done
