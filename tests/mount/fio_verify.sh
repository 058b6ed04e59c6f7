#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Sixteen fio jobs write and verify one snapshot and its origin at the same
# time, cached and with O_DIRECT. A snapshot that was taken before keeps its
# content.
. "$(dirname "$0")/lib.sh"
command -v fio >/dev/null || skip "needs fio"

stamped origin.img 32M
cp origin.img reference.img
truncate -s 40M early.cow busy.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/early.cow" "chunk_size: 4KiB" >tables.d/early.yaml
snapshot_table base "$work/busy.cow" "chunk_size: 16KiB" >tables.d/busy.yaml
mount_snapfs tables.d mnt

cat >jobs.fio <<EOF
[global]
rw=randrw
bsrange=512-64k
blockalign=512
size=4m
offset_increment=4m
verify=crc32c
verify_fatal=1
serialize_overlap=1
numjobs=4
fallocate=none
allow_file_create=0
[busy-direct]
filename=mnt/busy
ioengine=libaio
iodepth=8
direct=1
[busy-cached]
filename=mnt/busy
offset=16m
ioengine=psync
fsync=64
[origin-direct]
filename=mnt/base
ioengine=libaio
iodepth=8
direct=1
[origin-cached]
filename=mnt/base
offset=16m
ioengine=psync
fsync=64
EOF
fio --output=fio.log jobs.fio || fail "fio found a difference"
same mnt/early reference.img "the snapshot taken before"
! cmp -s mnt/busy reference.img || fail "fio wrote nothing to the snapshot"
! cmp -s mnt/base reference.img || fail "fio wrote nothing to the origin"
for name in base busy; do sha "mnt/$name"; done >before
unmount mnt
mount_snapfs tables.d mnt
same mnt/early reference.img "the snapshot taken before, after a remount"
for name in base busy; do sha "mnt/$name"; done >after
cmp before after
