#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# demo.sh [build]: contrib/demo in a fresh copy of the sources, as a clone has
# them: it tells its story to the end and leaves nothing behind. The program is
# the one under test; with `build`, the one that the demo builds.
. "$(dirname "$0")/lib.sh"
command -v mkfs.ext4 >/dev/null || skip "needs mkfs.ext4"
command -v hexdump >/dev/null || skip "needs bsdextrautils"

mkdir clone bin tmp
(cd "$here/../.." && tar -c --exclude=./build --exclude=./.git .) | tar -x -C clone
if [ "${1:-}" != build ]; then
  # In place of the compiler, and of a network.
  cat >bin/cmake <<'END'
#!/bin/sh
set -e
case $1 in
  --build) mkdir -p "$2/fusefs" && ln -s "$SNAPFS" "$2/fusefs/snapfs" ;;
  -S) [ -f "$2/CMakeLists.txt" ] && [ "$3" = -B ] ;;
  *) exit 2 ;;
esac
END
  printf '#!/bin/sh\n' >clone/contrib/install-packages
  chmod +x bin/cmake clone/contrib/install-packages
fi

result=0
(cd / && PATH=$work/bin:$PATH TMPDIR=$work/tmp SNAPFS=$SNAPFS \
  "$work/clone/contrib/demo") >demo.log 2>&1 </dev/null || result=$?
eq "$result" 0 "status of the demo ($(tail -n 5 demo.log))"
told=$(cat demo.log)
contains "$told" $'==> now/letter <==\n     the NEW content' "the origin"
contains "$told" $'==> past/letter <==\n     the old content' "the snapshot"
contains "$told" "53 6e 41 70" "the first bytes of the COW"
contains "$told" "All taken down again" "the end"
# Nothing is left but what it says: the build.
eq "$(ls tmp)" "" "files left behind"
eq "$(ls clone/build)" $'demo\ndemo.log' "the build directory"
eq "$(find clone -newer bin -type f ! -path 'clone/build/*' \
  ! -name install-packages)" "" "changed files in the sources"
