#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A COW or an origin that makes no sense is refused with one error that names
# the table and the file; nothing is written anywhere. The valid store that all
# the bad ones derive from is taken, so each fails for its own reason.
. "$(dirname "$0")/lib.sh"

chunk=4096
chunks=300 # of the COW; the origin has 512
per_area=256

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
# record FILE INDEX OLD NEW: the INDEX-th record of area 0
record() {
  { little_endian "$3" 8; little_endian "$4" 8; } |
    poke "$1" $((chunk + $2 * 16))
}

stamped origin.img 2M
truncate -s $((chunks * chunk)) good.cow
header good.cow 1 1 8
for i in 0 1 2 3; do record good.cow $i $((i * 7)) $((i + 2)); done

mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
use_cow() {
  snapshot_table base "$work/$1" "chunk_size: 8" >tables.d/snap.yaml
}
use_cow good.cow
mount_snapfs tables.d mnt
eq "$(status_line mnt snap)" "0 4096 snapshot 48/2400 16" "the good store"
unmount mnt

all_of() { { cat origin.img good.cow "$1" 2>/dev/null || true; } | sha256sum; }

# bad NAME PART...: the mount is refused, and NAME and all else are unchanged.
bad() {
  local before
  use_cow "$1"
  before=$(all_of "$1")
  refuse_mount tables.d "snap.yaml:3:" "$@"
  eq "$(wc -l <<<"$text")" 1 "lines of the error for $1: $text"
  eq "$(all_of "$1")" "$before" "the files after $1 was refused"
}
# copy NAME: a copy of the good store to spoil
copy() { cp --sparse=always good.cow "$1"; }

copy version-2; header version-2 1 2 8
bad version-2 "version 2"
copy chunk-12; header chunk-12 1 1 12
bad chunk-12 "12" "not a power of 2"
copy chunk-0; header chunk-0 1 1 0
bad chunk-0 "not a power of 2"
copy chunk-huge; header chunk-huge 1 1 $((1 << 22))
bad chunk-huge "too high"
copy chunk-half; header chunk-half 1 1 $((1 << 31))
bad chunk-half
copy magic; printf X | poke magic 0
bad magic "Invalid or corrupt snapshot"

copy new-beyond; record new-beyond 4 100 $chunks
bad new-beyond
copy new-huge; record new-huge 4 100 $((1 << 56 | 7))
bad new-huge
copy new-negative; record new-negative 4 100 -1
bad new-negative
copy new-on-area-0; record new-on-area-0 4 100 1
bad new-on-area-0
copy new-on-area-1; record new-on-area-1 4 100 $((per_area + 2))
bad new-on-area-1
copy old-beyond; record old-beyond 4 512 6
bad old-beyond
copy old-negative; record old-negative 4 -1 6
bad old-negative
copy old-twice; record old-twice 4 7 6
bad old-twice
copy new-twice; record new-twice 4 100 3
bad new-twice

# Cut off: in the header, in the area, and where data should be.
for size in 0 10 16 512 $chunk $((chunk + 512)) $((4 * chunk)); do
  copy "cut-to-$size"
  truncate -s "$size" "cut-to-$size"
  bad "cut-to-$size"
done

# An area that is full without the next one on the device.
copy full-area
for ((i = 4; i < per_area; ++i)); do
  little_endian $((i * 2 + 1)) 8
  little_endian $((i + 2)) 8
done | poke full-area $((chunk + 4 * 16))
truncate -s $(((per_area + 2) * chunk)) full-area
bad full-area

# Nothing but ones: everywhere, and behind a good header.
head -c $((chunks * chunk)) /dev/zero | tr '\0' '\377' >ones
bad ones "Invalid or corrupt snapshot"
copy ones-area
head -c $chunk ones | dd of=ones-area bs=$chunk seek=1 conv=notrunc status=none
bad ones-area

# Not a device at all.
mkdir directory
bad directory
bad missing "No such file"
mkfifo fifo
use_cow fifo
refuse_mount tables.d "snap.yaml:3:" fifo
snapshot_table base /dev/null >tables.d/snap.yaml
refuse_mount tables.d "snap.yaml:3:" /dev/null
ln -s circle circle
use_cow circle
refuse_mount tables.d "snap.yaml:3:" circle
attach good.cow --read-only
snapshot_table base "$loop" >tables.d/snap.yaml
refuse_mount tables.d "snap.yaml:3:" "$loop"
detach "$loop"

# The same for the origin.
rm tables.d/snap.yaml
truncate -s 0 empty.img
for path in missing directory fifo circle empty.img; do
  origin_table "$work/$path" >tables.d/base.yaml
  refuse_mount tables.d "base.yaml:2:" "$path"
  eq "$(wc -l <<<"$text")" 1 "lines of the error for $path: $text"
done
origin_table /dev/zero >tables.d/base.yaml
refuse_mount tables.d "base.yaml:2:" /dev/zero
