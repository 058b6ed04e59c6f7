// SPDX-License-Identifier: MIT
#include "core/durable_writes.h"

#include <system_error>
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
    flush_or_note(device);
  } catch (...) {
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
  flush_or_note(device);
}

void DurableWrites::flush_copies(BlockDevice& device, uint64_t before) {
  flush_for_engine(device);
  // One that was told of an error while this one was under way has noted it.
  WriterLock lock(flush_mutex_);
  if (failures_ != before) {
    throw std::system_error(EIO, std::generic_category(),
                            "another flush of the origin has failed meanwhile");
  }
}

void DurableWrites::flush_or_note(BlockDevice& device) {
  ReaderLock lock(flush_mutex_);
  try {
    device.flush();
  } catch (...) {
    note(std::current_exception());
    throw;
  }
}

void DurableWrites::note(std::exception_ptr failure) {
  ++failures_;
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
