#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# zeroing.sh on|off: what was zeroed or discarded with success reads as zeroes,
# nothing else changes, and what SEEK_HOLE calls a hole is one; through the file
# and through a loop device with that --direct-io.
. "$(dirname "$0")/lib.sh"
direct=${1:-on}

stamped origin.img 4M
cp origin.img reference.img
truncate -s 8M plain.cow zeroes.cow sibling.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/sibling.cow" >tables.d/sibling.yaml
snapshot_table base "$work/plain.cow" "chunk_size: 8" >tables.d/plain.yaml
snapshot_table base "$work/zeroes.cow" "chunk_size: 16KiB" \
  "features: [discard_zeroes_cow]" >tables.d/zeroes.yaml
mount_snapfs tables.d mnt

# put_zeroes FILE OFFSET BYTES
put_zeroes() {
  dd if=/dev/zero of="$1" bs=1M oflag=seek_bytes iflag=count_bytes \
    seek="$2" count="$3" conv=notrunc status=none
}

# Each hole that SEEK_HOLE shows must read as zeroes.
check_holes() {
  local kind at size
  # shellcheck disable=SC2094  # `extents` is an argument and a file
  "$TEST_IO" extents "$1" >extents
  while read -r kind at size; do
    [ "$kind" = data ] || cmp -n "$size" -i "$at:0" "$1" /dev/zero >&2 ||
      fail "$1: a hole at $at of $size bytes holds data"
  done <extents
  cp --sparse=always "$1" sparse.copy
  same sparse.copy "$1" "a sparse copy of $1"
}

# Holes of an origin are holes, until there is something in them.
truncate -s 4M sparse.img
dd if=reference.img of=sparse.img bs=64k skip=16 seek=16 count=16 conv=notrunc \
  status=none
truncate -s 8M sparse.cow
origin_table "$work/sparse.img" >mnt/.control/tables/sparse.yaml
snapshot_table sparse "$work/sparse.cow" "chunk_size: 64KiB" \
  >mnt/.control/tables/over.yaml
shape=$'hole 0 1048576\ndata 1048576 1048576\nhole 2097152 2097152'
eq "$("$TEST_IO" extents mnt/sparse)" "$shape" "extents of a sparse origin"
eq "$("$TEST_IO" extents mnt/over)" "$shape" "extents of its snapshot"
"$TEST_IO" stamp 65536 1 | dd of=mnt/over bs=64k seek=40 conv=notrunc status=none
"$TEST_IO" stamp 65536 1 | dd of=mnt/sparse bs=64k conv=notrunc status=none
for name in sparse over; do check_holes mnt/$name; done
contains "$("$TEST_IO" extents mnt/over)" "data 2621440 65536" \
  "extents of a snapshot that was written"
contains "$("$TEST_IO" extents mnt/sparse)" "data 0 65536" \
  "extents of an origin that was written"

# fallocate: 0 means zeroes, EOPNOTSUPP means that nothing happened. Ranges in
# bytes: whole chunks, parts of chunks, single sectors, odd bytes.
check_fallocate() {
  local name=$1 mode offset size result
  cp "mnt/$name" expected.img
  while read -r mode offset size; do
    result=$("$TEST_IO" fallocate "mnt/$name" "$mode" "$offset" "$size")
    case $mode,$result in
      zero,0 | punch,0) put_zeroes expected.img "$offset" "$size" ;;
      punch,EOPNOTSUPP) ;;
      *) fail "$name: fallocate $mode $offset $size answers $result" ;;
    esac
    same "mnt/$name" expected.img "$name after fallocate $mode $offset $size"
  done
  check_holes "mnt/$name"
}
ranges="zero 0 65536
zero 1049088 2560
zero 700000 12345
zero 2097152 524288
punch 131072 131072
punch 2097152 65536
punch 3146240 512
punch 3500001 1
zero 4193792 512"
check_fallocate plain <<<"$ranges"
check_fallocate zeroes <<<"$ranges"
same mnt/base reference.img "the origin after its snapshots were zeroed"
check_fallocate base <<<"$ranges"
same mnt/sibling reference.img "a snapshot after the origin was zeroed"

# Where dm would discard, the discard works: chunks with an exception.
"$TEST_IO" mmap-stamp mnt/zeroes 3145728 524288 9
eq "$("$TEST_IO" fallocate mnt/zeroes punch 3145728 524288)" 0 \
  "discard of chunks that have an exception, with discard_zeroes_cow"
eq "$("$TEST_IO" fallocate mnt/plain collapse 0 4096)" EOPNOTSUPP \
  "FALLOC_FL_COLLAPSE_RANGE"

# The same through loop devices. blkdiscard reports success even when the file
# below refused, so the content is all zeroes or all as before.
for name in plain zeroes base; do
  attach "mnt/$name" --direct-io="$direct"
  dd if=reference.img of="$loop" bs=1M oflag=direct conv=fsync status=none
  cp "mnt/$name" expected.img
  same expected.img reference.img "$name after it was written through loop"
  while read -r offset size; do
    blkdiscard -z -o "$offset" -l "$size" "$loop"
    put_zeroes expected.img "$offset" "$size"
    same <(dd if="$loop" bs=1M iflag=direct status=none) expected.img \
      "$loop on $name after blkdiscard -z"
  done <<<"0 524288
    1049088 512
    1572864 1048576"
  blkdiscard -o 3145728 -l 524288 "$loop" || true
  if cmp -s -n 524288 -i 3145728:0 "mnt/$name" /dev/zero; then
    put_zeroes expected.img 3145728 524288
  fi
  same "mnt/$name" expected.img "$name after blkdiscard"
  check_holes "mnt/$name"
  detach "$loop"
done
same mnt/sibling reference.img "a snapshot after the origin was discarded"

# Zeroes are as durable as data.
for name in plain zeroes sibling base; do sha "mnt/$name"; done >before
unmount mnt
mount_snapfs tables.d mnt
for name in plain zeroes sibling base; do sha "mnt/$name"; done >after
cmp before after
