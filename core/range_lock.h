// SPDX-License-Identifier: MIT
//
// Exclusive locks on ranges of chunks: the chunks of one snapshot that are
// being copied now. Thread-safe. A thread that locks ranges in several
// snapshots takes them in the order of the family's list.
#pragma once

#include <list>
#include <utility>

#include "core/chunk.h"
#include "core/mutex.h"

namespace snapfs {

class RangeLock {
 public:
  // Holds its range until it is destroyed.
  class [[nodiscard]] Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept
        : lock_(std::exchange(other.lock_, nullptr)), place_(other.place_) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(lock_, other.lock_);
      std::swap(place_, other.place_);
      return *this;
    }
    ~Hold() {
      if (lock_ != nullptr) lock_->release(place_);
    }

   private:
    friend class RangeLock;
    using Place = std::list<ChunkRange>::iterator;
    Hold(RangeLock* lock, Place place) : lock_(lock), place_(place) {}

    RangeLock* lock_ = nullptr;
    Place place_;
  };

  // Waits until no held range overlaps `range`. REQUIRES: !range.empty().
  Hold lock(ChunkRange range) EXCLUDES(mutex_) {
    MutexLock guard(mutex_);
    while (overlaps(range)) released_.wait(mutex_);
    return {this, held_.insert(held_.end(), range)};
  }

 private:
  bool overlaps(const ChunkRange& range) const REQUIRES(mutex_) {
    for (const ChunkRange& held : held_) {
      if (held.overlaps(range)) return true;
    }
    return false;
  }

  void release(Hold::Place place) EXCLUDES(mutex_) {
    MutexLock guard(mutex_);
    held_.erase(place);
    released_.notify_all();
  }

  Mutex mutex_;
  CondVar released_;
  std::list<ChunkRange> held_ GUARDED_BY(mutex_);
};

}  // namespace snapfs
