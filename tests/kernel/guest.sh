# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What jobs of run-in-kernel have in common; it is put in front of the job.
# Disks: /dev/ubda is the origin, /dev/ubdb the COW, /dev/ubdc what
# `test_io data` printed for the operations.
set -u

sectors=$(blockdev --getsz /dev/ubda)

# load STORE CHUNK [FEATURES...]: the snapshot as `snap`, the origin as `origin`.
load() {
  dmsetup create snap \
    --table "0 $sectors snapshot /dev/ubda /dev/ubdb $*" || exit 1
  dmsetup create origin --table "0 $sectors snapshot-origin /dev/ubda" || exit 1
}

unload() {
  dmsetup remove snap && dmsetup remove origin || exit 1
}

# put DEVICE FIRST COUNT SKIP: COUNT sectors of the data from SKIP on, in one
# request that bypasses the page cache, which would round it to whole pages. The
# shell's own dd goes through it when a buffer is short and not aligned.
put() {
  /usr/bin/dd if=/dev/ubdc bs=$(($3 * 512)) iflag=skip_bytes skip=$(($4 * 512)) count=1 \
    of="/dev/mapper/$1" oflag=direct,seek_bytes seek=$(($2 * 512)) \
    conv=notrunc 2>/dev/null
}

# op KIND FIRST COUNT SKIP: one line of an operation list.
op() {
  case $1 in
    discard)
      blkdiscard -o $(($2 * 512)) -l $(($3 * 512)) /dev/mapper/snap ;;
    refused)
      ! put snap "$2" "$3" "$4" ;;
    *)
      put "$@" ;;
  esac || { echo "operation failed: $*"; exit 1; }
}

# "KEY SHA256" of a device as it reads now, or "KEY EIO".
sum() {
  echo 3 >/proc/sys/vm/drop_caches
  if dd if="/dev/mapper/$2" of=/dev/null bs=512 count=1 iflag=direct \
    2>/dev/null; then
    sha=$(sha256sum <"/dev/mapper/$2") || exit 1
    echo "$1 ${sha%% *}"
  else
    echo "$1 EIO"
  fi
}

# The three lines that `expected` files and the tests compare.
report() {
  echo "status $(dmsetup status snap)"
  sum snapshot_sha256 snap
  sum origin_sha256 origin
}
