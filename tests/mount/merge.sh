#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A snapshot that an ext4 works on, through a loop device, is merged into its
# origin by `snapfs merge`: the file system notices nothing, the origin's file
# shows the snapshot from the first instant, another snapshot keeps its content.
. "$(dirname "$0")/lib.sh"
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

stamped origin.img 64M
truncate -s 96M snap.cow other.cow
mkdir tables.d
origin_table "$work/origin.img" "mode: 0640" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" >tables.d/snap.yaml
snapshot_table base "$work/other.cow" "chunk_size: 16KiB" >tables.d/other.yaml
mount_snapfs tables.d mnt
control=mnt/.control
value() { sed -n "s/^$1: //p" $control/status/base; }
is_plain() { [[ $(status_line mnt base) == *" snapshot-origin"* ]]; }
has_merged() { [ "$(value merge_merged_chunks)" -ge "$1" ]; }
tail_of() { dd if="$1" bs=1M skip=40 iflag=direct status=none | sha256sum; }

# The file system is in the first 32 MiB; behind it lies what is compared.
attach mnt/snap
mkfs.ext4 -q "$loop" 32M
mkdir fs
mount "$loop" fs
dd if=/dev/urandom of=mnt/snap bs=1M count=8 seek=48 conv=notrunc,fsync \
  status=none
before=$(tail_of mnt/snap)
[ "$(tail_of mnt/base)" != "$before" ] || fail "there is nothing to merge"
other=$(sha mnt/other)

worker() {
  local i=0
  until [ -e stop ]; do
    "$TEST_IO" stamp 262144 $i >data
    dd if=data of=fs/file$((i % 8)) bs=64k conv=fsync status=none || return
    dd if=fs/file$((i % 8)) bs=64k iflag=direct status=none | cmp - data ||
      return
    i=$((i + 1))
    echo $i >rounds.new && mv rounds.new rounds
  done
}
echo 0 >rounds
worker >worker.log 2>&1 &
worker=$!
worked() { [ "$(cat rounds)" -gt "$1" ]; }
goes_on() {
  kill -0 $worker 2>/dev/null || fail "the worker gave up: $(cat worker.log)"
  wait_until worked "$(cat rounds)"
}
goes_on

# Whoever uses the origin's file is named, and it stays as it is.
exec 3<mnt/base
must_fail "$SNAPFS" merge -m mnt snap
contains "$text" "change the content of base under its users" "the refusal"
contains "$text" "open in $$ (" "the refusal"
exec 3<&-
snapshot_loop=$loop
attach mnt/base --read-only
must_fail "$SNAPFS" merge -m mnt --keep-name snap
contains "$text" "attached to $loop" "the refusal"
detach "$loop"
must_fail "$SNAPFS" merge -m mnt base
contains "$text" "base is no live snapshot" "an origin"
must_fail "$SNAPFS" merge -m mnt --rate fast snap
eq "$status" 1 "exit status with a wrong rate"
eq "$("$SNAPFS" state -m mnt | tr '\n' ,)" \
  "base: live,other: live,snap: live," "states after refusals"

# It begins, and is so slow that it does not end by itself here.
"$SNAPFS" merge -m mnt --rate 16KiB/s --keep-name snap
eq "$(tail_of mnt/base)" "$before" "the origin from the first instant"
eq "$(tail_of mnt/snap)" "$before" "the second name"
eq "$(stat -c %a mnt/base)" 640 "mode of the origin's file"
eq "$(value merge)" running "phase"
eq "$(value merge_rate)" 16384 "rate"
contains "$(cat $control/metrics)" 'snapfs_merge_total_bytes{device="base"}' \
  "the metrics"
goes_on
wait_until has_merged 8
total=$(value merge_total_chunks)
[ "$(value merge_merged_chunks)" -lt $((total / 2)) ] || fail "no rate limit"

