# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests of the commands on stores have in common. A test works in an
# empty directory, $work, that is gone afterwards. SNAPFS is the program.
set -euEo pipefail
export LC_ALL=C

skip() { echo "skipped: $*"; exit 77; }

fail() {
  echo "FAILED: $*" >&2
  local i
  for ((i = 1; i < ${#FUNCNAME[@]}; ++i)); do
    echo "  ${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]} in ${FUNCNAME[i]}" >&2
  done
  exit 1
}

# eq FOUND WANTED WHAT
eq() { [ "$1" = "$2" ] || fail "$3: found '$1', expected '$2'"; }

# contains TEXT PART WHAT
contains() {
  case $1 in *"$2"*) ;; *) fail "$3: no '$2' in: $1" ;; esac
}

# same FILE FILE WHAT
same() { cmp "$1" "$2" >&2 || fail "$3 differs"; }

# run STATUS ARGUMENTS...: snapfs with these gives this status; what it prints
# is in $text.
run() {
  local wanted=$1 status=0
  shift
  text=$("$SNAPFS" "$@" 2>&1) || status=$?
  [ "$status" -eq "$wanted" ] ||
    fail "snapfs $*: status $status instead of $wanted: $text"
}

# --- stores byte by byte ----------------------------------------------------

little_endian() { # VALUE BYTES
  local i value=$1 byte text=
  for ((i = 0; i < $2; ++i, value >>= 8)); do
    printf -v byte '\\x%02x' $((value & 255))
    text+=$byte
  done
  printf %b "$text"
}
poke() { dd of="$1" bs=1 seek="$2" conv=notrunc status=none; } # FILE OFFSET
# header FILE VALID VERSION CHUNK_SECTORS
header() {
  { printf SnAp; for i in "${@:2}"; do little_endian "$i" 4; done; } |
    poke "$1" 0
}
# record FILE INDEX OLD NEW: in the first area, with chunks of 4096 bytes
record() {
  { little_endian "$3" 8; little_endian "$4" 8; } |
    poke "$1" $((4096 + $2 * 16))
}
# chunk FILE NUMBER TEXT: fills a chunk
chunk() {
  { yes "$3" || :; } | head -c 4096 | dd of="$1" bs=4096 seek="$2" conv=notrunc status=none
}

# A store of 300 chunks with five records, whose chunks say which they are.
good_store() {
  local i
  truncate -s $((300 * 4096)) "$1"
  header "$1" 1 1 8
  for i in 0 1 2 3 4; do
    record "$1" $i $((i * 7)) $((i + 2))
    chunk "$1" $((i + 2)) "old chunk $((i * 7))"
  done
}

# expect_data FILE OLD...: its records are these, in this order, and the data of
# each is its own.
expect_data() {
  local file=$1 found
  shift
  found=$("$SNAPFS" dump "$file" | awk '$1 == "record" { print $4, $5 }')
  eq "$(cut -d' ' -f1 <<<"$found" | xargs)" "$*" "records of $file"
  local old new
  while read -r old new; do
    cmp <(dd if="$file" bs=4096 skip="$new" count=1 status=none) \
      <({ yes "old chunk $old" || :; } | head -c 4096) >&2 ||
      fail "$file: the data of old chunk $old"
  done <<<"$found"
}

SNAPFS=$(realpath "${SNAPFS:?the snapfs program}")
# shellcheck disable=SC2034  # for the tests
here=$(cd "$(dirname "${BASH_SOURCE[-1]}")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/snapfs-store.XXXXXX")
# shellcheck disable=SC2317  # called by the trap
at_end() {
  local result=$? item
  trap - EXIT
  for item in $(jobs -p); do kill -KILL "$item" 2>/dev/null || :; done
  cd /
  rm -rf "$work"
  exit "$result"
}
trap at_end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
trap '[ "$BASH_SUBSHELL" -ne 0 ] || echo "FAILED: status $? in line $LINENO" >&2' ERR
cd "$work"
