// SPDX-License-Identifier: MIT
//
// Which bytes of a device have been written. Exact as long as they are at most
// kMaxRanges ranges; what is more scattered is rounded outwards, to coarser and
// coarser blocks, so that memory stays bounded: about 5 MiB. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "core/chunk.h"
#include "core/mutex.h"

namespace snapfs {

class WrittenRanges {
 public:
  static constexpr std::size_t kMaxRanges = std::size_t{1} << 16;

  explicit WrittenRanges(std::size_t max_ranges = kMaxRanges)
      : max_ranges_(max_ranges) {}

  // Without memory for it everything counts as written from then on.
  void add(ByteRange range) noexcept EXCLUDES(mutex_);

  // Ascending, and none touches another.
  std::vector<ByteRange> ranges() const EXCLUDES(mutex_);

 private:
  void insert(ByteRange range) REQUIRES(mutex_);
  void coarsen() REQUIRES(mutex_);

  const std::size_t max_ranges_;
  mutable Mutex mutex_;
  // From the beginning of each range to its end.
  std::map<uint64_t, uint64_t> ends_ GUARDED_BY(mutex_);
  uint64_t block_bytes_ GUARDED_BY(mutex_) = 1;  // 1: not rounded
  bool is_all_ GUARDED_BY(mutex_) = false;
};

}  // namespace snapfs
