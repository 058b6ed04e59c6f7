#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# sides.sh ROUNDS: stores that change sides. In each round snapfs and then the
# real kernel load the same four stores, each of another chunk size, write at
# random to the snapshots and their origins, discard, hand the stores over, merge
# them; and one of the two is killed in the middle of it. Whoever comes next sees
# the same status lines and the same content as the one before, and both are what
# the operations say; a merge that was killed is ended by the other side. New
# stores every two rounds, of all chunk sizes from 1 to 2048 sectors in turn.

# The kernel's zeroes ask FALLOC_FL_ZERO_RANGE of the disks' file system, which
# tmpfs does not have, and /tmp may be one.
export TMPDIR=${TMPDIR:-/var/tmp}
. "$(dirname "$0")/lib.sh"
truncate -s 4096 zeroes
fallocate --zero-range --offset 0 --length 4096 zeroes ||
  skip "$work needs a file system with FALLOC_FL_ZERO_RANGE"
rounds=${1:?number of rounds}
RANDOM=$((seed % 32768))

pairs="0 1 2 3"
sizes=(1 8 128 2048 2 32 512 1024 4 16 64 256)
sectors=12296 # of an origin; large chunks end behind it
side_ops=24   # of one side in a round
# When one is killed: each synchronised; none, which goes faster.
crash_ops=(600 12000)
events=(same other merge none)
mkdir spec mnt
for p in $pairs; do mkdir "$p"; done

ops() { echo "$1/ops"; }
# The next part of the list of pair $p begins at line ${next[p]}.
declare -a chunk next event
declare -a merging # what a killed merge has left: not empty

# New stores; the list of operations of each pair is long enough for both rounds.
begin() {
  local whole
  for p in $pairs; do
    chunk[p]=${sizes[((round - 1) / 2 * 4 + p) % 12]}
    next[p]=1
    merging[p]=
    stamped "$p/origin.img" $((sectors * 512))
    cp "$p/origin.img" "$p/origin.view"
    cp "$p/origin.img" "$p/snap.view"
    rm -f "$p/snap.cow"
    truncate -s 24M "$p/snap.cow"
    # Whole chunks are discarded, and none that the device ends in.
    whole=$((sectors / chunk[p] * chunk[p]))
    "$TEST_IO" ops $((seed * 1000 + round * 10 + p)) 14000 $sectors 256 1 discards |
      awk -v chunk="${chunk[p]}" -v whole=$whole '$1 == "discard" {
        $2 -= $2 % chunk
        $3 = int(($3 + chunk - 1) / chunk) * chunk
        if ($2 + $3 > whole) $2 = whole - $3
        if ($2 < 0) { $1 = "snap"; $2 = 0; $3 = 8 }
      } { print }' >"$(ops $p)"
  done
}

# A part of pair $p's list, of $1 lines: $from and $to.
take() {
  from=${next[p]}
  to=$((from + $1 - 1))
  next[p]=$((to + 1))
}
no_discards() { sed -i "${from},${to}s/^discard/snap/" "$(ops $p)"; }

# The content that the operations say, as in a report.
expected() {
  [ -n "${merging[p]}" ] || echo "$p snapshot_sha256 $(sha $p/snap.view)"
  echo "$p origin_sha256 $(sha $p/origin.view)"
}
check_report() { # FILE WHAT
  local p
  diff -u --label operations <(for p in $pairs; do expected; done) \
    --label "$2" <(grep -v ' status ' "$1") >&2 ||
    fail "$where: $2 does not see what the operations say"
}

# --- snapfs -----------------------------------------------------------------

