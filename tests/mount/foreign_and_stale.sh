#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A COW with somebody else's content, or a store that missed writes to its
# origin, is taken only when the table says so in so many words.
. "$(dirname "$0")/lib.sh"

stamped origin.img 2M
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml

# --- foreign content

truncate -s 16M ext4.cow
mkfs.ext4 -q -L precious ext4.cow
truncate -s 16M swap.cow
mkswap -q swap.cow
head -c 1M /dev/urandom >random.cow
while read -r name words; do
  before=$(sha "$name.cow")
  snapshot_table base "$work/$name.cow" >tables.d/snap.yaml
  refuse_mount tables.d "snap.yaml:3:" "$name.cow" "$words" "initialise"
  eq "$(sha "$name.cow")" "$before" "the refused $name.cow"
done <<<"ext4 ext4
swap swap
random Invalid or corrupt snapshot"

snapshot_table base "{path: $work/ext4.cow, initialise: force}" \
  >tables.d/snap.yaml
mount_snapfs tables.d mnt
same mnt/snap origin.img "a snapshot on a COW that was initialised by force"
dd if=/dev/zero of=mnt/snap bs=4k count=1 conv=notrunc status=none
used=$(sha mnt/snap)
unmount mnt

# By force means: if there is no store. A store is never thrown away.
mount_snapfs tables.d mnt
eq "$(sha mnt/snap)" "$used" "the store after another mount with force"
unmount mnt

# --- stale stores

snapshot_table base "{path: $work/stale.cow, create: true, size: 8MiB}" \
  >tables.d/snap.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables
cp origin.img reference.img

# Nothing was written to the origin meanwhile: the store is as good as ever.
rm $tables/snap.yaml
cp tables.d/snap.yaml $tables/snap.yaml
same mnt/snap reference.img "a snapshot that was away"
rm $tables/snap.yaml

# A write to the origin passes it by.
dd if=/dev/zero of=mnt/base bs=4k count=1 conv=notrunc,fsync status=none
before=$(sha stale.cow)
must_fail cp tables.d/snap.yaml $tables/snap.yaml
contains "$text" "Stale" "what cp says"
contains "$(cat mnt/.control/errors)" "stale: accept" "errors"
[ ! -e mnt/snap ] || fail "a stale store was loaded"
eq "$(sha stale.cow)" "$before" "the stale COW"

snapshot_table base "{path: $work/stale.cow, stale: accept}" >new
cp new $tables/snap.yaml
same mnt/snap mnt/base "the accepted snapshot, which holds nothing"
