#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A daemon in a memory cgroup. With little more than it needs without any
# exception it carries many large requests out, and a table of exceptions that
# fits; when the kernel kills it for growing beyond the limit, what was
# acknowledged by fsync is there.
. "$(dirname "$0")/lib.sh"
command -v fio >/dev/null || skip "needs fio"
! grep -q '__[at]san_init' "$SNAPFS" || skip "a sanitizer takes more memory"

# The memory controller, of either version of cgroups.
v1=$(findmnt -n -o TARGET -t cgroup -O memory | head -n 1)
v2=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
group=
before_end() { [ -z "$group" ] || rmdir "$group"; }
if [ -n "$v1" ]; then
  group=$v1/${work##*/}
elif [ -n "$v2" ] &&
  grep -qw memory "$v2/cgroup.subtree_control" 2>/dev/null; then
  group=$v2/${work##*/}
fi
if [ -z "$group" ] || ! mkdir "$group" 2>/dev/null; then
  group=
  skip "needs a memory cgroup"
fi
# limit BYTES
limit() {
  if [ -n "$v1" ]; then
    # With swap, if that is counted: never below what there is without it.
    echo "$1" 2>/dev/null >"$group/memory.memsw.limit_in_bytes" || :
    echo "$1" >"$group/memory.limit_in_bytes"
    echo "$1" 2>/dev/null >"$group/memory.memsw.limit_in_bytes" || :
  else
    echo 0 >"$group/memory.swap.max" || :
    echo "$1" >"$group/memory.max"
  fi
}
unlimit() { limit "$([ -n "$v1" ] && echo -1 || echo max)"; }
oom_kills() {
  awk '$1 == "oom_kill" { print $2 }' \
    "$group/$([ -n "$v1" ] && echo memory.oom_control || echo memory.events)"
}
# In the group from its first instruction, so that all of it counts.
mount_limited() {
  mkdir -p "$2"
  sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$group" \
    "$SNAPFS" mount "$@"
  daemon=$(cat "$2/.control/pid")
  remember "$daemon"
}

# In full from the beginning, and by us: where files are memory, theirs is ours.
stamped origin.img 32M
stamped records.img 256K
dd if=/dev/zero of=snap.cow bs=1M count=40 status=none
dd if=/dev/zero of=records.cow bs=1M count=2 status=none
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/snap.cow" "chunk_size: 4KiB" >tables.d/snap.yaml
origin_table "$work/records.img" >tables.d/records.yaml
snapshot_table records "$work/records.cow" "chunk_size: 8KiB" \
  >tables.d/rsnap.yaml
: >records

# storm DEVICE: more and larger requests at a time than there are threads
storm() {
  fio --name="$1" --filename="mnt/$1" --rw=randrw --bs=1M --direct=1 \
    --ioengine=libaio --iodepth=32 --size=32m --io_size=64m --verify=crc32c \
    --verify_fatal=1 --serialize_overlap=1 --allow_file_create=0 \
    --output="$1.log" 2>"$1.err"
}

# A thread takes three times the largest request; the rest is page cache, which
# gives way.
limit 32M
mount_limited tables.d mnt -o max_threads=4
before=$(sha mnt/snap)
storm base || fail "fio on the origin"
[ "$(sha mnt/snap)" = "$before" ] || fail "the snapshot has changed"
storm snap || fail "fio on the snapshot"
eq "$(oom_kills)" 0 "kills by the kernel"
! grep -q . mnt/.control/errors || fail "$(cat mnt/.control/errors)"
echo "within 32 MiB: $(grep VmRSS "/proc/$daemon/status" | xargs)"
for name in base snap; do sha "mnt/$name"; done >before
unmount mnt
mount_limited tables.d mnt -o max_threads=4
for name in base snap; do sha "mnt/$name"; done >after
cmp before after
unmount mnt

# Far too little for all the threads that there are by default.
limit 12M
mount_limited tables.d mnt
"$TEST_IO" record mnt records 64 records rsnap &
recorder=$!
acknowledged() { [ "$(grep -c '^done' records)" -gt 20 ]; }
wait_until acknowledged
for _ in {1..100}; do storm base || break; done
wait_until gone "$daemon"
wait "$recorder" || fail "the recorder"
[ "$(oom_kills)" -gt 0 ] || fail "it was not the kernel that ended it"
umount -l mnt
unlimit
mount_snapfs tables.d mnt
"$TEST_IO" check-records mnt/rsnap mnt/records records
eq "$(sha mnt/snap)" "$(tail -n 1 after)" "the snapshot after the kill"
echo "killed at 12 MiB; $(grep -c '^done' records) acknowledged writes are there"
