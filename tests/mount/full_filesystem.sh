#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A sparse COW on a file system that is full: an ext4, where space is missed when
# it is written, and a tmpfs. What the table asks for happens, and nothing is
# lost; also when somebody cuts the COW off and puts it right again.
. "$(dirname "$0")/lib.sh"
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

stamped origin.img 32M
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables
status() { cat mnt/.control/status/snap; }
somebody_waits() { ! status | grep -qx 'waiting_for_room: 0'; }
overwrite() {  # SEED
  "$TEST_IO" stamp $((32 << 20)) "$1" |
    dd of=mnt/base bs=64k oflag=direct iflag=fullblock conv=notrunc,fsync \
      status=none
}
# add LINES...: a snapshot whose COW is on the small file system
add() {
  snapshot_table base "{path: $work/small/snap.cow, create: true, size: 60MiB}" \
    "chunk_size: 4KiB" "$@" >$tables/snap.yaml
  before=$(sha mnt/snap)
}
full() {  # the rest of the small file system
  dd if=/dev/zero of=small/ballast bs=4k status=none 2>/dev/null || :
  sync -f small
}
remove() {
  eq "$(sha mnt/snap)" "$before" "the snapshot"
  "$SNAPFS" remove mnt/snap
  rm small/snap.cow
}

truncate -s 80M small.img
mkfs.ext4 -q -m 0 small.img
mkdir small
for kind in ext4 tmpfs; do
  case $kind in
    ext4) mount -o loop small.img small ;;
    tmpfs) mount -t tmpfs -o size=80M tmpfs small ;;
  esac

  # Refused at every allocation, there is room again, and so on.
  add "when_full: {refuse: origin}"
  for seed in 1 2 3; do
    full
    ! overwrite $seed 2>/dev/null || fail "$kind: written without space"
    eq "$(sha mnt/snap)" "$before" "$kind: the snapshot of a full file system"
    truncate -s $(($(stat -c %s small/ballast) - (4 << 20))) small/ballast
    dd if=mnt/base of=/dev/null bs=1M status=none
    contains "$(status_line mnt snap)" "/122880 " "$kind: status"
  done
  rm small/ballast
  overwrite 4
  remove

  add "when_full: {wait: 1h}"
  full
  overwrite 5 &
  writer=$!
  for i in 1 2 3; do
    wait_until somebody_waits
    truncate -s $(($(stat -c %s small/ballast) - (2 << 20))) small/ballast
  done
  rm small/ballast
  wait $writer || fail "$kind: the writer"
  same <("$TEST_IO" stamp $((32 << 20)) 5) mnt/base "$kind: the origin"
  remove

  # As the kernel: the origin's write goes on.
  add
  full
  overwrite 6
  eq "$(status_line mnt snap)" "0 65536 snapshot Invalid" "$kind: status"
  contains "$(status)" "No space left on device" "$kind: the reason"
  "$SNAPFS" remove mnt/snap
  rm small/snap.cow small/ballast
  umount small
done

# Every allocation fails once, for want of the page that the next try finds: of
# the new store, of chunks, and of areas of 64 records.
pages=1
more() {
  pages=$((pages + 1))
  mount -o remount,size=$((pages * 4))k small
}
mount -t tmpfs -o size=4k tmpfs small
truncate -s 1M small/snap.cow
snapshot_table base "$work/small/snap.cow" "chunk_size: 1KiB" \
  "when_full: {refuse: origin}" >small.yaml
until "$SNAPFS" load -m mnt -n snap small.yaml 2>/dev/null; do more; done
before=$(sha mnt/snap)
head -c 1024 /dev/urandom >data
for ((i = 0; i < 140; ++i)); do
  until dd if=data of=mnt/base bs=1k seek=$((3 * i)) oflag=dsync conv=notrunc \
    status=none 2>/dev/null; do
    ((i % 32)) || eq "$(sha mnt/snap)" "$before" "the snapshot at write $i"
    more
  done
done
# As many as are in use, and no more.
eq "$pages" "$(($(stat -c %b small/snap.cow) / 8))" "pages of the file system"
[ "$pages" -gt 35 ] || fail "only $pages pages were missing"
remove
umount small

# Cut off and put right: what is on the COW is kept aside meanwhile.
mkdir -p small
snapshot_table base "{path: $work/snap.cow, create: true, size: 60MiB}" \
  "chunk_size: 4KiB" >$tables/snap.yaml
before=$(sha mnt/snap)
dd if=/dev/zero of=mnt/base bs=1M count=8 conv=notrunc,fsync status=none
cp --sparse=always snap.cow kept.cow
truncate -s 4M snap.cow
must_fail dd if=/dev/zero of=mnt/base bs=1M seek=16 count=1 oflag=direct \
  conv=notrunc status=none
must_fail dd if=mnt/snap of=/dev/null bs=1M status=none
eq "$(stat -c %s snap.cow)" $((4 << 20)) "length of the COW"
contains "$(cat mnt/.control/errors)" "nothing new is written until" "errors"
dd if=kept.cow of=snap.cow bs=1M conv=notrunc status=none
truncate -s 60M snap.cow
dd if=/dev/zero of=mnt/base bs=1M seek=16 count=1 conv=notrunc,fsync status=none
eq "$(sha mnt/snap)" "$before" "the snapshot that was put right"

# Too short for what it holds, it is not loaded.
"$SNAPFS" remove mnt/snap
truncate -s 4M snap.cow
snapshot_table base "$work/snap.cow" >snap.yaml
must_fail "$SNAPFS" load -m mnt snap.yaml
contains "$text" "lies beyond the end of the device" "the error"
