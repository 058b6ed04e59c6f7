#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A handover in dmsetup's three steps, with everything that may go wrong on the
# way: what a real kernel answers to the same steps, and where snapfs is safer
# on purpose ("unlike dm").
. "$(dirname "$0")/lib.sh"

stamped origin.img 16M
truncate -s 4M cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/orig.yaml
table() { snapshot_table orig "$work/cow" "activate: manual" "$@"; }
table "chunk_size: 8" >tables.d/A.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables
state=mnt/.control/state

state_of() { cat "$state/$1"; }
statuses() { # NAME STATUS ...: in pairs
  while [ $# -gt 0 ]; do
    eq "$(status_line mnt "$1")" "$2" "status of $1"
    shift 2
  done
}
# refused NAME WORD REASON: a command that fails, and why
refused() {
  must_fail bash -c "echo $2 >$state/$1"
  contains "$text" "Invalid argument" "$2 of $1"
  contains "$(tail -n 1 mnt/.control/errors)" "state/$1: $3" "errors"
}
origin_status="0 32768 snapshot-origin"

# Twenty chunks by the snapshot and thirty by its origin.
[ "$(state_of A)" = live ] || echo resume >$state/A
eq "$(state_of A)" live "state of A"
"$TEST_IO" stamp 81920 2 | dd of=mnt/A bs=4k seek=5 conv=notrunc status=none
"$TEST_IO" stamp 122880 3 | dd of=mnt/orig bs=4k seek=200 conv=notrunc status=none
sync mnt/A mnt/orig
content=$(sha mnt/A)
statuses A "0 32768 snapshot 416/8192 16" orig "$origin_status"

# A second table on the COW waits, and is no device yet.
table "chunk_size: 8" >$tables/B.yaml
statuses A "0 32768 snapshot 416/8192 16" B "" orig "$origin_status"
eq "$(state_of A)" live "state of A"
eq "$(state_of B)" "waiting for A" "state of B"
[ ! -e mnt/B ] || fail "a device that waits has a file"

# A third one is refused.
table >new
must_fail cp new $tables/C.yaml
contains "$text" "busy" "a third table on the COW"
contains "$(tail -n 1 mnt/.control/errors)" \
  "Snapshot cow pairing for exception table handover failed" "errors"
[ ! -e $state/C ] || fail "C is there"

# The destination cannot go on before its source is suspended. Unlike dm, it is
# left as it was, and not half-way resumed.
refused B resume "Unable to perform snapshot handover until source is suspended"
eq "$(state_of A)" live "state of A"
eq "$(state_of B)" "waiting for A" "state of B"

# Nor can the source go on before the handover.
echo suspend >$state/A
refused A resume "Unable to resume snapshot source until handover completes"
eq "$(state_of A)" suspended "state of A"

# The handover.
echo resume >$state/B
statuses A "0 32768 snapshot Invalid" B "0 32768 snapshot 416/8192 16" \
  orig "$origin_status"
eq "$(sha mnt/B)" "$content" "what B shows"
eq "$(state_of A)" "handed over to B" "state of A"

# Resuming the source now is harmless, and it answers errors.
echo resume >$state/A
statuses A "0 32768 snapshot Invalid" B "0 32768 snapshot 416/8192 16"
for flag in "" iflag=direct; do
  # shellcheck disable=SC2086  # a list
  must_fail dd if=mnt/A of=/dev/null bs=4k count=1 $flag status=none
  contains "$text" "Input/output error" "reading A"
done
must_fail dd if=/dev/zero of=mnt/A bs=4k count=1 conv=notrunc status=none
contains "$text" "Input/output error" "writing A"

# While the source is there no other table comes near the store.
table >new
must_fail cp new $tables/C.yaml
contains "$(tail -n 1 mnt/.control/errors)" "A, which has handed the store over" \
  "errors"
rm $tables/A.yaml
cp new $tables/C.yaml
eq "$(state_of C)" "waiting for B" "state of C"

# Dropping the waiting table leaves the live one alone.
rm $tables/C.next.yaml
[ ! -e $state/C ] || fail "C is still there"
statuses B "0 32768 snapshot 416/8192 16"
"$TEST_IO" stamp 12288 4 | dd of=mnt/orig bs=4k seek=300 conv=notrunc status=none
statuses B "0 32768 snapshot 440/8192 16" orig "$origin_status"
eq "$(sha mnt/B)" "$content" "what B shows"

# Unlike dm, which gives the handover up and leaves an invalid snapshot, a
# source is not removed while a table waits for its store.
cp new $tables/D.yaml
must_fail rm $tables/B.yaml
contains "$text" "busy" "removing a source"
contains "$(tail -n 1 mnt/.control/errors)" "D waits for the store of B" "errors"
eq "$(sha mnt/B)" "$content" "what B shows"
rm $tables/D.yaml
wait_until rm $tables/B.yaml 2>/dev/null
eq "$(od -An -tx1 -N16 cow)" \
  " 53 6e 41 70 01 00 00 00 01 00 00 00 08 00 00 00" "the header of the COW"

# A fresh table finds everything on the COW.
table "chunk_size: 8" >$tables/E.yaml
echo resume >$state/E
statuses E "0 32768 snapshot 440/8192 16" orig "$origin_status"
eq "$(sha mnt/E)" "$content" "what E shows"

# The same name: half as long and PO. Unlike dm, which passes over another chunk
# size, it has to be left out.
table "length: 16384" "store: PO" "chunk_size: 64" >new
must_fail cp new $tables/E.yaml
contains "$(tail -n 1 mnt/.control/errors)" "leave the chunk size out" "errors"
table "length: 16384" "store: PO" >$tables/E.yaml
statuses E "0 32768 snapshot 440/8192 16"
eq "$(state_of E)" $'live\nnext: waiting for E' "state of E"
head -c 8388608 mnt/E >half
echo resume >$state/E
statuses E "0 16384 snapshot 440/8192 16"
eq "$(stat -c %s mnt/E)" 8388608 "size of E"
same mnt/E half "what is left of E"

# Unlike dm, which wants the first one cleared, a second load replaces it.
table >$tables/E.yaml
table "length: 24576" >$tables/E.yaml
contains "$(cat $tables/E.next.yaml)" 24576 "the table that waits"
echo resume >$state/E
statuses E "0 24576 snapshot 440/8192 16"
wait_until rm $tables/E.yaml 2>/dev/null
wait_until rm $tables/orig.yaml 2>/dev/null
eq "$(ls mnt)" "" "the devices"
unmount mnt
