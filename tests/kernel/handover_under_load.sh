#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# handover_under_load.sh COUNT: so many handovers, in turn under the same name
# and a new one, while fio writes and verifies the origin, an ext4 on a loop
# device works on one snapshot, and somebody writes and reads the other one by
# whatever name it has. Nobody gets an error, but for EIO under a name that has
# just lost its store; every byte is right, and the kernel says the same.
. "$(dirname "$0")/lib.sh"
handovers=${1:?number of handovers}
command -v fio >/dev/null || skip "needs fio"
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

new_devices 64M 262144
truncate -s 128M fs.cow
cp origin.img snap.view
start P 8
tables=mnt/.control/tables
states=mnt/.control/state
snapshot_table origin "$work/fs.cow" "chunk_size: 16" >$tables/fs.yaml
attach mnt/fs --direct-io=on
mkfs.ext4 -q "$loop"
mkdir fs
mount "$loop" fs
echo snap >name

# each WORKER: rounds of it until "stop" is there
each() {
  local round=0
  until [ -e stop ]; do
    "$1" $((++round)) || {
      echo "$1: round $round failed"
      return 1
    }
    echo $round >"$1.new" && mv "$1.new" "$1.rounds"
  done
}

verify_origin() {
  fio --name=origin --filename=mnt/origin --rw=randrw --bsrange=512-64k \
    --blockalign=512 --size=64m --io_size=4m --ioengine=libaio --iodepth=8 \
    --direct=$(($1 % 2)) --verify=crc32c --verify_fatal=1 --serialize_overlap=1 \
    --randseed=$((seed + $1)) --allow_file_create=0 --output=fio.log
}

work_in_fs() {
  local file=fs/file$(($1 % 16))
  "$TEST_IO" stamp 524288 "$1" >fs.data &&
    dd if=fs.data of="$file" bs=64k conv=fsync status=none &&
    mv "$file" "$file.moved" &&
    dd if="$file.moved" bs=64k iflag=direct status=none | cmp - fs.data
}

# What is acknowledged is in snap.view as well. A write that failed because its
# name had lost the store is done again under the new one.
use_snapshot() {
  local chunk=$(((seed + $1 * 7919) % 1024)) flag=$(($1 % 2)) current text
  local options=(bs=64k count=1 conv=notrunc,nocreat status=none)
  "$TEST_IO" stamp 65536 "$1" >snap.data
  while :; do
    current=$(cat name)
    text=$(dd if=snap.data of="mnt/$current" seek=$chunk "${options[@]}" \
      ${flags[flag]} 2>&1) && break
    refused_by_old_name "$current" "$text" || return
  done
  dd if=snap.data of=snap.view seek=$chunk "${options[@]}"
  chunk=$(((chunk + 511) % 1024))
  while :; do
    current=$(cat name)
    text=$({ dd if="mnt/$current" of=snap.found skip=$chunk bs=64k count=1 \
      status=none; } 2>&1) && break
    refused_by_old_name "$current" "$text" || return
  done
  cmp snap.found <(dd if=snap.view bs=64k skip=$chunk count=1 status=none)
}
flags=("" oflag=direct)

# refused_by_old_name NAME TEXT: is that why?
refused_by_old_name() {
  case $2 in
    *"Input/output error"* | *"No such file"*) ;;
    *) echo "$1: $2"; return 1 ;;
  esac
  # A name changes hands before anybody is told its successor.
  comes_true has_successor "$1" ||
    { echo "$1 still has its store, but: $2"; return 1; }
  echo "$1" >>refusals
}
has_successor() { [ "$(cat name)" != "$1" ]; }

# take_over OLD NEW LINE...: the store of OLD goes to NEW
take_over() {
  local cow=snap.cow
  [ "$1" != fs ] || cow=fs.cow
  snapshot_table origin "$work/$cow" "${@:3}" >$tables/"$2".yaml
  echo suspend >$states/"$1"
  eq "$(cat $states/"$2")" live "state of $2"
}

: >refusals
for worker in verify_origin work_in_fs use_snapshot; do
  echo 0 >$worker.rounds
  each $worker >$worker.log 2>&1 &
  workers+=($!)
done
for ((i = 0; i < handovers; ++i)); do
  old=$(cat name)
  features=("store: P" "store: PO" "features: [discard_zeroes_cow]")
  case $((i % 4)) in
    0) take_over fs fs "${features[i / 4 % 3]}" ;;
    2) take_over "$old" "$old" "${features[i / 4 % 3]}" ;;
    *)
      new=snap.$i # that there has not been, for has_successor
      take_over "$old" $new
      echo $new >name.new && mv name.new name
      eq "$(cat $states/"$old")" "handed over to $new" "state of $old"
      # It may be open at this moment, which is no obstacle.
      rm $tables/"$old".yaml
      ;;
  esac
  for worker in "${workers[@]}"; do
    kill -0 "$worker" 2>/dev/null || fail "gave up: $(tail -n 5 ./*.log)"
  done
done
# Everybody did something, and does it after the last one, too.
for worker in verify_origin work_in_fs use_snapshot; do
  did=$(cat $worker.rounds)
  went_on() { [ "$(cat $worker.rounds)" -gt "$did" ]; }
  wait_until went_on
done
touch stop
for worker in "${workers[@]}"; do
  wait "$worker" || fail "a worker failed: $(tail -n 5 ./*.log)"
done
echo "$handovers handovers; rounds: origin $(cat verify_origin.rounds)," \
  "ext4 $(cat work_in_fs.rounds), snapshot $(cat use_snapshot.rounds)," \
  "refused under an old name: $(wc -l <refusals)"

umount fs
e2fsck -fn "$loop" >e2fsck.log 2>&1 || fail "the file system is damaged"
detach "$loop"
name=$(cat name)
same "mnt/$name" snap.view "the snapshot"
if [ "$name" != snap ]; then
  take_over "$name" snap
  rm $tables/"$name".yaml
fi
report_ours >ours
echo "status $(status_line mnt fs)" >ours.fs
echo "snapshot_sha256 $(sha mnt/fs)" >>ours.fs
grep origin_sha256 ours >>ours.fs
unmount mnt
eq "$(sed -n 's/^snapshot_sha256 //p' ours)" "$(sha snap.view)" "the snapshot"
kernel_agrees P 8 "the store that changed its name"
mv fs.cow snap.cow
mv ours.fs ours
kernel_agrees P 16 "the store below the file system"
