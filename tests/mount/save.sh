#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# -o save: what is loaded, handed over and removed is so after a remount as
# well; a SPEC that cannot be written refuses, and nothing is lost by it.
. "$(dirname "$0")/lib.sh"

stamped origin.img 1M
mkdir spec
origin_table "$work/origin.img" >spec/base.yaml
cow="{path: a.cow, create: true, size: 2MiB}"
{ echo "# the first one"; snapshot_table base "$cow"; } >spec/a.yaml
cp spec/a.yaml a.yaml

remount() {
  unmount mnt
  mount_snapfs spec mnt -o save
}
tables() { (cd spec && echo *.yaml); }
states() { "$SNAPFS" state -m mnt | tr '\n' ','; }

# Nothing is loaded, nothing is written.
find spec -name '*.yaml' -printf '%p %i %T@\n' | sort >before
mount_snapfs spec mnt -o save
find spec -name '*.yaml' -printf '%p %i %T@\n' | sort >after
same before after "the untouched SPEC"

# A load, by every way, with paths relative to SPEC.
snapshot_table base "{path: b.cow, create: true, size: 2MiB}" "# loaded" >b.yaml
"$SNAPFS" load -m mnt b.yaml
same spec/b.yaml b.yaml "the saved table"
snapshot_table base "{path: c.cow, create: true, size: 2MiB}" \
  >mnt/.control/tables/c.yaml
remount
eq "$(states)" "a: live,b: live,base: live,c: live," "states after a remount"
same mnt/.control/tables/b.yaml b.yaml "the table after a remount"

# Removals, by every way.
"$SNAPFS" remove -m mnt b
rm mnt/.control/tables/c.yaml
eq "$(tables)" "a.yaml base.yaml" "tables after removals"
must_fail "$SNAPFS" remove -m mnt base
contains "$text" "the saved table of a names base as its origin" "the reason"
remount
eq "$(states)" "a: live,base: live," "states after removals and a remount"

# A waiting table waits again, and nothing else, also with `now`.
snapshot_table base a.cow "mode: 0640" >new.yaml
"$SNAPFS" load -m mnt new.yaml
eq "$(tables)" "a.yaml base.yaml new.next.yaml" "tables with one that waits"
remount
eq "$(states)" "a: live,base: live,new: waiting for a," "states with one waiting"
"$SNAPFS" clear -m mnt new
eq "$(tables)" "a.yaml base.yaml" "tables after clear"
unmount mnt
{ cat new.yaml; echo "activate: now"; } >spec/new.next.yaml
mount_snapfs spec mnt -o save
eq "$(states)" "a: live,base: live,new: waiting for a," "now in NAME.next.yaml"

# The handover, with what was written before and after it.
printf before | dd of=mnt/a bs=4k conv=notrunc,fsync status=none
"$SNAPFS" suspend mnt/a
printf after | dd of=mnt/new bs=4k seek=1 conv=notrunc,fsync status=none
eq "$(tables)" "base.yaml new.yaml" "tables after the handover"
contains "$(cat spec/new.yaml)" "handover_from: a" "the saved table"
remount
eq "$(states)" "base: live,new: live," "states after handover and remount"
eq "$(dd if=mnt/new bs=6 count=1 status=none)" before "what was written before"
eq "$(dd if=mnt/new bs=4k skip=1 count=1 status=none | head -c 5)" after \
  "what was written after"
eq "$(stat -c %a mnt/new)" 640 "mode of the new table"

# Under its own name.
snapshot_table base a.cow "# the last" >new.yaml
"$SNAPFS" load -m mnt new.yaml
eq "$(tables)" "base.yaml new.next.yaml new.yaml" "tables with one that waits"
"$SNAPFS" suspend mnt/new
same spec/new.yaml new.yaml "the saved table"
eq "$(tables)" "base.yaml new.yaml" "tables after the handover"

# One that was resumed by hand is live after a remount, and not resumed again.
snapshot_table base "{path: m.cow, create: true, size: 2MiB}" \
  "activate: manual" >m.yaml
