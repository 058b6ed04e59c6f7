#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every ordinary way to read and write a file works on a device's file, each
# sees what the others wrote, and the origin and its snapshot stay apart.
. "$(dirname "$0")/lib.sh"

stamped origin.img 8M
cp origin.img reference.img
truncate -s 16M snap.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 8KiB" >tables.d/snap.yaml
mount_snapfs tables.d mnt
cp origin.img expected.img

eq "$(stat -c '%s %F' mnt/snap)" "8388608 regular file" "stat of the snapshot"
eq "$(stat -c '%s' mnt/base)" 8388608 "size of the origin"

# Whole files, in and out. O_TRUNC is taken and cuts nothing off.
"$TEST_IO" stamp 8388608 5 >new.img
cp new.img mnt/snap
same mnt/snap new.img "the snapshot after cp"
cp mnt/snap copy.img
same copy.img new.img "a copy of the snapshot"
same mnt/base reference.img "the origin after cp to the snapshot"
head -c 100000 reference.img | cat >mnt/snap
eq "$(stat -c %s mnt/snap)" 8388608 "size after a short cat"
cp new.img expected.img
dd if=reference.img of=expected.img bs=100000 count=1 conv=notrunc status=none
same mnt/snap expected.img "the snapshot after a short cat"

# write_both ARGUMENTS: the same dd into the file and into the model.
generation=10
write_both() { # FIRST_SECTOR SECTORS [dd operands]
  "$TEST_IO" stamp 8388608 $((++generation)) >data
  dd if=data of=expected.img bs=512 skip="$1" seek="$1" count="$2" \
    conv=notrunc status=none
  dd if=data of=mnt/snap bs=512 skip="$1" seek="$1" count="$2" \
    conv=notrunc status=none "${@:3}"
}
write_both 0 1 oflag=direct
write_both 17 100 oflag=dsync
write_both 1000 700
write_both 1100 3 oflag=direct
write_both 16383 1
dd if=data of=mnt/snap bs=1M seek=3 skip=3 count=2 conv=notrunc,fsync status=none
dd if=data of=expected.img bs=1M seek=3 skip=3 count=2 conv=notrunc status=none
dd if=data of=mnt/snap bs=1M seek=6 skip=6 count=1 oflag=direct \
  conv=notrunc,fdatasync status=none
dd if=data of=expected.img bs=1M seek=6 skip=6 count=1 conv=notrunc status=none
same mnt/snap expected.img "the snapshot, cached"
same <(dd if=mnt/snap bs=1M iflag=direct status=none) expected.img \
  "the snapshot, O_DIRECT"
same <(dd if=mnt/snap bs=512 iflag=direct status=none) expected.img \
  "the snapshot, O_DIRECT by the sector"

# Writes of odd sizes at odd places are whole bytes exact.
printf 'odd bytes' | tee data |
  dd of=mnt/snap bs=9 seek=4000001 oflag=seek_bytes conv=notrunc status=none
dd if=data of=expected.img bs=9 seek=4000001 oflag=seek_bytes conv=notrunc \
  status=none
same mnt/snap expected.img "the snapshot after an unaligned write"

# Shared mappings, and what they see of write(2) and the other way round.
"$TEST_IO" mmap-stamp mnt/snap 2097152 65536 77
"$TEST_IO" mmap-stamp expected.img 2097152 65536 77
same <(dd if=mnt/snap bs=1M iflag=direct status=none) expected.img \
  "the snapshot after it was written through a mapping"
write_both 4096 128 oflag=direct
"$TEST_IO" mmap-cat mnt/snap 0 8388608 >mapped.img
same mapped.img expected.img "the mapped snapshot"
same mnt/base reference.img "the origin after all this"

# The origin in the same ways; the snapshot does not see it.
"$TEST_IO" stamp 8388608 99 >data
dd if=data of=mnt/base bs=1M count=4 oflag=direct conv=notrunc status=none
dd if=data of=mnt/base bs=64k skip=64 seek=64 count=32 conv=notrunc,fsync \
  status=none
"$TEST_IO" mmap-stamp mnt/base 6291456 2097152 99
same mnt/base data "the origin"
same mnt/snap expected.img "the snapshot after the origin was overwritten"

unmount mnt
same origin.img data "the raw origin"
mount_snapfs tables.d mnt
same mnt/snap expected.img "the snapshot after a remount"
