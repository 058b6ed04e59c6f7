#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# merge_save.sh: -o save while a snapshot is merged. Whenever the mount ends, the
# next one goes on from SPEC with the same names and the same content, and a
# table that names its origin by name does so, too.
. "$(dirname "$0")/lib.sh"

# Too slow to end by itself while somebody looks.
slow="merge_rate: 8KiB"
mkdir -p mnt
control=mnt/.control

# begin SPEC ORIGIN [LINE...]: a mount with a merge into the origin ORIGIN under
# way; $content is what base shows then
begin() {
  rm -rf spec
  mkdir spec
  stamped origin.img 4M
  rm -f snap.cow
  truncate -s 8M snap.cow
  if [ "$1" = spec ]; then
    origin_table "$work/origin.img" >spec/base.yaml
    snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" >spec/snap.yaml
  else
    {
      echo "name: base" && origin_table "$work/origin.img"
      echo "---"
      echo "name: snap" && snapshot_table base "$work/snap.cow" \
        "chunk_size: 4KiB"
    } >"$1"
  fi
  spec=$1
  mount_snapfs "$spec" mnt -o save
  dd if=/dev/urandom of=mnt/snap bs=64k count=16 seek=20 conv=notrunc,fsync \
    status=none
  content=$(sha mnt/snap)
  table=$(printf '%s\n' "target: snapshot-merge" "origin: $2" \
    "cow: $work/snap.cow" "${@:3}")
  printf '%s\n' "$table" "$slow" >$control/tables/base.yaml
}
remount() {
  unmount mnt
  mount_snapfs "$spec" mnt -o save
}
states() { "$SNAPFS" state -m mnt | tr '\n' ','; }
is_merging() { [[ $(status_line mnt base) == *" snapshot-merge "* ]]; }
merged() { sed -n 's/^merge_merged_chunks: //p' $control/status/base; }
total() { sed -n 's/^merge_total_chunks: //p' $control/status/base; }
is_plain() { [[ $(status_line mnt base) == *" snapshot-origin"* ]]; }
has_merged() { [ "$(merged)" -gt "$1" ]; }
left() { [ "$(total)" -lt 256 ]; }

# goes_on STATES: after a mount, half-way
goes_on() {
  is_merging || fail "the merge does not go on: $(status_line mnt base)"
  eq "$(states)" "$1" "states after a remount"
  eq "$(sha mnt/base)" "$content" "base after a remount"
}

# ends STATES: the rest of it, fast
ends() {
  printf '%s\n' "$table" >$control/tables/base.yaml
  wait_until is_plain
  eq "$(sha mnt/base)" "$content" "base after the merge"
  "$SNAPFS" table -m mnt base >base.text
  contains "$(cat base.text)" "target: snapshot-origin" "the table"
  remount
  is_plain || fail "no origin after a remount: $(status_line mnt base)"
  eq "$(states)" "base: live," "states after the merge and a remount"
  eq "$(sha mnt/base)" "$content" "base after the merge and a remount"
  unmount mnt
}

for where in spec vm.yaml; do
  for origin in base "$work/origin.img"; do
    # It waits at first: for the suspend, then for the mount after that.
    begin $where "$origin" "also_as: [snap]"
    eq "$(cat $control/state/base)" $'live\nnext: waiting for snap' "waiting"
    remount
    eq "$(states)" "base: live,snap: live," "states, waiting"
    eq "$(sha mnt/snap)" "$content" "the snapshot, waiting"
    "$SNAPFS" suspend -m mnt snap
    is_merging || fail "it does not merge"
    wait_until has_merged 1
    remount
    goes_on "base: live,snap: live,"
    eq "$(sha mnt/snap)" "$content" "the second name after a remount"
    left || fail "it has begun anew: $(total) chunks"
    ends
  done

  # Without a second name, at once; nobody else joins it.
  begin $where base "activate: now"
  "$SNAPFS" remove -m mnt snap
  snapshot_table base "{path: $work/o.cow, create: true, size: 1MiB}" >o.yaml
  must_fail "$SNAPFS" load -m mnt -n other o.yaml
  contains "$text" "a snapshot cannot be taken during a merge" "the refusal"
  wait_until has_merged 1
  remount
  goes_on "base: live,"
  ends

  # Resumed by hand: it is live again, and not resumed again.
  begin $where base "activate: manual"
  "$SNAPFS" suspend -m mnt snap
  "$SNAPFS" resume -m mnt base
  "$SNAPFS" remove -m mnt snap
  remount
  goes_on "base: live,"
  unmount mnt
done

# What a daemon leaves that was killed before the source's table was dropped.
begin spec base "also_as: [snap]" "activate: now"
saved=$(cat spec/base.yaml)
contains "$saved" "handover_from: snap" "the saved table"
unmount mnt
snapshot_table base "$work/snap.cow" >spec/snap.yaml
mount_snapfs spec mnt -o save
goes_on "base: live,snap: live,"
unmount mnt
eq "$(cd spec && echo *)" base.yaml "tables in SPEC"
