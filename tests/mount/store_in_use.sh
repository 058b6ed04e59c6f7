#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The commands on stores leave a COW alone that a mount uses: they read it, with
# a warning, and refuse to write to it.
. "$(dirname "$0")/lib.sh"

stamped origin.img 1M
truncate -s 2M snap.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 8" >tables.d/snap.yaml
mount_snapfs tables.d mnt
dd if=/dev/zero of=mnt/base bs=64k count=4 conv=notrunc,fsync status=none

"$SNAPFS" info snap.cow >out 2>err
contains "$(cat out)" "records: 64" "info of a COW in use"
contains "$(cat err)" "snap.cow is in use: the snapfs mounted on $work/mnt" \
  "the warning"
contains "$(cat err)" "may change meanwhile" "the warning"
"$SNAPFS" check snap.cow --origin mnt/base 2>err
# shellcheck disable=SC2094  # dump is a word here
"$SNAPFS" dump snap.cow >dump 2>err

before=$(sha snap.cow)
must_fail "$SNAPFS" restore --force dump snap.cow
eq "$status" 8 "status of a restore ($text)"
contains "$text" "is in use" "the error"
must_fail "$SNAPFS" repair snap.cow --in-place --backup backup
eq "$status" 8 "status of a repair ($text)"
contains "$text" "is in use" "the error"
must_fail "$SNAPFS" repair origin.img --chunk-size 8 --output snap.cow --force
eq "$status" 8 "status of a repair to it ($text)"
contains "$text" "is in use" "the error"
eq "$(sha snap.cow)" "$before" "the COW after all that"
[ ! -e backup ] || fail "a backup was made"

# By another name, and on a loop device.
attach snap.cow --read-only
must_fail "$SNAPFS" restore --force dump "$loop"
eq "$status" 8 "status of a restore to a loop device ($text)"
detach "$loop"

# What an interrupted repair leaves is loaded by nobody.
unmount mnt
cp --sparse=always snap.cow whole.cow
printf '\0' | dd of=snap.cow bs=1 seek=8 conv=notrunc status=none
refuse_mount tables.d "snap.yaml:3:" "version 0"
"$SNAPFS" restore dump snap.cow
same snap.cow whole.cow "the COW after a restore"
mount_snapfs tables.d mnt

# Free again. A device is as good as a file, and is not overwritten unasked.
unmount mnt
attach snap.cow
"$SNAPFS" restore dump "$loop"
"$SNAPFS" check "$loop" --origin origin.img
truncate -s 2M new.img
source=$loop
attach new.img
"$SNAPFS" repair "$source" --output "$loop"
"$SNAPFS" check "$loop" --origin origin.img
must_fail "$SNAPFS" repair "$source" --output "$loop"
contains "$text" "holds a store; --force overwrites it" "an output in use"
must_fail "$SNAPFS" repair "$source" --output "$source" --force
contains "$text" "is the store that is read" "the store as its own output"
mkfs.ext4 -q -F "$loop" 1M
must_fail "$SNAPFS" repair "$source" --output "$loop"
contains "$text" "holds an ext4 filesystem" "an output with a filesystem"
must_fail "$SNAPFS" restore dump "$loop"
contains "$text" "holds an ext4 filesystem" "a restore over a filesystem"
detach "$loop"
truncate -s 64K new.img
attach new.img
must_fail "$SNAPFS" repair "$source" --output "$loop" --force
contains "$text" "too small" "an output that is too small"
