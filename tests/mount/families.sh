#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Two origins with three snapshots each, P, PO and N, of different chunk sizes:
# random writes to all of them give exactly what the same writes give on plain
# copies. Both families are written at the same time.
. "$(dirname "$0")/lib.sh"
seed=${SNAPFS_SEED:-1}
[ "$seed" != random ] || seed=$RANDOM
echo "SNAPFS_SEED=$seed"

mkdir tables.d plain
chunks=(1 8 128)
stores=(P PO N)
for family in a b; do
  stamped $family.img 4M
  cp $family.img plain/$family
  origin_table "$work/$family.img" >tables.d/$family.yaml
  for i in 0 1 2; do
    cp $family.img plain/$family$i
    snapshot_table $family "{path: $work/$family$i.cow, create: true, size: 12MiB}" \
      "store: ${stores[i]}" "chunk_size: ${chunks[i]}" \
      >tables.d/$family$i.yaml
  done
done
mount_snapfs tables.d mnt
eq "$(cd mnt && echo *)" "a a0 a1 a2 b b0 b1 b2" "the files"

# write_family DIR FAMILY: each snapshot and the origin by turns
write_family() {
  local round i
  for round in 1 2; do
    for i in 0 1 2; do
      "$TEST_IO" ops $((seed + round * 10 + i)) 60 8192 256 1 |
        "$TEST_IO" replay "$1/$2$i" "$1/$2" "${3:-}"
    done
  done
}
write_family plain a
write_family plain b
write_family mnt a &
first=$!
write_family mnt b direct
wait $first
for file in plain/*; do
  same "mnt/${file#plain/}" "$file" "${file#plain/}"
done

# What lasts, lasts. A transient snapshot begins anew.
cp plain/a plain/a2
cp plain/b plain/b2
unmount mnt
same a.img plain/a "the raw origin"
mount_snapfs tables.d mnt
for file in plain/*; do
  same "mnt/${file#plain/}" "$file" "${file#plain/} after a remount"
done
