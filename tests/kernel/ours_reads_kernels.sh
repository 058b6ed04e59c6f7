#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# ours_reads_kernels.sh CHUNK_SECTORS: a COW that the kernel wrote goes on in
# snapfs, and then in the kernel again, with nothing lost on the way.
. "$(dirname "$0")/lib.sh"
chunk=${1:?chunk size in sectors}

new_devices 4M 24576
"$TEST_IO" ops "$seed" 150 $sectors 256 1 >ops.list
head -n 50 ops.list >first

# The data of operation N is stamped N, so each part replays the whole list's
# data with the other parts' operations left out.
job() { # FROM TO: the guest's commands for these lines of the list
  echo "load P $chunk"
  awk -v from="$1" -v to="$2" \
    'NR >= from && NR <= to { print "op", $0, at + 0 } { at += $3 }' ops.list
  echo "report; unload"
}

job 1 50 | in_kernel ops.list >kernels

start P "$chunk"
report_ours >ours
diff -u --label kernel kernels --label snapfs ours >&2 ||
  fail "snapfs does not see what the kernel showed"
cp first so_far
check_content so_far "$chunk"

"$TEST_IO" replay mnt/snap mnt/origin fsync 51 100 <ops.list
head -n 100 ops.list >so_far
report_ours >ours
unmount mnt
check_content so_far "$chunk"
kernel_agrees P "$chunk" "what snapfs added"

job 101 150 | in_kernel ops.list >kernels
start P "$chunk"
report_ours >ours
diff -u --label kernel kernels --label snapfs ours >&2 ||
  fail "snapfs does not see what the kernel added"
check_content ops.list "$chunk"
