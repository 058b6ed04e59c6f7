#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Mode and owner of a device's file are the table's, .control is its owner's
# alone, and it does not show in a listing.
. "$(dirname "$0")/lib.sh"

as_other() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

stamped origin.img 1M
mkdir tables.d
origin_table "$work/origin.img" >tables.d/plain.yaml
for name in group all; do
  truncate -s 2M $name.cow
done
snapshot_table plain "$work/group.cow" "mode: 0640" "uid: 4711" "gid: 65534" \
  >tables.d/group.yaml
snapshot_table plain "$work/all.cow" "mode: 0666" >tables.d/all.yaml
mount_snapfs tables.d mnt

eq "$(stat -c '%a %u %g' mnt/plain)" "600 0 0" "mode and owner by default"
eq "$(stat -c '%a %u %g' mnt/group)" "640 4711 65534" "mode and owner as told"
eq "$(stat -c '%a %u %g' mnt/all)" "666 0 0" "mode as told"
eq "$(stat -c '%a %u' mnt/.control)" "700 0" "mode of .control"
eq "$(stat -c '%a %u' mnt/.control/tables/plain.yaml)" "600 0" "mode of a table"

must_fail as_other cat mnt/plain
contains "$text" "Permission denied" "another user reads a private device"
as_other cat mnt/group >/dev/null
must_fail as_other dd if=/dev/zero of=mnt/group count=1 conv=notrunc status=none
contains "$text" "Permission denied" "the group writes"
as_other dd if=/dev/zero of=mnt/all count=1 conv=notrunc status=none
for path in "" /tables /tables/plain.yaml /status/plain /pid /errors /events; do
  must_fail as_other stat "mnt/.control$path/."
  must_fail as_other cat "mnt/.control$path"
  contains "$text" "Permission denied" "another user at .control$path"
done
must_fail as_other ls mnt/.control

# Reached by name only.
eq "$(cd mnt && find . | sort | tr '\n' ' ')" ". ./all ./group ./plain " \
  "what find sees"
[ -d mnt/.control/tables ] || fail "no .control"

# The mount can be somebody else's.
unmount mnt
mount_snapfs tables.d mnt -o uid=65534,gid=65534
eq "$(stat -c '%a %u %g' mnt/plain)" "600 65534 65534" "owner of the mount"
as_other cat mnt/.control/pid >/dev/null
as_other cat mnt/plain >/dev/null
