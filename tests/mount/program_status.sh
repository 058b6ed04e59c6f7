#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What each wrong command line or SPEC is answered with: the exit status that
# mount(8) documents, one clear line, and nothing left behind.
. "$(dirname "$0")/lib.sh"

ln -s "$SNAPFS" mount.snapfs
ln -s "$SNAPFS" umount.fuse.snapfs
stamped origin.img 1M
origin_table "$work/origin.img" >base.yaml
mkdir mnt empty

# refused STATUS PART COMMAND...
refused() {
  local wanted=$1 part=$2
  shift 2
  must_fail "$@"
  eq "$status" "$wanted" "status of $* ($text)"
  contains "$text" "$part" "the error of $*"
  ! mountpoint -q mnt || fail "mounted: $*"
}

# Wrong command lines: 1.
refused 1 "no subcommand" "$SNAPFS"
refused 1 "unknown subcommand: frobnicate" "$SNAPFS" frobnicate
refused 1 "SPEC and DIR are missing" "$SNAPFS" mount
refused 1 "DIR is missing" "$SNAPFS" mount base.yaml
refused 1 "one argument too many: x" "$SNAPFS" mount base.yaml mnt x
refused 1 "unknown option: wrong=1" "$SNAPFS" mount base.yaml mnt -o ro,wrong=1
refused 1 "unknown option: -q" ./mount.snapfs base.yaml mnt -q
refused 1 "unknown option: wrong" ./mount.snapfs base.yaml mnt -o wrong
refused 1 "DIR is missing" ./umount.fuse.snapfs
contains "$text" "umount.fuse.snapfs: " "the name of the helper"

# What cannot be mounted, or unmounted: 32.
for program in "$SNAPFS mount" ./mount.snapfs; do
  # shellcheck disable=SC2086  # two words
  {
    refused 32 "missing.yaml" $program missing.yaml mnt
    refused 32 "nowhere" $program base.yaml nowhere
    refused 32 "Not a directory" $program base.yaml origin.img
  }
done
refused 32 "no snapfs is mounted there" ./umount.fuse.snapfs mnt
refused 32 "no snapfs is mounted there" "$SNAPFS" umount /
refused 32 "no snapfs is mounted there" "$SNAPFS" umount nowhere

# An error of a table stands alone on its line, to be jumped to.
printf 'target: snapshot-origin\ndevise: x\n' >wrong.yaml
refused 32 "wrong.yaml:2:1: " "$SNAPFS" mount wrong.yaml mnt
case $text in *snapfs:*) fail "prefix before the place: $text" ;; esac

# Nothing that was made for a mount that fails stays.
mkdir spec
origin_table "$work/origin.img" >spec/base.yaml
snapshot_table base "{path: $work/new.cow, create: true, size: 4MiB}" \
  >spec/a.yaml
snapshot_table base "$work/missing.cow" >spec/b.yaml
refused 32 "missing.cow" "$SNAPFS" mount spec mnt
[ ! -e new.cow ] || fail "a file was left by a SPEC that was refused"
rm spec/b.yaml
refused 32 "cannot mount on" env -i "$SNAPFS" mount spec mnt -o context=none
[ ! -e new.cow ] || fail "a file was left by a mount that the kernel refused"

# Asking for help or the version is no error and mounts nothing.
for option in -h --help; do
  contains "$("$SNAPFS" $option)" "usage: snapfs" "snapfs $option"
  contains "$("$SNAPFS" mount $option)" "usage: snapfs mount" "mount $option"
  contains "$("$SNAPFS" ls $option)" "usage: snapfs ls" "ls $option"
  contains "$(./mount.snapfs $option)" "usage: mount.snapfs" "helper $option"
done
for option in -V --version; do
  contains "$("$SNAPFS" $option)" "libfuse 3." "snapfs $option"
  contains "$(./mount.snapfs base.yaml mnt $option)" "libfuse 3." "helper"
done

# Fake: everything is checked, nothing is mounted.
./mount.snapfs base.yaml mnt -f
! mountpoint -q mnt || fail "a fake mount is there"
refused 32 "wrong.yaml:2:1: " ./mount.snapfs wrong.yaml mnt -f
refused 32 "nowhere" ./mount.snapfs base.yaml nowhere -f

# Sloppy: unknown options are ignored.
./mount.snapfs base.yaml mnt -s -o wrong,wrong=1
remember "$(cat mnt/.control/pid)"
umount mnt
# An empty directory of tables is an empty mount.
mount_snapfs empty mnt -v >said
contains "$(cat said)" "empty mounted on mnt." "what -v says"
unmount mnt
