#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# handover_other_name.sh on|off: a store goes to another name under an ext4 on a
# loop device (with that --direct-io), an open file and a mapping: all that was
# written is there under the new name, the old one fails from that moment on,
# and can be removed at once.
. "$(dirname "$0")/lib.sh"
direct=${1:-on}
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

truncate -s 64M origin.img snap.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" >tables.d/snap.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables

attach mnt/snap --direct-io="$direct"
old_loop=$loop
# The last megabyte is for the mapping.
mkfs.ext4 -q "$old_loop" 63M
mkdir old
mount "$old_loop" old
for i in {0..9}; do "$TEST_IO" stamp $(((i * 17 + 1) * 4096)) "$i" >old/$i; done
(cd old && sha256sum ? >sums)
sync -f old
exec 3<>mnt/snap
mkfifo hold
# shellcheck disable=SC2094  # a command's name and a fifo
"$TEST_IO" mmap-hold mnt/snap $((63 << 20)) 65536 7 <hold >mapped 2>held &
holder=$!
exec 4>hold
wait_until grep -q held held

snapshot_table base "$work/snap.cow" "store: PO" >$tables/next.yaml
[ ! -e mnt/next ] || fail "it has a file before it is live"
fsfreeze --freeze old
echo suspend >mnt/.control/state/snap
fsfreeze --unfreeze old
eq "$(cat mnt/.control/state/snap)" "handed over to next" "state of the old one"
eq "$(cat mnt/.control/state/next)" live "state of the new one"
grep -q " handover next took over the store of snap" mnt/.control/log ||
  fail "no event: $(cat mnt/.control/log)"

# Whoever has the old one open gets errors.
must_fail dd bs=4k count=1 of=/dev/null status=none <&3
contains "$text" "Input/output error" "the open file"
must_fail dd if="$old_loop" bs=4k count=1 skip=5000 iflag=direct of=/dev/null \
  status=none
must_fail sh -c 'echo x >old/new && sync -f old'
exec 4>&-
status=0
wait "$holder" || status=$?
eq "$status" 135 "end of the process with a mapping (SIGBUS)"
eq "$(stat -c %s mnt/snap)" $((64 << 20)) "size of the old one"

# It is removed at once; all of them are still there.
rm $tables/snap.yaml
[ ! -e mnt/snap ] || fail "the old file is still there"
[ ! -e mnt/.control/state/snap ] || fail "the old state is still there"
must_fail dd bs=4k count=1 of=/dev/null status=none <&3
exec 3>&-
umount old
detach "$old_loop"

# Under the new name there is everything, what the mapping had changed too.
same <(tail -c +$(((63 << 20) + 1)) mnt/next | head -c 65536) \
  <("$TEST_IO" stamp $((64 << 20)) 7 | tail -c +$(((63 << 20) + 1)) |
    head -c 65536) "what was changed through the mapping"
attach mnt/next --direct-io="$direct"
mkdir new
mount "$loop" new
(cd new && sha256sum --check --quiet --strict sums) || fail "files differ"
echo new >new/new
umount new
e2fsck -fn "$loop" >e2fsck.log || fail "the file system is damaged"
detach "$loop"

# And back, to a device that is made again.
snapshot_table base "$work/snap.cow" "activate: now" >$tables/snap.yaml
eq "$(cat mnt/.control/state/snap)" live "state of the first name"
attach mnt/snap
mount "$loop" new
eq "$(cat new/new)" new "a file that was written between"
umount new
detach "$loop"
unmount mnt