# Paused, and no step is made.
"$SNAPFS" suspend -m mnt base
paused=$(value merge_merged_chunks)
eq "$(value merge)" suspended "phase"
sleep 0.7
eq "$(value merge_merged_chunks)" "$paused" "what is merged in a pause"
"$SNAPFS" resume -m mnt base
wait_until has_merged $((paused + 8))
goes_on

# What cannot be meanwhile.
must_fail "$SNAPFS" merge -m mnt other
contains "$text" "A snapshot is already merging: base" "a second merge"
must_fail "$SNAPFS" merge -m mnt snap
contains "$text" "snap is merging already" "the same again"

# Another rate; whoever waits sees how it goes, by either name.
"$SNAPFS" merge -m mnt --wait snap >plain.log &
follower=$!
# The terminal of script(1) takes a bar.
if command -v script >/dev/null; then
  script -qec "$SNAPFS merge -m mnt --wait base" /dev/null >bar.log </dev/null &
  bar=$!
fi
wait_until grep -q "^base: [0-9]* %, .* of " plain.log
"$SNAPFS" table -m mnt base | sed 's/^merge_rate: .*/merge_rate: 32MiB/' |
  "$SNAPFS" load -m mnt -n base -
eq "$(value merge_rate)" $((32 << 20)) "the new rate"
wait $follower || fail "merge --wait: status $?"
eq "$(tail -n 1 plain.log)" "base: merged" "the last line"
! grep -q $'\r' plain.log || fail "a bar without a terminal"
if [ -n "${bar:-}" ]; then
  wait "$bar" || fail "merge --wait on a terminal: status $?"
  grep -q '\[#* *\] [0-9]* %, .* MiB' bar.log || fail "no bar: $(cat bar.log)"
fi

# A plain origin, and the file system has noticed nothing.
is_plain || fail "no origin: $(status_line mnt base)"
contains "$(cat $control/log)" " merge base finished: $total chunks merged" \
  "the log"
eq "$("$SNAPFS" table -m mnt base)" "$(origin_table "$work/origin.img" "mode: 0640")" \
  "the table"
goes_on
touch stop
wait $worker || fail "the worker: $(cat worker.log)"
umount fs
e2fsck -fn "$snapshot_loop" >e2fsck.log || fail "the file system is damaged"
detach "$snapshot_loop"
eq "$(tail_of mnt/base)" "$before" "the origin after the merge"
eq "$(sha mnt/other)" "$other" "the other snapshot"
eq "$(cd $control/tables && echo *)" "base.yaml other.yaml" "tables"
"$SNAPFS" remove -m mnt snap
[ ! -e mnt/snap ] || fail "the second name is still there"

# The COW is free: for another table, and for who deletes it.
snapshot_table base "{path: $work/snap.cow, initialise: force}" |
  "$SNAPFS" load -m mnt -n again -
cmp mnt/again mnt/base || fail "the new snapshot"
"$SNAPFS" remove -m mnt again
rm snap.cow

# Who waits for one that is removed is told, and nothing is lost.
snapshot_table base "{path: $work/new.cow, create: true, size: 8MiB}" |
  "$SNAPFS" load -m mnt -n new -
dd if=/dev/urandom of=mnt/new bs=1M count=4 conv=notrunc,fsync status=none
content=$(sha mnt/new)
"$SNAPFS" merge -m mnt --rate 64KiB --force new
"$SNAPFS" merge -m mnt --wait base >removed.log 2>&1 &
follower=$!
wait_until grep -q "%" removed.log
"$SNAPFS" remove -m mnt new other
"$SNAPFS" remove -m mnt base
status=0
wait $follower || status=$?
eq "$status" 2 "exit status of --wait after a removal"
printf '%s\n' "target: snapshot-merge" "origin: $work/origin.img" \
  "cow: {path: $work/new.cow, stale: accept}" |
  "$SNAPFS" load -m mnt -n base -
wait_until is_plain
eq "$(sha mnt/base)" "$content" "the origin after the rest of the merge"
unmount mnt
eq "$(sha origin.img)" "$content" "the device"
