#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The extremes: origins from less than a sector to exabytes, and COW devices that
# are just large enough for everything, or one chunk too short for that.
. "$(dirname "$0")/lib.sh"

mkdir spec huge
# A file system of memory, whose files may be as long as files can be.
mount -t tmpfs -o size=64M tmpfs huge

# A few chunks of COW are enough for an origin of any length. 1 KiB of it takes
# one chunk, beside the header and the first area: 12 %.
for size in 3G 4G 5G 4095G 15T 7E; do
  bytes=$(numfmt --from=iec $size)
  truncate -s "$bytes" huge/origin.img
  truncate -s 0 huge/snap.cow
  truncate -s 100K huge/snap.cow
  origin_table "$work/huge/origin.img" >spec/base.yaml
  snapshot_table base "$work/huge/snap.cow" "chunk_size: 8" >spec/snap.yaml
  mount_snapfs spec mnt
  eq "$(stat -c %s mnt/snap)" "$bytes" "length of a snapshot of $size"
  eq "$(timeout "$patience" "$TEST_IO" extents mnt/snap)" "hole 0 $bytes" \
    "extents of $size"
  "$TEST_IO" stamp 1024 1 | dd of=mnt/base bs=1k conv=notrunc,fsync status=none
  eq "$(status_line mnt snap)" "0 $((bytes / 512)) snapshot 24/200 16" \
    "$size: status"
  # At the other end of it.
  last=$((bytes / 4096 - 1))
  "$TEST_IO" stamp 4096 2 | dd of=mnt/base bs=4k seek=$last conv=notrunc status=none
  "$TEST_IO" stamp 4096 3 |
    dd of=mnt/snap bs=4k seek=$((last - 1)) conv=notrunc status=none
  unmount mnt
  mount_snapfs spec mnt
  eq "$(status_line mnt snap)" "0 $((bytes / 512)) snapshot 40/200 16" \
    "$size: status in the next mount"
  at() { dd if=mnt/"$1" bs=4k skip="$2" count=1 status=none; }
  same <(at base $last) <("$TEST_IO" stamp 4096 2) "$size: the end of the origin"
  same <(at snap $last) <(head -c 4096 /dev/zero) "$size: the end of the snapshot"
  same <(at snap $((last - 1))) <("$TEST_IO" stamp 4096 3) "$size: before it"
  same <(at snap 0) <(head -c 4096 /dev/zero) "$size: the begin of the snapshot"
  unmount mnt
  rm huge/origin.img
done

"$TEST_IO" stamp 131072 0 >old
"$TEST_IO" stamp 131072 4 >new
# What is no whole sector at the end is not there, as on a loop device.
for bytes in 512 1000 1536 130000; do
  head -c "$bytes" old >origin.img
  rm -f snap.cow
  truncate -s 1M snap.cow
  origin_table "$work/origin.img" >spec/base.yaml
  snapshot_table base "$work/snap.cow" "chunk_size: 64" >spec/snap.yaml
  mount_snapfs spec mnt
  whole=$((bytes / 512 * 512))
  eq "$(stat -c %s mnt/snap) $(stat -c %s mnt/base)" "$whole $whole" "lengths"
  cp mnt/snap before
  head -c $((whole - 100)) new >expected
  dd if=expected of=mnt/snap bs=1M conv=notrunc status=none
  tail -c 100 before >>expected
  same mnt/snap expected "a snapshot of $bytes bytes"
  same mnt/base before "an origin of $bytes bytes"
  unmount mnt
done
: >origin.img
refuse_mount spec "origin.img"

# Everything fits: the header, the areas and a copy of each chunk.
for chunk in 1 8 32; do
  chunks=100
  [ $chunk -gt 1 ] || chunks=96 # three full areas, and an empty one
  records=$((chunk * 32))
  areas=$((chunks / records + 1))
  for missing in 0 1; do
    cow=$((1 + areas + chunks - missing))
    stamped origin.img $((chunks * chunk * 512))
    rm -f snap.cow
    truncate -s $((cow * chunk * 512)) snap.cow
    origin_table "$work/origin.img" >spec/base.yaml
    snapshot_table base "$work/snap.cow" "chunk_size: $chunk" >spec/snap.yaml
    mount_snapfs spec mnt
    result=0
    "$TEST_IO" stamp $((chunks * chunk * 512)) 7 |
      dd of=mnt/snap bs=$((chunk * 512)) iflag=fullblock conv=notrunc,fsync \
        status=none 2>dd.log || result=$?
    found=$(status_line mnt snap)
    if [ $missing -eq 0 ]; then
      eq "$result" 0 "writing all of it"
      eq "${found#* snapshot }" \
        "$((cow * chunk))/$((cow * chunk)) $(((areas + 1) * chunk))" \
        "a COW that is just large enough, chunks of $chunk"
      same mnt/snap <("$TEST_IO" stamp $((chunks * chunk * 512)) 7) "the snapshot"
    else
      eq "$result ${found#* snapshot }" "1 Invalid" \
        "a COW that lacks one chunk, chunks of $chunk"
    fi
    unmount mnt
  done
done
