#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# mount(8) and umount(8) with the helpers installed, in a mount namespace of the
# test's own where /sbin has them: types, fstab lines, generic options, exit
# statuses, and that umount(8) returns when the devices are free.
. "$(dirname "$0")/lib.sh"
command -v unshare >/dev/null || skip "needs unshare"

# Below, inside of the namespace.
if [ "${1:-}" != inside ]; then
  unshare --mount --propagation private bash "$here/${0##*/}" inside
  exit 0
fi
forget_other_mounts

sbin=$(readlink -f /sbin)
mkdir real mnt
mount --bind "$sbin" real
mount -t tmpfs none "$sbin"
# With the machine's own programs again, and whatever the result is.
leave() {
  umount --lazy "$sbin" || :
  (exit "$1") || at_end
  at_end
}
trap 'leave $?' EXIT
for program in real/*; do ln -s "$work/$program" "$sbin/"; done
ln -sf "$SNAPFS" "$sbin/mount.snapfs"
ln -sf "$SNAPFS" "$sbin/umount.fuse.snapfs"

stamped origin.img 1M
origin_table "$work/origin.img" >base.yaml
printf '%s\n' "$work/base.yaml $work/mnt snapfs \
defaults,nofail,_netdev,noauto,noatime,users,x-systemd.automount,comment=hi 0 0" \
  >fstab

# mounted OPTION...: mounted, with these options in effect; unmounts with
# umount(8), which must have waited.
mounted() {
  local option pid
  eq "$(findmnt -n -o SOURCE,FSTYPE mnt | xargs)" \
    "$work/base.yaml fuse.snapfs" "source and type"
  for option in "$@"; do
    contains ",$(findmnt -n -o OPTIONS mnt)," ",$option," "options"
  done
  same mnt/base origin.img "the device"
  pid=$(cat mnt/.control/pid)
  remember "$pid"
  umount mnt
  gone "$pid" || fail "umount(8) returned before the daemon had ended"
  flock --nonblock origin.img true || fail "the device is still held"
}

mount -t snapfs base.yaml mnt
mounted rw nosuid nodev allow_other default_permissions
mount -t snapfs -o ro,noexec,noatime base.yaml mnt
mounted ro noexec noatime
mount -r -t snapfs base.yaml mnt
mounted ro
mount -n -v -t snapfs base.yaml mnt
mounted rw
mount -t snapfs.anything base.yaml mnt
mounted rw
# What mount.fuse(8) makes of the type fuse.snapfs.
"$SNAPFS" "$work/base.yaml" mnt -o rw,nofail,_netdev,dev,suid
mounted rw
mount --fstab "$work/fstab" mnt
mounted rw nosuid nodev noexec noatime
mount --fstab "$work/fstab" "$work/mnt"
mount --fstab "$work/fstab" --all # noauto: nothing more
mounted rw

# The helper's status is mount(8)'s.
must_fail mount -t snapfs -o wrong base.yaml mnt
eq "$status" 1 "status for an unknown option"
contains "$text" "unknown option: wrong" "the error"
mount -s -t snapfs -o wrong base.yaml mnt
mounted rw
must_fail mount -t snapfs missing.yaml mnt
eq "$status" 32 "status for a SPEC that is missing"
mount -f -t snapfs base.yaml mnt
! mountpoint -q mnt || fail "mount --fake has mounted"

# A mount in use is not unmounted, and its users are named.
mount -t snapfs base.yaml mnt
exec 3<mnt/base
must_fail umount mnt
eq "$status" 32 "status of umount(8) for a mount in use"
contains "$text" "$work/mnt/base is open in $$ (bash)" "the users"
mountpoint -q mnt || fail "unmounted in spite of an error"
exec 3<&-
attach mnt/base
must_fail umount mnt
contains "$text" "$work/mnt/base is attached to $loop" "the users"
detach "$loop"
mounted rw

# Lazy: the daemon stays for who has a file open.
mount -t snapfs base.yaml mnt
pid=$(cat mnt/.control/pid)
remember "$pid"
exec 3<mnt/base
umount --lazy mnt
! mountpoint -q mnt || fail "umount --lazy has not unmounted"
same <(cat <&3) origin.img "an open file after umount --lazy"
exec 3<&-
wait_until gone "$pid"

# Another name of the same mount keeps the daemon; umount(8) does not wait.
mkdir bind
mount -t snapfs base.yaml mnt
mount --bind mnt bind
pid=$(cat mnt/.control/pid)
remember "$pid"
umount mnt 2>said.log
contains "$(cat said.log)" "serves on" "what umount(8) says"
same bind/base origin.img "the bind mount"
umount bind
gone "$pid" || fail "umount(8) of the last mount has not waited"

# Written, not synced, and unmounted: it is there.
mount -t snapfs base.yaml mnt
"$TEST_IO" stamp 1048576 5 >data
cat data 1<>mnt/base
cmp mnt/base data
remember "$(cat mnt/.control/pid)"
umount mnt
cmp origin.img data
