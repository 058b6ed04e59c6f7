#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A dump that is not whole, or makes no store, is refused before anything is
# written; an edited one is taken.
. "$(dirname "$0")/lib.sh"

good_store good
record good 9 3 4 # dead
cp --sparse=always good before
# shellcheck disable=SC2094  # dump is a word here
"$SNAPFS" dump good >dump
"$SNAPFS" dump good --format json >dump.json

# refused FILE PART [OPTIONS]: and nothing is written
refused() {
  run 8 restore "${@:3}" "$1" good
  contains "$text" "$2" "restore of $1"
  same good before "the store after $1 was refused"
}
edit() { sed "$1" dump >edited; }

head -n -1 dump >edited
refused edited "not complete"
head -n -2 dump >edited
refused edited "not complete"
head -c 300 dump.json >edited
refused edited "line"
edit /^record.2/d
refused edited "record 3 is not in its place"
edit 's/^record 2 4128 /record 2 4129 /'
refused edited "record 2 is not in its place"
edit 's/^end 5 /end 6 /'
refused edited "counts"
edit '/^header/d'
refused edited "not complete"
edit 's/^header .*/header zz/'
refused edited "header"
edit 's/^chunk_sectors 8/chunk_sectors 12/'
refused edited "chunk_sectors"
edit 's/^snapfs-dump 1/snapfs-dump 2/'
refused edited "version 2"
edit '1d'
refused edited "not a dump"
edit 's/^record 2 .*/record 2 4128 99999999999999999999999 3/'
refused edited "old-beyond"
edit 's/^record 2 .*/record 2 4128 -1 3/'
refused edited "numbers"
echo >>dump; cp dump edited; echo "record 5 4176 1 9" >>edited
refused edited "follows the end"
edit 's/^behind 9 /behind 300 /'
refused edited "not in its place"
: >edited
refused edited ""
refused missing ""
refused . "not a regular file"
sed 's/"slot": 2/"slot": -2/' dump.json >edited
refused edited "number"
sed 's/"new_chunk": 4}/"new_chunk": 4e1}/' dump.json >edited
refused edited "number"
printf '%0.s[' {1..100000} | sed 's/^/{"x": /' >edited
refused edited "nested too deeply"

# Sound as a dump, but no sound store: only by force.
edit 's/^record 2 4128 14 4/record 2 4128 14 4000/'
refused edited "new-beyond"
edit 's/^record 2 4128 14 4/record 2 4128 7 4/'
refused edited "old-twice"
run 0 restore --force edited good
run 4 check good
run 0 restore dump good
same good before "the store after dump"

# Not over what is something else.
cp --sparse=always good other
header other 1 1 16
cp --sparse=always other other.before
run 8 restore dump other
contains "$text" "another chunk size" "restore over another store"
same other other.before "the other store"

# Edited by hand: one record less. JSON in another order, as jq sorts it.
edit '/^record 4/d; s/^end 5 /end 4 /'
run 0 restore edited good
run 0 check good
expect_data good 0 7 14 21
if command -v jq >/dev/null; then
  jq -S . dump.json >edited
  run 0 restore edited good
  same good before "the store after a sorted dump"
fi
