#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# merge_kill.sh COUNT: kills the daemon COUNT times (-9) at random moments
# of merges, and mounts SPEC again each time. The merge goes on, under the same
# names, and the origin, what was written to it meanwhile and another snapshot
# have the right content. Kills that found no merge under way do not count.
. "$(dirname "$0")/lib.sh"

count=${1:?COUNT}
seed=${SNAPFS_SEED:-1}
[ "$seed" != random ] || seed=$((SRANDOM % 32768))
RANDOM=$((seed % 32768))
echo "SNAPFS_SEED=$seed"

chunks=1024 # of 4 KiB
stamped origin.img 4M
mkdir spec mnt
origin_table "$work/origin.img" >spec/base.yaml
snapshot_table base "{path: other.cow, create: true, size: 16MiB}" \
  "chunk_size: 16KiB" >spec/other.yaml
cp origin.img expected
control=mnt/.control

value() { sed -n "s/^$1: //p" $control/status/base; }
is_merging() { [[ $(status_line mnt base) == *" snapshot-merge "* ]]; }

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
  rm -f spec/snap.cow
  snapshot_table base "{path: snap.cow, create: true, size: 16MiB}" \
    "chunk_size: 4KiB" >snap.yaml
  [ ! -e mnt/snap ] || "$SNAPFS" remove -m mnt snap
  "$SNAPFS" load -m mnt snap.yaml
  cp mnt/base expected
  scribble mnt/snap 40
  local options=(--rate $((256 + RANDOM % 512))KiB)
  [ $((RANDOM % 2)) -eq 0 ] || options+=(--keep-name)
  "$SNAPFS" merge -m mnt "${options[@]}" snap
  [ $((RANDOM % 2)) -eq 0 ] || scribble mnt/base 1
}

check() {
  same mnt/base expected "seed $seed, kill $kills: the origin"
  [ "$(sha mnt/other)" = "$other" ] ||
    fail "seed $seed, kill $kills: the other snapshot differs"
  [ ! -e mnt/snap ] || ! is_merging || [ ! -e $control/tables/snap.yaml ] ||
    grep -q "second name" $control/tables/snap.yaml ||
    fail "seed $seed, kill $kills: snap has a table"
}

kills=0
merges=0
merged_between=0
mount_snapfs spec mnt -o save
other=$(sha mnt/other)
while [ "$kills" -lt "$count" ]; do
  if ! is_merging; then
    begin
    merges=$((merges + 1))
  fi
  at_begin=$(value merge_merged_chunks)
  [ $((RANDOM % 3)) -ne 0 ] || scribble mnt/base 1
  sleep 0.$((RANDOM % 3))$((RANDOM % 10))
  text=$(cat $control/status/base)
  kill -KILL "$daemon"
  wait_until 20 gone "$daemon"
  umount -l mnt
  mount_snapfs spec mnt -o save
  # As many as the log still had.
  rest=$(value merge_total_chunks)
  if [[ $text == *" snapshot-merge "* ]] && is_merging; then
    before=$(sed -n 's/^merge_total_chunks: //p' <<<"$text")
    done=$(sed -n 's/^merge_merged_chunks: //p' <<<"$text")
    contains "$text" "merge: running" "the phase at the kill"
    if [ "$rest" -gt 0 ]; then
      kills=$((kills + 1))
      [ "$rest" -le $((before - done + 64)) ] ||
        fail "seed $seed, kill $kills: of $before chunks $done were merged, $rest are left"
      [ "$done" -le "${at_begin:-0}" ] || merged_between=$((merged_between + 1))
    fi
  fi
  check
done

# The last one to its end.
if is_merging; then
  "$SNAPFS" table -m mnt base | sed '/^merge_rate:/d' |
    "$SNAPFS" load -m mnt -n base -
  "$SNAPFS" merge -m mnt --wait base
fi
check
unmount mnt
same origin.img expected "the device"
echo "$kills kills in $merges merges; $merged_between of them had made steps"
[ "$count" -lt 5 ] || [ "$merged_between" -gt 0 ] || fail "nothing was merged"
