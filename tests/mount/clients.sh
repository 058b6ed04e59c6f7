#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The subcommands that stand for the control files, and the ways to name a
# device.
. "$(dirname "$0")/lib.sh"

stamped origin.img 1M
mkdir spec other
origin_table "$work/origin.img" >spec/base.yaml
truncate -s 1M other.img
origin_table "$work/other.img" >other/base.yaml
mount_snapfs spec mnt

# ls, status and table show what the files say.
"$SNAPFS" ls mnt >list
eq "$(awk 'NR == 2 { print $1, $2, $4, $5 }' list)" \
  "base 1048576 snapshot-origin live" "the line of base"
eq "$(wc -l <list)" 2 "lines of the list"
eq "$("$SNAPFS" ls -m mnt)" "$(cat list)" "ls -m"
eq "$("$SNAPFS" status -m mnt)" "$(head -n1 mnt/.control/status/base)" "status"
eq "$("$SNAPFS" status mnt/base)" "$(cat mnt/.control/status/base)" \
  "status of a device"
eq "$("$SNAPFS" table -m mnt base)" "$(cat spec/base.yaml)" "table"

# load: names, stdin, refusals with their reason.
"$SNAPFS" events -m mnt >events.log &
follower=$!
opened() { find "/proc/$follower/fd" -lname "$work/mnt/*" | grep -q .; }
wait_until opened
snapshot_table base "{path: one.cow, create: true, size: 1MiB}" >one.yaml
snapshot_table base "{path: two.cow, create: true, size: 1MiB}" >two.yaml
"$SNAPFS" load -m mnt one.yaml two.yaml
snapshot_table base "{path: three.cow, create: true, size: 1MiB}" |
  "$SNAPFS" load -m mnt -n three -
eq "$(cd mnt && echo *)" "base one three two" "the devices"
eq "$(ls spec)" $'base.yaml\none.cow\nthree.cow\ntwo.cow' "beside the SPEC"
"$SNAPFS" table -m mnt one two >both.yaml
eq "$(grep -c '^---$' both.yaml)" 1 "documents are told apart"
snapshot_table nowhere one.cow >bad.yaml
must_fail "$SNAPFS" load -m mnt bad.yaml
eq "$status" 2 "status of a table that is refused"
contains "$text" "bad.yaml:2:9: there is no origin named nowhere" "the reason"
must_fail "$SNAPFS" load -m mnt -
eq "$status" 1 "status without a name"
must_fail "$SNAPFS" load -m mnt -n .hidden one.yaml
contains "$text" "not a name" "the reason"
must_fail "$SNAPFS" load -m mnt missing.yaml
contains "$text" "missing.yaml" "the reason"

# remove: by path, by name, several, in use.
exec 3<mnt/one
must_fail "$SNAPFS" remove mnt/one
eq "$status" 2 "status for a device in use"
contains "$text" "one: Device or resource busy: " "the reason"
contains "$text" "open in $$ (bash)" "the reason"
exec 3<&-
"$SNAPFS" remove mnt/one
"$SNAPFS" remove -m mnt two three
eq "$(cd mnt && echo *)" base "the devices"
must_fail "$SNAPFS" remove -m mnt one
contains "$text" "No such file" "the reason"

# events came as they happened.
for event in "load one" "load three" "refuse bad" "remove two"; do
  wait_until grep -q " $event " events.log
done
kill "$follower"
wait "$follower" || true

# A symbolic link to a device's file names the device.
ln -s mnt/base link
eq "$("$SNAPFS" table ./link)" "$(cat spec/base.yaml)" "table of a link"
must_fail "$SNAPFS" table ./spec/base.yaml
contains "$text" "not a file of a mounted snapfs" "the reason"

# A name alone is enough while one snapfs is mounted: in a namespace of its own,
# since other tests mount, too.
cat >alone.sh <<'EOF'
set -eu
for mount in $(findmnt -n -o TARGET -t fuse.snapfs); do
  # Without a request to it: it is somebody else's, and may not answer.
  [ "$mount" = "$work/mnt" ] || umount --no-canonicalize --lazy "$mount"
done
"$SNAPFS" status base
mkdir -p mnt2
umount mnt
"$SNAPFS" status base && exit 9
exit 0
EOF
export work SNAPFS
unshare --mount --propagation private bash -e alone.sh >alone.log 2>&1 ||
  fail "status $? of: $(cat alone.log)"
contains "$(cat alone.log)" "base: 0 2048 snapshot-origin" "status of a name"
contains "$(cat alone.log)" "no snapfs is mounted" "status without a mount"

mount_snapfs other mnt2
must_fail "$SNAPFS" status base
contains "$text" "several are mounted, name one with -m:" "the reason"
contains "$text" "$work/mnt2" "the choice"
unmount mnt2

# An ordinary user has no business there.
must_fail setpriv --reuid=65534 --clear-groups "$SNAPFS" status -m mnt base
eq "$status" 2 "status for an ordinary user"
contains "$text" "Permission denied" "the reason"
unmount mnt
