#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A test in which everything goes well fails all the same when a program of it has
# written a sanitizer's report, in the background or not.
. "$(dirname "$0")/lib.sh"

# Below, as such a test. The report is written to where the programs would.
if [ "${1:-}" = inside ]; then
  path=${ASAN_OPTIONS##*log_path=}
  [ "$2" = none ] || echo "ERROR: AddressSanitizer: $2" >"$path.4711"
  exit 0
fi

bash "$here/${0##*/}" inside none
must_fail bash "$here/${0##*/}" inside heap-use-after-free
contains "$text" "heap-use-after-free" "what the test prints"
