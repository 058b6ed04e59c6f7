// SPDX-License-Identifier: MIT
#include "tests/support/volatile_device.h"

#include <array>
#include <utility>

namespace snapfs::test {
namespace {

// Its size is the other one's.
constexpr uint64_t kLargest = uint64_t{1} << 62;

}  // namespace

VolatileDevice::VolatileDevice(uint64_t bytes, std::string name)
    : MemoryDevice(bytes, std::move(name)), durable_(kLargest) {}

void VolatileDevice::write(uint64_t offset, std::span<const std::byte> from) {
  MemoryDevice::write(offset, from);
  note({offset, from.size()});
}

void VolatileDevice::write_durable(uint64_t offset,
                                   std::span<const std::byte> from) {
  MemoryDevice::write(offset, from);
  MutexLock lock(cache_mutex_);
  const ChunkRange sectors = ChunkSize(1).cover({offset, from.size()});
  for (uint64_t sector = sectors.first; sector != sectors.end(); ++sector) {
    make_durable(sector);
  }
}

void VolatileDevice::zero(ByteRange range) {
  MemoryDevice::zero(range);
  note(range);
}

void VolatileDevice::note(ByteRange range) {
  MutexLock lock(cache_mutex_);
  const ChunkRange sectors = ChunkSize(1).cover(range);
  for (uint64_t sector = sectors.first; sector != sectors.end(); ++sector) {
    cached_.insert(sector);
  }
}

void VolatileDevice::make_durable(uint64_t sector) {
  std::array<std::byte, kSectorBytes> bytes;
  MemoryDevice::read(sector * kSectorBytes, bytes);
  durable_.write(sector * kSectorBytes, bytes);
  cached_.erase(sector);
}

void VolatileDevice::flush() {
  MutexLock lock(cache_mutex_);
  while (!cached_.empty()) make_durable(*cached_.begin());
}

void VolatileDevice::drop_cache() {
  MutexLock lock(cache_mutex_);
  cached_.clear();
}

std::vector<std::byte> VolatileDevice::durable_content() const {
  MutexLock lock(cache_mutex_);
  std::vector<std::byte> bytes(size());
  durable_.read(0, bytes);
  return bytes;
}

}  // namespace snapfs::test
