#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Where the kernel would end requests that take long, or panic because of them, a
# mount warns; elsewhere it says nothing. In a mount namespace of its own, whose
# /proc/sys has what it takes.
. "$(dirname "$0")/lib.sh"
command -v unshare >/dev/null || skip "needs unshare"

stamped origin.img 1M
origin_table "$work/origin.img" >base.yaml
mkdir -p sys/fs/fuse sys/kernel mnt
cat >inside.sh <<'EOF2'
set -eu
mount --bind sys /proc/sys
"$SNAPFS" mount base.yaml mnt
umount mnt
EOF2
export SNAPFS

# says DEFAULT_TIMEOUT MAX_TIMEOUT PANIC HUNG_SECONDS
says() {
  echo "$1" >sys/fs/fuse/default_request_timeout
  echo "$2" >sys/fs/fuse/max_request_timeout
  echo "$3" >sys/kernel/hung_task_panic
  echo "$4" >sys/kernel/hung_task_timeout_secs
  unshare --mount --propagation private bash inside.sh >said.log 2>&1 ||
    fail "$(cat said.log)"
  cat said.log
}
eq "$(says 0 0 0 120)" "" "what is said without a reason"
text=$(says 0 60 0 120)
contains "$text" "fs.fuse.max_request_timeout is 60 s" "a limit"
case $text in *default_request* | *hung_task*) fail "too much: $text" ;; esac
contains "$(says 30 0 0 120)" "fs.fuse.default_request_timeout is 30 s" "a default"
contains "$(says 0 0 1 120)" "waited for a suspended device for 120 s" "a panic"
eq "$(says 0 0 1 0)" "" "what is said where nobody looks for hung tasks"

# A kernel that has none of these files.
rm -r sys/fs sys/kernel
unshare --mount --propagation private bash inside.sh >said.log 2>&1
eq "$(cat said.log)" "" "what is said without the files"
