#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A snapshot that has become invalid, because its COW was full, is shown by
# `snapfs salvage`: all that is not listed is as it was, byte for byte, and what
# is listed are the places that the origin was written at since, and no others;
# after another mount, whatever has no record. The COW is never written to.
. "$(dirname "$0")/lib.sh"

stamped origin.img 16M
mkdir spec mnt
origin_table "$work/origin.img" >spec/base.yaml
snapshot_table base "{path: ../snap.cow, create: true, size: 1MiB}" \
  "chunk_size: 4KiB" >spec/snap.yaml
mount_snapfs spec mnt -o save

# overwrite FIRST COUNT: blocks of 4 KiB, in one write
overwrite() {
  head -c $(($2 * 4096)) /dev/urandom >data
  dd if=data of=mnt/base bs=$(($2 * 4096)) seek=$(($1 * 4096)) \
    oflag=seek_bytes conv=notrunc,fsync status=none
}
untrusted() { "$SNAPFS" salvage --list "$1"; }
is_valid() { [ "$(status_line mnt snap)" != "0 32768 snapshot Invalid" ]; }

# blocks FIRST COUNT...: as they are listed
blocks() {
  while [ $# -gt 0 ]; do
    echo "$(($1 * 4096)) $(($2 * 4096))"
    shift 2
  done
}

# all_else_is_old SALVAGE: what is not in the file `list` is as it was.
all_else_is_old() {
  local offset length file
  cat "$1" >shown
  cp old wanted
  while read -r offset length; do
    for file in shown wanted; do
      dd if=/dev/zero of=$file bs=512 seek=$((offset / 512)) \
        count=$((length / 512)) conv=notrunc status=none
    done
  done <list
  same shown wanted "what $1 shows and does not list"
}

# Two blocks of its own, one of them where the origin is written later.
for place in 1000 3000; do
  head -c 4096 /dev/urandom |
    dd of=mnt/snap bs=4k seek=$place conv=notrunc,fsync status=none
done
cp mnt/snap old
must_fail "$SNAPFS" salvage mnt/snap
contains "$text" "is in use by snap, which is valid" "the error"

# Until the COW is full.
last=0
while is_valid; do
  overwrite $last 16
  last=$((last + 16))
  [ $last -lt 1000 ] || fail "the COW never was full"
done
lost=$((last - 16))
[ $lost -gt 0 ] || fail "nothing was saved"
cow=$(sha snap.cow)
must_fail dd if=mnt/snap of=/dev/null bs=4k count=1 status=none

# Some of it again, and more elsewhere: half of block 2000, and both own blocks.
overwrite 0 8
overwrite 995 10
dd if=data of=mnt/base bs=2k seek=4001 count=1 conv=notrunc,fsync status=none

"$SNAPFS" salvage mnt/snap >report
eq "$(cat report)" \
  "$work/mnt/snap.salvage: $((16 * 4096 + 9 * 4096 + 2048)) bytes in 4 ranges are not to be trusted" \
  "what snapfs salvage says"
untrusted mnt/snap.salvage >list
{
  blocks $lost 16 995 5 1001 4
  echo "$((4001 * 2048)) 2048"
} >expected
diff -u expected list >&2 || fail "listed are other ranges"
all_else_is_old mnt/snap.salvage
eq "$(status_line mnt snap.salvage)" \
  "0 32768 snapshot-salvage 1952/2048 16 204" "the status"
contains "$(cat mnt/.control/metrics)" \
  'snapfs_untrusted_bytes{device="snap.salvage"}' "metrics"

# It can only be read.
must_fail dd if=/dev/zero of=mnt/snap.salvage bs=4k count=1 conv=notrunc
contains "$text" "Read-only file system" "the error of a write"
eq "$(stat -c %a mnt/snap.salvage)" 400 "its mode"
attach mnt/snap.salvage
same "$loop" mnt/snap.salvage "the loop device of it"
must_fail dd if=/dev/zero of="$loop" bs=4k count=1 conv=notrunc
detach "$loop"

# It follows the origin, also without the snapshot.
"$SNAPFS" remove mnt/snap
snapshot_table base "$work/snap.cow" >again.yaml
must_fail "$SNAPFS" load -m mnt again.yaml
contains "$text" "is in use by snap.salvage, which salvages it" "the error"
overwrite 2500 1
overwrite 3000 1 # which has a record
untrusted mnt/snap.salvage >list
{
  cat expected
  blocks 2500 1
} | diff -u - list >&2 || fail "listed are other ranges, later"
all_else_is_old mnt/snap.salvage
eq "$(sha snap.cow)" "$cow" "the COW"

# Another mount has not seen what was written meanwhile: what has no record is
# not trusted. Its table is in SPEC.
unmount mnt
mount_snapfs spec mnt -o save
eq "$(sed -n 's/^origin_writes: //p' mnt/.control/status/snap.salvage)" unknown \
  "what is known of the origin"
untrusted mnt/snap.salvage >list
blocks $lost $((1000 - lost)) 1001 1999 3001 1095 >expected
diff -u expected list >&2 || fail "listed are other ranges, in another mount"
all_else_is_old mnt/snap.salvage

# Together with the snapshot in one mount, and under another name.
unmount mnt
rm spec/snap.salvage.yaml
snapshot_table base ../snap.cow >spec/snap.yaml
mount_snapfs spec mnt
"$SNAPFS" salvage mnt/snap left >report
untrusted mnt/left | diff -u expected - >&2 || fail "listed under another name"
must_fail "$SNAPFS" salvage --list mnt/snap
contains "$text" "snap is no salvage" "the error"
must_fail "$SNAPFS" salvage mnt/base
contains "$text" "base is no live snapshot" "the error"
unmount mnt
eq "$(sha snap.cow)" "$cow" "the COW at the end"
