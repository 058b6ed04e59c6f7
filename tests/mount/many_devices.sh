#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A thousand devices in one mount: fifty origins with nineteen snapshots each,
# more than the file descriptors that a process may have by default. All of them
# are listed, written, kept apart and there again in the next mount; one more is
# taken in the running one.
. "$(dirname "$0")/lib.sh"
hard=$(ulimit -Hn)
[ "$hard" = unlimited ] || [ "$hard" -ge 4096 ] || skip "needs more open files"
# As a login shell has it.
ulimit -Sn 1024

mkdir spec images
# A disk would be busy with a thousand times making a file durable.
mount -t tmpfs -o size=400M tmpfs images
for ((i = 0; i < 50; ++i)); do
  stamped images/$i.img 128K
  printf -- '---\nname: o%d\n' $i
  origin_table "$work/images/$i.img"
  for ((j = 0; j < 19; ++j)); do
    printf -- '---\nname: s%d.%d\n' $i $j
    snapshot_table o$i "{path: $work/images/$i.$j, create: true, size: 256KiB}" \
      "chunk_size: $((8 << j % 3))"
  done
done >spec/all.yaml

mount_snapfs spec mnt
eq "$(ls mnt | wc -l)" 1000 "devices"
eq "$("$SNAPFS" ls mnt | grep -c live)" 1000 "devices that are live"
eq "$("$SNAPFS" status -m mnt | wc -l)" 1000 "status lines"
eq "$(grep -c '^snapfs_size_bytes{' mnt/.control/metrics)" 1000 "metrics"

# Each origin loses 8 KiB; its snapshots keep them, but for one that is written.
for ((i = 0; i < 50; ++i)); do
  "$TEST_IO" stamp 8192 $((i + 1)) |
    dd of=mnt/o$i conv=notrunc,fsync bs=8k status=none
  "$TEST_IO" stamp 4096 $((i + 100)) |
    dd of=mnt/s$i.7 conv=notrunc,fsync bs=4k status=none
done
check() {
  stamped was 128K
  local i sum
  sum=$(sha was)
  for ((i = 0; i < 50; ++i)); do
    cmp -n 8192 mnt/o$i <("$TEST_IO" stamp 8192 $((i + 1)))
    cmp -n 4096 mnt/s$i.7 <("$TEST_IO" stamp 4096 $((i + 100)))
  done
  eq "$(sha256sum mnt/s*.? mnt/s*.1? | grep -v '\.7$' | cut -d' ' -f1 | uniq -c |
    xargs)" "900 $sum" "what the snapshots keep"
}
check

# One more, and one less.
snapshot_table o0 "{path: $work/images/new, create: true, size: 256KiB}" >new.yaml
"$SNAPFS" load -m mnt new.yaml
cmp mnt/new mnt/o0
"$SNAPFS" remove -m mnt new
echo "a thousand devices: $(grep -c . <(ls "/proc/$daemon/fd")) descriptors," \
  "$(grep VmRSS "/proc/$daemon/status" | xargs)"
unmount mnt

mount_snapfs spec mnt
eq "$(ls mnt | wc -l)" 1000 "devices of the next mount"
check
unmount mnt
