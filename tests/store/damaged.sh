#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Each fault of a store is found, named with byte and record, and repaired, in a
# copy and in place; what `--in-place` did a restore undoes.
. "$(dirname "$0")/lib.sh"

good_store good
truncate -s $((100 * 4096)) origin
run 0 check good
eq "$text" "good: 5 records, no errors" "check of a good store"

# spoil NAME: a copy of the good store to spoil
spoil() { cp --sparse=always good "$1"; }

# found NAME FINDING OLD...: `check` finds this and nothing else; a repair leaves
# records of the OLD chunks, here and there.
found() {
  local name=$1 finding=$2
  shift 2
  local options=(--origin origin)
  cp --sparse=always "$name" before
  run 4 check "$name" "${options[@]}"
  eq "$(head -n 1 <<<"$text")" "$name: $finding" "finding of $name"
  eq "$(wc -l <<<"$text")" 2 "lines of check of $name"
  contains "$(tail -n 1 <<<"$text")" " records, 1 error" "sum of $name"
  run 4 check --quiet "$name" "${options[@]}"
  eq "$text" "" "quiet check"

  run 1 repair "$name" --output copy "${options[@]}"
  contains "$text" "copy: $# records kept, " "repair of $name"
  same "$name" before "$name after a repair to elsewhere"
  run 0 check copy "${options[@]}"
  expect_data copy "$@"
  rm copy

  run 1 repair "$name" --in-place --backup backup "${options[@]}"
  contains "$text" "The metadata as it was: backup" "repair in place"
  run 0 check "$name" "${options[@]}"
  expect_data "$name" "$@"
  run 0 restore --force backup "$name"
  same "$name" before "$name when it is undone"
  rm "$name" backup
}

spoil new-beyond; record new-beyond 2 14 300
found new-beyond "byte 4128, record 2: new-beyond: new chunk 300 lies beyond \
the end of the device" 0 7 21 28
spoil new-area; record new-area 4 28 258
found new-area "byte 4160, record 4: new-metadata: new chunk 258 is a metadata \
chunk" 0 7 14 21
spoil old-beyond; record old-beyond 0 100 2
found old-beyond "byte 4096, record 0: old-beyond: old chunk 100 lies beyond \
the end of the origin" 7 14 21 28
spoil old-twice; record old-twice 3 7 5
found old-twice "byte 4144, record 3: old-twice: old chunk 7 is that of record \
1, too" 0 7 14 28
spoil new-twice; record new-twice 3 21 2
found new-twice "byte 4144, record 3: new-twice: new chunk 2 is that of record \
0, too" 0 7 14 28
spoil version; header version 1 2 8
found version "byte 8: bad-version: version 2 instead of 1" 0 7 14 21 28
spoil valid; header valid 3 1 8
found valid "byte 4: bad-valid: valid is 3 instead of 0 or 1" 0 7 14 21 28

# Two faults, and what is none.
spoil several; record several 1 1000 3; record several 3 21 400
record several 9 5 6
run 4 check several --origin origin
eq "$text" "several: byte 4112, record 1: old-beyond: old chunk 1000 lies \
beyond the end of the origin
several: byte 4144, record 3: new-beyond: new chunk 400 lies beyond the end of \
the device
several: byte 4176: behind-end: 1 dead records behind the end of the log, which \
nobody reads (no error)
several: 5 records, 2 errors" "findings of several"
# An origin that is not known hides the first.
run 4 check several
contains "$text" "5 records, 1 error" "check without the origin"

# Cut off: what lies behind is lost, and named.
spoil cut; truncate -s $((4 * 4096)) cut
run 4 check cut
contains "$text" "cut: byte 4128, record 2: new-beyond" "check of cut"
run 1 repair cut --output copy
expect_data copy 0 7
rm copy

# A full area, and no place for the end of the log.
spoil endless
for ((i = 5; i < 256; ++i)); do
  little_endian $((i * 7)) 8
  little_endian $((i + 2)) 8
