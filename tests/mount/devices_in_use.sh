#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# No two writers share a device, by whatever path they come to it: what is in
# use is refused before anything is written, and the holder is named. A
# read-only origin may have many users.
. "$(dirname "$0")/lib.sh"

stamped origin.img 2M
stamped other.img 2M
truncate -s 4M one.cow two.cow
ln origin.img hard.img
ln -s origin.img soft.img
ln one.cow hard.cow

# spec ORIGIN COW [COW2]: tables that may or may not go together
spec() {
  rm -rf tables.d
  mkdir tables.d
  origin_table "$1" >tables.d/base.yaml
  snapshot_table base "$2" "chunk_size: 8" >tables.d/one.yaml
  [ $# -lt 3 ] || snapshot_table base "$3" "chunk_size: 8" >tables.d/two.yaml
}
before=$(cat ./*.img ./*.cow | sha256sum)
unchanged() { eq "$(cat ./*.img ./*.cow | sha256sum)" "$before" "the files"; }

# A COW that is its origin.
for path in origin.img hard.img soft.img; do
  spec "$work/origin.img" "$work/$path"
  refuse_mount tables.d "one.yaml:3:" "cannot be the same as origin"
done
# Of a loop device and its file, it does not matter which one is refused.
attach origin.img
spec "$work/origin.img" "$loop"
refuse_mount tables.d ".yaml:" "$loop"
spec "$loop" "$work/origin.img"
refuse_mount tables.d ".yaml:" "$loop"
detach "$loop"
unchanged

# The same COW twice.
for path in one.cow hard.cow; do
  spec "$work/origin.img" "$work/one.cow" "$work/$path"
  refuse_mount tables.d ".yaml:3:" "$path"
done
attach one.cow
spec "$work/origin.img" "$work/one.cow" "$loop"
refuse_mount tables.d ".yaml:3:" "$loop"
detach "$loop"
unchanged

# A COW that is mounted elsewhere, even if its content may be overwritten.
truncate -s 16M ext4.cow
mkfs.ext4 -q ext4.cow
attach ext4.cow
mkdir elsewhere
mount "$loop" elsewhere
spec "$work/origin.img" "{path: $loop, initialise: force}"
refuse_mount tables.d "one.yaml:3:" "$loop" "$work/elsewhere"
umount elsewhere
detach "$loop"
e2fsck -fn ext4.cow >/dev/null 2>&1 || fail "the file system is damaged"
rm ext4.cow
unchanged

# Devices that another snapfs holds.
spec "$work/origin.img" "$work/one.cow"
mount_snapfs tables.d mnt
holder=$daemon
used=$(sha mnt/one)
spec "$work/other.img" "$work/one.cow"
refuse_mount tables.d "one.yaml:3:" "one.cow" "$holder"
spec "$work/origin.img" "$work/two.cow"
refuse_mount tables.d "base.yaml:2:" "origin.img" "$holder"

# A table loaded at run time meets the same.
origin_table "$work/hard.img" >new
must_fail cp new mnt/.control/tables/again.yaml
contains "$(cat mnt/.control/errors)" "hard.img" "errors"

# A COW of this mount is known by any path: its next table, not a second user.
snapshot_table base "$work/hard.cow" >mnt/.control/tables/again.yaml
eq "$(cat mnt/.control/state/again)" "waiting for one" "state of again"
rm mnt/.control/tables/again.yaml

# A path on this very mount would wait for itself.
for path in mnt/base mnt/one; do
  snapshot_table base "{path: $work/$path, initialise: force}" >new
  must_fail timeout "$patience" cp new mnt/.control/tables/self.yaml
  [ "$status" -ne 124 ] || fail "a COW on this very mount: cp hangs"
  origin_table "$work/$path" >new
  must_fail timeout "$patience" cp new mnt/.control/tables/self.yaml
  [ "$status" -ne 124 ] || fail "an origin on this very mount: cp hangs"
done
attach mnt/one
snapshot_table base "{path: $loop, initialise: force}" >new
must_fail timeout "$patience" cp new mnt/.control/tables/self.yaml
[ "$status" -ne 124 ] || fail "a loop device on this very mount: cp hangs"
detach "$loop"
eq "$(sha mnt/one)" "$used" "the snapshot after all these attempts"
eq "$(cd mnt && echo *)" "base one" "the devices"
unmount mnt

# One golden image serves many mounts, as long as nobody writes to it.
for i in 1 2 3; do
  mkdir "golden$i.d"
  snapshot_table "$work/other.img" \
    "{path: $work/golden$i.cow, create: true, size: 4MiB}" >"golden$i.d/snap.yaml"
  mount_snapfs "golden$i.d" "golden$i"
done
for i in 1 2 3; do
  "$TEST_IO" stamp 65536 "$i" |
    dd of="golden$i/snap" bs=64k conv=notrunc status=none
done
for i in 1 2 3; do
  same "golden$i/snap" <("$TEST_IO" stamp 65536 "$i"
    tail -c +65537 other.img) "snapshot $i of a shared origin"
done
spec "$work/other.img" "$work/two.cow"
refuse_mount tables.d "base.yaml:2:" "other.img"
for i in 1 2 3; do unmount "golden$i"; done

# Nobody is left on any of them.
spec "$work/other.img" "$work/one.cow"
mount_snapfs tables.d mnt -o ro
unmount mnt
