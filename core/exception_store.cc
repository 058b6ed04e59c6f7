// SPDX-License-Identifier: MIT
#include "core/exception_store.h"

#include <algorithm>

#include "core/error.h"

namespace snapfs {

std::vector<ExceptionRun> pair_up(const std::vector<ChunkRange>& old_chunks,
                                  const Reservation& reservation) {
  std::vector<ExceptionRun> runs;
  auto new_range = reservation.new_chunks.begin();
  uint64_t used = 0;  // of *new_range
  for (ChunkRange left : old_chunks) {
    while (!left.empty()) {
      uint64_t count = std::min(left.count, new_range->count - used);
      runs.push_back({left.first, new_range->first + used, count});
      left = {left.first + count, left.count - count};
      used += count;
      if (used == new_range->count) {
        ++new_range;
        used = 0;
      }
    }
  }
  return runs;
}

std::vector<ExceptionRun> ExceptionStore::last_recorded(const MergeLimit&) {
  throw std::system_error(Errc::unsupported, "merge of this store");
}

void ExceptionStore::unrecord(uint64_t) {
  throw std::system_error(Errc::unsupported, "merge of this store");
}

void ExceptionStore::begin_revert(uint64_t, uint64_t) {
  throw std::system_error(Errc::unsupported, "revert to this store");
}

void ExceptionStore::mark_reverted(const std::vector<ExceptionRun>&) {
  throw std::system_error(Errc::unsupported, "revert to this store");
}

}  // namespace snapfs