done | poke endless $((4096 + 5 * 16))
truncate -s $((258 * 4096)) endless
run 4 check endless
contains "$text" "endless: byte 1056768: no-end: " "check of endless"
run 1 repair endless --in-place --backup backup
run 0 check endless
eq "$text" "endless: 256 records, no errors" "endless, repaired"
rm backup

# The header is lost: it takes a chunk size, and somebody who knows.
spoil lost; head -c 512 /dev/zero | poke lost 0
run 8 info lost
contains "$text" "not a store" "info without a header"
run 4 check lost
contains "$text" "byte 0: bad-magic" "check without a header"
contains "$text" "records not looked at" "check without a header"
run 8 dump lost
contains "$text" "--chunk-size" "dump without a header"
run 8 repair lost --output copy
[ ! -e copy ] || fail "an output without a chunk size"
run 4 check lost --chunk-size 8
contains "$text" "5 records, 1 error" "check with a chunk size"
run 4 repair lost --chunk-size 4KiB --output copy
contains "$text" "marked invalid" "repair of a lost header"
run 4 check copy
run 1 repair lost --chunk-size 4KiB --set-valid --output copy --force
run 0 check copy
expect_data copy 0 7 14 21 28
rm copy

# Invalid stays so, unless somebody knows better.
spoil invalid; header invalid 0 1 8
run 4 repair invalid --in-place --backup backup
contains "$text" "nothing else is wrong" "repair of an invalid store"
[ ! -e backup ] || fail "a backup of what was not changed"
run 4 repair invalid --output copy
run 4 check copy
rm copy
run 1 repair invalid --in-place --backup backup --set-valid
run 0 check invalid
expect_data invalid 0 7 14 21 28
rm backup

run 0 repair good --in-place --backup backup
contains "$text" "nothing to repair" "repair of a good store"
[ ! -e backup ] || fail "a backup of a good store"

# What is there is not overwritten.
spoil twice; record twice 3 7 5
echo mine >mine
run 8 repair twice --output mine
contains "$text" "mine exists; --force overwrites it" "an output that exists"
eq "$(cat mine)" mine "the file after that"
cp --sparse=always twice before
run 8 repair twice --in-place --backup mine
eq "$(cat mine)" mine "a backup that exists"
same twice before "the store without a backup"
run 8 repair twice --output twice --force
contains "$text" "is the store that is read" "the store as its own output"
ln -s nowhere link
run 8 repair twice --output link
[ ! -e nowhere ] || fail "a file was made through a link"
same twice before "the store after all that"

# Wrong command lines, and what is no store at all.
for arguments in "check" "check a b" "check --chunk-size 12 good" \
  "repair good" "repair good --in-place" "repair good --output x --in-place" \
  "repair good --backup b --output x" "dump --format xml good" "restore x"; do
  # shellcheck disable=SC2086  # words
  run 16 $arguments
done
run 8 check missing
run 8 check .
run 8 check /dev/null
: >empty
run 4 check empty
contains "$text" "no-header" "check of an empty file"
echo text >short
run 4 check short
run 8 dump short
head -c 1048576 /dev/zero | tr '\0' '\377' >ones
run 4 check ones
run 8 info ones
header ones 1 1 8
run 4 check --quiet ones
run 1 repair ones --output copy
eq "$(tail -n 2 <<<"$text" | head -n 1)" "copy: 0 records kept, 256 left out" \
  "what is left of ones"
# As large as a device may say that it is, and nothing in it.
truncate -s 8E huge 2>/dev/null || truncate -s 8T huge
header huge 1 1 $((1 << 21))
run 0 check huge
if (: >/dev/full) 2>/dev/null; then
  status=0
  "$SNAPFS" check good >/dev/full 2>error || status=$?
  eq "$status" 8 "status when stdout is full"
fi
