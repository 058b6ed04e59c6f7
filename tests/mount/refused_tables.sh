#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A table that cannot be taken is refused with a reason, and everything is as it
# was before: devices, tables, files.
. "$(dirname "$0")/lib.sh"

stamped origin.img 2M
truncate -s 4M live.cow free.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/live.cow" "chunk_size: 4KiB" >tables.d/live.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables
dd if=/dev/zero of=mnt/live bs=4k count=3 conv=notrunc,fsync status=none

everything() {
  # An estimate that goes with time is no change.
  cat mnt/.control/status/* | grep -v cow_full_in_seconds
  cat mnt/.control/state/* $tables/*.yaml
  sha256sum mnt/* ./*.img ./*.cow
  ls -A . mnt mnt/.control/status
}
before=$(everything)

# refused NAME ERRNO_TEXT PART... < TABLE: by cp, which reports errors of close.
refused() {
  local name=$1 errno=$2 part
  shift 2
  cat >"$name.text"
  must_fail cp "$name.text" $tables/"$name".yaml
  contains "$text" "$errno" "what cp says of $name"
  for part in "$@"; do
    contains "$(cat mnt/.control/errors)" "$part" "errors, of $name"
  done
  same $tables/"$name".rejected "$name.text" "the rejected text of $name"
  rm "$name.text" $tables/"$name".rejected
  eq "$(everything)" "$before" "everything, after $name was refused"
}

refused nonsense "" "nonsense.yaml:" <<<'nonsense'
refused unknown-key "" "unknown-key.yaml:3:1" "chunk_size" <<EOF
target: snapshot
origin: base
chunksize: 8
cow: free.cow
EOF
refused no-origin "" "no-origin.yaml:2:" "missing" \
  <<<"$(snapshot_table missing "$work/free.cow")"
refused no-cow "No such file" "no-cow.yaml:3:" "no-such.cow" \
  <<<"$(snapshot_table base "$work/no-such.cow")"
refused chunk "" "chunk.yaml:4:" "power of 2" \
  <<<"$(snapshot_table base "$work/free.cow" "chunk_size: 12")"
refused transient "" "Chunk size not set" \
  <<<"$(snapshot_table base "$work/free.cow" "store: N" "chunk_size: 0")"
refused too-long "" "too-long.yaml:" "8192" \
  <<<"$(snapshot_table base "$work/free.cow" "length: 8192")"
refused second "" "second.yaml:4:" "live.cow has chunks of 8 sectors" \
  <<<"$(snapshot_table base "$work/live.cow" "chunk_size: 8KiB")"
refused second "" "second.yaml:" "cannot change to N" \
  <<<"$(snapshot_table base "$work/live.cow" "chunk_size: 4KiB" "store: N")"
refused own-origin "" "cannot be the same" \
  <<<"$(snapshot_table base "$work/origin.img")"
refused second-origin "" "origin.img" "base" \
  <<<"$(origin_table "$work/origin.img")"
refused directory "" "directory.yaml:3:" \
  <<<"$(snapshot_table base "$work/tables.d")"
# Of two documents none is taken, not even its COW file is made.
refused half "" "half.yaml:7:" "origin" <<EOF
---
name: good
target: snapshot
origin: base
cow: {path: $work/made.cow, create: true, size: 4MiB}
---
name: bad
target: snapshot
cow: $work/free.cow
EOF

# A live table stays when a new text for it is refused.
snapshot_table base "$work/live.cow" "chunk_size: 13" >new
must_fail cp new $tables/live.yaml
same $tables/live.yaml tables.d/live.yaml "the live table"
same $tables/live.rejected new "the rejected text of a live device"
same mnt/live <(head -c 12288 /dev/zero; tail -c +12289 origin.img) "live"

# The next accepted table ends the memory of the rejected one.
must_fail cp new $tables/fresh.yaml
[ -e $tables/fresh.rejected ] || fail "no rejected text"
snapshot_table base "$work/free.cow" "chunk_size: 8" >$tables/fresh.yaml
[ -f mnt/fresh ] || fail "not loaded: $(cat mnt/.control/errors)"
[ ! -e $tables/fresh.rejected ] || fail "the rejected text is still there"

# Names that no device can have: refused, or an editor's file without effect.
for name in .hidden.yaml x.next.yaml "a b.yaml" -x.yaml x.rejected x.yaml~; do
  ! cp tables.d/base.yaml "$tables/$name" 2>error.log || rm "$tables/$name"
  eq "$(ls -A mnt)" $'base\nfresh\nlive' "the devices, after a table $name"
done
must_fail mkdir $tables/directory

# A refused rename says something sensible.
snapshot_table base "$work/no-such.cow" >$tables/text.tmp
must_fail mv $tables/text.tmp $tables/text.yaml
contains "$text" "Bad message" "what mv says"
[ -e $tables/text.tmp ] || fail "the temporary file is gone"
rm $tables/text.tmp
