#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every COW device that the kernel wrote (tests/golden) in a real mount, with the
# table line that the kernel had: its status line, its content through the files,
# and not one byte of the device changed by that.
. "$(dirname "$0")/lib.sh"
command -v xz >/dev/null || skip "needs xz"

golden=$here/../golden
mkdir tables.d images
names=()
value() { sed -n "s/^$1 //p" "$golden/$name/expected"; }

for directory in "$golden"/*/; do
  name=$(basename "$directory")
  names+=("$name")
  read -r store chunk features < <(value table)
  sectors=$(value status | cut -d' ' -f2)
  xz -dc "$golden/$name/cow.xz" >"images/$name.cow"
  "$TEST_IO" views "$chunk" $((sectors * 512)) images/view "images/$name.img" \
    <"$golden/$name/ops"
  origin_table "$work/images/$name.img" >"tables.d/$name-origin.yaml"
  echo "table: 0 $sectors snapshot $work/images/$name.img" \
    "$work/images/$name.cow $store $chunk $features" >"tables.d/$name.yaml"
done
[ ${#names[@]} -ge 10 ] || fail "only ${#names[@]} images"
sha256sum images/*.cow images/*.img >before

mount_snapfs tables.d mnt
for name in "${names[@]}"; do
  eq "$(status_line mnt "$name")" "$(value status)" "status of $name"
  eq "$(sha "mnt/$name-origin")" "$(value origin_sha256)" "the origin of $name"
  if [ "$(value snapshot_sha256)" = EIO ]; then
    must_fail cat "mnt/$name"
    contains "$text" "Input/output error" "reading $name"
  else
    eq "$(sha "mnt/$name")" "$(value snapshot_sha256)" "the snapshot $name"
  fi
done
unmount mnt
sha256sum images/*.cow images/*.img >after
cmp before after
