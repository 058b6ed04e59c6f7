#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# However a mount ends, what was promised is on the devices, and the daemon goes
# away: umount(8), umount2(2) with a file still mapped, SIGTERM, SIGKILL.
# SIGTERM with files open does not take them away.
. "$(dirname "$0")/lib.sh"

stamped origin.img 2M
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "{path: $work/snap.cow, create: true, size: 4MiB}" \
  >tables.d/snap.yaml
cp origin.img snap.expected
cp origin.img base.expected

generation=0
write_both() { # [dd operands]
  local name
  generation=$((generation + 1))
  "$TEST_IO" stamp 2097152 $generation >data
  for name in base snap; do
    for file in mnt/$name $name.expected; do
      dd if=data of="$file" bs=512 skip=$((generation * 50)) \
        seek=$((generation * 50)) count=100 conv=notrunc status=none "$@"
    done
  done
}
check() { # WHAT
  local name
  for name in base snap; do same mnt/$name $name.expected "$name $1"; done
}

mount_snapfs tables.d mnt
for field in "SOURCE $work/tables.d" "FSTYPE fuse.snapfs"; do
  eq "$(findmnt -n -o "${field% *}" mnt)" "${field#* }" "${field% *} of the mount"
done
write_both
umount mnt
wait_until gone "$daemon"

mount_snapfs tables.d mnt
check "after umount"
write_both
# A lazy unmount ends the daemon when the last user has gone.
exec 3<mnt/snap
umount --lazy mnt
kill -0 "$daemon" || fail "the daemon left a user behind"
same <(cat <&3) snap.expected "a file that is open after umount --lazy"
exec 3<&-
wait_until gone "$daemon"

mount_snapfs tables.d mnt
check "after umount --lazy"
write_both
kill -TERM "$daemon"
wait_until gone "$daemon"
! mountpoint -q mnt || fail "SIGTERM did not unmount"

mount_snapfs tables.d mnt
check "after SIGTERM"
exec 3<>mnt/snap
kill -TERM "$daemon"
write_both
wait_until grep -q "$(readlink -f mnt/snap)\|snap" mnt/.control/errors \
  mnt/.control/log
check "after SIGTERM with a file open"
exec 3<&-
umount mnt
wait_until gone "$daemon"

# A crash: what was synced is there, and the next mount has no quarrel with the
# dead.
mount_snapfs tables.d mnt
check "after SIGTERM with a file open, and umount"
write_both conv=notrunc,fsync
# A chunk that only the snapshot has written: its record is new as well.
for file in mnt/snap snap.expected; do
  dd if=data of="$file" bs=512 skip=3000 seek=3000 count=100 \
    conv=notrunc,fsync status=none
done
kill -KILL "$daemon"
wait_until gone "$daemon"
must_fail stat mnt/snap
umount mnt
mount_snapfs tables.d mnt
check "after SIGKILL"
unmount mnt

# Foreground.
"$SNAPFS" mount -f tables.d mnt &
foreground=$!
remember "$foreground"
wait_until mountpoint -q mnt
eq "$(cat mnt/.control/pid)" "$foreground" "the daemon in the foreground"
kill -TERM "$foreground"
wait $foreground || fail "status of a daemon that SIGTERM ended: $?"
! mountpoint -q mnt || fail "still mounted"
