// SPDX-License-Identifier: MIT
#include "core/durable_writes.h"

#include <utility>

namespace snapfs {

void DurableWrites::flush(BlockDevice& device) {
  {
    MutexLock lock(mutex_);
    if (failure_) {
      is_told_ = true;
      std::exception_ptr failure = failure_;
      if (is_forgiven_) failure_ = nullptr;
      std::rethrow_exception(failure);
    }
  }
  try {
    device.flush();
  } catch (...) {
    note(std::current_exception());
    MutexLock lock(mutex_);
    is_told_ = true;
    throw;
  }
}

void DurableWrites::flush_for_engine(BlockDevice& device) {
  {
    MutexLock lock(mutex_);
    if (failure_ && !is_forgiven_) std::rethrow_exception(failure_);
  }
  try {
    device.flush();
  } catch (...) {
    note(std::current_exception());
    throw;
  }
}

void DurableWrites::note(std::exception_ptr failure) {
  MutexLock lock(mutex_);
  failure_ = std::move(failure);
  is_told_ = false;
  is_forgiven_ = false;
}

void DurableWrites::forgive() {
  MutexLock lock(mutex_);
  is_forgiven_ = true;
  if (is_told_) failure_ = nullptr;
}

}  // namespace snapfs
