// SPDX-License-Identifier: MIT
//
// Open files by number. The kernel gets the number and never a pointer. A
// request holds its handle while it is at work: the reader of an answer may
// close the file before the thread that sent it has come back. Thread-safe;
// each number has a lock of its own.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/mutex.h"
#include "fusefs/node.h"

namespace snapfs {

class HandleTable {
 public:
  HandleTable() = default;
  ~HandleTable();

  // Throws std::system_error(ENFILE) when a million are open.
  uint64_t add(std::shared_ptr<Handle> handle) EXCLUDES(mutex_);

  // REQUIRES: the number is one of add() and has not been taken.
  std::shared_ptr<Handle> get(uint64_t number) noexcept;
  std::shared_ptr<Handle> take(uint64_t number) noexcept EXCLUDES(mutex_);

 private:
  static constexpr std::size_t kPerBlock = 1024;
  static constexpr std::size_t kBlocks = 1024;

  struct Slot {
    Mutex mutex;
    std::shared_ptr<Handle> handle GUARDED_BY(mutex);
  };
  using Block = std::array<Slot, kPerBlock>;

  Slot& slot(uint64_t number) noexcept {
    return (*blocks_[number / kPerBlock].load())[number % kPerBlock];
  }

  Mutex mutex_;
  std::vector<uint64_t> free_ GUARDED_BY(mutex_);
  uint64_t used_ GUARDED_BY(mutex_) = 0;
  // Blocks never move and never go, so finding a slot needs no lock.
  std::array<std::atomic<Block*>, kBlocks> blocks_{};
};

}  // namespace snapfs
