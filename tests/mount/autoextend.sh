#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# contrib/snapfs-autoextend: what it does at thresholds, when a COW is full, and
# after an overflow. lvextend is a script here that makes a loop device longer.
. "$(dirname "$0")/lib.sh"
script=$(realpath "$here/../../contrib/snapfs-autoextend")

cat >lvextend <<'END'
#!/bin/sh
# lvextend --extents +20%LV DEVICE | --size +SIZE DEVICE
echo "$*" >>calls
[ ! -e broken ] || exit 5
file=$(losetup -n -O BACK-FILE "$3")
truncate -s "+$(($(stat -c %s "$file") / 5 / 4096 * 4096))" "$file"
losetup --set-capacity "$3"
END
chmod +x lvextend
touch calls said
calls() { wc -l <calls; }

stamped origin.img 32M
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
for name in waits overflows other; do
  truncate -s 1M $name.cow
  attach $name.cow
  # shellcheck disable=SC2034  # read by name
  declare "$name=$loop"
  case $name in
    waits) lines=("when_full: {wait: 1h}" "thresholds: [80, 95]") ;;
    overflows) lines=("store: PO" "thresholds: []") ;;
    other) lines=("store: PO" "when_full: {refuse: origin}" "length: 4KiB") ;;
  esac
  snapshot_table base "$loop" "chunk_size: 4KiB" "${lines[@]}" \
    >tables.d/$name.yaml
done
mount_snapfs tables.d mnt

# Only said.
dd if=/dev/zero of=mnt/waits bs=4k count=210 conv=notrunc,fsync status=none
LVEXTEND=$work/lvextend "$script" -n mnt waits >said 2>&1 &
dry=$!
wait_until grep -q "waits: 8.% used; extending ${waits:?} by 20%" said
kill $dry
wait $dry || :
eq "$(calls)" 0 "calls of a dry run"

LVEXTEND=$work/lvextend "$script" mnt waits overflows >said 2>&1 &
helper=$!
wait_until grep -qx -- "--extents +20%LV $waits" calls
dd if=/dev/zero of=mnt/waits bs=64k count=200 oflag=direct conv=notrunc,fsync \
  status=none
[ "$(calls)" -ge 10 ] || fail "called $(calls) times only"
[ "$(blockdev --getsize64 "$waits")" -gt $((200 * 65536)) ] || fail "too short"
! grep -q " invalid " mnt/.control/log || fail "one became invalid"

# One that overflows is resumed.
! dd if=/dev/zero of=mnt/overflows bs=1M count=1 conv=notrunc status=none \
  2>/dev/null || fail "there was room for it"
wait_until grep -q "resume overflows has room again" mnt/.control/log
eq "$(grep -c "${overflows:?}" calls)" 1 "calls for an overflow"
dd if=/dev/zero of=mnt/overflows bs=4k count=10 conv=notrunc,fsync status=none

# Not its own.
dd if=/dev/zero of=mnt/other bs=4k count=1 conv=notrunc,fsync status=none
! grep -q "${other:?}" calls || fail "it has extended what it was not to"

# It leaves nothing behind that would keep the mount busy.
kill $helper
wait $helper || :
wait_until umount mnt 2>umount.log
wait_until gone "$daemon"
