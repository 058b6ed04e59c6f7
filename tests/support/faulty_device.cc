// SPDX-License-Identifier: MIT
#include "tests/support/faulty_device.h"

#include "core/error.h"

namespace snapfs::test {

FaultyDevice::FaultyDevice(std::shared_ptr<BlockDevice> below)
    : below_(std::move(below)) {}

void FaultyDevice::read(uint64_t offset, std::span<std::byte> into) {
  arrive(kRead, ByteRange{offset, into.size()});
  below_->read(offset, into);
}

void FaultyDevice::write(uint64_t offset, std::span<const std::byte> from) {
  arrive(kWrite, ByteRange{offset, from.size()});
  below_->write(offset, from);
}

void FaultyDevice::write_durable(uint64_t offset,
                                 std::span<const std::byte> from) {
  arrive(kWriteDurable, ByteRange{offset, from.size()});
  below_->write_durable(offset, from);
}

void FaultyDevice::zero(ByteRange range) {
  arrive(kZero, range);
  below_->zero(range);
}

void FaultyDevice::flush() {
  arrive(kFlush, std::nullopt);
  below_->flush();
}

void FaultyDevice::inject(Fault fault) {
  MutexLock lock(mutex_);
  faults_.push_back(fault);
}

void FaultyDevice::heal() {
  MutexLock lock(mutex_);
  faults_.clear();
}

uint64_t FaultyDevice::failures() const {
  MutexLock lock(mutex_);
  return failures_;
}

void FaultyDevice::arrive(Op op, std::optional<ByteRange> range) {
  MutexLock lock(mutex_);
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if ((fault->ops & op) == 0) continue;
    if (fault->range && (!range || !fault->range->overlaps(*range))) continue;
    if (fault->skip > 0) {
      --fault->skip;
      continue;
    }
    int error = fault->error;
    if (!fault->for_ever) faults_.erase(fault);
    ++failures_;
    throw_errno(error, "injected fault on", name());
  }
}

}  // namespace snapfs::test
