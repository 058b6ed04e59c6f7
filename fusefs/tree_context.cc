// SPDX-License-Identifier: MIT
#include "fusefs/tree_context.h"

#include <ctime>

namespace snapfs {

struct stat TreeContext::attributes(uint64_t inode, mode_t mode,
                                    uint64_t size) const {
  static const timespec start = [] {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return now;
  }();
  struct stat result {};
  result.st_ino = inode;
  result.st_mode = mode;
  result.st_nlink = S_ISDIR(mode) ? 2 : 1;
  result.st_uid = options.uid;
  result.st_gid = options.gid;
  result.st_size = static_cast<off_t>(size);
  result.st_blksize = 4096;
  result.st_blocks = static_cast<blkcnt_t>((size + 511) / 512);
  result.st_atim = result.st_mtim = result.st_ctim = start;
  return result;
}

}  // namespace snapfs
