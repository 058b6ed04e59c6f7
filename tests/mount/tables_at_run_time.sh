#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Tables come and go while mounted: written by redirection, cp, tee, mv and
# editors' ways, read back as written, removed by rm unless the device is open.
. "$(dirname "$0")/lib.sh"

stamped origin.img 4M
cp origin.img reference.img
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables

table_of() {
  snapshot_table base "{path: $work/$1.cow, create: true, size: 8MiB}" \
    "chunk_size: 4KiB" "# made by $1"
}
loaded() { # NAME: it is there, live and right
  same "mnt/$1" reference.img "$1 just after it was loaded"
  same "$tables/$1.yaml" <(table_of "$1") "the table of $1 read back"
  eq "$(cat "mnt/.control/state/$1")" live "state of $1"
  eq "$(status_line mnt "$1")" "0 8192 snapshot 16/16384 16" "status of $1"
}

table_of shell >$tables/shell.yaml
loaded shell
{ echo "# in two parts"; table_of parts; } >parts.new
{ head -n 2 parts.new; tail -n +3 parts.new; } >$tables/parts.yaml
same $tables/parts.yaml parts.new "a table written by two programs"
[ -f mnt/parts ] || fail "no parts"
table_of copy >new
cp new $tables/copy.yaml
loaded copy
table_of tee | tee $tables/tee.yaml >/dev/null
loaded tee
table_of moved >new
mv new $tables/moved.yaml
loaded moved
[ ! -e new ] || fail "mv left its source behind"
table_of renamed >$tables/renamed.tmp
[ ! -e mnt/renamed ] || fail "a temporary file was loaded"
mv $tables/renamed.tmp $tables/renamed.yaml
loaded renamed
[ ! -e $tables/renamed.tmp ] || fail "the temporary file is still there"
table_of synced >new
dd if=new of=$tables/synced.yaml conv=fsync status=none
loaded synced
for name in shell parts copy tee moved renamed synced; do
  eq "$(find $tables -name "$name.yaml*")" $tables/$name.yaml \
    "files of the table $name"
done

# Nothing is loaded by looking, touching or truncating.
before=$(cat mnt/.control/status/* $tables/*.yaml | sha256sum)
touch $tables/shell.yaml
: >$tables/shell.yaml
cat $tables/*.yaml >/dev/null
chmod 600 $tables/shell.yaml
eq "$(cat mnt/.control/status/* $tables/*.yaml | sha256sum)" "$before" \
  "all status and tables"

# An open device stays; what uses it keeps working.
mkfifo hold
# shellcheck disable=SC2094  # a command's name and a fifo
"$TEST_IO" hold mnt/tee <hold >held &
exec 3>hold
wait_until grep -q held held
must_fail rm $tables/tee.yaml
contains "$text" "busy" "rm of an open device's table"
[ -f mnt/tee ] || fail "the open device is gone"
loaded tee
exec 3>&-
wait $!
attach mnt/tee
must_fail rm $tables/tee.yaml
contains "$text" "busy" "rm of a loop-attached device's table"
detach "$loop"
wait_until rm $tables/tee.yaml 2>/dev/null
[ ! -e mnt/tee ] || fail "the file of a removed device is still there"
[ ! -e mnt/.control/status/tee ] || fail "so is its status"

# A snapshot can come back with its content as long as the origin stays.
dd if=/dev/zero of=mnt/copy bs=4k count=3 seek=100 conv=notrunc status=none
copy=$(sha mnt/copy)
rm $tables/copy.yaml
[ ! -e mnt/copy ] || fail "the file of a removed device is still there"
table_of copy >$tables/copy.yaml
eq "$(sha mnt/copy)" "$copy" "a snapshot that came back"

dd if=/dev/urandom of=mnt/base bs=64k count=10 conv=notrunc,fsync status=none
same mnt/shell reference.img "a snapshot loaded at run time"

# Several documents are one transaction.
{
  printf -- '---\nname: %s\n' one; table_of one
  printf -- '---\nname: %s\n' two; table_of two
} >$tables/pair.yaml
[ -f mnt/one ] || fail "the first of two documents"
[ -f mnt/two ] || fail "the second of two documents"
[ ! -e mnt/pair ] || fail "the file's name became a device"

# They last until unmount.
unmount mnt
mount_snapfs tables.d mnt
eq "$(cd mnt && echo *)" base "the devices of the SPEC"
