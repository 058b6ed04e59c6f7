#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The subcommands that suspend, resume, clear and abort: what they do, what they
# print when they are refused, and with which status.
. "$(dirname "$0")/lib.sh"

stamped origin.img 1M
mkdir spec
origin_table "$work/origin.img" >spec/base.yaml
snapshot_table base "{path: a.cow, create: true, size: 2MiB}" >spec/a.yaml
mount_snapfs spec mnt
snapshot_table base a.cow >b.yaml
{ cat b.yaml && echo "activate: manual"; } >manual.yaml

# state: one line a device, or all that there is to say about those named.
eq "$("$SNAPFS" state -m mnt)" $'a: live\nbase: live' "all states"
eq "$("$SNAPFS" state mnt/a)" live "a state"

# suspend and resume; twice is once.
"$SNAPFS" suspend mnt/a
eq "$("$SNAPFS" state mnt/a)" suspended "state after suspend"
"$SNAPFS" suspend -m mnt a base
eq "$("$SNAPFS" state -m mnt)" $'a: suspended\nbase: suspended' "all states"
"$SNAPFS" resume -m mnt base a a
eq "$("$SNAPFS" state -m mnt)" $'a: live\nbase: live' "all states"

# abort: what waits gets EIO, and the device stays suspended.
must_fail "$SNAPFS" abort mnt/a
contains "$text" "not suspended" "the reason"
"$SNAPFS" suspend mnt/a
dd if=mnt/a of=read bs=4k count=1 iflag=direct 2>dd.log &
reader=$!
aborted() {
  "$SNAPFS" abort mnt/a
  ! kill -0 "$reader" 2>kill.log
}
wait_until aborted
! wait "$reader" || fail "a read of a suspended device has succeeded"
contains "$(cat dd.log)" "Input/output error" "the error of the read"
eq "$("$SNAPFS" state mnt/a)" suspended "state after abort"
"$SNAPFS" resume mnt/a

# clear: a device without a file is named by a path, too.
"$SNAPFS" load -m mnt b.yaml
eq "$("$SNAPFS" state mnt/b)" "waiting for a" "state of a table that waits"
eq "$("$SNAPFS" table mnt/b)" "$(cat b.yaml)" "table of a table that waits"
must_fail "$SNAPFS" remove mnt/a
eq "$status" 2 "status of a refused remove"
contains "$text" "b waits for the store of a" "the reason"
"$SNAPFS" clear mnt/b
eq "$("$SNAPFS" state -m mnt)" $'a: live\nbase: live' "states after clear"
must_fail "$SNAPFS" clear mnt/a
eq "$status" 2 "status of a clear without a next table"

# What the kernel refuses is refused in its words.
"$SNAPFS" load -m mnt -n b manual.yaml
must_fail "$SNAPFS" resume mnt/b
contains "$text" "Unable to perform snapshot handover until source is suspended" \
  "the reason"
"$SNAPFS" suspend mnt/a
must_fail "$SNAPFS" resume mnt/a
contains "$text" "Unable to resume snapshot source until handover completes" \
  "the reason"
cp b.yaml c.yaml
must_fail "$SNAPFS" load -m mnt c.yaml
contains "$text" "Snapshot cow pairing for exception table handover failed" \
  "the reason"
"$SNAPFS" resume mnt/b
eq "$("$SNAPFS" state -m mnt)" \
  $'a: handed over to b\nb: live\nbase: live' "states after the handover"
"$SNAPFS" remove mnt/a

# Wrong words.
must_fail "$SNAPFS" suspend
eq "$status" 1 "status without a device"
must_fail "$SNAPFS" suspend -m mnt nobody
eq "$status" 2 "status for a device that is not there"
contains "$text" "No such file" "the reason"
unmount mnt
