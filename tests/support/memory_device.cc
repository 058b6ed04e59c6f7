// SPDX-License-Identifier: MIT
#include "tests/support/memory_device.h"

#include <algorithm>
#include <stdexcept>

namespace snapfs::test {

MemoryDevice::MemoryDevice(uint64_t bytes, std::string name,
                           uint32_t logical_block_size)
    : name_(std::move(name)),
      logical_block_size_(logical_block_size),
      size_(bytes) {}

uint64_t MemoryDevice::size() const {
  ReaderLock lock(mutex_);
  return size_;
}

void MemoryDevice::read(uint64_t offset, std::span<std::byte> into) {
  ReaderLock lock(mutex_);
  check(offset, into.size());
  copy_out(offset, into);
}

void MemoryDevice::write(uint64_t offset, std::span<const std::byte> from) {
  WriterLock lock(mutex_);
  check(offset, from.size());
  while (!from.empty()) {
    uint64_t within = offset % kPageBytes;
    uint64_t count = std::min<uint64_t>(from.size(), kPageBytes - within);
    Page& page = pages_[offset / kPageBytes];  // a new one is all zeroes
    std::copy_n(from.begin(), count, page.begin() + within);
    from = from.subspan(count);
    offset += count;
  }
}

void MemoryDevice::write_durable(uint64_t offset,
                                 std::span<const std::byte> from) {
  write(offset, from);
}

void MemoryDevice::zero(ByteRange range) {
  WriterLock lock(mutex_);
  check(range.offset, range.length);
  clear(range);
}

BlockDevice::Extent MemoryDevice::extent_at(uint64_t offset) {
  ReaderLock lock(mutex_);
  check(offset, 1);
  bool is_data = pages_.contains(offset / kPageBytes);
  auto page = pages_.lower_bound(offset / kPageBytes);
  uint64_t end = size_;
  if (is_data) {
    uint64_t number = offset / kPageBytes;
    for (; page != pages_.end() && page->first == number; ++page) ++number;
    end = number * kPageBytes;
  } else if (page != pages_.end()) {
    end = page->first * kPageBytes;
  }
  return {is_data, std::min(end, size_) - offset};
}

void MemoryDevice::set_size(uint64_t bytes) {
  WriterLock lock(mutex_);
  if (bytes < size_) clear({bytes, size_ - bytes});
  size_ = bytes;
}

void MemoryDevice::set_filesystem(uint64_t bytes) {
  WriterLock lock(mutex_);
  filesystem_ = bytes;
}

std::optional<BlockDevice::Backing> MemoryDevice::backing() const {
  ReaderLock lock(mutex_);
  if (!filesystem_) return std::nullopt;
  const uint64_t stored = pages_.size() * kPageBytes;
  return Backing{stored, *filesystem_ - std::min(stored, *filesystem_)};
}

std::vector<std::byte> MemoryDevice::content() const {
  ReaderLock lock(mutex_);
  std::vector<std::byte> all(size_);
  copy_out(0, all);
  return all;
}

void MemoryDevice::check(uint64_t offset, uint64_t length) const {
  if (offset > size_ || length > size_ - offset) {
    throw std::out_of_range(name_ + ": " + std::to_string(length) +
                            " bytes at byte " + std::to_string(offset) +
                            " of " + std::to_string(size_));
  }
}

void MemoryDevice::copy_out(uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    uint64_t within = offset % kPageBytes;
    uint64_t count = std::min<uint64_t>(into.size(), kPageBytes - within);
    auto page = pages_.find(offset / kPageBytes);
    if (page == pages_.end()) {
      std::fill_n(into.begin(), count, std::byte{0});
    } else {
      std::copy_n(page->second.begin() + within, count, into.begin());
    }
    into = into.subspan(count);
    offset += count;
  }
}

void MemoryDevice::clear(ByteRange range) {
  auto page = pages_.lower_bound(range.offset / kPageBytes);
  while (page != pages_.end()) {
    ByteRange hit = intersect(range, {page->first * kPageBytes, kPageBytes});
    if (hit.empty()) return;
    if (hit.length == kPageBytes) {
      page = pages_.erase(page);
      continue;
    }
    std::fill_n(page->second.begin() + hit.offset % kPageBytes, hit.length,
                std::byte{0});
    ++page;
  }
}

}  // namespace snapfs::test
