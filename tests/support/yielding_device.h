// SPDX-License-Identifier: MIT
//
// A device in memory that gives other threads a chance in the middle of
// everything. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>

#include "tests/support/memory_device.h"

namespace snapfs::test {

class YieldingDevice : public MemoryDevice {
 public:
  using MemoryDevice::MemoryDevice;
  void read(uint64_t offset, std::span<std::byte> into) override {
    std::this_thread::yield();
    MemoryDevice::read(offset, into);
  }
  void write(uint64_t offset, std::span<const std::byte> from) override {
    std::this_thread::yield();
    MemoryDevice::write(offset, from);
  }
  void flush() override { std::this_thread::yield(); }
};

}  // namespace snapfs::test
