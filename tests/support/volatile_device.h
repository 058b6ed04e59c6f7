// SPDX-License-Identifier: MIT
//
// A device in memory with a volatile write cache: reads see what was written,
// and what lasts is what was flushed or written durably. Thread-safe.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/mutex.h"
#include "tests/support/memory_device.h"

namespace snapfs::test {

class VolatileDevice : public MemoryDevice {
 public:
  explicit VolatileDevice(uint64_t bytes, std::string name = "volatile");

  void write(uint64_t offset, std::span<const std::byte> from) override
      EXCLUDES(cache_mutex_);
  void write_durable(uint64_t offset, std::span<const std::byte> from) override
      EXCLUDES(cache_mutex_);
  void zero(ByteRange range) override EXCLUDES(cache_mutex_);
  void flush() override EXCLUDES(cache_mutex_);

  // What was not flushed yet will not be by a later flush either; as long as
  // there is power it can be read. What an operating system does with pages
  // that it could not write.
  void drop_cache() EXCLUDES(cache_mutex_);

  // What is left when the power fails now; as long as the device is now.
  std::vector<std::byte> durable_content() const EXCLUDES(cache_mutex_);

 private:
  void note(ByteRange range) EXCLUDES(cache_mutex_);
  void make_durable(uint64_t sector) REQUIRES(cache_mutex_);

  mutable Mutex cache_mutex_;
  mutable MemoryDevice durable_;
  std::set<uint64_t> cached_ GUARDED_BY(cache_mutex_);  // sectors
};

}  // namespace snapfs::test
