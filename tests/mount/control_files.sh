#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What the files below .control say: pid, status and state of each device, and
# the events of loading, refusing and removing tables, to every reader.
. "$(dirname "$0")/lib.sh"

stamped origin.img 4M
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "{path: $work/snap.cow, create: true, size: 8MiB}" \
  "chunk_size: 4KiB" >tables.d/snap.yaml
mount_snapfs tables.d mnt
control=mnt/.control

eq "$(readlink "/proc/$(cat $control/pid)/exe")" "$SNAPFS" "the daemon's program"
eq "$(head -n 1 $control/status/base)" "base: 0 8192 snapshot-origin " \
  "status of the origin"
eq "$(head -n 1 $control/status/snap)" "snap: 0 8192 snapshot 16/16384 16" \
  "status of the snapshot"
eq "$(cat $control/state/base $control/state/snap)" $'live\nlive' "states"
eq "$(ls $control/status)" $'base\nsnap' "files of status"
eq "$(ls $control/state)" $'base\nsnap' "files of state"
eq "$(ls $control/tables)" $'base.yaml\nsnap.yaml' "files of tables"
same $control/tables/snap.yaml tables.d/snap.yaml "the table read back"

# Usage is what dm counts, in the status line and in st_blocks.
"$TEST_IO" stamp 40960 1 | dd of=mnt/snap bs=40960 conv=notrunc status=none
eq "$(status_line mnt snap)" "0 8192 snapshot 96/16384 16" \
  "status after a write of ten chunks"
eq "$(stat -c '%b %B' mnt/snap)" "96 512" "st_blocks"
dd if=/dev/zero of=mnt/base bs=4k seek=500 count=2 conv=notrunc,fsync status=none
eq "$(status_line mnt snap)" "0 8192 snapshot 112/16384 16" \
  "status after the origin was written"

# Two readers of events see everything from their open on, and wait for more
# unless they are asked not to.
exec 4<$control/events 5<$control/events
timeout "$patience" head -n 3 <&4 >one &
timeout "$patience" head -n 3 <&5 >two &
snapshot_table base "{path: $work/more.cow, create: true, size: 8MiB}" >more.new
cp more.new $control/tables/more.yaml
echo nonsense >bad.new
must_fail cp bad.new $control/tables/bad.yaml
rm $control/tables/more.yaml
wait
exec 4<&- 5<&-
cmp one two
eq "$(grep -c more one)" 2 "events of the device that came and went"
contains "$(sed -n 2p one)" bad "the event of the refused table"
contains "$(cat $control/errors)" "bad.yaml:1:" "errors"
must_fail dd if=$control/events iflag=nonblock bs=4096 count=1 status=none
contains "$text" "temporarily unavailable" "events without waiting"

# Things that cannot be done.
must_fail rm $control/pid
must_fail touch $control/new
must_fail rmdir $control/tables
must_fail bash -c "echo 1 >$control/pid"
must_fail bash -c "echo x >$control/status/snap"
must_fail cat $control/status/nobody
eq "$(ls -A mnt)" $'base\nsnap' "the devices"
