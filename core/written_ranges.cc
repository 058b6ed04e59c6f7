// SPDX-License-Identifier: MIT
#include "core/written_ranges.h"

#include <limits>
#include <new>
#include <utility>

namespace snapfs {
namespace {

// As long as any device can be.
constexpr ByteRange kEverything{0, std::numeric_limits<int64_t>::max()};

// The first blocks to be rounded to.
constexpr uint64_t kFirstBlockBytes = 4096;

ByteRange rounded_outwards(ByteRange range, uint64_t block) {
  const uint64_t begin = range.offset / block * block;
  const uint64_t end = (range.end() + block - 1) / block * block;
  return {begin, end - begin};
}

}  // namespace

void WrittenRanges::add(ByteRange range) noexcept {
  if (range.empty()) return;
  MutexLock lock(mutex_);
  if (is_all_) return;
  try {
    insert(rounded_outwards(range, block_bytes_));
    while (ends_.size() > max_ranges_) coarsen();
  } catch (const std::bad_alloc&) {
    is_all_ = true;
    ends_.clear();
  }
}

void WrittenRanges::insert(ByteRange range) {
  uint64_t begin = range.offset;
  uint64_t end = range.end();
  auto next = ends_.upper_bound(begin);
  if (next != ends_.begin()) {
    auto before = std::prev(next);
    if (before->second >= end) return;
    if (before->second >= begin) {
      begin = before->first;
      next = before;
    }
  }
  while (next != ends_.end() && next->first <= end) {
    end = std::max(end, next->second);
    next = ends_.erase(next);
  }
  ends_.emplace_hint(next, begin, end);
}

void WrittenRanges::coarsen() {
  block_bytes_ = block_bytes_ == 1 ? kFirstBlockBytes : 2 * block_bytes_;
  const auto fine = std::exchange(ends_, {});
  for (const auto& [begin, end] : fine) {
    insert(rounded_outwards({begin, end - begin}, block_bytes_));
  }
}

std::vector<ByteRange> WrittenRanges::ranges() const {
  MutexLock lock(mutex_);
  if (is_all_) return {kEverything};
  std::vector<ByteRange> result;
  result.reserve(ends_.size());
  for (const auto& [begin, end] : ends_) result.push_back({begin, end - begin});
  return result;
}

}  // namespace snapfs
