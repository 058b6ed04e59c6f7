// SPDX-License-Identifier: MIT
//
// Memory for one copy. A thread keeps a small one from call to call, so that
// copying a chunk does not ask the allocator for pages each time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace snapfs {

// At most one is in use by a thread at a time.
class ScratchBuffer {
 public:
  explicit ScratchBuffer(uint64_t size) {
    if (size > kKeptBytes) {
      large_ = std::make_unique_for_overwrite<std::byte[]>(size);
      bytes_ = {large_.get(), size};
      return;
    }
    thread_local std::vector<std::byte> kept;
    if (kept.size() < size) kept.resize(size);
    bytes_ = {kept.data(), size};
  }
  ScratchBuffer(const ScratchBuffer&) = delete;
  ScratchBuffer& operator=(const ScratchBuffer&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  static constexpr uint64_t kKeptBytes = uint64_t{1} << 20;

  std::unique_ptr<std::byte[]> large_;
  std::span<std::byte> bytes_;
};

}  // namespace snapfs
