#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Three snapshots of one origin, with different chunk sizes and store types, and
# one of them shorter than the origin: the kernel loads them together and sees
# in each what snapfs showed.
. "$(dirname "$0")/lib.sh"

stamped origin.img 4M
mkdir tables.d plain
origin_table "$work/origin.img" >tables.d/origin.yaml
cp origin.img plain/origin
# NAME STORE CHUNK LENGTH, in sectors
list="one P 1 8192
two PO 8 4100
three P 128 8192"
while read -r name store chunk length; do
  snapshot_table origin "{path: $work/$name.cow, create: true, size: 12MiB}" \
    "store: $store" "chunk_size: $chunk" "length: $length" \
    >tables.d/"$name".yaml
  head -c $((length * 512)) origin.img >plain/"$name"
done <<<"$list"

# write_all DIR: each snapshot and the origin by turns
write_all() {
  local name length round=0
  while read -r name _ _ length; do
    "$TEST_IO" ops $((seed + ++round)) 60 "$length" 256 1 |
      "$TEST_IO" replay "$1/$name" "$1/origin"
  done <<<"$list"
}
mount_snapfs tables.d mnt
write_all mnt
write_all plain
for name in one two three; do
  same "mnt/$name" "plain/$name" "$name"
  echo "$name $(status_line mnt $name) $(sha mnt/$name)"
done >ours
unmount mnt

{
  disk=b
  while read -r name store chunk length; do
    echo "dmsetup create $name --table \
      '0 $length snapshot /dev/ubda /dev/ubd$disk $store $chunk' || exit 1"
    disk=$(tr b-y c-z <<<"$disk")
  done <<<"$list"
  for name in one two three; do
    echo "sha=\$(sha256sum </dev/mapper/$name)"
    echo "echo $name \$(dmsetup status $name) \${sha%% *}"
  done
  echo "dmsetup remove one two three"
} >job
"$kernel_dir/run-in-kernel" job origin.img one.cow two.cow three.cow >kernels ||
  fail "the job ended with $?: $(cat kernels)"
diff -u --label snapfs ours --label kernel kernels >&2 ||
  fail "the kernel does not see what snapfs showed"
