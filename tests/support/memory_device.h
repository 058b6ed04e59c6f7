// SPDX-License-Identifier: MIT
//
// A BlockDevice in memory. Only pages that were written take room, so a device
// of a terabyte is cheap. Thread-safe.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "core/block_device.h"
#include "core/mutex.h"

namespace snapfs::test {

class MemoryDevice : public BlockDevice {
 public:
  // `bytes` is a multiple of 512.
  explicit MemoryDevice(uint64_t bytes, std::string name = "memory",
                        uint32_t logical_block_size = 512);

  const std::string& name() const override { return name_; }
  uint64_t size() const override EXCLUDES(mutex_);
  uint32_t logical_block_size() const override { return logical_block_size_; }

  // These throw std::out_of_range where the range is not inside size(): a test
  // must not pass because its device is forgiving.
  void read(uint64_t offset, std::span<std::byte> into) override
      EXCLUDES(mutex_);
  void write(uint64_t offset, std::span<const std::byte> from) override
      EXCLUDES(mutex_);
  void write_durable(uint64_t offset, std::span<const std::byte> from) override
      EXCLUDES(mutex_);
  void zero(ByteRange range) override EXCLUDES(mutex_);
  void flush() override {}
  void grow(uint64_t bytes) override { set_size(bytes); }
  std::optional<Backing> backing() const override EXCLUDES(mutex_);
  Extent extent_at(uint64_t offset) override EXCLUDES(mutex_);

  // Grows it with zeroes, or cuts it off.
  void set_size(uint64_t bytes) EXCLUDES(mutex_);

  // From now on it can be extended, as a sparse file that has a filesystem of
  // so many bytes for itself.
  void set_filesystem(uint64_t bytes) EXCLUDES(mutex_);

  // Everything that is on it.
  std::vector<std::byte> content() const EXCLUDES(mutex_);

 private:
  static constexpr uint64_t kPageBytes = 4096;
  using Page = std::array<std::byte, kPageBytes>;

  void check(uint64_t offset, uint64_t length) const REQUIRES_SHARED(mutex_);
  void copy_out(uint64_t offset, std::span<std::byte> into) const
      REQUIRES_SHARED(mutex_);
  void clear(ByteRange range) REQUIRES(mutex_);

  const std::string name_;
  const uint32_t logical_block_size_;

  mutable SharedMutex mutex_;
  uint64_t size_ GUARDED_BY(mutex_);
  std::optional<uint64_t> filesystem_ GUARDED_BY(mutex_);
  std::map<uint64_t, Page> pages_ GUARDED_BY(mutex_);  // by page number
};

}  // namespace snapfs::test
