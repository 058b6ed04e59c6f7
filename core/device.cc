// SPDX-License-Identifier: MIT
#include "core/device.h"

namespace snapfs {

std::shared_ptr<Target> Device::live() const {
  MutexLock lock(mutex_);
  return live_;
}

std::shared_ptr<const Table> Device::live_table() const {
  MutexLock lock(mutex_);
  return live_table_;
}

std::shared_ptr<const Table> Device::next_table() const {
  MutexLock lock(mutex_);
  return next_table_;
}

std::string Device::state_text() const {
  MutexLock lock(mutex_);
  return live_ == nullptr ? "removed\n" : "live\n";
}

bool Device::try_open() {
  MutexLock lock(mutex_);
  if (removed_) return false;
  ++open_count_;
  return true;
}

void Device::closed() {
  MutexLock lock(mutex_);
  --open_count_;
}

unsigned Device::open_count() const {
  MutexLock lock(mutex_);
  return open_count_;
}

}  // namespace snapfs
