#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A SPEC that cannot be read, or is meant to hurt, fails the mount with one
# error at a place, quickly and in little memory. A wrong command line does too.
. "$(dirname "$0")/lib.sh"

stamped origin.img 1M
mkdir refused

# A sanitizer reserves more address space than any limit allows.
limits="ulimit -t $patience"
grep -q '__[at]san_init' "$SNAPFS" || limits+=' -v 1500000'

# bad SPEC PART...
bad() {
  must_fail bash -c "$limits; exec timeout $patience \"\$@\"" bash \
    "$SNAPFS" mount "$1" refused
  eq "$status" 32 "exit status for $1 ($text)"
  eq "$(wc -l <<<"$text")" 1 "lines of the error for $1: $text"
  local part
  for part in "$@"; do contains "$text" "$part" "the error for $1"; done
  ! mountpoint -q refused || fail "mounted in spite of an error"
}

: >empty.yaml
bad empty.yaml
head -c 4096 /dev/urandom >binary.yaml
bad binary.yaml
origin_table "$work/origin.img" >large.yaml
head -c 10M /dev/zero | tr '\0' '#' >>large.yaml
bad large.yaml
{ echo "target: snapshot-origin"; echo "device: $(head -c 30000 /dev/zero |
  tr '\0' '[')"; } >deep.yaml
bad deep.yaml
{
  echo 'a: &a [x, x, x, x, x, x, x, x, x, x]'
  for i in {b..j}; do
    p=$(tr b-j a-i <<<"$i")
    echo "$i: &$i [*$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p]"
  done
} >anchors.yaml
bad anchors.yaml
printf 'target: snapshot-origin\ntarget: snapshot\n' >twice.yaml
bad twice.yaml twice.yaml:2:1
printf 'target: snapshot-orign\n' >target.yaml
bad target.yaml target.yaml:1: snapshot-origin
printf 'target: snapshot-origin\ndevise: x\n' >key.yaml
bad key.yaml key.yaml:2:1 device
printf '%s\n' "table: '0 2048 snapshot /dev/a /dev/b P'" >line.yaml
bad line.yaml line.yaml:1: "requires 4 or more arguments"
bad no-such-spec "No such file"
mkfifo fifo.yaml
bad fifo.yaml
mkdir two.d
origin_table "$work/origin.img" "name: same" >two.d/a.yaml
origin_table "$work/origin.img" "name: same" >two.d/b.yaml
bad two.d same a.yaml b.yaml

# What is not a table file in a directory is left alone.
mkdir good.d
origin_table "$work/origin.img" >good.d/base.yaml
echo nonsense >good.d/base.yaml~
echo nonsense >good.d/.base.yaml.swp
echo nonsense >good.d/README
mount_snapfs good.d mnt
eq "$(cd mnt && echo *)" base "the devices"
unmount mnt

# Nothing in it is no error: tables may come later.
mkdir empty.d
mount_snapfs empty.d mnt
eq "$(ls -A mnt)" "" "the devices of an empty directory"
cp good.d/base.yaml mnt/.control/tables/
same mnt/base origin.img "an origin loaded later"
unmount mnt

# Command lines.
must_fail "$SNAPFS" mount good.d
eq "$status" 1 "exit status without a directory"
must_fail "$SNAPFS" mount good.d refused -o no_such_option
eq "$status" 1 "exit status for an unknown option"
contains "$text" no_such_option "the error for an unknown option"
must_fail "$SNAPFS" mount good.d no-such-directory
eq "$status" 32 "exit status without a mount point"
must_fail "$SNAPFS" mount good.d origin.img
eq "$status" 32 "exit status for a mount point that is a file"
