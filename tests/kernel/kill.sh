#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# kill.sh COUNT [EVERY]: kills the daemon COUNT times (-9) at random moments,
# while fio writes and verifies an origin and a snapshot, an ext4 lives on an
# origin and an xfs on a snapshot, both through loop devices, and blocks are
# written and synchronised one by one. SPEC mounts again each time: what was
# synchronised is there, both file systems are clean, what a snapshot keeps of
# its origin has not changed; and after each EVERY kills (default 5) the real
# kernel, which loads what the kill has left, sees the same.
. "$(dirname "$0")/lib.sh"
count=${1:?number of kills}
every=${2:-5}
command -v fio >/dev/null || skip "needs fio"
command -v e2fsck >/dev/null || skip "needs e2fsprogs"
command -v xfs_repair >/dev/null || skip "needs xfsprogs"
RANDOM=$((seed % 32768))

blocks=64  # of 4 KiB, those that are written one by one
file_bytes=163840
kept=12    # files in each file system
mkdir spec mnt now past

# The kernels of some machines have no xfs.
grep -qw xfs /proc/filesystems || modprobe xfs 2>/dev/null || :
on_snapshot=xfs
grep -qw xfs /proc/filesystems || on_snapshot=ext4
# Also below 300 MB, which mkfs.xfs refuses to all but fstests.
make_xfs() { TEST_DIR=. TEST_DEV=. QA_CHECK_FS=. mkfs.xfs -q "$1"; }
make_ext4() { mkfs.ext4 -q "$1"; }
# check_KIND DEVICE DIR: fsck, after a crash, then mounted on DIR
check_ext4() {
  local result=0
  e2fsck -fp "$1" >e2fsck.log 2>&1 || result=$?
  [ $result -le 1 ] || fail "$where: e2fsck ended with $result"
  mount "$1" "$2"
}
check_xfs() {
  # That replays the log, without which xfs_repair has no opinion.
  mount "$1" "$2"
  umount "$2"
  xfs_repair -n "$1" >xfs_repair.log 2>&1 || fail "$where: xfs_repair"
  mount "$1" "$2"
}

# add NAME ORIGIN SIZE LINES...: a snapshot, in the running mount and in SPEC
add() {
  snapshot_table "$2" "{path: $1.cow, create: true, size: $3}" "${@:4}" \
    >mnt/.control/tables/"$1".yaml
  cp mnt/.control/tables/"$1".yaml spec/
}

# fio on 4 MiB of a device, in blocks of 4 KiB that each have their checksum
# inside
fio=(fio --thread --bs=4k --size=4m --verify=crc32c --verify_fatal=1
  --allow_file_create=0)
on() { echo "--name=$1 --filename=mnt/$1 --output=$1.log --randseed=$RANDOM"; }

