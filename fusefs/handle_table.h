// SPDX-License-Identifier: MIT
//
// Open files by number. The kernel gets the number and never a pointer. Looking
// one up takes no lock: the kernel releases a handle only after every other
// request on it has been answered. Thread-safe.
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
  uint64_t add(std::unique_ptr<Handle> handle) EXCLUDES(mutex_);

  // REQUIRES: the number is one of add() and has not been taken.
  Handle& at(uint64_t number) const noexcept;
  std::unique_ptr<Handle> take(uint64_t number) noexcept EXCLUDES(mutex_);

 private:
  static constexpr std::size_t kPerBlock = 1024;
  static constexpr std::size_t kBlocks = 1024;
  using Block = std::array<std::unique_ptr<Handle>, kPerBlock>;

  Mutex mutex_;
  std::vector<uint64_t> free_ GUARDED_BY(mutex_);
  uint64_t used_ GUARDED_BY(mutex_) = 0;
  // Blocks never move and never go, so readers need no lock.
  std::array<std::atomic<Block*>, kBlocks> blocks_{};
};

}  // namespace snapfs
