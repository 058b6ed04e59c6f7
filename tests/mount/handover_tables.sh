#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Tables of handovers, by whichever tool: each replaces what is live or waits and
# never removes it. Cancelled, replaced, removed, refused.
. "$(dirname "$0")/lib.sh"
vims=()
for tool in vim.tiny vim; do
  ! command -v $tool >/dev/null || vims+=("$tool")
done
[ ${#vims[@]} -gt 0 ] || skip "needs vim"
command -v ed >/dev/null || skip "needs ed"

stamped origin.img 4M
truncate -s 4M one.cow two.cow
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
snapshot_table base "$work/one.cow" "chunk_size: 8" >tables.d/one.yaml
snapshot_table base "$work/two.cow" "chunk_size: 8" >tables.d/two.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables
state() { cat "mnt/.control/state/$1"; }
"$TEST_IO" stamp 65536 5 | dd of=mnt/one bs=64k conv=notrunc,fsync status=none
content=$(sha mnt/one)
unchanged() { # WHAT
  eq "$(sha mnt/one)" "$content" "the snapshot, $1"
  eq "$(ls mnt)" $'base\none\ntwo' "the devices, $1"
}

# Every way of writing the table of a live device.
number=0
taken() { # WAY
  eq "$(state one)" $'live\nnext: waiting for one' "state after $1"
  contains "$(cat $tables/one.next.yaml)" "# $number" "the next table after $1"
  ! grep -q "# $number" $tables/one.yaml || fail "it is live already, after $1"
  echo suspend >mnt/.control/state/one
  contains "$(cat $tables/one.yaml)" "# $number" "the live table after $1"
  [ ! -e $tables/one.next.yaml ] || fail "there is still a next table"
  unchanged "after $1"
}
text() { snapshot_table base "$work/one.cow" "# $((++number))"; }
text >$tables/one.yaml
taken bash
text >new
cp new $tables/one.yaml
taken cp
text >new
tee $tables/one.yaml <new >/dev/null
taken tee
text >new
mv new $tables/one.yaml
[ ! -e new ] || fail "mv left its source behind"
taken "mv from elsewhere"
text >$tables/one.tmp
mv $tables/one.tmp $tables/one.yaml
taken "mv from here"
: $((++number))
sed -i "\$a# $number" $tables/one.yaml
taken "sed -i"
text >new
install -m 600 new $tables/one.yaml
taken install
append() { printf '$a\n# %s\n.\nw\nq\n' $((++number)); }
for vim in "${vims[@]}"; do
  for copy in yes no; do
    append >commands
    "$vim" -u NONE -es -c "set backupcopy=$copy" $tables/one.yaml <commands ||
      fail "$vim"
    taken "$vim, backupcopy=$copy"
  done
done
append >commands
ed -s $tables/one.yaml <commands || fail "ed"
taken ed

# Cancelled, before and after the source was suspended.
for frozen in no yes; do
  for name in one other; do
    snapshot_table base "$work/one.cow" "activate: manual" >$tables/$name.yaml
    [ $frozen = no ] || echo suspend >mnt/.control/state/one
    rm $tables/$name.next.yaml
    [ $frozen = no ] || eq "$(state one)" suspended "state"
    echo resume >mnt/.control/state/one
    eq "$(state one)" live "state"
    [ ! -e mnt/.control/state/other ] || fail "the other one is still there"
    unchanged "after a cancelled handover (suspended: $frozen)"
  done
done

# Replaced by a better one, also while the source waits for it.
snapshot_table base "$work/one.cow" "activate: manual" >$tables/other.yaml
echo suspend >mnt/.control/state/one
snapshot_table base "$work/one.cow" "activate: manual" "chunk_size: 16" >new
must_fail cp new $tables/other.yaml
same $tables/other.rejected new "the rejected text"
eq "$(state other)" "waiting for one" "state"
snapshot_table base "$work/one.cow" >$tables/other.yaml
eq "$(state other)" live "state of a table that was loaded when all was ready"
eq "$(sha mnt/other)" "$content" "the snapshot under the other name"
rm $tables/one.yaml
snapshot_table base "$work/one.cow" "activate: now" >$tables/one.yaml
eq "$(state one)" live "state of what goes live at once"
rm $tables/other.yaml
unchanged "after a handover there and back"

# Removal: never of a source for which a table waits, whoever tries.
snapshot_table base "$work/one.cow" >$tables/other.yaml
for way in rm unlink "python3 -c 'import os,sys; os.unlink(sys.argv[1])'"; do
  must_fail sh -c "$way $tables/one.yaml"
  contains "$text" "busy" "$way"
done
contains "$(cat mnt/.control/errors)" \
  "tables/one.yaml: not removed: other waits for the store of one" "errors"
unchanged "after an attempt to remove it"
rm $tables/other.yaml
[ ! -e $tables/other.next.yaml ] || fail "the next table is still there"

# Two documents are handed over together or not at all.
pair() {
  printf -- '---\nname: a\n'
  snapshot_table base "$work/one.cow"
  printf -- '---\nname: b\n'
  snapshot_table base "$work/$1.cow"
}
pair one >new
must_fail cp new $tables/pair.yaml
unchanged "after two documents that want one store"
pair two >$tables/pair.yaml
rm $tables/a.next.yaml
[ ! -e mnt/.control/state/b ] || fail "the second document is still there"
pair two >$tables/pair.yaml
echo suspend >mnt/.control/state/one
eq "$(state a) $(state b)" "waiting for one waiting for two" "states half-way"
eq "$(state one)" suspended "state half-way"
echo suspend >mnt/.control/state/two
eq "$(state a) $(state b)" "live live" "states"
eq "$(sha mnt/a)" "$content" "the first of two"
same mnt/b origin.img "the second of two"
rm $tables/one.yaml $tables/two.yaml
eq "$(ls mnt)" $'a\nb\nbase' "the devices at the end"
unmount mnt
