#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Whoever follows the events sees each kind at once, with its device and its
# reason.
. "$(dirname "$0")/lib.sh"

stamped origin.img 4M
truncate -s 8M snap.cow
truncate -s 128K small.cow po.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" >tables.d/snap.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables

"$SNAPFS" events -m mnt >followed 2>follower.log &
follower=$!
cat mnt/.control/events >read &
reader=$!

# expect KIND DEVICE REASON: the followers see it without anything further
expect() {
  local follower
  for follower in followed read; do
    wait_until grep -qE "^[-0-9T:.]+Z $1 $2 .*$3" $follower
  done
}
# Until it is heard: both may not follow yet.
hears() {
  echo "target: none" 2>/dev/null >$tables/bad.yaml || :
  grep -q " refuse bad " followed && grep -q " refuse bad " read
}
wait_until hears

echo "target: snapshto" >bad.yaml
must_fail cp bad.yaml $tables/bad.yaml
expect refuse bad "snapshto"
snapshot_table base "$work/small.cow" "chunk_size: 4KiB" >$tables/small.yaml
expect load small "0 8192 snapshot .*small.cow P 8"
snapshot_table base "$work/snap.cow" >$tables/next.yaml
expect wait next "waiting for snap"
rm $tables/next.yaml
expect clear next "dropped"
snapshot_table base "$work/snap.cow" "activate: manual" >$tables/next.yaml
echo suspend >mnt/.control/state/snap
expect freeze snap "suspended"
echo resume >mnt/.control/state/next
expect handover next "took over the store of snap"
echo suspend >mnt/.control/state/base
echo resume >mnt/.control/state/base
expect resume base "resumed"
wait_until rm $tables/snap.yaml 2>/dev/null
expect remove snap "removed"
snapshot_table base "$work/po.cow" "chunk_size: 4KiB" "store: PO" \
  >$tables/po.yaml
must_fail dd if=/dev/zero of=mnt/po bs=64k count=4 conv=notrunc status=none
expect overflow po "full"
dd if=/dev/zero of=mnt/base bs=64k count=4 conv=notrunc,fsync status=none
expect invalid small "full"
expect invalid po "full"

# One that begins now finds nothing of all that, but it is in the log.
! timeout 1 cat mnt/.control/events | grep . || fail "old events"
grep -q " invalid small .*full" mnt/.control/log || fail "the log lacks it"
kill $follower $reader
wait $follower $reader || :
unmount mnt
