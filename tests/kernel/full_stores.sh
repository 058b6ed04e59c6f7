#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# full_stores.sh middle|area_end CHUNK_SECTORS: stores that were left full, invalid
# and overflowed, somewhere in an area of records or where one ends. The kernel
# finds the same state, the same usage and the same content as snapfs showed last,
# and snapfs finds it again.
. "$(dirname "$0")/lib.sh"
where=${1:?middle or area_end}
chunk=${2:?chunk size in sectors}

records=$((chunk * 32)) # of an area
chunks=1024             # of an origin
room=38                 # exceptions, where it is not an area that counts
if [ "$chunk" -gt 8 ]; then
  chunks=64
  room=14
fi
[ "$chunk" -lt 1024 ] || chunks=16 room=6
[ "$chunk" -ge 8 ] || room=20
[ "$where" = middle ] || [ $((records + 2)) -lt $chunks ] ||
  fail "an area of $records records is too much for this test"

# The sector of the Ith chunk of those that are far from each other.
place() { echo $(($1 * 389 % chunks * chunk)); }
# chunk_ops COUNT: whole chunks, to both devices by turns
chunk_ops() {
  local i
  for ((i = 0; i < $1; ++i)); do
    echo "$( ((i % 3)) && echo snap || echo origin) $(place $i) $chunk"
  done
}
refused() { echo "refused $(place "$1") $chunk"; }
origin() { echo "origin $(place "$1") $chunk"; }

names=()
states=() # as snapfs shows them while they are in use
loaded=() # as whoever loads the store shows them
stores=()
mkdir spec mnt

# new NAME STORE COW_CHUNKS STATE [STATE_WHEN_LOADED] < OPS
new() {
  local i=${#names[@]}
  mkdir "$i"
  cat >"$i/ops"
  stamped "$i/origin.img" $((chunks * chunk * 512))
  truncate -s $(($3 * chunk * 512)) "$i/snap.cow"
  names+=("$1")
  stores+=("$2")
  states+=("0 $((chunks * chunk)) snapshot $4")
  loaded+=("0 $((chunks * chunk)) snapshot ${5:-$4}")
  origin_table "$work/$i/origin.img" >"spec/o$i.yaml"
  snapshot_table "o$i" "$work/$i/snap.cow" "store: $2" "chunk_size: $chunk" \
    >"spec/s$i.yaml"
}
# sectors USED TOTAL METADATA, in chunks
sectors() { echo "$(($1 * chunk))/$(($2 * chunk)) $(($3 * chunk))"; }

# The header, the area and the exceptions.
middle() {
  local all=$((room + 2)) full
  full=$(sectors $all $all 2)
  new "full to the last chunk" P $all "$full" < <(chunk_ops $room)
  new "invalid by a write to the snapshot" P $all Invalid \
    < <(chunk_ops $room; refused $room)
  new "invalid by a write to the origin" P $all Invalid < <(chunk_ops $room
    origin $room; echo "origin $((chunks * chunk / 2)) $((chunks * chunk / 4))")
  new "overflowed by a write to the snapshot" PO $all Overflow "$full" \
    < <(chunk_ops $room; refused $room; refused $((room + 1)); origin 0)
  new "overflowed, then invalid by a write to the origin" PO $all Invalid \
    < <(chunk_ops $room; refused $room; origin $room)
  new "the smallest store that takes an exception" P 3 "$(sectors 3 3 2)" \
    <<<"snap 0 $chunk"
}

# The last record of an area needs the next area on the device.
area_end() {
  local one=$((records + 1))
  new "one record short of an area" P $((records + 2)) \
    "$(sectors $one $((records + 2)) 2)" < <(chunk_ops $((records - 1)))
  new "a full area, and the next at the end" P $((records + 3)) \
    "$(sectors $((records + 3)) $((records + 3)) 3)" < <(chunk_ops $records)
  new "one record in the second area" P $((records + 4)) \
    "$(sectors $((records + 4)) $((records + 4)) 3)" < <(chunk_ops $one)
  new "invalid in the second area" P $((records + 4)) Invalid \
    < <(chunk_ops $one; refused $one)
  # Where the kernel would make the snapshot invalid because the next area does
  # not fit, snapfs keeps the last chunk unused; what is there stays readable.
  new "a store without room for the next area" PO $((records + 2)) Overflow \
    "$(sectors $one $((records + 2)) 2)" \
    < <(chunk_ops $((records - 1)); refused $((records - 1)))
}

report() {
  local i
  for i in "${!names[@]}"; do
    echo "$i status $(status_line mnt "s$i")"
    echo "$i snapshot_sha256 $(sha_or_eio "mnt/s$i")"
    echo "$i origin_sha256 $(sha "mnt/o$i")"
  done
}

"$where"
mount_snapfs spec mnt
for i in "${!names[@]}"; do
  "$TEST_IO" replay "mnt/s$i" "mnt/o$i" <"$i/ops"
  eq "$(status_line mnt "s$i")" "${states[i]}" "${names[i]}: status"
done
report >ours
unmount mnt
for i in "${!names[@]}"; do
  "$TEST_IO" views "$chunk" $((chunks * chunk * 512)) snap.view origin.view \
    <"$i/ops"
  eq "$(sed -n "s/^$i origin_sha256 //p" ours)" "$(sha origin.view)" \
    "${names[i]}: the origin"
  found=$(sed -n "s/^$i snapshot_sha256 //p" ours)
  if [[ ${states[i]} == *Invalid ]]; then
    eq "$found" EIO "${names[i]}: the snapshot"
  else
    eq "$found" "$(sha snap.view)" "${names[i]}: the snapshot"
  fi
  # Overflow is not on the disk: whoever loads the store sees it full.
  sed -i "s|^$i status .*|$i status ${loaded[i]}|" ours
done

{
  cat "$kernel_dir/guest.sh"
  letters=abcdefghijklmnop
  for i in "${!names[@]}"; do
    a=/dev/ubd${letters:i * 2:1}
    b=/dev/ubd${letters:i * 2 + 1:1}
    disks+=("$i/origin.img" "$i/snap.cow")
    echo "dmsetup create snap --table" \
      "'0 $((chunks * chunk)) snapshot $a $b ${stores[i]} $chunk' || exit 1"
    echo "dmsetup create origin --table" \
      "'0 $((chunks * chunk)) snapshot-origin $a' || exit 1"
    echo "echo \"$i status \$(dmsetup status snap)\""
    echo "sum '$i snapshot_sha256' snap; sum '$i origin_sha256' origin; unload"
  done
} >job
"$kernel_dir/run-in-kernel" job "${disks[@]}" >kernels ||
  fail "the job ended with $?: $(cat kernels)"
printf '%s\n' "${names[@]}" | nl -v 0
diff -u --label snapfs ours --label kernel kernels >&2 ||
  fail "the kernel does not see what snapfs showed"

mount_snapfs spec mnt
report >again
diff -u ours again >&2 || fail "another mount sees something else"
unmount mnt
