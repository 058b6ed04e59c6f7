#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Snapshots of several origins that one file loads are of one point in time: a
# program counts on in one device and then in another, for ever, and in every
# group the first is ahead by one at most. So are handovers of a group.
. "$(dirname "$0")/lib.sh"

truncate -s 1M a.img b.img
mkdir spec
for name in a b; do origin_table "$work/$name.img" >spec/$name.yaml; done
mount_snapfs spec mnt
mkfifo go
"$TEST_IO" count mnt/a mnt/b <go >counted &
counter=$!
exec 3>go

value() { od -An -tu8 -N8 "$1" | tr -d ' '; }
# group LINES...: both snapshots in one text
group() {
  local name
  for name in a b; do
    printf -- '---\nname: %s\n' "${prefix:-}snap-$name"
    snapshot_table $name "$work/$name.cow" "$@"
  done
}
has_counted() { [ "$(value mnt/b)" -gt "$1" ]; }

ahead=0
for round in {1..25}; do
  rm -f a.cow b.cow
  truncate -s 2M a.cow b.cow
  wait_until has_counted "$(value mnt/b)"
  group "chunk_size: 8" >group.yaml
  "$SNAPFS" load -m mnt group.yaml
  a=$(value mnt/snap-a)
  b=$(value mnt/snap-b)
  [ "$a" -eq "$b" ] || [ "$a" -eq $((b + 1)) ] ||
    fail "round $round: one counts $a and the other $b"
  ahead=$((ahead + a - b))
  wait_until has_counted "$(value mnt/b)"
  # Both go to other names when the last of the two is suspended.
  prefix=new- group >group.yaml
  "$SNAPFS" load -m mnt group.yaml
  "$SNAPFS" suspend -m mnt snap-a
  [ ! -e mnt/new-snap-a ] || fail "one was handed over before the other"
  "$SNAPFS" suspend -m mnt snap-b
  eq "$(value mnt/new-snap-a) $(value mnt/new-snap-b)" "$a $b" \
    "what they show after the handover"
  "$SNAPFS" remove -m mnt snap-a snap-b
  "$SNAPFS" remove -m mnt new-snap-a new-snap-b
done
exec 3>&-
wait $counter || fail "the program that counts"
eq "$(value mnt/a) $(value mnt/b)" "$(cat counted)" "the origins"
echo "25 groups, in $ahead of which the first was ahead"
