#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The daemon has the capabilities that it needs and no others, in all of its
# threads, and gets no more by running a program; its descriptors are closed on
# exec. What it needs them for works.
. "$(dirname "$0")/lib.sh"
! grep -q __tsan_init "$SNAPFS" || skip "ThreadSanitizer has a thread of its own"

# Bits of linux/capability.h.
dac_override=$((1 << 1))
needed=$((1 << 21 | dac_override | 1 << 0 | 1 << 3 | 1 << 19))
# This may be a container, which has not even those.
own=$((16#$(sed -n 's/^CapEff:\t*//p' /proc/self/status)))

# expect_capabilities PID MAXIMUM WHAT: and all its threads
expect_capabilities() {
  local task set value wanted=$(($2 & own))
  for task in "/proc/$1/task"/*; do
    for set in Inh Prm Eff Bnd Amb; do
      value=$((16#$(sed -n "s/^Cap$set:\t*//p" "$task/status")))
      case $set in
        Prm | Eff) eq "$value" "$wanted" "Cap$set of $3 ($task)" ;;
        Bnd) eq $((value & ~needed)) 0 "Cap$set of $3 ($task)" ;;
        *) eq "$value" 0 "Cap$set of $3 ($task)" ;;
      esac
    done
    eq "$(sed -n 's/^NoNewPrivs:\t*//p' "$task/status")" 1 \
      "NoNewPrivs of $3 ($task)"
  done
}

# Everything but the standard streams.
expect_close_on_exec() {
  local file flags fd
  for file in "/proc/$1/fdinfo"/*; do
    fd=${file##*/}
    [ "$fd" -gt 2 ] || continue
    flags=$(sed -n 's/^flags:\t*//p' "$file" 2>/dev/null) || continue
    [ -n "$flags" ] || continue
    [ $((8#$flags & 8#2000000)) -ne 0 ] ||
      fail "descriptor $fd of $2 stays open on exec:" \
        "$(readlink "/proc/$1/fd/$fd"), flags $flags"
  done
}

is_asleep() { [ "$(cat "/proc/$1/comm")" = sleep ]; }

stamped origin.img 4M
mkdir -m 755 tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "{path: $work/snap.cow, create: true, size: 8MiB}" \
  >tables.d/snap.yaml
# Root is none of their owners.
chown 65534:65534 tables.d tables.d/*
chmod 640 tables.d/*

for options in save "save,clone_fd,max_threads=4"; do
  mount_snapfs tables.d mnt -o "$options"
  # All threads, and descriptors of every kind: events that are followed, a
  # mapping that is written back, a loop device.
  "$SNAPFS" events -m mnt >events.log &
  follower=$!
  attach mnt/snap
  dd if=/dev/zero of="$loop" bs=64k count=4 oflag=direct status=none
  dd if=/dev/zero of=mnt/base bs=64k count=4 conv=notrunc,fsync status=none
  "$SNAPFS" suspend -m mnt base
  "$SNAPFS" resume -m mnt base
  expect_capabilities "$daemon" $needed "the daemon"
  expect_close_on_exec "$daemon" "the daemon"
  helper=$(pgrep --parent "$daemon" --exact snapfs-sync)
  expect_capabilities "$helper" $dac_override "its helper"
  expect_close_on_exec "$helper" "its helper"

  # A later table, on a device that belongs to somebody else, is saved in a
  # directory that does; a file that is replaced keeps its owner.
  truncate -s 8M other.cow
  chown 65534:65534 other.cow
  chmod 600 other.cow
  snapshot_table base "$work/other.cow" | "$SNAPFS" load -m mnt -n other -
  [ -f tables.d/other.yaml ] || fail "the later table was not saved"
  origin_table "$work/origin.img" "mode: 0640" |
    "$SNAPFS" load -m mnt -n base -
  eq "$(stat -c '%u %a' tables.d/base.yaml)" "65534 640" \
    "owner and mode of a saved table"
  "$SNAPFS" remove -m mnt other
  rm other.cow

  # Who holds a device is named, also if it is another user's, or has more
  # capabilities than the daemon.
  truncate -s 8M held.cow
  chmod 666 held.cow
  for user in 0 65534; do
    setpriv --reuid=$user --clear-groups flock --exclusive held.cow \
      sleep infinity &
    holder=$!
    wait_until is_locked held.cow
    must_fail "$SNAPFS" load -m mnt -n held - < <(
      snapshot_table base "$work/held.cow")
    contains "$text" "held.cow is in use: process $holder (flock) holds it" \
      "the error for user $user"
    pkill --parent $holder
    wait $holder 2>/dev/null || :
  done

  # Users of the mount are named when it is to end, whoever they are, and it
  # ends.
  kill $follower
  wait $follower 2>/dev/null || :
  users=()
  for user in 0 65534; do
    setpriv --reuid=$user --clear-groups sleep infinity <mnt/snap &
    users+=($!)
    wait_until is_asleep $!
  done
  kill -TERM "$daemon"
  for user in "${users[@]}"; do
    wait_until grep -q "snap.*in use.*$user" mnt/.control/errors
  done
  wait_until grep -q "snap.*in use.*$loop" mnt/.control/errors
  kill "${users[@]}"
  wait "${users[@]}" 2>/dev/null || :
  detach "$loop"
  kill -TERM "$daemon"
  wait_until gone "$daemon"
  ! mountpoint -q mnt || fail "it did not unmount"
  rm snap.cow
done
