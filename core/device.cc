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

DeviceState Device::state() const {
  MutexLock lock(mutex_);
  return state_locked();
}

DeviceState Device::state_locked() const {
  if (removed_) return DeviceState::removed;
  if (live_ == nullptr) {
    return next_source_.empty() ? DeviceState::loaded : DeviceState::waiting;
  }
  if (!handed_over_to_.empty()) return DeviceState::handed_over;
  return suspended_ ? DeviceState::suspended : DeviceState::live;
}

std::string Device::describe_next() const {
  return next_source_.empty() ? "loaded" : "waiting for " + next_source_;
}

std::string Device::state_text() const {
  MutexLock lock(mutex_);
  std::string next =
      next_table_ == nullptr ? "" : "next: " + describe_next() + "\n";
  if (!second_name_of_.empty()) {
    next += "second name of " + second_name_of_ + "\n";
  }
  switch (state_locked()) {
    case DeviceState::loaded:
    case DeviceState::waiting:
      return describe_next() + "\n";
    case DeviceState::live:
      return "live\n" + next;
    case DeviceState::suspended:
      return "suspended\n" + next;
    case DeviceState::handed_over:
      return "handed over to " + handed_over_to_ + "\n";
    case DeviceState::removed:
      return "removed\n";
  }
  return "";
}

std::string Device::second_name_of() const {
  MutexLock lock(mutex_);
  return second_name_of_;
}

bool Device::try_open() {
  MutexLock lock(mutex_);
  if (removed_ || live_ == nullptr) return false;
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
