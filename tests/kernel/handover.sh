#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# handover.sh CHUNK_SECTORS: a store that went from table to table while it was
# written to, under its own name and another one, is for the real kernel a
# store like any other: same status, same content.
. "$(dirname "$0")/lib.sh"
chunk=${1:?chunk size in sectors}

new_devices 4M 24576
"$TEST_IO" ops "$seed" 240 $sectors 256 1 >ops.list
start P "$chunk"
tables=mnt/.control/tables

# hand_over FROM TO: the store goes to the device TO
hand_over() {
  snapshot_table origin "$work/snap.cow" "store: ${3:-P}" >$tables/"$2".yaml
  echo suspend >mnt/.control/state/"$1"
  eq "$(cat mnt/.control/state/"$2")" live "state of $2"
  [ "$1" = "$2" ] || rm $tables/"$1".yaml
}

"$TEST_IO" replay mnt/snap mnt/origin fsync 1 60 <ops.list
hand_over snap next
"$TEST_IO" replay mnt/next mnt/origin "" 61 120 <ops.list
hand_over next next PO
"$TEST_IO" replay mnt/next mnt/origin direct 121 180 <ops.list
hand_over next snap
"$TEST_IO" replay mnt/snap mnt/origin "" 181 240 <ops.list
report_ours >ours
unmount mnt
check_content ops.list "$chunk"
kernel_agrees P "$chunk" "after three handovers"
