#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# An ordinary user mounts what that user may open, through fusermount3, and can
# do with it what root can; root's files stay out of reach.
. "$(dirname "$0")/lib.sh"
command -v fusermount3 >/dev/null || skip "needs fusermount3"
command -v unshare >/dev/null || skip "needs unshare"
[ -f /etc/fuse.conf ] || skip "needs /etc/fuse.conf"

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
remember "$daemon"
eq "$(sed -n 's/^Cap\(Eff\|Prm\):\t*0*//p' "/proc/$daemon/status" | xargs)" "" \
  "capabilities of the daemon"
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
wait_until gone "$daemon"

# For all to use, as far as the modes of the files go; .control is not.
cp /etc/fuse.conf fuse.conf
echo user_allow_other >>fuse.conf
mount --bind fuse.conf /etc/fuse.conf
as_third() { setpriv --reuid=65533 --regid=65533 --clear-groups "$@"; }
echo "mode: 0644" >>user/tables.d/base.yaml
as_user "$SNAPFS" mount user/tables.d user/mnt -o allow_other
daemon=$(as_user cat user/mnt/.control/pid)
remember "$daemon"
as_third cat user/mnt/base >/dev/null
must_fail as_third dd if=/dev/zero of=user/mnt/base count=1 conv=notrunc \
  status=none
contains "$text" "Permission denied" "another user writes"
must_fail as_third cat user/mnt/snap
contains "$text" "Permission denied" "another user reads a private device"
for path in "" tables/base.yaml tables/new.yaml status/base pid errors events \
  log metrics reload state/base; do
  must_fail as_third cat "user/mnt/.control/$path"
  contains "$text" "Permission denied" "another user at .control/$path"
done
must_fail as_third cp user/tables.d/base.yaml user/mnt/.control/tables/new.yaml
must_fail as_third ls user/mnt/.control
must_fail as_third rm user/mnt/.control/tables/base.yaml
as_user fusermount3 -u user/mnt
wait_until gone "$daemon"

# Not what the user may not open.
truncate -s 4M root.cow
chmod 600 root.cow
sed -i "s|cow: .*|cow: $work/root.cow|" user/tables.d/snap.yaml
must_fail as_user "$SNAPFS" mount user/tables.d user/mnt
eq "$status" 32 "exit status of the mount ($text)"
contains "$text" "Permission denied" "the error"