"$SNAPFS" load -m mnt m.yaml
eq "$(tables)" "base.yaml m.next.yaml new.yaml" "tables with a manual one"
remount
eq "$("$SNAPFS" state mnt/m)" loaded "a manual one after a remount"
"$SNAPFS" resume mnt/m
eq "$(tables)" "base.yaml m.yaml new.yaml" "tables with a resumed one"
remount
eq "$("$SNAPFS" state mnt/m)" live "a resumed one after a remount"
"$SNAPFS" remove mnt/m

# Two that are handed over together, together again after a remount.
snapshot_table base "{path: b.cow, create: true, size: 2MiB}" >b.yaml
"$SNAPFS" load -m mnt b.yaml
{
  echo "name: x" && snapshot_table base a.cow
  echo "---"
  echo "name: y" && snapshot_table base b.cow
} >both.yaml
"$SNAPFS" load -m mnt both.yaml
remount
"$SNAPFS" suspend mnt/new
eq "$("$SNAPFS" state mnt/x)" "waiting for new" "one of two, after one freeze"
"$SNAPFS" suspend mnt/b
eq "$(states)" "b: handed over to y,base: live,new: handed over to x,x: live,y: live," \
  "states of both"
"$SNAPFS" remove -m mnt new b
eq "$(tables)" "base.yaml x.yaml y.yaml" "tables of both"
remount
eq "$(states)" "base: live,x: live,y: live," "states of both after a remount"
"$SNAPFS" remove -m mnt y
unmount mnt

# What a daemon left that was killed between the renaming and the end of it.
snapshot_table base a.cow >spec/old.yaml
echo "handover_from: old" >>spec/x.yaml
mount_snapfs spec mnt
eq "$(states)" "base: live,x: live," "states without -o save"
eq "$(tables)" "base.yaml old.yaml x.yaml" "tables without -o save"
unmount mnt
mount_snapfs spec mnt -o save
eq "$(tables)" "base.yaml x.yaml" "tables with -o save"
! grep -q handover_from spec/x.yaml || fail "handover_from is still there"
unmount mnt

# A SPEC that cannot be written. The store is not lost.
mkdir small
mount -t tmpfs -o size=256k none small
cp spec/*.yaml small/
sed -i "s,a.cow,$work/spec/a.cow," small/x.yaml
mount_snapfs small mnt -o save
snapshot_table base "$work/spec/a.cow" >z.yaml
"$SNAPFS" load -m mnt z.yaml
dd if=/dev/zero of=small/filler bs=4k status=none 2>/dev/null || :
snapshot_table base "{path: $work/f.cow, create: true, size: 2MiB}" >f.yaml
must_fail "$SNAPFS" load -m mnt f.yaml
contains "$text" "No space left on device" "the reason"
[ ! -e f.cow ] || fail "a refused table has left its COW"
mount -o remount,ro small
must_fail "$SNAPFS" load -m mnt f.yaml
contains "$text" "Read-only file system" "the reason"
must_fail "$SNAPFS" suspend -m mnt x
contains "$text" "Read-only file system" "the reason"
must_fail "$SNAPFS" remove -m mnt x
eq "$(states)" "base: live,x: live,z: waiting for x," "states after refusals"
same <(dd if=mnt/x bs=4k count=1 status=none | head -c 6) <(printf before) \
  "the store after refusals"
# On a full one a handover goes through.
mount -o remount,rw small
"$SNAPFS" suspend -m mnt x
eq "$(cd small && echo *.yaml)" "base.yaml z.yaml" "tables after the handover"
unmount mnt
umount small

# A SPEC that is a file, with a table that waits in it.
{
  echo "name: base" && origin_table "$work/origin.img"
  echo "---"
  echo "name: a" && snapshot_table base spec/a.cow
} >vm.yaml
mount_snapfs vm.yaml mnt -o save
snapshot_table base spec/a.cow "activate: now" | "$SNAPFS" load -m mnt -n b -
"$SNAPFS" remove -m mnt a
snapshot_table base spec/a.cow | "$SNAPFS" load -m mnt -n c -
unmount mnt
mount_snapfs vm.yaml mnt -o save
eq "$(states)" "b: live,base: live,c: waiting for b," "states of a file"
"$SNAPFS" suspend -m mnt b
unmount mnt
mount_snapfs vm.yaml mnt
eq "$(states)" "base: live,c: live," "states of a file after the handover"
unmount mnt
