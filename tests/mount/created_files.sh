#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# `create: true` in a directory that another user may write to: that user's
# symbolic links lead nowhere, whether something is there or not, also when they
# come and go meanwhile.
. "$(dirname "$0")/lib.sh"
as_other() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

stamped origin.img 1M
mkdir -m 700 secret
truncate -s 2M secret/zeroes
mkdir -m 755 user
chown 65534:65534 user
as_other ln -s ../secret user/directory
as_other ln -s ../secret/new.cow user/dangling
as_other ln -s ../secret/zeroes user/existing
as_other mkdir user/plain
as_other ln -s plain user/harmless
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
mount_snapfs tables.d mnt

load() { # PATH NAME
  snapshot_table base "{path: $work/$1, create: true, size: 2MiB}" |
    "$SNAPFS" load -m mnt -n "$2" -
}
content() { ls -lR --time-style=full-iso secret; }
before=$(content)

# Through a link, at its end or on the way.
for path in user/directory/new.cow user/existing user/harmless/new.cow; do
  must_fail load $path snap
  contains "$text" "$path leads through a symbolic link" "the error for $path"
  contains "$text" "belongs to another user" "the error for $path"
done
must_fail load user/dangling snap
contains "$text" "symbolic link" "the error for user/dangling"
must_fail load user/directory/../new.cow snap
eq "$(content)" "$before" "what the links lead to"
eq "$(as_other ls user/plain)" "" "files in the directory of the other user"

# The same when mounting.
unmount mnt
snapshot_table base "{path: $work/user/existing, create: true, size: 2MiB}" \
  >tables.d/snap.yaml
refuse_mount tables.d "snap.yaml:3:" "belongs to another user"
rm tables.d/snap.yaml
mount_snapfs tables.d mnt
eq "$(content)" "$before" "what the links lead to, after a mount"

# A directory and a link to another one take turns.
as_other touch user/going
# shellcheck disable=SC2016  # for the other shell
as_other env work="$work" bash -c '
  cd "$work/user"
  while [ -e going ]; do
    ln -sfn ../secret turn.new && mv -T turn.new turn
    rm -f turn
    mkdir turn
    find turn -mindepth 1 -delete
    rmdir turn
  done' 2>/dev/null &
turner=$!
kill -0 $turner || fail "nobody takes turns"
for i in {1..40}; do
  load user/turn/new.cow "turn$i" 2>/dev/null || continue
  "$SNAPFS" remove -m mnt "turn$i"
done
rm user/going
wait $turner || :
eq "$(content)" "$before" "what the link leads to, after taking turns"

# Plain directories, and links of one's own, are as good as ever.
load user/plain/new.cow plain
eq "$(stat -c '%u %a' user/plain/new.cow)" "0 600" "owner and mode of the file"
ln -s plain user/ours
load user/ours/second.cow second
[ -f user/plain/second.cow ] || fail "no file through a link of root's"
