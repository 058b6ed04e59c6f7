// SPDX-License-Identifier: MIT
#include "fusefs/handle_table.h"

#include <cerrno>
#include <utility>

namespace snapfs {

HandleTable::~HandleTable() {
  for (std::atomic<Block*>& block : blocks_) delete block.load();
}

uint64_t HandleTable::add(std::shared_ptr<Handle> handle) {
  uint64_t number = 0;
  {
    MutexLock lock(mutex_);
    if (!free_.empty()) {
      number = free_.back();
      free_.pop_back();
    } else {
      if (used_ == kPerBlock * kBlocks) refuse(ENFILE);
      // Reserved now, so that take() never has to allocate.
      if (free_.capacity() <= used_) free_.reserve(2 * used_ + kPerBlock);
      if (used_ % kPerBlock == 0) blocks_[used_ / kPerBlock] = new Block;
      number = used_++;
    }
  }
  Slot& place = slot(number);
  MutexLock lock(place.mutex);
  place.handle = std::move(handle);
  return number;
}

std::shared_ptr<Handle> HandleTable::get(uint64_t number) noexcept {
  Slot& place = slot(number);
  MutexLock lock(place.mutex);
  return place.handle;
}

std::shared_ptr<Handle> HandleTable::take(uint64_t number) noexcept {
  std::shared_ptr<Handle> handle;
  {
    Slot& place = slot(number);
    MutexLock lock(place.mutex);
    handle = std::move(place.handle);
  }
  MutexLock lock(mutex_);
  free_.push_back(number);
  return handle;
}

}  // namespace snapfs