# New devices, since after some time there is nothing left to be copied.
new_setup() {
  rm -f spec/* ./*.img records now.files past.files
  stamped base.img 256K     # blocks one by one
  truncate -s 4M plain.img  # fio
  truncate -s 24M disk.img  # ext4
  truncate -s 64M big.img   # below the other file system
  local name
  for name in base plain disk big; do
    origin_table "$work/$name.img" >spec/$name.yaml
  done
  mount_snapfs spec mnt
  # shellcheck disable=SC2046  # words
  "${fio[@]}" $(on plain) --rw=write --do_verify=0 --end_fsync=1
  make_ext4 mnt/disk
  add snap base 2MiB "chunk_size: 8KiB"
  add side plain 6MiB "chunk_size: 16KiB"
  add keep disk 30MiB "chunk_size: 4KiB"
  add work big 80MiB "chunk_size: 32KiB"
  keep=$(sha mnt/keep)
  attach mnt/work
  make_$on_snapshot "$loop"
  detach "$loop"
  : >records
  : >now.files
  : >past.files
  unmount mnt
  setups=$((setups + 1))
}

snapshots="snap side keep work"
see() {  # what the kernel shall see of them
  local name
  for name in $snapshots; do
    echo "$name $(status_line mnt "$name") $(sha "mnt/$name")"
  done
}

kernel_sees() {
  {
    while read -r name cow origin chunk; do
      echo "dmsetup create $name --table \"0 \$(blockdev --getsz /dev/ubd$origin)" \
        "snapshot /dev/ubd$origin /dev/ubd$cow P $chunk\" || exit 1"
      echo "sha=\$(sha256sum </dev/mapper/$name)"
      echo "echo $name \$(dmsetup status $name) \${sha%% *}"
    done <<<"snap b a 16
side d c 32
keep f e 8
work h g 64"
    echo "dmsetup remove $snapshots"
  } >job
  "$kernel_dir/run-in-kernel" job base.img spec/snap.cow plain.img \
    spec/side.cow disk.img spec/keep.cow big.img spec/work.cow >kernels ||
    fail "$where: the job ended with $?: $(cat kernels)"
  diff -u --label snapfs ours --label kernel kernels >&2 ||
    fail "$where: the kernel does not see what snapfs showed"
}

# work_in DIR: a new file after another, synchronised and then noted, until one
# fails, and why is in DIR.log; the oldest go.
work_in() {
  local n old
  n=$(($(sed -n 's/^done //p' "$1.files" | tail -n 1) + 1))
  while "$TEST_IO" stamp $file_bytes $((n % 60000)) |
    dd of="$1/$n" bs=64k iflag=fullblock conv=fsync status=none; do
    echo "done $n" >>"$1.files"
    old=$((n - kept))
    if [ -e "$1/$old" ]; then
      echo "gone $old" >>"$1.files"
      rm "$1/$old" || return 0
    fi
    n=$((n + 1))
  done 2>"$1.log"
}

check_files() {  # DIR
  local n
  for n in $(awk '$1 == "done" { there[$2] = 1 } $1 == "gone" { delete there[$2] }
    END { for (n in there) print n }' "$1.files"); do
    cmp <("$TEST_IO" stamp $file_bytes $((n % 60000))) "$1/$n" >&2 ||
      fail "$where: file $n of $1, which was synchronised"
    checked=$((checked + 1))
  done
}

# Everything that can be checked without writing, before the file systems are
# mounted.
check_devices() {
  [ "$(sha mnt/keep)" = "$keep" ] || fail "$where: the snapshot of the ext4"
  "$TEST_IO" check-records mnt/snap mnt/base records ||
    fail "$where: what was acknowledged is not there"
  local name
  for name in plain side; do
    # shellcheck disable=SC2046  # words
    "${fio[@]}" $(on $name) --rw=read || fail "$where: fio's data on $name"
  done
}

mount_all() {
  mount_snapfs spec mnt
  attach mnt/disk --direct-io="$direct"
  ext4=$loop
  attach mnt/work --direct-io="$direct"
  other=$loop
  check_ext4 "$ext4" now
  check_$on_snapshot "$other" past
  check_files now
  check_files past
}

has_grown() { [ "$(stat -c %s "$1")" -gt "$2" ]; }
# Has a process written so much?
has_written() { [ "$(awk '/^wchar/ { print $2 }' "/proc/$1/io")" -gt "$2" ]; }

work_and_kill() {
  local dir name pid sizes=() workers=() fios=()
  for name in records now.files past.files; do
    sizes+=("$(stat -c %s $name)")
  done
  "$TEST_IO" record mnt records $blocks base snap &
  workers+=($!)
  for dir in now past; do
    work_in $dir &
    workers+=($!)
  done
  for name in plain side; do
    # shellcheck disable=SC2046  # words
    "${fio[@]}" $(on $name) --rw=randwrite --verify_backlog=32 --fsync=16 \
      --time_based --runtime=1h 2>/dev/null &
    fios+=($!)
  done
  # Everybody has done something, and goes on.
  wait_until has_grown records $((sizes[0] + 200))
  wait_until has_grown now.files "${sizes[1]}"
  wait_until has_grown past.files "${sizes[2]}"
  for pid in "${fios[@]}"; do wait_until has_written "$pid" 200000; done
  for pid in "${workers[@]}" "${fios[@]}"; do
    ! gone "$pid" || fail "$where: one of ${workers[*]} ${fios[*]} gave up" \
      "before the kill, $pid: $(cat mnt/.control/errors)"
  done
  "$TEST_IO" kill-while-writing "$daemon" $((RANDOM % 8 * 50000 + RANDOM)) \
    /dev/null x
  for pid in "${workers[@]}"; do
    wait "$pid" || fail "$where: a worker failed"
  done
  for pid in "${fios[@]}"; do
    ! wait "$pid" || fail "$where: fio has not noticed"
  done
  for name in plain side; do
    ! grep -E "verify failed|bad magic|bad header" $name.log ||
      fail "$where: fio found wrong data on $name"
  done
  wait_until gone "$daemon"
  umount now
  umount past
  detach "$ext4"
  detach "$other"
  umount -l mnt
}

setups=0
checked=0
asked=0
for ((round = 1; round <= count; ++round)); do
  where="seed $seed, kill $round"
  direct=$([ $((round % 2)) -eq 0 ] && echo on || echo off)
  [ $((round % 5)) -ne 1 ] || new_setup
  mount_all
  work_and_kill

  mount_snapfs spec mnt
  check_devices
  if [ $((round % every)) -eq 0 ] || [ "$round" -eq "$count" ]; then
    see >ours
    unmount mnt
    kernel_sees
    asked=$((asked + 1))
  else
    unmount mnt
  fi
  # All the files, too, before the next devices or the end.
  if [ $((round % 5)) -eq 0 ] || [ "$round" -eq "$count" ]; then
    mount_all
    umount now past
    detach "$ext4"
    detach "$other"
    unmount mnt
  fi
done
echo "$count kills, the kernel agreed $asked times;" \
  "$(grep -c '^done' records) acknowledged blocks since the last of $setups" \
  "beginnings, $checked times a synchronised file"
