#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# merge.sh COUNT kill|power: a merge that snapfs and the real kernel make in turn.
# Each goes on with what the other has left, is ended half-way, COUNT times in
# all, and both see the merged content whenever they look. snapfs ends by kill -9,
# or by a power cut that loses what had not been flushed; the kernel by being
# switched off. Only ends count that came after a step and had left something.
SNAPFS_SEED=${SNAPFS_SEED:-1}
. "$(dirname "$0")/lib.sh"
count=${1:?COUNT}
mode=${2:?kill or power}
RANDOM=$((seed % 32768))

# For a power cut there are block devices: what has been written to them is in
# memory until it is flushed, and a copy of what is below has not got it.
plug_in() {
  local name
  for name in origin snap; do
    ln -sfn "$work/$name.$([ $name = origin ] && echo img || echo cow)" $name
    [ "$mode" = power ] || continue
    attach "$(readlink $name)"
    ln -sfn "$loop" $name
  done
}
plug_out() {
  [ "$mode" = power ] || return 0
  detach "$(readlink origin)"
  detach "$(readlink snap)"
}

# No thread of it will do anything any more.
stands_still() { ! cat /proc/"$1"/task/*/stat | sed 's/.*) //' | grep -qv '^T'; }

value() { sed -n "s/^$1: //p" mnt/.control/status/origin; }
# Or all there was.
has_merged() {
  local merged
  merged=$(value merge_merged_chunks)
  [ -z "$merged" ] || [ "$merged" -ge "$1" ]
}

# A store with many exceptions, all over the place; $expected is what the snapshot
# shows.
begin() {
  chunk=$((8 << RANDOM % 2))
  new_devices 16M 65536
  seed=$((seed + 1))
  "$TEST_IO" ops $seed 2500 "$sectors" 8 1 >ops.list
  start P "$chunk"
  "$TEST_IO" replay mnt/snap mnt/origin "" 1 2500 <ops.list
  expected=$(sha mnt/snap)
  unmount mnt
  [ "$(sha origin.img)" != "$expected" ] || fail "there is nothing to merge"
  stores=$((stores + 1))
}

# The merge here. $rest: what there is left of it at the mount.
mount_merge() {
  mkdir -p merge.d
  plug_in
  printf '%s\n' "target: snapshot-merge" "origin: $work/origin" \
    "cow: $work/snap" "merge_rate: $1" >merge.d/origin.yaml
  mount_snapfs merge.d mnt
  rest=$(value merge_total_chunks)
  eq "$(sha mnt/origin)" "$expected" "$where: the origin here"
}

# Ended here, after a random number of chunks.
merge_here() {
  mount_merge 1MiB
  if [ "${rest:-0}" -eq 0 ]; then
    unmount_merge
    return 1
  fi
  wait_until has_merged $((1 + RANDOM % (rest > 200 ? 200 : rest)))
  if [ "$mode" = power ]; then
    kill -STOP "$daemon"
    wait_until stands_still "$daemon"
    cp origin.img origin.cut
    cp snap.cow snap.cut
  fi
  kill -KILL "$daemon"
  wait_until gone "$daemon"
  umount -l mnt
  plug_out
  [ "$mode" = power ] || return 0
  mv origin.cut origin.img
  mv snap.cut snap.cow
}

unmount_merge() {
  unmount mnt
  plug_out
}

# Off there, after a random number of chunks. The kernel has no limit: without a
# delay of each write to the origin it might have merged all before we first look.
# The table replaces that of the origin, as lvconvert does it.
merge_there() {
  in_kernel >kernels <<.
echo 0 >/boot/status # for the end, which comes at once
sync
insmod /usr/lib/uml/modules/\$(uname -r)/kernel/drivers/md/dm-delay.ko || exit 1
dmsetup create slow \
  --table "0 \$sectors delay /dev/ubda 0 0 /dev/ubda 0 10" || exit 1
slow=/dev/mapper/slow
dmsetup create origin --table "0 \$sectors snapshot-origin \$slow" || exit 1
dmsetup load origin \
  --table "0 \$sectors snapshot-merge \$slow /dev/ubdb P $chunk" || exit 1
dmsetup suspend origin && dmsetup resume origin || exit 1
in_use() { # allocated, less what the metadata takes
  set -- \$(dmsetup status origin)
  used=\${4%%/*}
  rest=\$((used - \$5))
}
in_use
echo "begin \$rest"
sum origin_sha256 origin
limit=\$((rest - $((chunk * (1 + RANDOM % 40)))))
[ \$limit -ge 0 ] || limit=0
while in_use; [ \$rest -gt \$limit ]; do :; done
echo "end \$rest"
poweroff -nf
.
  eq "$(sed -n 's/^origin_sha256 //p' kernels)" "$expected" \
    "$where: the origin in the kernel"
}

stores=0
ours=0
theirs=0
begin
while [ $((ours + theirs)) -lt "$count" ]; do
  where="seed $seed, kill $((ours + theirs))"
  if ! merge_here; then
    begin
    continue
  fi
  merge_there
  left=$(sed -n 's/^begin //p' kernels)
  if [ "$left" -eq 0 ]; then
    begin
    continue
  fi
  ours=$((ours + 1))
  mount_merge 4KiB
  unmount_merge
  if [ "${rest:-0}" -gt 0 ]; then
    [ "$left" -eq "$(sed -n 's/^end //p' kernels)" ] || theirs=$((theirs + 1))
  else
    begin
  fi
done

[ "$count" -lt 4 ] || [ "$theirs" -gt 0 ] || fail "the kernel never was half-way"

# To its end here, and a look at it there.
mount_merge 1GiB
wait_until has_merged 1000000
unmount_merge
eq "$(sha origin.img)" "$expected" "the origin at the end"
in_kernel <<<"load P $chunk; report; unload" >kernels
eq "$(sed -n 's/^snapshot_sha256 //p' kernels)" "$expected" \
  "the snapshot in the kernel, with nothing in it"
echo "$ours ends here, continued there; $theirs there, continued here;" \
  "$stores stores"
