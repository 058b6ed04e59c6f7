#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# `snapfs reload` and SIGHUP apply what has changed in SPEC, and nothing else,
# and say what they did.
. "$(dirname "$0")/lib.sh"

stamped origin.img 1M
mkdir spec
origin_table "$work/origin.img" >spec/base.yaml
snap() { # NAME [more lines]
  snapshot_table base "{path: $1.cow, create: true, size: 2MiB}" "${@:2}"
}
snap a >spec/a.yaml
states() { "$SNAPFS" state -m mnt | tr '\n' ','; }
reload() { "$SNAPFS" reload mnt; }

mount_snapfs spec mnt
snap runtime | "$SNAPFS" load -m mnt -n runtime -
eq "$(reload)" "" "a reload without changes"

# Comes, changes, goes; an origin with what names it, whatever the files' names.
origin_table "$work/other.img" >spec/zz.yaml
stamped other.img 1M
snapshot_table zz "{path: d.cow, create: true, size: 2MiB}" >spec/d.yaml
eq "$(reload)" $'zz: loaded: live\nd: loaded: live' "two new ones"
snap a "mode: 0640" >spec/a.yaml
eq "$(reload)" "a: loaded: live, next: waiting for a" "a changed one"
eq "$(reload)" "" "once more"
"$SNAPFS" suspend -m mnt a
eq "$(stat -c %a mnt/a)" 640 "mode after the handover"
snap a "activate: now" >spec/a.yaml
eq "$(reload)" "a: loaded: live" "one that takes over at once"
eq "$(stat -c %a mnt/a)" 600 "mode after the handover"
rm spec/zz.yaml spec/d.yaml
eq "$(reload)" $'d: removed\nzz: removed' "what has vanished"
eq "$(states)" "a: live,base: live,runtime: live," "what was loaded by others"

# What is in use stays, and is reported.
exec 3<mnt/a
mv spec/a.yaml kept
must_fail reload
eq "$status" 2 "status of a refused reload"
contains "$text" "a: not removed: a is open" "the reason"
exec 3<&-
eq "$(reload)" "a: removed" "when it is not in use any more"
mv kept spec/a.yaml
eq "$(reload)" "a: loaded: live" "when it is back"

# A bad text changes nothing, and has its place in the message.
snap e >spec/e.yaml
{ snap f && echo "chunksize: 8"; } >spec/f.yaml
must_fail reload
contains "$text" "$work/spec/f.yaml:4:1: unknown key" "the reason"
eq "$(states)" "a: live,base: live,runtime: live," "states after a bad text"
# One that is only refused when it is loaded does not hold the others.
snapshot_table base a.cow "store: N" "chunk_size: 16KiB" >spec/f.yaml
for _ in 1 2; do
  must_fail reload
  contains "$text" "spec/f.yaml:1:1: " "the place"
  contains "$text" "cannot change to N" "the reason"
  contains "$(tail -n 1 mnt/.control/errors)" "cannot change to N" "errors"
done
eq "$(states)" "a: live,base: live,e: live,runtime: live," \
  "states after a refusal"
rm spec/f.yaml

# SIGHUP does the same, and tells it in the log.
in_log() { grep -qF "$1" mnt/.control/log; }
snap g >spec/g.yaml
kill -HUP "$daemon"
wait_until in_log "load g "
wait_until in_log "SPEC was read again: 1 changes, 0 refused"
echo "bad: " >>spec/g.yaml
kill -HUP "$daemon"
wait_until grep -q 'spec/g.yaml:4:1: unknown key "bad"' mnt/.control/errors
must_fail bash -c 'echo >mnt/.control/reload'
unmount mnt

# With -o save SPEC says what is live; what waits is in NAME.next.yaml.
snap g >spec/g.yaml
mount_snapfs spec mnt -o save
snap g "mode: 0640" >spec/g.yaml
eq "$(reload)" "g: loaded: live, next: waiting for g" "a changed one"
same spec/g.yaml <(snap g) "what is live"
same spec/g.next.yaml <(snap g "mode: 0640") "what waits"
eq "$(reload)" "" "once more"
rm spec/g.next.yaml
eq "$(reload)" "g: the next table was dropped" "one that waits no more"
rm spec/g.yaml
eq "$(reload)" "g: removed" "one that has gone"
# A text that was changed and not read is not overwritten.
snap e "# edited" >spec/e.yaml
must_fail "$SNAPFS" remove -m mnt e
contains "$text" "was changed by somebody else" "the reason"
eq "$(reload)" "" "a comment"
"$SNAPFS" remove -m mnt e
[ ! -e spec/e.yaml ] || fail "the table is still there"
unmount mnt

# A SPEC that is a file; and a mount that loads nothing.
cat spec/base.yaml >vm.yaml
mount_snapfs vm.yaml mnt -o ro
[ ! -e mnt/.control/reload ] || fail "a read-only mount has a reload file"
must_fail reload
kill -HUP "$daemon"
unmount mnt
{ echo "name: vm" && cat spec/base.yaml; } >vm.yaml
mount_snapfs vm.yaml mnt
{ echo "---" && echo "name: x" && snapshot_table vm spec/a.cow; } >>vm.yaml
eq "$(reload)" "x: loaded: live" "a new one in a file"
unmount mnt
