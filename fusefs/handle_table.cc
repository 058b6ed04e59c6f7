// SPDX-License-Identifier: MIT
#include "fusefs/handle_table.h"

#include <cerrno>

namespace snapfs {

HandleTable::~HandleTable() {
  for (std::atomic<Block*>& block : blocks_) delete block.load();
}

uint64_t HandleTable::add(std::unique_ptr<Handle> handle) {
  MutexLock lock(mutex_);
  uint64_t number = used_;
  if (!free_.empty()) {
    number = free_.back();
    free_.pop_back();
  } else {
    if (used_ == kPerBlock * kBlocks) refuse(ENFILE);
    // Reserved now, so that take() never has to allocate.
    if (free_.capacity() <= used_) free_.reserve(2 * used_ + kPerBlock);
    if (used_ % kPerBlock == 0) blocks_[used_ / kPerBlock] = new Block;
    ++used_;
  }
  (*blocks_[number / kPerBlock].load())[number % kPerBlock] = std::move(handle);
  return number;
}

Handle& HandleTable::at(uint64_t number) const noexcept {
  return *(*blocks_[number / kPerBlock].load())[number % kPerBlock];
}

std::unique_ptr<Handle> HandleTable::take(uint64_t number) noexcept {
  std::unique_ptr<Handle> handle =
      std::move((*blocks_[number / kPerBlock].load())[number % kPerBlock]);
  MutexLock lock(mutex_);
  free_.push_back(number);
  return handle;
}

}  // namespace snapfs
