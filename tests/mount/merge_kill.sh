#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# merge_kill.sh COUNT kill|power [SEED]: ends the daemon COUNT times in the middle
# of merges, and mounts SPEC again each time: by kill -9, or by a power cut, which
# also loses what the devices have not been told to keep. The merge goes on, under
# the same names, and the origin, what was written to it meanwhile and another
# snapshot have the right content. Only ends count that found a merge which had
# made steps since the mount, and had some left.
. "$(dirname "$0")/lib.sh"

count=${1:?COUNT}
mode=${2:?kill or power}
seed=${3:-${SNAPFS_SEED:-1}}
[ "$seed" != random ] || seed=$((SRANDOM % 32768))
RANDOM=$seed
echo "seed $seed"

chunks=1024 # of 4 KiB
devices="origin.img snap.cow other.cow"
control=mnt/.control

value() { sed -n "s/^$1: //p" $control/status/base; }
is_merging() { [[ $(status_line mnt base) == *" snapshot-merge "* ]]; }
# Or has merged all there was.
has_merged() {
  local merged
  merged=$(value merge_merged_chunks)
  [ -z "$merged" ] || [ "$merged" -ge "$1" ]
}
has_ended() { ! is_merging; }

# For a power cut there are block devices: what has been written to them is in
# memory until it is flushed, and a copy of what is below has not got it.
plug_in() {
  local name
  [ "$mode" = power ] || return 0
  for name in $devices; do
    attach "$name.disk"
    ln -sfn "$loop" "$name"
  done
}

# No thread of it will do anything any more.
stands_still() { ! cat /proc/"$1"/task/*/stat | sed 's/.*) //' | grep -qv '^T'; }

end_daemon() {
  local name
  if [ "$mode" = power ]; then
    kill -STOP "$daemon"
    wait_until stands_still "$daemon"
    for name in $devices; do cp --sparse=always "$name.disk" "$name.cut"; done
  fi
  kill -KILL "$daemon"
  wait_until gone "$daemon"
  umount -l mnt
  [ "$mode" = power ] || return 0
  for name in $devices; do
    detach "$(readlink "$name")"
    mv "$name.cut" "$name.disk"
  done
  plug_in
}

# scribble FILE TIMES: random chunks of random data, durable; in `expected`, too
scribble() {
  local i place length
  for ((i = 0; i < $2; ++i)); do
    place=$((RANDOM % (chunks - 16)))
    length=$((1 + RANDOM % 16))
    head -c $((length * 4096)) /dev/urandom >data
    dd if=data of="$1" bs=4k seek=$place conv=notrunc,fsync status=none
    dd if=data of=expected bs=4k seek=$place conv=notrunc status=none
  done
}

# A new snapshot, with much to be merged, and the merge of it.
begin() {
  [ ! -e mnt/snap ] || "$SNAPFS" remove -m mnt snap
  dd if=/dev/zero of=snap.cow bs=1M count=1 conv=notrunc,fsync status=none
  snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" >snap.yaml
  "$SNAPFS" load -m mnt snap.yaml
  cp mnt/base expected
  scribble mnt/snap 40
  local options=(--rate $((256 + RANDOM % 512))KiB)
  [ $((RANDOM % 2)) -eq 0 ] || options+=(--keep-name)
  "$SNAPFS" merge -m mnt "${options[@]}" snap
  [ $((RANDOM % 2)) -eq 0 ] || scribble mnt/base 1
  merges=$((merges + 1))
}

check() {
  same mnt/base expected "seed $seed, end $ends: the origin"
  [ "$(sha mnt/other)" = "$other" ] ||
    fail "seed $seed, end $ends: the other snapshot differs"
  [ ! -e mnt/snap ] || ! is_merging || [ ! -e $control/tables/snap.yaml ] ||
    grep -q "second name" $control/tables/snap.yaml ||
    fail "seed $seed, end $ends: snap has a table"
}

mkdir spec mnt
for name in $devices; do
  file=$name
  [ "$mode" = kill ] || file=$name.disk
  if [ "$name" = origin.img ]; then
    stamped "$file" 4M
  else
    truncate -s 16M "$file"
  fi
done
cp origin.img* expected
plug_in
origin_table "$work/origin.img" >spec/base.yaml
snapshot_table base "$work/other.cow" "chunk_size: 16KiB" >spec/other.yaml

ends=0
merges=0
mount_snapfs spec mnt -o save
other=$(sha mnt/other)
while [ "$ends" -lt "$count" ]; do
  is_merging || begin
  [ $((RANDOM % 3)) -ne 0 ] || scribble mnt/base 1
  wait_until has_merged $((1 + RANDOM % 60))
  text=$(cat $control/status/base)
  end_daemon
  mount_snapfs spec mnt -o save
  # As many as the log still had.
  rest=$(value merge_total_chunks)
  if [[ $text == *" snapshot-merge "* ]] && [ "${rest:-0}" -gt 0 ]; then
    contains "$text" "merge: running" "the phase at the end"
    before=$(sed -n 's/^merge_total_chunks: //p' <<<"$text")
    merged=$(sed -n 's/^merge_merged_chunks: //p' <<<"$text")
    [ "$rest" -le $((before - merged + 64)) ] ||
      fail "seed $seed, end $ends: $merged of $before were merged, $rest are left"
    [ "$merged" -eq 0 ] || ends=$((ends + 1))
  fi
  check
done

# The last one to its end.
wait_until has_ended
check
unmount mnt
same origin.img expected "the device"
echo "$ends ends by $mode in $merges merges"
