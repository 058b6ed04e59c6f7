#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A device's file has one size: reads end there, writes past it find no space,
# and neither truncate nor creating, renaming and deleting files is possible.
. "$(dirname "$0")/lib.sh"

bytes=$((1024 * 1024 + 512))
"$TEST_IO" stamp $bytes 0 >origin.img
truncate -s 4M snap.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" >tables.d/snap.yaml
mount_snapfs tables.d mnt

for name in base snap; do
  file=mnt/$name
  cp "$file" before
  eq "$(stat -c %s "$file")" $bytes "size of $name"
  eq "$("$TEST_IO" pread "$file" $bytes 4096)" 0 "a read at the end"
  eq "$("$TEST_IO" pread "$file" $((bytes + 1000000)) 1)" 0 "a read far beyond"
  eq "$("$TEST_IO" pread "$file" $((bytes - 100)) 4096)" 100 "the last bytes"
  eq "$("$TEST_IO" pwrite "$file" $bytes 1)" ENOSPC "a write at the end"
  eq "$("$TEST_IO" pwrite "$file" $((bytes + 4096)) 512)" ENOSPC "a write beyond"
  eq "$("$TEST_IO" pwrite "$file" $((bytes - 100)) 200)" 100 "a write across"
  must_fail dd if=/dev/zero of="$file" bs=64k conv=notrunc status=none
  contains "$text" "No space left" "dd past the end"
  eq "$(stat -c %s "$file")" $bytes "size after writes past the end"
  same <(head -c $((bytes - 100)) "$file") \
    <(head -c $((bytes - 100)) /dev/zero) "what dd wrote before the end"

  eq "$("$TEST_IO" ftruncate "$file" $bytes)" 0 "truncate to the own size"
  for size in 0 1 $((bytes - 1)) $((bytes + 512)); do
    eq "$("$TEST_IO" ftruncate "$file" "$size")" EPERM "truncate to $size"
  done
  cp before "$file"
  : >"$file"
  same "$file" before "$name after O_TRUNC"
  case $("$TEST_IO" fallocate "$file" allocate 0 4096) in
    0 | EOPNOTSUPP) ;;
    *) fail "fallocate of what is there" ;;
  esac
  same "$file" before "$name after fallocate"

  must_fail rm "$file"
  contains "$text" "not permitted" "rm"
  must_fail mv "$file" mnt/other
  contains "$text" "not permitted" "mv"
done
must_fail touch mnt/new
contains "$text" "not permitted" "touch of a new file"
must_fail mkdir mnt/new
contains "$text" "not permitted" "mkdir"
must_fail ln -s base mnt/new
must_fail ln mnt/base mnt/new
eq "$(cd mnt && echo *)" "base snap" "the files"
same mnt/base mnt/snap "the snapshot"

# A device that its table makes read-only, and a read-only mount.
origin_table "$work/origin.img" "read_only: true" >tables.d/base.yaml
unmount mnt
mount_snapfs tables.d mnt
eq "$("$TEST_IO" pread mnt/base 0 512)" 512 "a read of a read-only origin"
must_fail dd if=/dev/zero of=mnt/base bs=512 count=1 conv=notrunc status=none
dd if=/dev/zero of=mnt/snap bs=512 count=1 conv=notrunc,fsync status=none
unmount mnt
mount_snapfs tables.d mnt -o ro
must_fail dd if=/dev/zero of=mnt/snap bs=512 count=1 conv=notrunc status=none
contains "$text" "Read-only" "a write to a read-only mount"
