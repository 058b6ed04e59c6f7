#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# An ordinary user mounts what that user may open, through fusermount3, and can
# do with it what root can; root's files stay out of reach.
. "$(dirname "$0")/lib.sh"
command -v fusermount3 >/dev/null || skip "needs fusermount3"
command -v unshare >/dev/null || skip "needs unshare"

# Below, in a mount namespace of the test's own, where everybody may open
# /dev/fuse: udev sees to that on Debian, but not in every container.
if [ "${1:-}" != inside ]; then
  unshare --mount --propagation private bash "$here/${0##*/}" inside
  exit 0
fi
forget_other_mounts
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
mkdir dev
mount -t tmpfs none dev
mknod -m 666 dev/fuse c 10 229
mount --bind dev/fuse /dev/fuse

mkdir -m 777 user
stamped user/origin.img 2M
cp user/origin.img reference.img
mkdir user/tables.d user/mnt
origin_table "$work/user/origin.img" >user/tables.d/base.yaml
snapshot_table base "{path: $work/user/snap.cow, create: true, size: 4MiB}" \
  >user/tables.d/snap.yaml
chown -R 65534:65534 user

as_user "$SNAPFS" mount user/tables.d user/mnt
daemon=$(as_user cat user/mnt/.control/pid)
daemons+=("$daemon")
eq "$(as_user stat -c '%u %g' user/snap.cow user/mnt/snap)" \
  $'65534 65534\n65534 65534' "owner of the COW and of the snapshot's file"
as_user dd if=/dev/zero of=user/mnt/base bs=64k count=4 conv=notrunc,fsync \
  status=none
same reference.img <(as_user cat user/mnt/snap) "the snapshot"
as_user cp user/tables.d/snap.yaml user/mnt/.control/tables/copy.yaml
echo suspend | as_user tee user/mnt/.control/state/snap >/dev/null
same reference.img <(as_user cat user/mnt/copy) "the snapshot's next life"
must_fail as_user cat user/mnt/snap
contains "$text" "Input/output error" "cat of what was handed over"
as_user sed 's/snap.cow/other.cow/' user/tables.d/snap.yaml |
  as_user tee user/mnt/.control/tables/other.yaml >/dev/null
same <(as_user cat user/mnt/base) <(as_user cat user/mnt/other) "a new snapshot"
as_user fusermount3 -u user/mnt
wait_until 10 gone "$daemon"

# Not what the user may not open.
truncate -s 4M root.cow
chmod 600 root.cow
sed -i "s|cow: .*|cow: $work/root.cow|" user/tables.d/snap.yaml
must_fail as_user "$SNAPFS" mount user/tables.d user/mnt
eq "$status" 32 "exit status of the mount ($text)"
contains "$text" "Permission denied" "the error"
