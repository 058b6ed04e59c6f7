# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the mount tests have in common. A test is a script that sources this
# file and then just does things in its own empty directory $work, which is also
# its working directory; the first command that fails fails the test, with a
# trace of the calls.
#
# Environment: SNAPFS and TEST_IO are the programs under test and
# tests/tools/test_io. Exit status 77 means skipped, with the reason on the last
# line.
#
# At the end, also after a failure or a signal, everything the test started is
# taken down: file systems, loop devices, snapfs mounts, processes, $work. A
# process, mount, loop device or lock that is still there after the ordinary
# way of taking it down fails the test: nothing may be left behind. So does
# whatever a sanitizer has reported.
set -euEo pipefail
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

skip() { echo "skipped: $*"; exit 77; }

fail() {
  echo "FAILED: $*" >&2
  calls
  exit 1
}

# Where we are, innermost first, without this function and its caller.
calls() {
  local i
  for ((i = 2; i < ${#FUNCNAME[@]}; ++i)); do
    echo "  ${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]} in ${FUNCNAME[i]}" >&2
  done
}

# --- comparing --------------------------------------------------------------

# eq FOUND WANTED WHAT
eq() { [ "$1" = "$2" ] || fail "$3: found '$1', expected '$2'"; }

# contains TEXT PART WHAT
contains() {
  case $1 in *"$2"*) ;; *) fail "$3: no '$2' in: $1" ;; esac
}

# same FILE FILE WHAT: byte for byte, read afresh
same() { cmp "$1" "$2" >&2 || fail "$3 differs"; }

sha() { sha256sum <"$1" | cut -c1-64; }

# must_fail COMMAND...: its error text, with the status in $status.
must_fail() {
  status=0
  text=$("$@" 2>&1) || status=$?
  [ "$status" -ne 0 ] || fail "succeeded, but should not have: $*"
}

# wait_until COMMAND...: for conditions that come true by themselves.
wait_until() { comes_true "$@" || fail "this did not come true: $*"; }

comes_true() {
  local end=$((SECONDS + patience))
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.02
  done
}

# The seconds after which we say that something hangs: far more than it takes on
# a machine that is busy with others.
patience=100

# Also one that has ended, with all its threads, and that its parent has not
# asked for yet.
gone() {
  [ ! -e "/proc/$1" ] || awk '
    $1 == "State:" { state = $2 }
    $1 == "Threads:" { threads = $2 }
    END { exit !(state ~ /[ZX]/ && threads <= 1) }' "/proc/$1/status" 2>/dev/null
}

# Is this number of a daemon another process's by now?
is_another() { [ "${daemons[$1]}" != "$(birth "$1")" ]; }

# When it began, in ticks: field 22, 20 behind the name.
birth() {
  local stat fields
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
  read -ra fields <<<"${stat##*) }"
  echo "${fields[19]}"
}

# --- devices ----------------------------------------------------------------

# stamped FILE SIZE: a file of stamped sectors (SIZE as numfmt takes it: 4M)
stamped() { "$TEST_IO" stamp "$(numfmt --from=iec "$2")" 0 >"$1"; }

# Loop devices of this test.
loops=()

# attach FILE [losetup options]: the loop device is in $loop.
attach() {
  local file=$1
  shift
  loop=$(losetup --find --show "$@" "$file")
  loops+=("$loop")
}

detach() {
  losetup --detach "$1"
  wait_until not_attached "$1"
}

# To a file of ours: another test may have it at once.
not_attached() {
  [[ $(losetup --noheadings --output BACK-FILE "$1" 2>/dev/null) != "$work/"* ]]
}

# --- tables -----------------------------------------------------------------

# origin_table DEVICE [more lines]
origin_table() {
  printf 'target: snapshot-origin\ndevice: %s\n' "$1"
  shift
  [ $# -eq 0 ] || printf '%s\n' "$@"
}

# snapshot_table ORIGIN COW [more lines]
snapshot_table() {
  printf 'target: snapshot\norigin: %s\ncow: %s\n' "$1" "$2"
  shift 2
  [ $# -eq 0 ] || printf '%s\n' "$@"
}

# --- mounts -----------------------------------------------------------------

# Processes that serve mounts of this test, and when they began.
declare -A daemons
remember() { daemons[$1]=$(birth "$1"); }

# mount_snapfs SPEC DIR [options]: the daemon is in $daemon.
mount_snapfs() {
  mkdir -p "$2"
  "$SNAPFS" mount "$@"
  daemon=$(cat "$2/.control/pid")
  remember "$daemon"
}

# In a mount namespace of one's own: lets go of what other tests have mounted.
# Their daemons would not end before this namespace does.
forget_other_mounts() {
  local mount
  while read -r mount; do
    umount --no-canonicalize --lazy "$mount" || :
  done < <(awk -v work="$work" '
    $5 ~ "/snapfs-test[.-]" && index($5, work) != 1 { list = $5 "\n" list }
    END { printf "%s", list }' /proc/self/mountinfo)
}

# unmount DIR: by umount(8), and waits for the daemon to end.
unmount() {
  local pid
  pid=$(cat "$1/.control/pid")
  wait_until unmounted "$1"
  wait_until gone "$pid"
}

# A loop device may let go of its file a moment after it was detached.
unmounted() { umount "$1" 2>"$work/umount.log"; }

# refuse_mount SPEC PART...: mounting SPEC fails with 32 and an error that has
# each PART in it.
refuse_mount() {
  local spec=$1
  shift
  mkdir -p refused
  must_fail "$SNAPFS" mount "$spec" refused
  eq "$status" 32 "exit status of the mount ($text)"
  local part
  for part in "$@"; do contains "$text" "$part" "the error"; done
  ! mountpoint -q refused || fail "mounted in spite of an error"
}

# The status line as dmsetup prints it.
status_line() {
  local line
  read -r line <"$1/.control/status/$2"
  line=${line#"$2":}
  echo "${line# }"
}

# --- the end ----------------------------------------------------------------

# What a test has made that take_down does not know of: a test defines it anew.
# Called after everything else was taken down, and whatever the result is.
before_end() { :; }

mounts_below() {
  awk -v below="$work/" 'index($5, below) == 1 { print $5 }' \
    /proc/self/mountinfo | sort -r
}

loops_on() {
  losetup --list --noheadings --output NAME,BACK-FILE |
    awk -v below="$work/" 'index($2, below) == 1 { print $1 }'
}

# Processes that were started with something of $work, or have it open. The
# pattern reaches grep through a pipe so that grep does not find itself.
processes_of() {
  {
    grep -lsF -f <(echo "$work") /proc/[0-9]*/cmdline || true
    find /proc/[0-9]*/fd /proc/[0-9]*/cwd -maxdepth 1 -lname "$work/*" \
      2>/dev/null || true
  } | cut -d/ -f3 | sort -un | grep -vx "$$" || true
}

# Another test may be about to let go of our mounts, in a namespace of its own.
is_left_alone() { [ -z "$(processes_of)" ]; }

locks_in() {
  local file
  find "$work" -xdev -type f 2>/dev/null | while read -r file; do
    ! is_locked "$file" || echo "$file"
  done
}

# Of a file on the file system of $work.
is_locked() { grep -q " $locks:$(stat -c %i "$1") " /proc/locks; }

# What a test has stopped or suspended would let all that follows wait.
let_go() {
  local item state line
  for item in "${!daemons[@]}"; do
    is_another "$item" || kill -CONT "$item" 2>/dev/null
  done
  for item in $(mounts_below); do
    for state in "$item"/.control/state/*; do
      line=
      { read -r line <"$state"; } 2>/dev/null
      [ "${line:-live}" = live ] || timeout "$patience" \
        sh -c 'echo resume >"$1" || echo abort >"$1"' sh "$state" 2>/dev/null
    done
  done
}

take_down() {
  local item
  for item in $(mounts_below); do
    [ "$(findmnt -n -o FSTYPE "$item")" = fuse.snapfs ] || umount "$item" ||
      leak "cannot unmount $item"
  done
  for item in "${loops[@]}"; do
    not_attached "$item" || losetup --detach "$item"
  done
  for item in $(mounts_below); do
    comes_true unmounted "$item" || leak "cannot unmount $item"
  done
  for item in "${!daemons[@]}"; do
    is_another "$item" || comes_true gone "$item" ||
      leak "daemon $item goes on"
  done
  item=$(mounts_below)
  [ -z "$item" ] || leak "mounts are left: $item"
  item=$(loops_on)
  [ -z "$item" ] || leak "loop devices are left: $item"
  comes_true is_left_alone
  item=$(processes_of)
  # shellcheck disable=SC2086  # a list
  [ -z "$item" ] ||
    leak "processes are left: $(ps -o pid=,args= -p ${item//[[:space:]]/,})"
  item=$(locks_in)
  [ -z "$item" ] || leak "locks are left on: $item"
}

leak() {
  echo "LEFT BEHIND: $*" >&2
  leaks=1
}

# What take_down did not manage goes the hard way.
tear_down() {
  local item
  for item in $(processes_of); do kill -KILL "$item" 2>/dev/null; done
  for item in $(mounts_below); do umount -l "$item" 2>/dev/null; done
  for item in $(loops_on); do losetup --detach "$item" 2>/dev/null; done
}

at_end() {
  local result=$?
  trap - EXIT ERR
  # Whoever is impatient leaves something behind.
  trap '' HUP INT TERM
  set +eE
  leaks=0
  # There is nothing more to be learnt from a test that has failed.
  [ "$result" -eq 0 ] || patience=10
  cd / || exit 1
  exec 3<&- 4<&- 5<&-
  let_go
  local item
  for item in $(jobs -p); do kill "$item" 2>/dev/null; done
  wait
  take_down
  [ "$leaks" -eq 0 ] || tear_down
  before_end || leak "the test's own"
  if [ "$result" -ne 0 ] && [ "$result" -ne 77 ]; then
    find "$work" -xdev -name '*.log' -size +0 -exec tail -n 30 {} + >&2
  fi
  rm -rf --one-file-system "$work"
  if [ -n "$(find "$reports" -type f -size +0)" ]; then
    echo "REPORTED by a sanitizer:" >&2
    find "$reports" -type f -size +0 -exec head -n 60 {} + >&2
    result=1
  fi
  rm -rf "$reports"
  [ "$leaks" -eq 0 ] || [ "$result" -ne 0 ] || result=1
  exit "$result"
}

trace() {
  [ "$BASH_SUBSHELL" -eq 0 ] || return 0
  echo "FAILED: status $1" >&2
  calls
}

[ "$(id -u)" -eq 0 ] || skip "needs root"
[ -w /dev/fuse ] || skip "needs /dev/fuse"
[ -w /dev/loop-control ] || skip "needs loop devices"
for tool in losetup findmnt numfmt setpriv; do
  command -v "$tool" >/dev/null || skip "needs $tool"
done
SNAPFS=$(realpath "${SNAPFS:?the snapfs program}")
TEST_IO=$(realpath "${TEST_IO:?the test_io program}")
# The directory of the test's script.
# shellcheck disable=SC2034  # for the tests
here=$(cd "$(dirname "${BASH_SOURCE[-1]}")" && pwd)

work=$(mktemp -d "${TMPDIR:-/tmp}/snapfs-test.XXXXXX")
work=$(realpath "$work")
# How /proc/locks names its file system.
IFS=': ' read -r major minor < <(findmnt -n -o MAJ:MIN --target "$work" | tail -n 1)
printf -v locks '%02x:%02x' "$major" "$minor"
# Programs that are built with sanitizers leave their reports here, also those
# that run in the background, whoever they run as. A mapping of a file that is
# gone ends in SIGBUS, as it does without them.
reports=$(mktemp -d "${TMPDIR:-/tmp}/snapfs-reports.XXXXXX")
chmod 1777 "$reports"
for sanitizer in ASAN LSAN TSAN UBSAN; do
  name=${sanitizer}_OPTIONS
  options=${!name:+${!name}:}handle_sigbus=0:log_path=$reports/$sanitizer
  export "$name=$options"
done
trap at_end EXIT
trap 'trace $?' ERR
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$work"
cd "$work"
