#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The way to the background: the caller gets its prompt back when the mount can
# be used, the daemon takes nothing of the caller along, and a caller that gave
# up is left with nothing.
. "$(dirname "$0")/lib.sh"

stamped origin.img 1M
mkdir spec mnt
origin_table ../origin.img >spec/base.yaml
snapshot_table base '{path: ../new.cow, create: true, size: 4MiB}' \
  >spec/snap.yaml

# Ready on return, in silence, and a pipe of the caller is not kept open.
said=$("$SNAPFS" mount spec mnt 2>&1)
same mnt/snap origin.img "the snapshot, at once"
daemon=$(cat mnt/.control/pid)
remember "$daemon"
eq "$said" "" "what a mount without -v says"
eq "$(readlink "/proc/$daemon/cwd")" / "working directory of the daemon"
for fd in 0 1 2; do
  eq "$(readlink "/proc/$daemon/fd/$fd")" /dev/null "descriptor $fd"
done
eq "$(ps -o sid= -p "$daemon" | xargs)" "$daemon" "session of the daemon"
eq "$(cat "/proc/$daemon/comm")" snapfs "name of the daemon"
unmount mnt

# Relative paths are relative to where the caller was, also for what comes
# later, and a lock of the caller's is not inherited.
(
  cd spec
  exec 9>../lock
  flock 9
  "$SNAPFS" mount . ../mnt
)
remember "$(cat mnt/.control/pid)"
flock --nonblock lock true || fail "the daemon has inherited a lock"
snapshot_table base '{path: ../later.cow, create: true, size: 4MiB}' \
  >mnt/.control/tables/later.yaml
[ -e later.cow ] || fail "the relative path of a later table"
unmount mnt

# Standard streams that are closed do no harm.
"$SNAPFS" mount spec mnt <&- >&- 2>&-
remember "$(cat mnt/.control/pid)"
same mnt/snap origin.img "mounted without standard streams"
unmount mnt

# A device that is held by a snapfs that is ending is waited for, which gives the
# time to go away meanwhile. This is such a one:
rm -f new.cow later.cow
mkdir ending
ln -s "$(command -v flock)" ending/snapfs
hold() {
  ending/snapfs origin.img sleep infinity &
  holder=$!
  wait_until pgrep --parent "$holder" >sleeper.log
}
let_go() {
  kill "$(tail -n1 sleeper.log)"
  wait "$holder" || true
}
# the_daemon_waits: the child of $caller is in $child, and waits for the device.
the_daemon_waits() {
  child=$(pgrep --parent "$caller") &&
    find "/proc/$child/fd" -lname "$work/origin.img" | grep -q .
}
nothing_comes_of_it() {
  let_go
  wait_until gone "$child"
  ! mountpoint -q mnt || fail "mounted, though the caller $1"
  [ ! -e new.cow ] || fail "a file is left, though the caller $1"
}

hold
"$SNAPFS" mount spec mnt 2>killed.log &
caller=$!
wait_until the_daemon_waits
kill -KILL "$caller"
wait "$caller" || true
nothing_comes_of_it "was killed"

# Ctrl-C reaches both of them.
hold
# (What a script starts with & ignores SIGINT.)
env --default-signal=INT setsid "$SNAPFS" mount spec mnt 2>interrupted.log &
caller=$!
wait_until the_daemon_waits
kill -INT -- "-$caller"
wait "$caller" || true
nothing_comes_of_it "was interrupted"

# Foreground: says what it does on stderr, and its status is that of the mount.
"$SNAPFS" mount -f spec mnt 2>foreground.log &
foreground=$!
remember "$foreground"
wait_until mountpoint -q mnt
same mnt/snap origin.img "the snapshot"
kill -TERM "$foreground"
wait "$foreground" || fail "status $? of a foreground mount"
contains "$(cat foreground.log)" "SIGTERM: unmounted" "what it says"
