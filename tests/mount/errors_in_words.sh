#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A table that is refused, by whichever tool it was written: what write, close or
# rename can only say as an errno stands in words in `errors`, `snapfs load` prints
# it, and the text is there to be mended. What was live stays, and the same tool
# can load a better text.
. "$(dirname "$0")/lib.sh"
command -v ed >/dev/null || skip "needs ed"
vims=()
for tool in vim.tiny vim; do
  ! command -v $tool >/dev/null || vims+=("$tool")
done
[ ${#vims[@]} -gt 0 ] || skip "needs vim"

stamped origin.img 1M
mkdir tables.d
origin_table "$work/origin.img" >tables.d/base.yaml
truncate -s 2M one.cow
snapshot_table base "$work/one.cow" "chunk_size: 8" >tables.d/one.yaml
mount_snapfs tables.d mnt
tables=mnt/.control/tables
table=$tables/one.yaml

number=0
good() { snapshot_table base "$work/one.cow" "# text $((++number))"; }
bad() { good | sed "s/^target:.*/target: snapshut/"; }

# Each way of writing a text to the table, from the function good or bad.
by_bash() { $1 >$table; }
by_bash_append() { # after what is there, which it repeats
  [ "$1" = good ] && echo "# text $((++number))" >>$table ||
    echo "nonsense: $((++number))" >>$table
}
by_cp() { $1 >text && cp text $table; }
by_tee() { $1 >text && tee $table <text >shown; }
by_mv_from_elsewhere() { $1 >text && mv text $table; }
by_mv_from_here() { $1 >$tables/one.tmp && mv $tables/one.tmp $table; }
by_install() { $1 >text && install -m 600 text $table; }
by_dd() { $1 >text && dd if=text of=$table conv=fsync status=none; }
by_sed() { edit "$1" && sed -i "$script" $table; }
by_perl() { edit "$1" && perl -pi -e "$script" $table; }
by_ed() { edit "$1" && printf "%s\n" "1,\$$script" w q | ed -s $table; }
by_vim() { # good|bad VIM BACKUPCOPY
  edit "$1"
  printf '%s\n' "%$script" w 'q!' >commands
  "$2" -u NONE -es -c "set backupcopy=$3" $table <commands
}
by_emacs() {
  edit "$1"
  emacs --batch -q $table --eval "(progn (goto-char (point-max))
    (insert \"$([ "$1" = good ] && echo "# text" || echo nonsense:) $number\\n\")
    (save-buffer))"
}
# What sed, perl, ed and vim do to the text that is there is in $script.
edit() {
  : $((++number))
  script="s,^cow:.*,cow: $work/one.cow # text $number,"
  [ "$1" = good ] || script="s,^target:.*,target: snapshut,"
}

live() { cat $table; sha mnt/one; cat mnt/.control/state/one; }
lines() { wc -l <mnt/.control/errors; }

for way in bash bash_append cp tee mv_from_elsewhere mv_from_here install dd sed \
  perl ed emacs "${vims[@]/#/vim }"; do
  read -r tool argument <<<"$way"
  command -v perl >/dev/null || [ "$tool" != perl ] || continue
  command -v emacs >/dev/null || [ "$tool" != emacs ] || continue
  copies=(x)
  [ "$tool" != vim ] || copies=(yes no)
  for copy in "${copies[@]}"; do
    what="$way${argument:+, backupcopy=$copy}"
    before=$(live)
    at=$(lines)
    result=0
    "by_$tool" bad $argument "$copy" 2>said.log || result=$?
    eq "$(live)" "$before" "what is live, after a bad text by $what"
    text=$(tail -n +$((at + 1)) mnt/.control/errors)
    contains "$text" "one.yaml:" "errors after $what (status $result)"
    case $tool in
      bash_append | emacs) contains "$text" "nonsense" "errors after $what" ;;
      *) contains "$text" "snapshut" "errors after $what" ;;
    esac
    [ -s $tables/one.rejected ] || fail "no rejected text after $what"
    # What an editor leaves when it fails is no table.
    eq "$(ls mnt)" $'base\none' "the devices after $what"
    rm -f $tables/one.tmp

    "by_$tool" good $argument "$copy" 2>said.log || fail "$what: $(cat said.log)"
    eq "$(cat mnt/.control/state/one)" $'live\nnext: waiting for one' \
      "state after a good text by $what"
    echo suspend >mnt/.control/state/one
    contains "$(cat $table)" "# text $number" "the live table after $what"
    echo "$what: status $result for the bad text"
  done
done

# Those that wait for an answer print it.
bad >one.yaml
must_fail "$SNAPFS" load -m mnt one.yaml
contains "$text" "one.yaml:1:9: " "snapfs load"
contains "$text" "snapshut" "snapfs load"
unmount mnt
