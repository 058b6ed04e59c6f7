#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# zeroing.sh on|off: what was zeroed or discarded with success reads as zeroes,
# nothing else changes, and what SEEK_HOLE calls a hole is one; through the file
# and through a loop device with that --direct-io.
. "$(dirname "$0")/lib.sh"
direct=${1:-on}

stamped origin.img 16M
cp origin.img reference.img
truncate -s 24M plain.cow zeroes.cow sibling.cow
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
zero 3000000 12345
zero 4194304 1048576
punch 131072 131072
punch 4194304 65536
punch 6291968 512
punch 7000001 1
zero 16776704 512"
check_fallocate plain <<<"$ranges"
check_fallocate zeroes <<<"$ranges"
same mnt/base reference.img "the origin after its snapshots were zeroed"
check_fallocate base <<<"$ranges"
same mnt/sibling reference.img "a snapshot after the origin was zeroed"

# Where dm would discard, the discard works: chunks with an exception.
"$TEST_IO" mmap-stamp mnt/zeroes 8388608 1048576 9
eq "$("$TEST_IO" fallocate mnt/zeroes punch 8388608 1048576)" 0 \
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
  done <<<"0 1048576
    2097664 512
    3145728 4194304"
  blkdiscard -o 8388608 -l 1048576 "$loop" || true
  if cmp -s -n 1048576 -i 8388608:0 "mnt/$name" /dev/zero; then
    put_zeroes expected.img 8388608 1048576
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
