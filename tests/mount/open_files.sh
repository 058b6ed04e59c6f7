#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A device that is open ten thousand times: each of the descriptors works, others
# go on meanwhile, and the daemon needs no descriptor for them.
. "$(dirname "$0")/lib.sh"
count=10000
hard=$(ulimit -Hn)
[ "$hard" = unlimited ] || [ "$hard" -gt $((count + 100)) ] ||
  ulimit -Hn $((count + 100)) 2>/dev/null || skip "needs more open files"

stamped origin.img 1M
mkdir spec
origin_table "$work/origin.img" >spec/base.yaml
snapshot_table base "{path: snap.cow, create: true, size: 2MiB}" >spec/snap.yaml
mount_snapfs spec mnt
descriptors() { find "/proc/$daemon/fd" -mindepth 1 | wc -l; }
before=$(descriptors)

mkfifo go
(ulimit -Sn $((count + 100)) && exec "$TEST_IO" hold mnt/snap $count <go >said) &
holder=$!
exec 3>go
held() { [ -s said ]; }
wait_until held
grep -qx "open_files: $count" mnt/.control/status/snap ||
  fail "$(cat mnt/.control/status/snap)"
[ "$(descriptors)" -le $((before + 10)) ] ||
  fail "the daemon has $(descriptors) descriptors, and had $before"
"$TEST_IO" stamp 65536 3 | dd of=mnt/base bs=64k conv=notrunc,fsync status=none
same mnt/snap <("$TEST_IO" stamp 1048576 0) "the snapshot"
must_fail "$SNAPFS" remove -m mnt snap
contains "$text" "open in $holder (test_io)" "the refusal"
# A handover goes on under all of them.
snapshot_table base snap.cow "activate: now" >mnt/.control/tables/snap.yaml
exec 3>&-
wait $holder || fail "not all of them could be read"
closed() { grep -qx "open_files: 0" mnt/.control/status/snap; }
wait_until closed
"$SNAPFS" remove -m mnt snap
