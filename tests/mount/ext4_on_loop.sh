#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# ext4_on_loop.sh on|off: ext4 on loop devices (with that --direct-io) over an
# origin and its snapshots. A snapshot taken of the live file system keeps the
# old files while the origin's change, and the other way round.
. "$(dirname "$0")/lib.sh"
direct=${1:-on}
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

# make_files DIR SEED: ten files of several sizes, and their checksums
make_files() {
  local i
  mkdir -p "$1/files"
  for i in {0..9}; do
    "$TEST_IO" stamp $(((i * 37 + 1) * 4096)) "$2" >"$1/files/$i"
  done
  (cd "$1" && sha256sum files/* >sums)
}
check_in() {
  (cd "$1" && sha256sum --check --quiet --strict sums) || fail "$1: files differ"
}

truncate -s 64M origin.img
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
mount_snapfs tables.d mnt

attach mnt/base --direct-io="$direct"
origin_loop=$loop
mkfs.ext4 -q "$origin_loop"
mkdir live
mount "$origin_loop" live
make_files live 1
cp live/sums sums.before
sync -f live

# The snapshot is of a file system in use, made consistent for the moment.
fsfreeze --freeze live
snapshot_table base "{path: $work/before.cow, create: true, size: 64MiB}" \
  "chunk_size: 4KiB" >mnt/.control/tables/before.yaml
fsfreeze --unfreeze live
[ -f mnt/before ] || fail "no file for the snapshot: $(cat mnt/.control/errors)"

# The origin's files change, go and come.
make_files live 2
rm live/files/3 live/files/7
dd if=/dev/urandom of=live/new bs=64k count=100 conv=fsync status=none
(cd live && sha256sum files/* new >sums)
cp live/sums sums.after
umount live

attach mnt/before --direct-io="$direct"
snap_loop=$loop
e2fsck -fn "$origin_loop" >e2fsck.log || fail "the origin's ext4 is damaged"
e2fsck -fn "$snap_loop" >e2fsck.log || fail "the snapshot's ext4 is damaged"

mkdir old
mount "$snap_loop" old
mount "$origin_loop" live
cmp old/sums sums.before
cmp live/sums sums.after
check_in old
check_in live
[ ! -e old/new ] || fail "the snapshot has a file that is younger"
[ -e old/files/3 ] || fail "the snapshot lost a file"

# Both are written at the same time.
make_files old 3 &
make_files live 4
wait $!
umount old live
e2fsck -fn "$origin_loop" >e2fsck.log || fail "the origin's ext4 is damaged"
e2fsck -fn "$snap_loop" >e2fsck.log || fail "the snapshot's ext4 is damaged"

# A snapshot may as well be formatted anew; nobody else sees it.
before=$(sha mnt/before)
base=$(sha mnt/base)
snapshot_table base "{path: $work/scratch.cow, create: true, size: 64MiB}" \
  "store: N" "chunk_size: 64KiB" >mnt/.control/tables/scratch.yaml
attach mnt/scratch --direct-io="$direct"
mkfs.ext4 -q -F "$loop"
mkdir scratch
mount "$loop" scratch
make_files scratch 5
umount scratch
e2fsck -fn "$loop" >e2fsck.log || fail "the new ext4 is damaged"
mount -o ro "$loop" scratch
check_in scratch
umount scratch
eq "$(sha mnt/before)" "$before" "the first snapshot"
eq "$(sha mnt/base)" "$base" "the origin"
detach "$loop"
detach "$snap_loop"
detach "$origin_loop"

# All of it is there after a remount, but for the transient snapshot.
cp mnt/.control/tables/before.yaml tables.d/
unmount mnt
mount_snapfs tables.d mnt
attach mnt/before --direct-io="$direct"
mount -o ro "$loop" old
check_in old
umount old
eq "$(sha mnt/before)" "$before" "the snapshot after a remount"
eq "$(sha origin.img)" "$base" "the raw origin"
