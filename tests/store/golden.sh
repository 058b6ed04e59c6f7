#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Stores that the kernel wrote: `info` says what the kernel said, `check` finds
# nothing, a dump brings the metadata back bit by bit, and a copy by `repair` is
# a store with the same records and the same data.
. "$(dirname "$0")/lib.sh"
command -v xz >/dev/null || skip "needs xz"

# is_json FILE
if command -v python3 >/dev/null; then
  is_json() { python3 -m json.tool "$1" >/dev/null; }
elif command -v jq >/dev/null; then
  is_json() { jq . "$1" >/dev/null; }
else
  is_json() { :; }
fi

# Old chunk and the checksum of its data, for each record.
content() {
  local chunk old new
  chunk=$("$SNAPFS" info "$1" | sed -n 's/^chunk_size: \([0-9]*\).*/\1/p')
  "$SNAPFS" dump "$1" | awk '$1 == "record" { print $4, $5 }' |
    while read -r old new; do
      echo "$old $(dd if="$1" bs="$chunk" skip="$new" count=1 status=none |
        cksum)"
    done
}

for directory in "$here"/../golden/*/; do
  name=$(basename "$directory")
  xz -dc "$directory/cow.xz" >cow
  cp cow original

  kernels=$(sed -n 's/^status 0 [0-9]* snapshot //p' "$directory/expected")
  clean=0
  if [ "$kernels" = Invalid ]; then
    clean=4
    run 0 info cow
    contains "$text" "valid: no" "info of $name"
    run 4 check cow
    contains "$text" "cow: byte 4: marked-invalid: " "check of $name"
    contains "$text" ", 1 error" "check of $name"
  else
    run 0 info cow
    contains "$text" "valid: yes" "info of $name"
    contains "$text" "usage: $kernels" "info of $name"
    run 0 check cow
    contains "$text" "records, no errors" "check of $name"
  fi

  run $clean repair cow --output copy
  run $clean check copy
  # The others have so many records that it would take long.
  if [ "$("$SNAPFS" info cow | sed -n 's/^records: //p')" -lt 120 ]; then
    content cow >contents
    same contents <(content copy) "content of the copy of $name"
  fi
  same cow original "$name after it was only read"

  for format in text json; do
    # shellcheck disable=SC2094  # dump is a word here
    "$SNAPFS" dump cow --format $format >dump
    [ $format = text ] || is_json dump || fail "$name: no JSON"
    # No header, and ones in the first and the last area.
    cp original cow
    chunk_bytes=$("$SNAPFS" info cow | sed -n 's/^chunk_size: \([0-9]*\).*/\1/p')
    areas=$("$SNAPFS" info cow | sed -n 's/^metadata_areas: //p')
    for area in 0 $((areas - 1)); do
      head -c "$chunk_bytes" /dev/zero | tr '\0' '\377' |
        dd of=cow bs="$chunk_bytes" conv=notrunc status=none \
          seek=$((1 + (chunk_bytes / 16 + 1) * area))
    done
    head -c 512 /dev/zero | dd of=cow conv=notrunc status=none
    run 8 info cow
    run 0 restore dump cow
    same cow original "$name from $format"
  done
  rm -f cow copy original
done
