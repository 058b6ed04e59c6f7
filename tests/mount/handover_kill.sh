#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# handover_kill.sh COUNT save|plain: kills the daemon COUNT times (-9), at
# random points of handovers under the same name and another one, and mounts
# SPEC again each time. The store has one table then, whatever was acknowledged
# by fsync is there, and a saved SPEC is what was live or was about to be.
. "$(dirname "$0")/lib.sh"

count=${1:?COUNT}
mode=${2:?save or plain}
seed=${SNAPFS_SEED:-1}
[ "$seed" != random ] || seed=$((SRANDOM % 32768))
RANDOM=$((seed % 32768))
echo "SNAPFS_SEED=$seed"
options=()
[ "$mode" = plain ] || options=(-o save)

blocks=64
stamped origin.img 256K
mkdir spec mnt
origin_table "$work/origin.img" >spec/base.yaml
snapshot_table base "{path: cow, create: true, size: 4MiB}" "chunk_size: 4KiB" \
  >spec/a.yaml
: >records
control=mnt/.control

grown() { [ "$(stat -c %s "$1")" -gt "$2" ]; }

# The live snapshot is in $live, the one that waits, if any, in $waiting.
read_states() {
  local name state lives=0 others=0 base=
  live=
  waiting=
  while IFS=: read -r name state; do
    case $name:$state in
      base:\ live) base=live ;;
      *:\ live) live=$name lives=$((lives + 1)) ;;
      *:\ waiting*) waiting=$name others=$((others + 1)) ;;
      *) fail "round $round: $name is in the state $state" ;;
    esac
  done < <("$SNAPFS" state -m mnt)
  # One that waits under the name of the live one has no line of its own.
  [ ! -e "$control/tables/$live.next.yaml" ] || waiting=$live
  [ "$lives$base" = 1live ] || fail "round $round: $("$SNAPFS" state -m mnt)"
  [ "$others" -le 1 ] || fail "round $round: $others devices wait"
}

# In a SPEC that is saved and in use, files name the COW once for each table.
check_spec() {
  [ "$mode" = save ] || return 0
  local file files=()
  for file in spec/*.yaml; do
    [ "$file" = spec/base.yaml ] || files+=("${file#spec/}")
  done
  local expected="$live.yaml"
  [ -z "$waiting" ] || expected+=" $waiting.next.yaml"
  eq "$(printf '%s\n' "${files[@]}" | sort | tr '\n' ' ')" \
    "$(tr ' ' '\n' <<<"$expected" | sort | tr '\n' ' ')" \
    "round $round: tables in SPEC"
}

table() { # a text that is new each time
  printf 'target: snapshot\norigin: base\ncow: cow\n# %s\n' "$round.$RANDOM"
  [ $((RANDOM % 3)) -ne 0 ] || echo "store: PO"
  [ $((RANDOM % 4)) -ne 0 ] || echo "activate: now"
}

# Handovers until the daemon is gone, or as many as are asked for.
handovers() {
  local left=$1 target
  while [ "$left" -gt 0 ] && kill -0 "$daemon"; do
    target=$live
    [ $((RANDOM % 2)) -eq 0 ] || target=$([ "$live" = a ] && echo b || echo a)
    table >"$control/tables/$target.yaml" &&
      echo suspend >"$control/state/$live" || return 0
    if [ "$target" != "$live" ]; then
      rm "$control/tables/$live.yaml" || return 0
      live=$target
    fi
    left=$((left - 1))
  done
}

# The daemon is killed at some time in this step, or just after it.
killed_in() { # FILE TEXT
  "$TEST_IO" kill-while-writing "$daemon" $((RANDOM % (1 << (6 + RANDOM % 9)))) \
    "$1" "$2"
}

# What the kills have left, to see that they hit.
both=0
waited=0

for ((round = 1; round <= count; ++round)); do
  [ ! -e spec/a.yaml ] || [ ! -e spec/b.yaml ] || both=$((both + 1))
  "$SNAPFS" mount spec mnt "${options[@]}"
  read -r daemon <$control/pid
  read_states
  check_spec
  "$TEST_IO" check-records "mnt/$live" mnt/base records ||
    fail "round $round, seed $seed: what was acknowledged is not there"
  if [ -n "$waiting" ]; then
    waited=$((waited + 1))
    rm "$control/tables/$waiting.next.yaml"
  fi

  size=$(stat -c %s records)
  "$TEST_IO" record mnt records $blocks base a b &
  recorder=$!
  wait_until grown records $((size + 60))
  case $((RANDOM % 3)) in
    0) # whatever it is that goes on then
      (
        handovers 1000000
      ) 2>/dev/null &
      loop_of_handovers=$!
      "$TEST_IO" kill-while-writing "$daemon" $((RANDOM % 40000)) /dev/null x
      wait "$loop_of_handovers" || :
      ;;
    1) # while a table is loaded
      handovers $((RANDOM % 3)) 2>/dev/null
      killed_in "$control/tables/$([ $((RANDOM % 2)) = 0 ] && echo a ||
        echo b).yaml" "$(table)"
      ;;
    2) # while a store is handed over
      handovers $((RANDOM % 3)) 2>/dev/null
      target=$([ $((RANDOM % 2)) = 0 ] && echo a || echo b)
      table >"$control/tables/$target.yaml"
      killed_in "$control/state/$live" suspend
      ;;
  esac
  wait "$recorder" || fail "round $round: the recorder"
  wait_until gone "$daemon"
  umount -l mnt
done

# At last, without a kill before it.
"$SNAPFS" mount spec mnt "${options[@]}"
read -r daemon <$control/pid
read_states
check_spec
"$TEST_IO" check-records "mnt/$live" mnt/base records
umount mnt
wait_until gone "$daemon"
echo "$count kills, $(grep -c '^done' records) acknowledged writes;" \
  "SPEC had both tables $both times, a waiting one $waited times"
