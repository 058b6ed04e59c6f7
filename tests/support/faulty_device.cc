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
  auto action = [&] { below_->write(offset, from); };
  arrive(kWrite, ByteRange{offset, from.size()}, action);
  action();
}

void FaultyDevice::write_durable(uint64_t offset,
                                 std::span<const std::byte> from) {
  auto action = [&] { below_->write_durable(offset, from); };
  arrive(kWriteDurable, ByteRange{offset, from.size()}, action);
  action();
}

void FaultyDevice::zero(ByteRange range) {
  auto action = [&] { below_->zero(range); };
  arrive(kZero, range, action);
  action();
}

void FaultyDevice::flush() {
  auto action = [&] { below_->flush(); };
  arrive(kFlush, std::nullopt, action);
  action();
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

void FaultyDevice::set_on_failed_flush(std::function<void()> action) {
  MutexLock lock(mutex_);
  on_failed_flush_ = std::move(action);
}

void FaultyDevice::arrive(Op op, std::optional<ByteRange> range,
                          const std::function<void()>& action) const {
  const std::optional<Fault> fault = take_fault(op, range);
  if (!fault) return;
  if (fault->is_late && action) {
    action();
  } else if (op == kFlush) {
    std::function<void()> on_failed_flush;
    {
      MutexLock lock(mutex_);
      on_failed_flush = on_failed_flush_;
    }
    if (on_failed_flush) on_failed_flush();
  }
  throw_errno(fault->error, "injected fault on", name());
}

std::optional<FaultyDevice::Fault> FaultyDevice::take_fault(
    Op op, std::optional<ByteRange> range) const {
  MutexLock lock(mutex_);
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if ((fault->ops & op) == 0) continue;
    if (fault->range && (!range || !fault->range->overlaps(*range))) continue;
    if (fault->skip > 0) {
      --fault->skip;
      continue;
    }
    const Fault found = *fault;
    if (!fault->for_ever) faults_.erase(fault);
    ++failures_;
    return found;
  }
  return std::nullopt;
}

}  // namespace snapfs::test
