// SPDX-License-Identifier: MIT
#include "tests/support/counting_device.h"

#include <bit>
#include <chrono>
#include <stdexcept>

#include "tests/support/eventually.h"

namespace snapfs::test {
namespace {

size_t index_of(Op op) {
  return static_cast<size_t>(std::countr_zero(static_cast<unsigned>(op)));
}

}  // namespace

CountingDevice::CountingDevice(std::shared_ptr<BlockDevice> below)
    : below_(std::move(below)) {}

CountingDevice::~CountingDevice() = default;

void CountingDevice::read(uint64_t offset, std::span<std::byte> into) {
  arrive(kRead, into.size());
  below_->read(offset, into);
}

void CountingDevice::write(uint64_t offset, std::span<const std::byte> from) {
  arrive(kWrite, from.size());
  below_->write(offset, from);
}

void CountingDevice::write_durable(uint64_t offset,
                                   std::span<const std::byte> from) {
  arrive(kWriteDurable, from.size());
  below_->write_durable(offset, from);
}

void CountingDevice::zero(ByteRange range) {
  arrive(kZero, range.length);
  below_->zero(range);
}

void CountingDevice::flush() {
  arrive(kFlush, 0);
  below_->flush();
}

CountingDevice::Counts CountingDevice::counts() const {
  MutexLock lock(mutex_);
  return counts_;
}

void CountingDevice::reset_counts() {
  MutexLock lock(mutex_);
  counts_ = {};
}

void CountingDevice::hold(unsigned ops) {
  MutexLock lock(mutex_);
  holding_ |= ops;
}

void CountingDevice::release(unsigned ops) {
  MutexLock lock(mutex_);
  holding_ &= ~ops;
  let_go(ops);
}

void CountingDevice::release_held(unsigned ops) {
  MutexLock lock(mutex_);
  let_go(ops);
}

void CountingDevice::let_go(unsigned ops) {
  for (size_t i = 0; i < kOpCount; ++i) {
    if ((ops & (1U << i)) != 0) ++releases_[i];
  }
  changed_.notify_all();
}

void CountingDevice::wait_until_held(unsigned ops, unsigned count) {
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (held_locked(ops) < count) {
    if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) {
      throw std::runtime_error(name() + ": " +
                               std::to_string(held_locked(ops)) +
                               " requests held, not " + std::to_string(count));
    }
  }
}

unsigned CountingDevice::held(unsigned ops) const {
  MutexLock lock(mutex_);
  return held_locked(ops);
}

void CountingDevice::arrive(Op op, uint64_t bytes) {
  MutexLock lock(mutex_);
  count(op, bytes);
  if ((holding_ & op) == 0) return;
  size_t kind = index_of(op);
  uint64_t seen = releases_[kind];
  ++held_[kind];
  changed_.notify_all();
  while (releases_[kind] == seen) changed_.wait(mutex_);
  --held_[kind];
}

void CountingDevice::count(Op op, uint64_t bytes) {
  switch (op) {
    case kRead:
      ++counts_.reads;
      counts_.read_bytes += bytes;
      break;
    case kWrite:
      ++counts_.writes;
      counts_.write_bytes += bytes;
      break;
    case kWriteDurable:
      ++counts_.durable_writes;
      counts_.durable_write_bytes += bytes;
      break;
    case kZero:
      ++counts_.zeroes;
      counts_.zero_bytes += bytes;
      break;
    case kFlush:
      ++counts_.flushes;
      break;
    case kSize:
    case kGrow:
      break;  // not passed here
  }
}

unsigned CountingDevice::held_locked(unsigned ops) const {
  unsigned sum = 0;
  for (size_t i = 0; i < kOpCount; ++i) {
    if ((ops & (1U << i)) != 0) sum += held_[i];
  }
  return sum;
}

}  // namespace snapfs::test
