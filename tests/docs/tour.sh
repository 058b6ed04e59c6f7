#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The tour of README.md, as it stands there: every command succeeds, and it
# shows what it promises.
. "$(dirname "$0")/../mount/lib.sh"

command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"

# Before the tour's commands: what it attaches is known to this test, also after
# a failure.
cat >tour <<'END'
losetup() {
  local device
  device=$(command losetup "$@") || return
  [ -z "$device" ] || echo "$device" | tee -a ../tour.loops
}
END
sed -n '/^<!-- tour: begin -->$/,/^<!-- tour: end -->$/p' "$here/../../README.md" |
  sed '/^<!--/d; /^```/d' >>tour
grep -q "snapfs mount" tour || fail "README.md has no tour"
mkdir tour.d
result=0
shown=$(cd tour.d && PATH=$(dirname "$SNAPFS"):$PATH bash -eu ../tour 2>&1) ||
  result=$?
mapfile -t loops <tour.loops
eq "$result" 0 "status of the tour ($shown)"

contains "$shown" $'==> now/letter <==\nnew' "the origin's letter"
contains "$shown" $'==> past/letter <==\nold' "the snapshot's letter"
contains "$shown" "before: 0 524288 snapshot " "the status line"

# The last remark: with both tables in tables/ the next mount shows both.
cd tour.d
cat >tables/before.yaml <<END
target: snapshot
origin: disk
cow: ../disk.cow
END
mount_snapfs tables mnt
eq "$(cd mnt && echo *)" "before disk" "the devices of the next mount"
attach mnt/before
mount "$loop" past
eq "$(cat past/letter)" old "the snapshot's letter in the next mount"
