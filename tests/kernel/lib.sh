# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the kernel tests have in common, on top of the mount tests' lib.sh: a
# snapshot in the directory mnt whose devices are origin.img and snap.cow, and
# the real kernel's opinion of the same two files.
#
# SNAPFS_SEED is the seed, printed first: a number, 1 without it, or "random".
kernel_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$kernel_dir/../mount/lib.sh"
seed=${SNAPFS_SEED:-1}
[ "$seed" != random ] || seed=$RANDOM
echo "SNAPFS_SEED=$seed"

# new_devices ORIGIN_SIZE COW_SECTORS
new_devices() {
  stamped origin.img "$1"
  bytes=$(stat -c %s origin.img)
  # shellcheck disable=SC2034  # for the tests
  sectors=$((bytes / 512))
  rm -f snap.cow
  truncate -s $(($2 * 512)) snap.cow
}

# start STORE CHUNK_SECTORS [more lines]: mounts both at mnt
start() {
  mkdir -p tables.d
  origin_table "$work/origin.img" >tables.d/origin.yaml
  snapshot_table origin "$work/snap.cow" "store: $1" "chunk_size: $2" \
    "${@:3}" >tables.d/snap.yaml
  mount_snapfs tables.d mnt
}

# The lines that guest.sh's report() prints, as the mounted snapfs sees it.
report_ours() {
  echo "status $(status_line mnt snap)"
  echo "snapshot_sha256 $(sha_or_eio mnt/snap)"
  echo "origin_sha256 $(sha_or_eio mnt/origin)"
}

sha_or_eio() {
  if dd if="$1" bs=512 count=1 status=none of=/dev/null 2>error.log; then
    sha "$1"
  else
    grep -q "Input/output error" error.log || fail "$(cat error.log)"
    echo EIO
  fi
}

# in_kernel [OPS_FILE] < COMMANDS: runs COMMANDS on both devices, unmounted,
# with the functions of guest.sh; $OPS_FILE's data is the third disk.
# shellcheck disable=SC2120  # the tests pass it
in_kernel() {
  local disks=(origin.img snap.cow) status=0
  if [ $# -gt 0 ]; then
    "$TEST_IO" data <"$1" >data.img
    disks+=(data.img)
  fi
  cat "$kernel_dir/guest.sh" - >job
  "$kernel_dir/run-in-kernel" job "${disks[@]}" || status=$?
  [ "$status" -ne 77 ] || skip "no kernel to ask"
  return "$status"
}

# kernel_agrees STORE CHUNK WHAT: the kernel, which loads the two devices now,
# sees what the file `ours` says.
kernel_agrees() {
  # shellcheck disable=SC2119
  in_kernel <<<"load $1 $2; report; unload" >kernels
  diff -u --label snapfs ours --label kernel kernels >&2 ||
    fail "$3: the kernel does not see what snapfs showed"
}

# check_content OPS CHUNK: what `ours` says is what the operations say.
check_content() {
  "$TEST_IO" views "$2" "$bytes" snap.view origin.view <"$1"
  eq "$(sed -n 's/^origin_sha256 //p' ours)" "$(sha origin.view)" \
    "the origin's content"
  local found
  found=$(sed -n 's/^snapshot_sha256 //p' ours)
  [ "$found" = EIO ] || eq "$found" "$(sha snap.view)" "the snapshot's content"
}

"$kernel_dir/run-in-kernel" - <<<: || {
  [ $? -ne 77 ] || skip "needs user-mode-linux busybox-static dmsetup"
  fail "the kernel does not start"
}