mount_all() { # [merge_rate]
  rm -f spec/*
  for p in $pairs; do
    if [ -n "${merging[p]}" ]; then
      printf '%s\n' "target: snapshot-merge" "origin: $work/$p/origin.img" \
        "cow: $work/$p/snap.cow" "merge_rate: ${1:-1GiB}" >spec/o$p.yaml
    else
      origin_table "$work/$p/origin.img" >spec/o$p.yaml
      table >spec/s$p.yaml
    fi
  done
  mount_snapfs spec mnt
}
table() {
  snapshot_table o$p "$work/$p/snap.cow" "chunk_size: ${chunk[p]}" \
    "features: [discard_zeroes_cow]" "$@"
}

report_all() {
  for p in $pairs; do
    if [ -z "${merging[p]}" ]; then
      echo "$p status $(status_line mnt s$p)"
      echo "$p snapshot_sha256 $(sha mnt/s$p)"
    fi
    echo "$p origin_sha256 $(sha mnt/o$p)"
  done
}

merge_has_ended() {
  [[ $(status_line mnt o$p) == *" snapshot-origin"* ]]
}

# Every merge that was left is ended, and the pair is one again.
end_merges() {
  local left=
  for p in $pairs; do left+=${merging[p]}; done
  [ -n "$left" ] || return 0
  mount_all
  for p in $pairs; do
    [ -n "${merging[p]}" ] || continue
    eq "$(sha mnt/o$p)" "$(sha $p/origin.view)" "$where: a merge that is left"
    wait_until merge_has_ended
    ended=$((ended + 1))
  done
  unmount mnt
  for p in $pairs; do merging[p]=; done
}

# What is there after the other side was killed is what the operations go on from.
accept_crash() { # of the lines ${crash_from[p]} to ${crash_to[p]}
  for p in $pairs; do
    [ -n "${crash_from[p]:-}" ] && [ -z "${merging[p]}" ] || continue
    "$TEST_IO" check-crash $p/snap.view mnt/s$p snap "${crash_from[p]}" \
      "${snap_durable[p]}" "${crash_to[p]}" <"$(ops $p)" ||
      fail "$where: the snapshot of pair $p (chunks of ${chunk[p]})"
    "$TEST_IO" check-crash $p/origin.view mnt/o$p origin "${crash_from[p]}" \
      "${origin_durable[p]}" "${crash_to[p]}" <"$(ops $p)" ||
      fail "$where: the origin of pair $p (chunks of ${chunk[p]})"
    cp mnt/s$p $p/snap.view
    cp mnt/o$p $p/origin.view
  done
  crash_from=()
}

replay_both() { # NAME HOW
  "$TEST_IO" replay mnt/"$1" mnt/o$p "$2" $from $to <"$(ops $p)"
  "$TEST_IO" replay $p/snap.view $p/origin.view "" $from $to <"$(ops $p)"
}

work_here() {
  for p in $pairs; do
    event[p]=${events[(round + p) % 4]}
    how=(fsync direct "")
    take $((side_ops / 2))
    replay_both s$p "${how[RANDOM % 3]}"
    take $((side_ops / 2))
    case ${event[p]} in
      none) replay_both s$p "" ;;
      same)
        table "store: PO" >mnt/.control/tables/s$p.yaml
        echo suspend >mnt/.control/state/s$p
        replay_both s$p ""
        ;;
      other)
        table >mnt/.control/tables/t$p.yaml
        echo suspend >mnt/.control/state/s$p
        rm mnt/.control/tables/s$p.yaml
        replay_both t$p ""
        table "activate: now" >mnt/.control/tables/s$p.yaml
        rm mnt/.control/tables/t$p.yaml
        ;;
      merge)
        "$SNAPFS" merge -m mnt --wait s$p >merge.log 2>&1
        cp $p/snap.view $p/origin.view
        [ ! -e mnt/s$p ] || rm mnt/.control/tables/s$p.yaml
        table >mnt/.control/tables/s$p.yaml
        replay_both s$p ""
        ;;
    esac
  done
}

# Everybody is busy when the daemon is killed: a pair in turn with a merge.
crash_here() {
  local workers=()
  for p in $pairs; do
    if [ $(((round + p) % 4)) -eq 0 ]; then
      merging[p]=here
      cp $p/snap.view $p/origin.view
      "$SNAPFS" merge -m mnt --rate 256KiB s$p
      continue
    fi
    take "${crash_ops[p % 2]}"
    no_discards
    how=$([ $((p % 2)) -eq 0 ] && echo fsync || echo "")
    crash_from[p]=$from
    crash_to[p]=$to
    synced[p]=$how
    "$TEST_IO" replay mnt/s$p mnt/o$p "$how" $from $to <"$(ops $p)" \
      >$p/crash.log 2>&1 &
    workers[p]=$!
  done
  "$TEST_IO" kill-while-writing "$daemon" $((100000 + RANDOM * 10)) /dev/null x
  local at
  for p in $pairs; do
    [ -n "${workers[p]:-}" ] || continue
    if wait "${workers[p]}"; then
      at=$((crash_to[p] + 1))
      synced[p]=fsync
    else
      at=$(grep -o 'operation [0-9]*' $p/crash.log | cut -d' ' -f2) ||
        fail "$where: $(cat $p/crash.log)"
      [ "$at" -eq "${crash_from[p]}" ] || amid=$((amid + 1))
    fi
    # What write() has returned for an origin, a daemon that is killed keeps.
    origin_durable[p]=$((at - 1))
    snap_durable[p]=$((at - 1))
    [ "${synced[p]}" = fsync ] || snap_durable[p]=$((crash_from[p] - 1))
  done
  wait_until gone "$daemon"
  umount -l mnt
}
declare -a crash_from crash_to synced snap_durable origin_durable

# --- the kernel -------------------------------------------------------------

# The disks of pair $p in the guest.
disk() { # origin|cow|data
  local letters=abcdefghijkl at
  case $1 in origin) at=0 ;; cow) at=1 ;; data) at=2 ;; esac
  echo "/dev/ubd${letters:p * 3 + at:1}"
}

# The guest's commands for the lines $from to $to of pair $p's list, on the
# snapshot $1; its data begins at sector $skip of the data disk.
guest_ops() {
  awk -v from=$from -v to=$to -v p=$p -v snap="$1" -v data="$(disk data)" \
    -v at=$skip '
    NR < from || NR > to { next }
    $1 == "discard" { print "zero", snap, $2, $3 }
    $1 == "snap" { print "copy", data, snap, $2, $3, at }
    $1 == "origin" { print "copy", data, "o" p, $2, $3, at }
    { print "did", p, NR; at += $3 }' "$(ops $p)"
  skip=$((skip + $(sed -n "${from},${to}p" "$(ops $p)" |
    awk '{ sum += $3 } END { print sum + 0 }')))
}

guest_table() {
  echo "0 $sectors snapshot $(disk origin) $(disk cow) P ${chunk[p]}" \
    "1 discard_zeroes_cow"
}

# Takes the store of s$p to be merged, as lvconvert does it.
guest_merge() {
  echo "dmsetup load o$p --table \"0 $sectors snapshot-merge $(disk origin)" \
    "$(disk cow) P ${chunk[p]}\" || exit 1"
  echo "dmsetup suspend s$p && dmsetup suspend o$p && dmsetup resume o$p &&" \
    "dmsetup remove s$p || exit 1"
}
guest_merge_end() {
  echo "until merged o$p; do :; done"
  echo "dmsetup load o$p --table \"0 $sectors snapshot-origin $(disk origin)\" &&" \
    "dmsetup suspend o$p && dmsetup resume o$p || exit 1"
  echo "dmsetup create s$p --table \"$(guest_table)\" || exit 1"
}

# guest_job CRASH: the commands for all pairs. Updates what they are to see.
guest_job() {
  cat "$kernel_dir/guest.sh" - <<'GUEST'
copy() { # DATA DEVICE FIRST COUNT SKIP
  /usr/bin/dd if=$1 of=/dev/mapper/$2 bs=$(($4 * 512)) count=1 \
    iflag=skip_bytes,direct skip=$(($5 * 512)) \
    oflag=direct,seek_bytes seek=$(($3 * 512)) conv=notrunc 2>/dev/null ||
    { echo "copy $*: failed"; exit 1; }
}
zero() { # DEVICE FIRST COUNT
  blkdiscard -o $(($2 * 512)) -l $(($3 * 512)) /dev/mapper/$1 ||
    { echo "zero $*: failed"; exit 1; }
}
merged() { # has it nothing left but metadata?
  set -- $(dmsetup status "$1")
  [ "${4%%/*}" -eq "$5" ]
}
see() { # PAIR
  echo "$1 status $(dmsetup status s$1)"
  sum "$1 snapshot_sha256" s$1
  sum "$1 origin_sha256" o$1
}
did() { :; }
GUEST
  for p in $pairs; do
    if [ -n "${merging[p]}" ]; then
      echo "dmsetup create o$p --table \"0 $sectors snapshot-merge" \
        "$(disk origin) $(disk cow) P ${chunk[p]}\" || exit 1"
      echo "sum '$p origin_sha256' o$p"
    else
      echo "dmsetup create s$p --table \"$(guest_table)\" || exit 1"
      echo "dmsetup create o$p --table \"0 $sectors snapshot-origin $(disk origin)\" || exit 1"
      echo "see $p"
    fi
  done
  echo "echo end of the first report"
  for p in $pairs; do
    if [ -n "${merging[p]}" ]; then guest_merge_end; fi
  done
  if [ "$1" = crash ]; then
    guest_crash
    return
  fi
  for p in $pairs; do
    skip=0
    take $((side_ops / 2))
    guest_ops s$p
    take $((side_ops / 2))
    case ${events[(round + p + 1) % 4]} in
      none) guest_ops s$p ;;
      same)
        echo "dmsetup load s$p --table \"$(guest_table)\" &&" \
          "dmsetup suspend o$p && dmsetup suspend s$p && dmsetup resume s$p &&" \
          "dmsetup resume o$p || exit 1"
        guest_ops s$p
        ;;
      other)
        echo "dmsetup create t$p --notable &&" \
          "dmsetup load t$p --table \"$(guest_table)\" &&" \
          "dmsetup suspend o$p && dmsetup suspend s$p && dmsetup resume t$p &&" \
          "dmsetup resume o$p && dmsetup remove s$p || exit 1"
        guest_ops t$p
        echo "dmsetup rename t$p s$p || exit 1"
        ;;
      merge)
        guest_merge
        guest_merge_end
        guest_ops s$p
        ;;
    esac
    echo "see $p"
  done
  echo "for p in $pairs; do dmsetup remove s\$p && dmsetup remove o\$p || exit 1; done"
}

# Ended in the middle, when the pair $leader has carried so many out.
guest_crash() {
  local leader=$(((round + 1) % 4)) enough=$((5 + RANDOM % 20))
  echo "did() { echo \"\$1 did \$2\"; [ \"\$1\" -ne $leader ] ||" \
    "echo \$2 >/tmp/done; }"
  echo "echo 0 >/boot/status; echo 0 >/tmp/done"
  for p in $pairs; do
    if [ $(((round + p) % 4)) -eq 0 ]; then
      guest_merge
      continue
    fi
    skip=0
    take $((side_ops * 2))
    no_discards
    echo "("
    guest_ops s$p
    echo ") &"
  done
  echo "until [ \$(cat /tmp/done || echo 0) -ge $((next[leader] - side_ops * 2 + enough)) ]" \
    "2>/dev/null; do :; done"
  echo "poweroff -nf"
}

# in_guest clean|crash: a round of the kernel's. Before it, `ours` is what snapfs
# sees.
in_guest() {
  local disks=() begins=("${next[@]}") part
  for p in $pairs; do cp --sparse=always $p/snap.cow $p/before.cow; done
  guest_job "$1" >job
  # The lists are at their new places now.
  for p in $pairs; do
    "$TEST_IO" data "${begins[p]}" $((next[p] - 1)) <"$(ops $p)" >$p/data.img
    [ -s $p/data.img ] || truncate -s 512 $p/data.img
    disks+=("$p/origin.img" "$p/snap.cow" "$p/data.img")
  done
  "$kernel_dir/run-in-kernel" job "${disks[@]}" >kernels ||
    fail "$where: the job ended with $?: $(tail -n 5 kernels)"
  sed '/^end of the first report/,$d' kernels >first
  diff -u --label snapfs ours --label kernel first >&2 ||
    fail "$where: the kernel does not see what snapfs saw"
  for p in $pairs; do
    part=before.cow
    if [ -n "${merging[p]}" ]; then
      cp $p/origin.view $p/snap.view
      part=-
      merging[p]=
      ended=$((ended + 1))
    fi
    [ "$part" = - ] || part=$p/$part
    from=${begins[p]}
    to=$((next[p] - 1))
    if [ "$1" = crash ]; then
      if [ $(((round + p) % 4)) -eq 0 ]; then
        merging[p]=there
        cp $p/snap.view $p/origin.view
      else
        crash_from[p]=$from
        crash_to[p]=$to
        snap_durable[p]=$(sed -n "s/^$p did //p" kernels | tail -n 1)
        : "${snap_durable[p]:=$((from - 1))}"
        origin_durable[p]=${snap_durable[p]}
        [ "${snap_durable[p]}" -lt $from ] || [ "${snap_durable[p]}" -ge $to ] ||
          amid=$((amid + 1))
      fi
      continue
    fi
    if [ "${events[(round + p + 1) % 4]}" = merge ]; then
      to=$((from + side_ops / 2 - 1))
      "$TEST_IO" kernel-views ${chunk[p]} $part $p/snap.view $p/origin.view \
        $from $to <"$(ops $p)"
      cp $p/snap.view $p/origin.view
      part=-
      from=$((to + 1))
      to=$((next[p] - 1))
    fi
    "$TEST_IO" kernel-views ${chunk[p]} $part $p/snap.view $p/origin.view \
      $from $to <"$(ops $p)"
  done
  sed '1,/^end of the first report/d' kernels >theirs
}

# ----------------------------------------------------------------------------

amid=0
ended=0
for ((round = 1; round <= rounds; ++round)); do
  where="seed $seed, round $round"
  if [ $((round % 2)) -eq 1 ]; then
    begin
    mount_all
    work_here
  else
    mount_all
    work_here
    crash_here
    mount_all 4KiB
    accept_crash
  fi
  report_all >ours
  check_report ours snapfs
  unmount mnt

  if [ $((round % 2)) -eq 1 ]; then
    in_guest crash
    end_merges
    mount_all
    accept_crash
    report_all >ours
  else
    in_guest clean
    check_report theirs "the kernel"
    mount_all
    report_all >ours
    diff -u --label kernel theirs --label snapfs ours >&2 ||
      fail "$where: snapfs does not see what the kernel saw"
  fi
  check_report ours snapfs
  unmount mnt
done
echo "$rounds rounds; $amid parts were cut off in the middle, $ended merges" \
  "that one side had begun were ended by the other"
