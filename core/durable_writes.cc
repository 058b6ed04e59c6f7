// SPDX-License-Identifier: MIT
#include "core/durable_writes.h"

#include <algorithm>

namespace snapfs {

void DurableWrites::flush(BlockDevice& device) {
  MutexLock lock(mutex_);
  try {
    carry_out([&] { device.flush(); }, std::min(told_, forgiven_));
  } catch (...) {
    told_ = failures_;
    throw;
  }
}

void DurableWrites::flush_for_engine(BlockDevice& device) {
  MutexLock lock(mutex_);
  carry_out([&] { device.flush(); }, forgiven_);
}

void DurableWrites::flush_copies(BlockDevice& device, uint64_t before) {
  MutexLock lock(mutex_);
  carry_out([&] { device.flush(); }, std::min(before, forgiven_));
}

void DurableWrites::flush_by(const std::function<void()>& action) {
  MutexLock lock(mutex_);
  carry_out(action, failures_);
}

// Throws the last failure if there are others than the first `known`, before
// `action` or after it.
void DurableWrites::carry_out(const std::function<void()>& action,
                              uint64_t known) {
  check(known);
  const uint64_t number = next_number_++;
  under_way_.insert(number);
  mutex_.unlock();
  std::exception_ptr failure;
  try {
    action();
  } catch (...) {
    failure = std::current_exception();
  }
  mutex_.lock();
  under_way_.erase(number);
  if (failure) {
    ++failures_;
    last_failure_ = failure;
  }
  ended_.notify_all();
  // Of those that have begun by now any may have been told what this one should
  // have been. Those that begin later cannot.
  const uint64_t now = next_number_;
  while (failures_ == known && is_under_way_before(now)) ended_.wait(mutex_);
  check(known);
}

void DurableWrites::check(uint64_t known) const {
  if (failures_ != known) std::rethrow_exception(last_failure_);
}

bool DurableWrites::is_under_way_before(uint64_t number) const {
  return !under_way_.empty() && *under_way_.begin() < number;
}

uint64_t DurableWrites::failures() const {
  MutexLock lock(mutex_);
  return failures_;
}

void DurableWrites::forgive() {
  MutexLock lock(mutex_);
  forgiven_ = failures_;
}

}  // namespace snapfs
