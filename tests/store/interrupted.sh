#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Ctrl-C in the middle of a repair leaves the original as it was, and no half of
# a new store.
#
# The program is held there by its own progress report: it goes to a pipe that
# is full, so that nothing can be finished before the pipe is read.
. "$(dirname "$0")/lib.sh"

good_store damaged
for ((i = 5; i < 200; ++i)); do record damaged $i $((i * 7)) $((i + 2)); done
record damaged 100 7 102
cp --sparse=always damaged before

for signal in INT TERM HUP; do
  mkfifo progress
  exec 3<>progress
  # Until it takes no more.
  ! dd if=/dev/zero of=progress bs=4096 oflag=nonblock conv=notrunc \
    status=none 2>/dev/null || :
  # A shell's background job would have SIGINT ignored.
  status=0
  env --default-signal=INT,TERM,HUP \
    "$SNAPFS" repair damaged --output new --progress >out 2>progress 3>&- &
  pid=$!
  end=$((SECONDS + 100))
  until [ -s new ]; do
    [ $SECONDS -lt $end ] || fail "nothing is written: $(cat out)"
    sleep 0.02
  done
  kill -s $signal $pid
  # Now it may go on.
  cat <&3 >/dev/null &
  reader=$!
  wait $pid || status=$?
  kill $reader
  wait $reader 2>/dev/null || :
  exec 3>&-
  rm progress
  eq "$status" 32 "status after SIG$signal"
  [ ! -e new ] || fail "something is left of the copy after SIG$signal"
  same damaged before "the original after SIG$signal"
done

# The same command, not interrupted.
run 1 repair damaged --output new --progress
contains "$text" "100 %" "progress"
run 0 check new
